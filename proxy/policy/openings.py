"""Whether hours are open only while others are. In doubt they are open longer."""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from proxy.core.hours import Shift, Window, instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from proxy.core.hours import Hours

Span = tuple[float, float]

_DAY = 86_400.0
YEAR = 400 * _DAY
"""After the last exception: a shift is weekly, and a zone changes its clocks on the same days of the week each year."""
FAR = 5 * 366 * _DAY
"""What lies further ahead is not looked into."""


class Openings:
    """``now`` is seconds since 1970; what was open before does not matter. None: hours are as they are called, and
    nobody looks at a clock. Equal hours have equal text, so the text stands for them."""

    def __init__(self, hours: Iterable[Hours], now: float | None) -> None:
        self._hours = {one.describe(): one for one in hours}
        self._now = now
        self._known: dict[tuple[str, frozenset[str]], bool] = {}

    def covered(self, text: str, others: frozenset[str]) -> bool:
        """Whenever ``text`` is open from now on, one of ``others`` is open as well."""
        if text in others:
            return True
        known = self._known.get((text, others))
        if known is None:
            known = self._known[text, others] = self._covered(text, others)
        return known

    def _covered(self, text: str, others: frozenset[str]) -> bool:
        one = self._hours.get(text)
        rest = [self._hours[other] for other in others if other in self._hours]
        if self._now is None or not isinstance(one, Shift | Window):
            return False
        if isinstance(one, Shift):
            # Of two zones nobody knows how their clocks will differ in another year.
            rest = [other for other in rest if isinstance(other, Window) or getattr(other, "zone", None) == one.zone]
        end = _last(one, rest, self._now)
        if end > self._now + FAR:
            return False
        spans = _merged(span for other in rest for span in _spans(other, self._now, end))
        return all(_inside(span, spans) for span in _spans(one, self._now, end))


def _last(one: Hours, others: Iterable[Hours], now: float) -> float:
    """Until when to look. A window is over at its end; a shift goes on as in the year after all exceptions."""
    if isinstance(one, Window):
        return max(now, one.span[1])
    return max([now, *(end for hours in (one, *others) for end in _exceptions(hours))]) + YEAR


def _exceptions(hours: Hours) -> Iterator[float]:
    if isinstance(hours, Window):
        yield hours.span[1]
    elif isinstance(hours, Shift):
        zone = ZoneInfo(hours.zone)
        for day in (*hours.without, *hours.extra):
            yield instant(datetime.combine(day, hours.start), zone) + 2 * _DAY


def _spans(hours: Hours, now: float, end: float) -> Iterator[Span]:
    """From when to when it is open, all that touches ``now`` to ``end``, cut off at both."""
    if isinstance(hours, Window):
        found: Iterable[Span] = (hours.span,)
    elif isinstance(hours, Shift):
        found = _occurrences(hours, now, end)
    else:
        found = ()
    for start, stop in found:
        if max(start, now) < min(stop, end):
            yield max(start, now), min(stop, end)


def _occurrences(shift: Shift, now: float, end: float) -> Iterator[Span]:
    zone = ZoneInfo(shift.zone)
    over = timedelta(days=1 if shift.end <= shift.start else 0)
    first = datetime.fromtimestamp(now, zone).date() - timedelta(days=2)
    last = datetime.fromtimestamp(end, zone).date()
    for ahead in range((last - first).days + 2):
        if shift.opens_on(day := first + timedelta(days=ahead)):
            yield (
                instant(datetime.combine(day, shift.start), zone),
                instant(datetime.combine(day + over, shift.end), zone),
            )


def _merged(spans: Iterable[Span]) -> list[Span]:
    """In order, those that touch are one."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found


def _inside(span: Span, spans: list[Span]) -> bool:
    at = bisect_right(spans, (span[0], float("inf"))) - 1
    return at >= 0 and span[1] <= spans[at][1]
