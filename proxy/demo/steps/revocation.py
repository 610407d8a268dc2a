"""A stolen certificate is revoked: the link that uses it is cut, and it opens no other."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from proxy.demo.client import ANSWERED, Client
from proxy.demo.connection import CLOSED
from proxy.demo.frames import content, read_holding
from proxy.demo.plant import INTRUDER
from proxy.demo.step import Claim, Expect, Seen, Step
from proxy.demo.steps import common as c

if TYPE_CHECKING:
    from proxy.demo.connection import Speaker
    from proxy.demo.plant import Plant

QUESTION = read_holding(16, 2)
CUT_WITHIN = 1.0
"""Seconds, from the deny list on disk to the end of the link (design.md, Promises)."""


def steps() -> list[Step]:
    theft = _Theft()
    return [
        Step(
            "intruder as MES",
            "is revoked on a live link",
            theft.live,
            Expect(
                (ANSWERED, CLOSED),
                allowed=(c.COUNTERS,),
                reason=c.CERTIFICATE_ENDED,
                arrives=(content(QUESTION),),
            ),
        ),
        Step("intruder as MES", "comes back, revoked", theft.again, c.ended(c.CERTIFICATE_ENDED)),
    ]


class _Theft:
    def __init__(self) -> None:
        self._speaker: Speaker | None = None

    def live(self, plant: Plant) -> Seen:
        papers, serial = plant.keys.steal("mes")
        self._speaker = plant.speaker(INTRUDER, papers)
        with Client(self._speaker) as client:
            before = client.ask(QUESTION)
            plant.keys.revoke(serial, "mes")
            began = time.monotonic()
            after = client.answer()
            seconds = time.monotonic() - began
        claim = Claim(f"cut within {CUT_WITHIN:g} s", f"cut after {seconds:.2f} s", seconds < CUT_WITHIN)
        return Seen.of([client], [*before, after], claim)

    def again(self, plant: Plant) -> Seen:
        assert self._speaker is not None  # noqa: S101 - the step before this one
        speaker = self._speaker
        return c.knocks(lambda _: speaker, QUESTION)(plant)
