"""How long and how often: the full run and the quick one."""

from __future__ import annotations

from dataclasses import dataclass, field

CONNECTIONS = (1, 16, 100)
PARALLEL_HANDSHAKES = 16
RULES = {10: 50, 1_000: 20, 100_000: 3}  # number of rules: how often slow pycasbin is asked each way


@dataclass(frozen=True, slots=True)
class Plan:
    rounds: int
    seconds: float  # measured, per target, connections and round
    warmup: float
    idle: tuple[int, ...]
    connections: tuple[int, ...] = CONNECTIONS
    rules: dict[int, int] = field(default_factory=lambda: dict(RULES))


# Many short rounds, not few long ones: the closer in time two targets are measured, the truer their ratio.
FULL = Plan(rounds=9, seconds=1.0, warmup=0.3, idle=(1_000, 5_000))
QUICK = Plan(rounds=5, seconds=0.5, warmup=0.2, idle=(500, 1_000))
