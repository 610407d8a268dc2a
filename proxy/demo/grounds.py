"""The grounds that steps are played on, each with its record behind the gateway and its bystanders. That of the robot
is in `proxy.demo.robot_ground`, as it takes asyncua."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Protocol

from proxy.demo import packets
from proxy.demo.floor import VOICES
from proxy.demo.recording import Recording
from proxy.demo.scada import POLL
from proxy.demo.side import PLC, UNS
from proxy.demo.step import Claim, Result, Ruling, forbidden
from proxy.demo.uns_recording import UnsRecording

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.demo.floor import Floor
    from proxy.demo.ledger import FloorHealth
    from proxy.demo.recording import Arrived
    from proxy.demo.scada import Health, Scada
    from proxy.demo.side import Side
    from proxy.demo.step import Seen, Step

PATIENCE, LOOK = 3.0, 0.01


class Ground(Protocol):
    """`before` and `after` a step; `account` at the end of all. Each raises OSError if a record is gone."""

    def before(self) -> None: ...
    def after(self, step: Step) -> tuple[Arrived, Claim]:
        """What came through, without what the bystanders say; and whether they noticed anything."""
        ...

    def note(self, step: Step, seen: Seen) -> None: ...
    def account(self, *, alone: bool) -> Result:
        """``alone``: nobody but the demo uses the plant, so the whole record is accounted for."""
        ...


class Sums:
    """What all steps together may have brought through, and what they must not have."""

    def __init__(self) -> None:
        self.expected: Counter[bytes] = Counter()
        self._forbidden: set[bytes] = set()

    def note(self, step: Step, seen: Seen) -> None:
        self.expected.update(step.expect.arrives)
        self._forbidden |= forbidden(step, seen)

    def fits(self, whole: Arrived, *, alone: bool) -> bool:
        if alone:
            return whole.frames == self.expected and not whole.rest
        return whole.frames >= self.expected and not (set(whole.frames) & (self._forbidden - set(self.expected)))

    def result(
        self, side: Side, name: str, besides: str, whole: Arrived, strange: str, ok: bool, began: float
    ) -> Result:
        def sum_of(counted: Counter[bytes]) -> str:
            return f"{counted.total()} {side.noun}s besides {besides}"

        observed = f"{sum_of(whole.frames)}, {len(whole.rest)} stray bytes"
        if not ok:
            strangers = [side.show(content) for content in whole.frames - self.expected]
            observed += f", not accounted for: {', '.join(strangers) or strange}"
        return Result(
            who=f"the {side.name}",
            name=name,
            expected=f"{sum_of(self.expected)}, 0 stray bytes",
            observed=observed,
            ok=ok,
            ruling=Ruling(),
            seconds=time.perf_counter() - began,
        )


class Cell:
    """The PLC and its SCADA."""

    UNDISTURBED = "SCADA polls on"

    def __init__(self, record: Path, recording: Recording, scada: Scada) -> None:
        self._record = record
        self._recording = recording
        self._scada = scada
        self._sums = Sums()
        self._health: Health = scada.health()

    def before(self) -> None:
        self._recording.take()  # the step before has accounted for it
        self._health = self._scada.health()

    def after(self, step: Step) -> tuple[Arrived, Claim]:
        polled = self._scada.polls_from_now()
        arrived = self._recording.take()
        del arrived.frames[POLL]
        before, now = self._health, self._scada.health()
        quiet = polled and now.failures == before.failures and now.connections == before.connections
        text = self.UNDISTURBED if quiet else f"SCADA was disturbed ({now.failures - before.failures} polls failed)"
        return arrived, Claim(self.UNDISTURBED, text, quiet)

    def note(self, step: Step, seen: Seen) -> None:
        self._sums.note(step, seen)

    def account(self, *, alone: bool) -> Result:
        """The PLC's record from its first byte: what came through in all is what was allowed, and the polls."""
        began = time.perf_counter()
        self._scada.polls_from_now()
        whole = Recording(self._record).take()
        polls = whole.frames.pop(POLL, 0)
        asked = self._scada.health().polls
        # One poll may be under way while we count.
        ok = self._sums.fits(whole, alone=alone) and (not alone or asked <= polls <= asked + 1)
        return self._sums.result(PLC, "its whole record, byte for byte", "the polls", whole, "polls", ok, began)


class Namespace:
    """The UNS broker, the sensors that publish to it, the MES that listens."""

    UNDISTURBED = "the sensors are heard"

    def __init__(
        self, record: Path, recording: UnsRecording, floor: Floor, *, alone: bool, patience: float = PATIENCE
    ) -> None:
        """``patience``: seconds that the gateway may take to end its connections to the broker."""
        self._record = record
        self._recording = recording
        self._floor = floor
        self._alone = alone
        self._patience = patience
        self._sums = Sums()
        self._health: FloorHealth = floor.ledger.health()

    def before(self) -> None:
        self._recording.take()
        self._floor.ledger.take_others()
        self._health = self._floor.ledger.health()

    def after(self, step: Step) -> tuple[Arrived, Claim]:
        ledger = self._floor.ledger
        ledger.wait_others(Counter(step.expect.heard))
        left = self._left_open(step)
        # Whatever slipped through has had the time of a whole round from sensor to MES to show itself.
        heard = self._floor.heard_from_now()
        arrived = self._recording.take()
        arrived.heard, arrived.left_open = ledger.take_others(), left
        return arrived, self._bystanders(heard)

    def note(self, step: Step, seen: Seen) -> None:
        self._sums.note(step, seen)

    def account(self, *, alone: bool) -> Result:
        """The broker's record from its first byte: what the steps may bring through, and what the floor has said."""
        began = time.perf_counter()
        before = self._floor.ledger.all_said()
        whole_record = UnsRecording(self._record, VOICES)
        whole = whole_record.take()
        after = self._floor.ledger.all_said()
        spoken = Counter({said: n for said, n in whole_record.said.items() if said.text.startswith("PUBLISH")})
        after.update(said for said in list(after))  # each may have one more under way while we count
        ok = self._sums.fits(whole, alone=alone) and (not alone or before <= spoken <= after)
        return self._sums.result(
            UNS, "its whole record, every packet", "the sensors' and the MES'", whole, "sensors' packets", ok, began
        )

    def _left_open(self, step: Step) -> int:
        """Connections that outlive the step's clients. The gateway may take a moment to end them."""
        own = {packets.opening(c).client_id for c in step.expect.arrives if c[0] >> 4 == packets.CONNECT}
        until = time.monotonic() + self._patience
        while True:
            left = [client for client in self._recording.open_clients() if self._alone or client in own]
            if not left or time.monotonic() > until:
                return len(left)
            time.sleep(LOOK)

    def _bystanders(self, heard: bool) -> Claim:
        before, now = self._health, self._floor.ledger.health()
        wrong = []
        if not heard:
            wrong.append("one is not heard")
        if now.connections != before.connections or now.failures != before.failures:
            wrong.append("somebody had to connect again")
        if now.gaps != before.gaps:
            wrong.append("readings are missing")
        text = f"the sensors were disturbed: {', '.join(wrong)}" if wrong else self.UNDISTURBED
        return Claim(self.UNDISTURBED, text, not wrong)
