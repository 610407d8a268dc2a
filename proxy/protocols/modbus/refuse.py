"""Which exception answers which refusal (protocols.md 5.5; MB-TCP-Security R-31)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.reason import Reason
from proxy.protocols.modbus import pdu as p
from proxy.protocols.modbus.actions import Span

if TYPE_CHECKING:
    from proxy.core.verdict import Verdict
    from proxy.protocols.modbus.actions import ModbusAction

STATES = frozenset(
    {Reason.WRITES_PAUSED, Reason.HELD, Reason.OVERLOAD, Reason.AUDIT_NOT_WRITABLE, Reason.CONNECTION_LIMIT}
)
"""Refusals that speak of a state and not of the right: 06, the master may try again."""


def code_for(verdict: Verdict, asked: tuple[ModbusAction, ...], *, like_a_device: bool) -> int:
    """01 for every refusal by policy, ranges and values too (R-31), so that nothing tells forbidden from absent.

    ``like_a_device`` (plain TCP only, T52): 02 for an address and 03 for a value, as if it were not there.
    """
    if verdict.reason in STATES:
        return p.SERVER_BUSY
    if not like_a_device or not any(isinstance(action, Span) for action in asked):
        return p.ILLEGAL_FUNCTION
    return p.ILLEGAL_VALUE if verdict.reason is Reason.VALUE_OUTSIDE else p.ILLEGAL_ADDRESS
