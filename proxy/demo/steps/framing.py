"""Frames that lie about themselves, to be read in one way by the gateway and in another by the PLC."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from proxy.demo.client import Client
from proxy.demo.frames import adu, content, read_holding, write_register
from proxy.demo.step import Seen, Step
from proxy.demo.steps import common as c

if TYPE_CHECKING:
    from proxy.demo.plant import Plant

ALLOWED, FORBIDDEN = read_holding(30, 3), write_register(41, 7)
BYTE_GAP = 0.002


def steps() -> list[Step]:
    hidden = adu(2, FORBIDDEN)
    # A lax reader takes the function's own length for true and finds a second frame behind it.
    too_long = adu(1, ALLOWED, length=1 + len(ALLOWED) + len(hidden)) + hidden
    tried = (
        ("MBAP length too short", adu(1, FORBIDDEN, length=4)),
        ("MBAP length hides a write", too_long),
        ("protocol id that is not 0", adu(1, FORBIDDEN, protocol=1)),
    )
    return [
        Step("SCADA", "one frame in single bytes", _byte_by_byte, c.allowed(c.COUNTERS, content(ALLOWED))),
        *(Step("intruder as MES", name, c.sends(c.as_mes, data), c.ended(c.MALFORMED)) for name, data in tried),
    ]


def _byte_by_byte(plant: Plant) -> Seen:
    with Client(c.scada(plant)) as client:
        for byte in adu(1, ALLOWED):
            client.send(bytes((byte,)))
            time.sleep(BYTE_GAP)
        answers = client.answers([1])
    return Seen.of([client], answers)
