"""`step` and `ramp`: how far a written value may lie from what the point was before (T53).

What a point may be now: the value last seen, and every value that went on to it and was not confirmed yet. A written
value is confirmed when the point is seen to have it; until then the device may have taken it or not. After a minute
a sighting settles that too, for no answer to an older question comes so late.

step: a new value lies within ``step`` of everything that the point may be now.
ramp: a new value lies within ``ramp`` of everything that the point was or may have been in the minute before: what was
seen in it, the value that it had when it began, and what went on to it and was not settled before that. So all values
within any one minute lie within ``ramp`` of one another. Many small writes, by whomever, come no further than one
large one, and it does not matter how often the point is read. Who waits has no more than ``ramp`` afterwards either.

Not known: what a panel at the machine does between two sightings. `while` on the same point asks for a fresh one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from proxy.core.reason import Reason
from proxy.policy.constraints.base import Block
from proxy.policy.rates import Sent
from proxy.policy.trail import Trail

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from proxy.core.action import Action
    from proxy.core.process import Move, Point
    from proxy.policy.circumstances import Circumstances
    from proxy.policy.rates import Rates

MINUTE = 60.0
DIGITS = 1e-9
"""Values with a scale are binary fractions: 0.3 - 0.2 is a little more than 0.1, and that is no larger step."""


class Paced(Protocol):
    """A target that limits steps or ramps says so, besides what `proxy.core.action.Target` asks of all."""

    @property
    def paced(self) -> bool: ...

    def moves(self, action: Action) -> Sequence[Move]: ...

    def points(self, options: object) -> Iterable[Point]:
        """Every point that its moves can be about; ``options`` are those of the device's service, or None."""
        ...


class Pace:
    """The steps and ramps of one target at one device."""

    __slots__ = ("_circumstances", "_device", "_rates", "_target")

    def __init__(self, target: Paced, device: str, rates: Rates, circumstances: Circumstances) -> None:
        self._target = target
        self._device = device
        self._rates = rates
        self._circumstances = circumstances

    def blocks(self, action: Action, atoms: int, now: float) -> Block | None:
        unknown = outside = 0
        told: dict[Reason, str] = {}
        for move in self._target.moves(action):
            if not move.atoms & atoms:
                continue
            if self._circumstances.last(self._device, move.point) is None:
                unknown |= move.atoms & atoms
                told.setdefault(Reason.PROCESS_UNKNOWN, f"{move.point} was never seen: read it first")
            elif fault := self._fault(move, now):
                outside |= move.atoms & atoms
                told.setdefault(Reason.VALUE_OUTSIDE, fault)
        if not told:
            return None
        reason = Reason.VALUE_OUTSIDE if outside else Reason.PROCESS_UNKNOWN
        return Block(unknown | outside, reason, told[reason])

    def take(self, action: Action, atoms: int, now: float, taken: set[Hashable]) -> None:
        for move in self._target.moves(action):
            if move.atoms & atoms:
                self._rates.send(self._device, move.point, self._with(move, now))

    def _with(self, move: Move, now: float) -> Sent:
        """What is under way to the point once this move is."""
        sent = self._rates.sent(self._device, move.point)
        if sent is None:
            return Sent(move.value, move.value, move.value, now, Trail())
        settled = _settled(sent, self._circumstances.trail(self._device, move.point))
        if settled is None:
            return Sent(min(sent.low, move.value), max(sent.high, move.value), move.value, now, sent.before)
        sent.before.note(sent.low, settled)
        sent.before.note(sent.high, settled)
        return Sent(move.value, move.value, move.value, now, sent.before)

    def _fault(self, move: Move, now: float) -> str:
        """What is wrong with a move of a point that was seen before; empty: nothing."""
        trail = self._circumstances.trail(self._device, move.point)
        sent = self._rates.sent(self._device, move.point)
        value, when = trail.last
        possible, past = [value], [*trail.since(now - MINUTE)]
        if sent is not None:
            settled = _settled(sent, trail)
            if settled is None:
                possible += [sent.low, sent.high]
            if settled is None or settled >= now - MINUTE:
                past += [sent.low, sent.high]
            past += sent.before.within(now - MINUTE)
        if move.step is not None:
            known = f"which it may be now (last seen {max(now - when, 0.0):.1f} s ago)"
            if fault := _too_far(move, possible, move.step, known):
                return f"{fault}; step {move.step:.10g}"
        if move.ramp is not None and (fault := _too_far(move, past, move.ramp, "which it was within the minute")):
            return f"{fault}; ramp {move.ramp:.10g} per minute"
        return ""


def _settled(sent: Sent, trail: Trail) -> float | None:
    """Since when it is known what became of the values that were sent; None: it is not."""
    shown = trail.showed(sent.latest, sent.when)
    return trail.first_after(sent.when + MINUTE) if shown is None else shown


def _too_far(move: Move, values: Sequence[float], limit: float, known: str) -> str:
    furthest = max(values, key=lambda value: abs(move.value - value))
    distance = abs(move.value - furthest)
    if distance <= limit + DIGITS * max(abs(move.value), abs(furthest), limit):
        return ""
    return f"{move.point} = {move.value:.10g} is {distance:.10g} from {furthest:.10g}, {known}"
