"""What is tried in the demo, in its order: first those who may, then those who may not. One idea a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.demo.steps import addresses, certificates, framing, functions, hidden, masters, resumption, revocation

if TYPE_CHECKING:
    from proxy.demo.step import Step


def all_steps() -> list[Step]:
    parts = (masters, addresses, hidden, functions, framing, certificates, resumption, revocation)
    return [step for part in parts for step in part.steps()]
