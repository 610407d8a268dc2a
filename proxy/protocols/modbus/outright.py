"""What no rule can allow, because of the unit it is for (protocols.md 5.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.reason import Reason
from proxy.protocols.modbus.targets import BROADCAST

if TYPE_CHECKING:
    from proxy.protocols.modbus.actions import ModbusAction
    from proxy.protocols.modbus.service import ModbusService

RESERVED_UNITS = frozenset(range(248, 255))
BROADCAST_FUNCTIONS = frozenset({5, 6, 15, 16})
"""A broadcast has no answer, so only plain writes make sense (V1.1b3, 4.1)."""


def outright(asked: tuple[ModbusAction, ...], service: ModbusService) -> tuple[Reason, str] | None:
    """Why a request is refused before policy is asked, or None. All actions of a request have the same unit."""
    unit = asked[0].unit
    if unit in RESERVED_UNITS:
        return Reason.DEFAULT_DENY, "units 248..254 are reserved"
    if unit == BROADCAST and any(a.verb != "write" or a.function not in BROADCAST_FUNCTIONS for a in asked):
        return Reason.BROADCAST, "only plain writes can be broadcast"
    if service.units is not None and unit not in service.units:
        reason = Reason.BROADCAST if unit == BROADCAST else Reason.DEFAULT_DENY
        return reason, f"unit {unit} is not one of the device's units"
    return None
