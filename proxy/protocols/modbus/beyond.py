"""What some Modbus targets admit and others do not: addresses, units and values, cut out of each other.

An action is judged atom by atom (`proxy.core.action`), so targets are compared atom by atom too: what is left over
is the set of registers, units and values that no other target admits. Where values cannot be compared (another type,
word order or scale, masks) the whole is left over.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from proxy.protocols.modbus.targets import Calls, Functions, Spans, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from proxy.core.action import Target

ALL_UNITS = frozenset(range(1, 256))
"""What a rule without `units` means: broadcast is not among them."""
_WHOLE = 0xFFFF
_RANGES = {"u16": (0, 0xFFFF), "i16": (-0x8000, 0x7FFF), "u32": (0, 0xFFFFFFFF), "i32": (-0x80000000, 0x7FFFFFFF)}
CallsT = TypeVar("CallsT", Calls, Functions)


def beyond(targets: Sequence[Target], others: Sequence[Target]) -> tuple[Target, ...]:
    """What ``targets`` admit and ``others`` together do not, neighbours as one. Errs towards too much."""
    known = frozenset(others)
    left = [target for target in dict.fromkeys(targets) if target not in known]
    spans = [target for target in left if isinstance(target, Spans)]
    calls = [target for target in left if isinstance(target, Calls)]
    functions = [target for target in left if isinstance(target, Functions)]
    return (
        *_spans_beyond(spans, [other for other in others if isinstance(other, Spans)]),
        *_calls_beyond(calls, [other for other in others if isinstance(other, Calls)]),
        *_calls_beyond(functions, [other for other in others if isinstance(other, Functions)]),
        *(target for target in left if not isinstance(target, Spans | Calls | Functions)),
    )


def _spans_beyond(targets: Iterable[Spans], others: Iterable[Spans]) -> list[Spans]:
    tables: dict[tuple[str, str], list[Spans]] = {}
    for other in others:
        tables.setdefault((other.verb, other.space), []).append(other)
    left: list[Spans] = []
    for target in targets:
        pieces = [target]
        for other in tables.get((target.verb, target.space), ()):
            if pieces and other.first <= target.last and target.first <= other.last:
                pieces = [rest for piece in pieces for rest in _cut(piece, other)]
        left += pieces if pieces == [target] else map(_plain, pieces)
    return merged(left)


def _cut(one: Spans, other: Spans) -> Iterator[Spans]:
    """``one`` without what ``other`` admits, in pieces that do not overlap."""
    shared = _shared(one, other)
    units, theirs = _units(one), _units(other)
    windows = _window_beyond(one.window, other.window)
    if shared is None or units.isdisjoint(theirs) or windows is None:
        yield one
        return
    first, last = shared
    if one.first < first:
        yield replace(one, last=first - 1)
    if last < one.last:
        yield replace(one, first=last + 1)
    if units - theirs:
        yield replace(one, first=first, last=last, units=_named(units - theirs))
    for window in windows:
        yield replace(one, first=first, last=last, units=_named(units & theirs), window=window)


def _shared(one: Spans, other: Spans) -> tuple[int, int] | None:
    """The addresses of both, as far as they hold whole values of ``one``; None if there are none or if the values of
    ``other`` begin at other addresses."""
    width = 1 if one.window is None else one.window.width
    last = other.last
    if other.window is not None:
        if other.window.width != width or (one.first - other.first) % width:
            return None
        last -= (other.last - other.first + 1) % width
    first = max(one.first, other.first)
    first += -(first - one.first) % width
    last = min(one.last, last)
    last -= (last - first + 1) % width
    return (first, last) if first <= last else None


def _window_beyond(one: Window | None, other: Window | None) -> tuple[Window, ...] | None:
    """The windows that are left of ``one``; None for all of it."""
    if other is None:
        return ()
    if one is None:
        return None
    if window_within(one, other):
        return ()
    if not _looser(one, other) or one.bits is not None or other.bits is not None:
        return None
    below = replace(one, high=_under(other)) if other.low is not None else None
    above = replace(one, low=_over(other)) if other.high is not None else None
    if below is not None and one.high is not None and below.high is not None:
        below = replace(below, high=min(one.high, below.high))
    if above is not None and one.low is not None and above.low is not None:
        above = replace(above, low=max(one.low, above.low))
    return tuple(window for window in (below, above) if window is not None and _holds_any(window))


def window_within(one: Window, other: Window) -> bool:
    """Every write and every masked write that ``one`` admits, ``other`` admits as well, and from as far away."""
    if not _looser(one, other):
        return False
    partial = one.bits is not None and one.bits != _WHOLE
    if one.bits is not None and one.low is None and one.high is None:  # masks, whatever they set
        masks = other.bits is not None and other.low is None and other.high is None and not one.bits & ~other.bits
        return masks and (partial or _plain_within(one, other))
    if partial:
        return True  # it admits nothing at all
    return _plain_within(one, other)


def _plain_within(one: Window, other: Window) -> bool:
    if other.bits is not None and other.bits != _WHOLE:
        return False
    low = -math.inf if one.low is None else one.low
    high = math.inf if one.high is None else one.high
    return (other.low is None or other.low <= low) and (other.high is None or high <= other.high)


def _looser(one: Window, other: Window) -> bool:
    """Both speak of the same numbers, and ``other`` lets them move as far as ``one`` does."""
    if (one.kind, one.little, one.scale) != (other.kind, other.little, other.scale):
        return False
    moves = (one.step, other.step), (one.ramp, other.ramp)
    return all(theirs is None or (own is not None and own <= theirs) for own, theirs in moves)


def _under(window: Window) -> float:
    """The largest number below the window."""
    low = window.low or 0.0
    return math.ceil(low) - 1.0 if _is_whole(window) else math.nextafter(low, -math.inf)


def _over(window: Window) -> float:
    high = window.high or 0.0
    return math.floor(high) + 1.0 if _is_whole(window) else math.nextafter(high, math.inf)


def _is_whole(window: Window) -> bool:
    return window.kind in _RANGES and window.scale == 1.0


def _holds_any(window: Window) -> bool:
    low = -math.inf if window.low is None else window.low
    high = math.inf if window.high is None else window.high
    if window.kind in _RANGES:
        ends = sorted(end * window.scale for end in _RANGES[window.kind])
        low, high = max(low, ends[0]), min(high, ends[1])
    return math.ceil(low) <= math.floor(high) if _is_whole(window) and low <= high else low <= high


def _plain(piece: Spans) -> Spans:
    """Bounds that lie next to a number that a person wrote become that number: a hair more than is left."""
    window = piece.window
    if window is None:
        return piece
    low = None if window.low is None else _shorter(window.low, -math.inf)
    high = None if window.high is None else _shorter(window.high, math.inf)
    return replace(piece, window=replace(window, low=low, high=high))


def _shorter(number: float, towards: float) -> float:
    neighbour = math.nextafter(number, towards)
    return neighbour if len(repr(neighbour)) < len(repr(number)) - 6 else number


def merged(spans: Iterable[Spans]) -> list[Spans]:
    """The same atoms in as few spans as neighbours allow, in the order of their tables and addresses."""
    left = list(dict.fromkeys(spans))
    while True:
        joined = _joined(left, _by_address, _next_to)
        joined = _joined(joined, _by_unit, _same_place)
        if joined == left:
            return left
        left = joined


def _joined(
    spans: list[Spans], key: Callable[[Spans], Hashable], join: Callable[[Spans, Spans], Spans | None]
) -> list[Spans]:
    groups: dict[Hashable, list[Spans]] = {}
    for span in sorted(spans, key=lambda one: one.first):
        group = groups.setdefault(key(span), [])
        one = join(group[-1], span) if group else None
        if one is None:
            group.append(span)
        else:
            group[-1] = one
    return [span for group in groups.values() for span in group]


def _by_address(span: Spans) -> Hashable:
    return span.verb, span.space, span.units, span.window


def _next_to(one: Spans, other: Spans) -> Spans | None:
    width = 1 if one.window is None else one.window.width
    if other.first > one.last + 1 or (other.first - one.first) % width or (one.last + 1 - one.first) % width:
        return None
    return replace(one, last=max(one.last, other.last))


def _by_unit(span: Spans) -> Hashable:
    return span.verb, span.space, span.first, span.last, span.window


def _same_place(one: Spans, other: Spans) -> Spans:
    return replace(one, units=_named(_units(one) | _units(other)))


def _calls_beyond(targets: Iterable[CallsT], others: Iterable[CallsT]) -> Iterator[CallsT]:
    admitted: dict[tuple[str, int], frozenset[int]] = {}
    for other in others:
        for number in other.numbers:
            key = other.verb, number
            admitted[key] = admitted.get(key, frozenset()) | _units(other)
    kept: dict[tuple[str, int], frozenset[int]] = {}
    first: dict[str, CallsT] = {}
    for target in targets:
        first.setdefault(target.verb, target)
        for number in sorted(target.numbers):
            key = target.verb, number
            units = _units(target) - admitted.get(key, frozenset())
            if units:
                kept[key] = kept.get(key, frozenset()) | units
    for verb, example in first.items():
        groups: dict[frozenset[int], set[int]] = {}
        for (name, number), units in kept.items():
            if name == verb:
                groups.setdefault(units, set()).add(number)
        for units, numbers in groups.items():
            yield replace(example, numbers=frozenset(numbers), units=_named(units, example))


def _units(target: Spans | Calls | Functions) -> frozenset[int]:
    """A forbidden function means broadcast as well, where no unit is named."""
    if target.units is not None:
        return target.units
    return ALL_UNITS | {0} if isinstance(target, Functions) else ALL_UNITS


def _named(units: frozenset[int], example: Spans | Calls | Functions | None = None) -> frozenset[int] | None:
    everything = ALL_UNITS | {0} if isinstance(example, Functions) else ALL_UNITS
    return None if units == everything else units
