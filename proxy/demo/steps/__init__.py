"""What is tried in the demo, in its order: at the PLC, the broker, the robot; first those who may. One idea a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.demo.steps import (
    addresses,
    certificates,
    changes,
    framing,
    functions,
    hidden,
    masters,
    resumption,
    revocation,
    robot,
    sessions,
    topics,
)

if TYPE_CHECKING:
    from proxy.demo.step import Step


def all_steps() -> list[Step]:
    plc = (masters, addresses, hidden, functions, framing, certificates, resumption, revocation, changes)
    uns = (topics, sessions)
    return [step for part in (*plc, *uns, robot) for step in part.steps()]
