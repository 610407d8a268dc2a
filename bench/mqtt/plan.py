"""Which loads are measured, how long and how often."""

from __future__ import annotations

from dataclasses import dataclass

CONNECTIONS = 16
TOPICS = 20
PAYLOAD = 64
HONEST = 20
HERTZ = 10.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """One way to publish at full speed on `CONNECTIONS` connections, 64-byte payloads over 20 topics each."""

    name: str
    title: str
    qos: int
    batch: int  # messages in one TLS record
    level: int = 4

    def options(self) -> list[str]:
        return [
            "--connections", str(CONNECTIONS), "--topics", str(TOPICS), "--payload", str(PAYLOAD),
            "--qos", str(self.qos), "--batch", str(self.batch), "--level", str(self.level),
        ]  # fmt: skip


SCENARIOS = (
    Scenario("qos0.16", "QoS 0, 16 a record", 0, 16),
    Scenario("qos0.1", "QoS 0, 1 a record", 0, 1),
    Scenario("qos1", "QoS 1, window of 16", 1, 16),
    Scenario("v5.qos0.16", "v5, QoS 0, 16 a record", 0, 16, 5),
)


@dataclass(frozen=True, slots=True)
class MqttPlan:
    rounds: int
    seconds: float  # measured, per target, scenario and round
    warmup: float
    fair_rounds: int
    fair_seconds: float  # honest devices are watched, per situation and round
    samples: int  # of each inspector case


FULL = MqttPlan(rounds=7, seconds=1.0, warmup=0.4, fair_rounds=5, fair_seconds=4.0, samples=60)
QUICK = MqttPlan(rounds=5, seconds=0.5, warmup=0.2, fair_rounds=3, fair_seconds=1.5, samples=20)
