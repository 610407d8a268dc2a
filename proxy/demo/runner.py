"""Plays the steps one after the other and calls the four witnesses for each."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from proxy.demo.recording import Recording
from proxy.demo.scada import POLL
from proxy.demo.step import Claim, Result, Ruling, forbidden, judge

if TYPE_CHECKING:
    from proxy.demo.plant import Plant
    from proxy.demo.step import Seen, Step

UNDISTURBED = "SCADA polls on"


class Runner:
    """``alone``: nobody but the demo uses the plant, so the PLC's whole record is accounted for, frame by frame."""

    def __init__(self, plant: Plant, *, alone: bool) -> None:
        self._plant = plant
        self._alone = alone
        self._expected: Counter[bytes] = Counter()
        self._forbidden: set[bytes] = set()

    def perform(self, step: Step) -> Result:
        """Raises OSError or DemoError if the plant itself fails."""
        plant = self._plant
        plant.recording.take()  # the step before has accounted for it
        before = plant.scada.health()
        seen = self._play(step)
        polled = plant.scada.polls_from_now()
        arrived = plant.recording.take()
        del arrived.frames[POLL]
        after = plant.scada.health()
        quiet = polled and after.failures == before.failures and after.connections == before.connections
        text = UNDISTURBED if quiet else f"SCADA was disturbed ({after.failures - before.failures} polls failed)"
        ruling = Ruling.of(plant.audit.of(seen.peers))
        self._expected.update(step.expect.arrives)
        self._forbidden |= forbidden(step, seen)
        return judge(step, seen, arrived, ruling, Claim(UNDISTURBED, text, quiet), alone=self._alone)

    def _play(self, step: Step) -> Seen:
        try:
            return step.play(self._plant)
        except OSError:
            self._plant.check()  # says more than "connection refused"
            raise

    def account(self) -> Result:
        """The PLC's record from its first byte: what came through in all is what was allowed, and the polls."""
        began = time.perf_counter()
        self._plant.scada.polls_from_now()
        whole = Recording(self._plant.place.record).take()
        polls = whole.frames.pop(POLL, 0)
        asked = self._plant.scada.health().polls
        wanted = self._expected
        if self._alone:
            # One poll may be under way while we count.
            ok = whole.frames == wanted and not whole.rest and asked <= polls <= asked + 1
        else:
            ok = whole.frames >= wanted and not (set(whole.frames) & (self._forbidden - set(wanted)))
        strange = whole.frames - wanted
        observed = f"{whole.frames.total()} frames besides the polls, {len(whole.rest)} stray bytes"
        if not ok:
            observed += f", not accounted for: {', '.join(frame.hex(' ') for frame in strange) or 'polls'}"
        return Result(
            who="the PLC",
            name="its whole record, byte for byte",
            expected=f"{wanted.total()} frames besides the polls, 0 stray bytes",
            observed=observed,
            ok=ok,
            ruling=Ruling(),
            seconds=time.perf_counter() - began,
        )
