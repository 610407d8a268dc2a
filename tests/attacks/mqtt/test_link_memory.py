"""T48: what one link may make the gateway remember. An identity may have 512 of them."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Iterable
from typing import TYPE_CHECKING

import pytest

from proxy.protocols.mqtt.packet_ids import MANY, PacketIds, bounded
from tests.mqtt.harness import Link, Policy
from tests.support import mqtt
from tests.support.mqtt import PUBACK, PUBCOMP, PUBREC, PUBREL

if TYPE_CHECKING:
    from proxy.core.action import Action
    from proxy.core.verdict import Verdict


class Silent(Policy):
    """It logs nothing, which would be what is measured."""

    def __call__(self, asked: tuple[Action, ...], now: float, recorded: bool = False) -> Verdict:
        return self.judge(asked)


def opened() -> Link:
    link = Link(Silent())
    link.send(mqtt.connect("sensor-1"))
    link.reply(b"\x20\2\0\0")
    link.look()
    return link


def kept(link: Link, packets: Iterable[bytes]) -> int:
    """Bytes that are held afterwards."""
    tracemalloc.start()
    try:
        for packet in packets:
            link.send(packet)
            link.look()
            link.all_events.clear()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("topic", ["ok/a", "no"])
def test_packet_ids_that_are_never_released(topic: str) -> None:
    """QoS 2, allowed and refused: 64 bytes for each id."""
    link = opened()
    assert kept(link, (mqtt.publish(topic, qos=2, pid=pid) for pid in range(1, 5000))) < 50_000
    released = mqtt.ack(PUBREL, 3) + mqtt.ack(PUBREL, 4999)
    link.send(released)
    told = link.look()
    assert told.broker == (b"" if topic == "no" else released)
    assert told.client == (mqtt.ack(PUBCOMP, 3) + mqtt.ack(PUBCOMP, 4999) if topic == "no" else b"")


def test_topics_of_a_kilobyte() -> None:
    """Each is known, and kept for the next time, up to a sum."""
    link = opened()
    assert kept(link, (mqtt.publish(f"ok/{n}/{'x' * 1000}", b"x") for n in range(1000))) < 300_000


def test_topics_that_are_forgotten_are_judged_again() -> None:
    link = opened()
    frames = [mqtt.publish(f"ok/{n}/{'x' * 1000}", b"x") for n in range(300)]
    for _ in range(3):
        link.send(b"".join(frames))
        assert link.look().broker == b"".join(frames)
    assert sum(link.inspector.tally().values()) == 900 + 1  # and the CONNECT


@pytest.mark.parametrize("seed", range(5))
def test_packet_ids_are_a_set(seed: int) -> None:
    dice = random.Random(seed)
    plain: set[int] = set(dice.sample(range(1, 65536), MANY + 1))
    packed = bounded(set(plain))
    assert isinstance(packed, PacketIds) and bounded(packed) is packed
    for _ in range(5000):
        number = dice.choice((1, 65535, dice.randrange(1, 65536)))
        if dice.random() < 0.5:
            plain.add(number)
            packed.add(number)
        else:
            plain.discard(number)
            packed.discard(number)
        assert (number in packed) is (number in plain)
        assert len(packed) == len(plain)
    assert [pid for pid in range(65536) if pid in packed] == sorted(plain)


def test_an_exchange_that_began_among_many_ends() -> None:
    link = opened()
    for pid in range(1, 3000):
        link.send(mqtt.publish("ok/a", qos=1, pid=pid))
    assert len(link.inspector._session.publishing.in_flight) == 2999
    for pid in range(1, 3000):
        link.reply(mqtt.ack(PUBACK, pid) if pid % 2 else mqtt.ack(PUBACK, pid) + mqtt.ack(PUBREC, 60000))
    assert len(link.inspector._session.publishing.in_flight) == 0
    assert not link.look().closes
