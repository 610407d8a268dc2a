"""Which loads are measured, how long and how often."""

from __future__ import annotations

from dataclasses import dataclass

SESSIONS = (1, 10, 100)
NODES = 10
"""Of one Read."""
READ, WRITE, NOTIFY = "read", "write", "notify"
OPERATIONS = {
    READ: f"Read of {NODES} nodes",
    WRITE: "Write of one node",
    NOTIFY: "value change to notification",
}


@dataclass(frozen=True, slots=True)
class OpcuaPlan:
    rounds: int
    seconds: float  # measured, per target, operation, sessions and round
    warmup: float
    samples: int  # of each inspector case
    sessions: tuple[int, ...] = SESSIONS


FULL = OpcuaPlan(rounds=7, seconds=0.8, warmup=0.2, samples=40)
QUICK = OpcuaPlan(rounds=3, seconds=0.4, warmup=0.1, samples=10)
