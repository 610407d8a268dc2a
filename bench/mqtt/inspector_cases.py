"""What the inspector alone is asked to do. Apart from it, so that a run of peers alone needs nothing of the product."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    """`frames` in one read, their topics and payload sizes in turn. `target`: publishes per CPU second promised."""

    name: str
    title: str
    frames: int = 16
    topics: int = 20
    sizes: tuple[int, ...] = (64,)
    qos: int = 0
    level: int = 4
    refused: bool = False
    deliver: bool = False  # from the broker to the client
    target: float | None = None


GOAL = 1_000_000.0
SIZES = tuple(range(48, 80))
CASES = (
    Case("qos0.16", "QoS 0, 16 frames a read, 20 topics", target=GOAL),
    Case("qos0.16.1topic", "QoS 0, 16 frames a read, 1 topic", topics=1, target=GOAL),
    Case("v5.qos0.16", "v5, QoS 0, 16 frames a read, 20 topics", level=5, target=GOAL),
    Case("v5.qos0.16.1topic", "v5, QoS 0, 16 frames a read, 1 topic", level=5, topics=1, target=GOAL),
    Case("qos0.64", "QoS 0, 64 frames a read, 20 topics", frames=64, target=GOAL),
    Case("qos0.1", "QoS 0, 1 frame a read, 20 topics", frames=1),
    Case("qos0.16.sizes", "QoS 0, 16 frames a read, payloads of 48 to 79 bytes", sizes=SIZES),
    Case("qos1.16", "QoS 1 and its PUBACK, 16 frames a read", qos=1),
    Case("v5.qos1.16", "v5, QoS 1 and its PUBACK, 16 frames a read", qos=1, level=5),
    Case("qos2.16", "QoS 2 and its three answers, 16 frames a read", qos=2),
    Case("v5.qos2.16", "v5, QoS 2 and its three answers, 16 frames a read", qos=2, level=5),
    Case("refused.qos0.16", "refused: QoS 0, 16 frames a read", refused=True),
    Case("refused.qos1.16", "refused: QoS 1, acknowledged and dropped", qos=1, refused=True),
    Case("v5.refused.qos1.16", "v5, refused: QoS 1, PUBACK 0x87", qos=1, level=5, refused=True),
    Case("deliver.qos0.16", "to the client: QoS 0, 16 frames a read", deliver=True),
)
