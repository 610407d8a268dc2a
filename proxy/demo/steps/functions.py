"""Functions that stop, deafen or reprogram a PLC, and functions that nobody knows."""

from __future__ import annotations

from proxy.demo.frames import diagnose
from proxy.demo.step import Step
from proxy.demo.steps import common as c

RESTART, LISTEN_ONLY = 1, 4
UMAS = bytes((90, 0x00, 0x02))
"""Function 90: Schneider's programming protocol; here its "read id"."""
CANOPEN = bytes((43, 13, 0x00))


def steps() -> list[Step]:
    tried = (
        ("FC 8 sub 4: makes the PLC deaf", diagnose(LISTEN_ONLY), c.DEFAULT_DENY),
        ("FC 8 sub 1: restarts the PLC", diagnose(RESTART), c.DEFAULT_DENY),
        ("FC 90: programs the PLC (UMAS)", UMAS, c.NEVER),
        ("FC 43/13: the CANopen tunnel", CANOPEN, c.UNKNOWN_FUNCTION),
        ("FC 91: a function nobody knows", bytes((91, 0x01)), c.UNKNOWN_FUNCTION),
        ("FC 100: a vendor's own function", bytes((100, 0x01)), c.DEFAULT_DENY),
    )
    return [Step("intruder as MES", name, c.asks(c.as_mes, pdu), c.refused(reason)) for name, pdu, reason in tried]
