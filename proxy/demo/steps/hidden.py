"""Writes that hide: inside a read, behind a mask, behind an allowed frame, or addressed to everybody at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.demo.client import ANSWERED, Client
from proxy.demo.frames import content, mask_register, read_and_write, read_holding, write_register
from proxy.demo.step import Expect, Seen, Step
from proxy.demo.steps import common as c

if TYPE_CHECKING:
    from proxy.demo.plant import Plant

GOOD, BAD = read_holding(20, 2), write_register(41, 7)


def steps() -> list[Step]:
    return [
        Step(
            "intruder as MES",
            "FC 23: a write inside a read",
            c.asks(c.as_mes, read_and_write(0, 2, 41, 7)),
            c.refused(c.PART_REFUSED),
        ),
        Step(
            "intruder as SCADA",
            "FC 22: a mask out of the window",
            c.asks(c.as_scada, mask_register(40, 0xFFFF, 0x8000)),
            c.refused(c.VALUE_OUTSIDE),
        ),
        Step(
            "intruder as MES",
            "two frames glued, one forbidden",
            _glued,
            Expect((ANSWERED, c.REFUSED), allowed=(c.COUNTERS,), reason=c.DEFAULT_DENY, arrives=(content(GOOD),)),
        ),
        Step(
            "intruder as MES",
            "broadcast write to unit 0",
            c.asks(c.as_mes, write_register(60, 1), unit=0),
            c.refused(c.BROADCAST),
        ),
    ]


def _glued(plant: Plant) -> Seen:
    with Client(c.as_mes(plant)) as client:
        answers = client.ask(GOOD, BAD)
    return Seen.of([client], answers)
