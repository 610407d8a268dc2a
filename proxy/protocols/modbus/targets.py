"""How far a Modbus rule goes: spans of a table, with value windows, and functions by number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.core.process import Move
from proxy.protocols.modbus.actions import CHANGING_CALLS, CHANGING_SPANS, Call, Span
from proxy.protocols.modbus.carriers import of_call, of_span, shut, units_of
from proxy.protocols.modbus.points import Register
from proxy.protocols.modbus.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.core.action import Action, Target
    from proxy.core.names import Names
    from proxy.core.process import Point

__all__ = ["ANY_UNIT", "BROADCAST", "Calls", "Functions", "Spans", "Window", "unit_fits", "units_text"]

BROADCAST = 0
ANY_UNIT = frozenset(range(256))
"""For `never`, where broadcast must be caught as well."""
UNITS = frozenset((*range(1, 248), 255))
"""All that can answer."""


@dataclass(frozen=True, slots=True)
class Spans:
    """``verb`` on addresses ``first``..``last`` of ``space``. ``units`` None: any unit but broadcast."""

    verb: str
    space: str
    first: int
    last: int
    units: frozenset[int] | None = None
    window: Window | None = None

    @property
    def protocol(self) -> str:
        return "modbus"

    @property
    def values_matter(self) -> bool:
        return self.window is not None

    @property
    def changes(self) -> bool:
        return self.verb in CHANGING_SPANS

    @property
    def extent(self) -> tuple[str, int, int]:
        return self.space, self.first, self.last

    def bound(self, names: Names) -> Spans:
        return self

    def within(self, other: Target) -> bool:
        """Whatever this admits, ``other`` admits. May be False where only values would tell."""
        return (
            isinstance(other, Spans)
            and (other.verb, other.space) == (self.verb, self.space)
            and other.first <= self.first
            and self.last <= other.last
            and _units_within(self.units, other.units)
            and (other.window is None or (self.window is not None and self.window.within(other.window)))
            and (other.window is None or (self.first - other.first) % other.window.width == 0)
        )

    def overlaps(self, other: Target) -> bool:
        """A function that is forbidden meets this only where no other one carries the same (`carriers`)."""
        if isinstance(other, Functions):
            return shut(self._functions, self.units, self.verb, other.numbers, other.units)
        return (
            isinstance(other, Spans)
            and (other.verb, other.space) == (self.verb, self.space)
            and max(self.first, other.first) <= min(self.last, other.last)
            and not self._asked.isdisjoint(other._asked)
        )

    @property
    def _asked(self) -> frozenset[int]:
        return units_of(self.units, self.verb, self._functions)

    @property
    def _functions(self) -> frozenset[int]:
        """The function codes that may carry a write or read of it."""
        window = self.window
        if window is None:
            return of_span(self.verb, self.space)
        masked = of_span(self.verb, self.space, masked=True)
        if window.bits is not None and window.bits != 0xFFFF:
            return masked
        whole = of_span(self.verb, self.space, wide=window.width > 1)
        return whole | masked if window.bits is not None and window.low is None and window.high is None else whole

    @property
    def paced(self) -> bool:
        """It has `moves`."""
        return self.window is not None and (self.window.step is not None or self.window.ramp is not None)

    def moves(self, action: Action) -> tuple[Move, ...]:
        window = self.window
        if window is None or not self.paced or not isinstance(action, Span) or not self.covers(action):
            return ()
        if action.mask is None:
            written = tuple(self._values(action, window.width))
        else:  # one register, and admitted only if it sets all bits
            written = ((action.first, (action.mask[1],)),) if window.width == 1 else ()
        return tuple(
            Move(
                self._register(address, window, action.unit).point,
                window.number(words),
                window.step,
                window.ramp,
                ((1 << window.width) - 1) << (address - action.first),
            )
            for address, words in written
        )

    def points(self, options: object) -> Iterator[Point]:
        """Every point that `moves` can be about. ``options``: the device's `ModbusService`, if it is known."""
        behind: frozenset[int] | None = getattr(options, "units", None)
        units = (self.units or behind or UNITS) & UNITS
        if (window := self.window) is not None and self.paced:
            for address in range(self.first, self.last - window.width + 2, window.width):
                for unit in sorted(units):
                    yield self._register(address, window, unit).point

    def _register(self, address: int, window: Window, unit: int) -> Register:
        return Register(self.space, address, window.kind, window.little, window.scale, unit)

    def covers(self, action: Action) -> int:
        if not isinstance(action, Span) or action.verb != self.verb or action.space != self.space:
            return 0
        if not unit_fits(self.units, action.unit):
            return 0
        low = max(self.first, action.first)
        high = min(self.last, action.first + action.count - 1)
        if low > high:
            return 0
        return ((1 << (high - low + 1)) - 1) << (low - action.first)

    def admits(self, action: Action) -> int:
        covered = self.covers(action)
        if not covered or self.window is None or not isinstance(action, Span):
            return covered
        if action.mask is not None:
            return covered if self.window.admits_mask(*action.mask) else 0
        return covered & self._within(action, self.window)

    def _within(self, action: Span, window: Window) -> int:
        mask = 0
        for address, words in self._values(action, window.width):
            if window.admits(words):
                mask |= ((1 << window.width) - 1) << (address - action.first)
        return mask

    def _values(self, action: Span, width: int) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Values start at ``first``, ``first + width``...: half of a two-register value is never admitted.

        Walks the values of the action, not those of the rule: a rule may span the whole table.
        """
        skipped = max(0, -(-(action.first - self.first) // width))
        end = min(self.last + 1, action.first + action.count)
        for address in range(self.first + skipped * width, end - width + 1, width):
            at = address - action.first
            yield address, action.values[at : at + width]

    def describe(self) -> str:
        span = f"{self.first}" if self.first == self.last else f"{self.first}-{self.last}"
        window = self.window.describe() if self.window else ""
        return f"{self.verb} {self.space} {span}{' in ' + window if window else ''}{units_text(self.units)}"


@dataclass(frozen=True, slots=True)
class Calls:
    """``verb`` with one of ``numbers`` (levels, sub-functions or function codes, as `Call.number`)."""

    verb: str
    numbers: frozenset[int]
    units: frozenset[int] | None = None

    @property
    def protocol(self) -> str:
        return "modbus"

    @property
    def values_matter(self) -> bool:
        return False

    @property
    def changes(self) -> bool:
        return self.verb in CHANGING_CALLS

    @property
    def extent(self) -> None:
        return None

    def bound(self, names: Names) -> Calls:
        return self

    def within(self, other: Target) -> bool:
        if isinstance(other, Functions):
            functions = frozenset[int]().union(*(of_call(self.verb, number) for number in self.numbers))
            return functions <= other.numbers and _units_within(self.units, other.units)
        return (
            isinstance(other, Calls)
            and other.verb == self.verb
            and self.numbers <= other.numbers
            and _units_within(self.units, other.units)
        )

    def overlaps(self, other: Target) -> bool:
        if isinstance(other, Functions):
            return any(
                shut(of_call(self.verb, number), self.units, self.verb, other.numbers, other.units)
                for number in self.numbers
            )
        return (
            isinstance(other, Calls)
            and other.verb == self.verb
            and not self.numbers.isdisjoint(other.numbers)
            and not units_of(self.units, self.verb).isdisjoint(units_of(other.units, self.verb))
        )

    def moves(self, action: Action) -> tuple[Move, ...]:
        return ()

    def covers(self, action: Action) -> int:
        fits = isinstance(action, Call) and action.verb == self.verb and action.number in self.numbers
        return 1 if fits and isinstance(action, Call) and unit_fits(self.units, action.unit) else 0

    def admits(self, action: Action) -> int:
        return self.covers(action)

    def describe(self) -> str:
        return f"{self.verb} {', '.join(map(str, sorted(self.numbers)))}{units_text(self.units)}"


@dataclass(frozen=True, slots=True)
class Functions:
    """For `never` alone: every action that a function code carries, whatever it touches, broadcast included."""

    numbers: frozenset[int]
    units: frozenset[int] | None = None

    @property
    def protocol(self) -> str:
        return "modbus"

    @property
    def verb(self) -> str:
        return "function"

    @property
    def values_matter(self) -> bool:
        return False

    @property
    def changes(self) -> bool:
        return True

    @property
    def extent(self) -> None:
        return None

    def bound(self, names: Names) -> Functions:
        return self

    def within(self, other: Target) -> bool:
        if not isinstance(other, Functions) or not self.numbers <= other.numbers:
            return False
        return other.units is None or (self.units is not None and self.units <= other.units)

    def overlaps(self, other: Target) -> bool:
        if isinstance(other, Functions):
            shared = self.units is None or other.units is None or not self.units.isdisjoint(other.units)
            return shared and not self.numbers.isdisjoint(other.numbers)
        return isinstance(other, Spans | Calls) and other.overlaps(self)

    def moves(self, action: Action) -> tuple[Move, ...]:
        return ()

    def covers(self, action: Action) -> int:
        if not isinstance(action, Span | Call) or action.function not in self.numbers:
            return 0
        return action.atoms if self.units is None or action.unit in self.units else 0

    def admits(self, action: Action) -> int:
        return self.covers(action)

    def describe(self) -> str:
        return f"function {', '.join(map(str, sorted(self.numbers)))}{units_text(self.units)}"


def unit_fits(units: frozenset[int] | None, unit: int) -> bool:
    """Broadcast is covered only where a rule names unit 0 (BH-1208)."""
    return unit != BROADCAST if units is None else unit in units


def _units_within(units: frozenset[int] | None, other: frozenset[int] | None) -> bool:
    if units is None:
        return other is None or frozenset(range(1, 256)) <= other
    return BROADCAST not in units if other is None else units <= other


def units_text(units: frozenset[int] | None) -> str:
    return "" if units is None or units == ANY_UNIT else f" on unit {', '.join(_runs(sorted(units)))}"


def _runs(numbers: list[int]) -> Iterator[str]:
    """``1, 2`` and ``2-255``: of what a change of `units` adds there may be many."""
    if not numbers:
        return
    starts = [at for at, number in enumerate(numbers) if at == 0 or number != numbers[at - 1] + 1]
    for first, after in zip(starts, [*starts[1:], len(numbers)], strict=True):
        run = numbers[first:after]
        yield from [f"{run[0]}-{run[-1]}"] if len(run) > 2 else map(str, run)
