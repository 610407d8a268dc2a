"""When a rule holds: named shifts and windows, in the wall time of a plant's own zone.

Wall time becomes an instant with `fold=0` (PEP 495): what occurs twice means the first, and what does not exist moves
forward by the gap. Every time of day means one instant, so hours that adjoin on the clock adjoin in truth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Protocol
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.core.origin import Origin

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""As `datetime.date.weekday` counts them."""
_ONE_DAY = timedelta(days=1)
_BEFORE = timedelta(days=2)
"""What began earlier is over: an occurrence lasts a day, and a clock was never set forward by more than another."""
_BEYOND = timedelta(days=16)
"""Two weeks after the last exception every week is like the one before."""


class Hours(Protocol):
    """A named stretch of wall time, open or not. Times are seconds since 1970; the zone is its own affair."""

    @property
    def name(self) -> str: ...
    @property
    def origin(self) -> Origin: ...

    def open_at(self, wall: float) -> bool: ...

    def next_change(self, wall: float) -> float | None:
        """The first instant after ``wall`` at which it opens or closes; None if it never does again."""
        ...

    def describe(self) -> str:
        """Canonical text, e.g. ``mon-fri 06:00-14:00 Europe/Berlin``; equal hours have equal text."""
        ...


def instant(local: datetime, zone: ZoneInfo) -> float:
    """Seconds since 1970 of a naive wall time (access.md 3)."""
    return local.replace(tzinfo=zone, fold=0).timestamp()


@dataclass(frozen=True)
class Shift:
    """Opens on ``days`` (0 is Monday) at ``start`` and closes at ``end``, on the day after if that is not later.

    ``without`` are days on which it does not open, ``extra`` days on which it does besides. Raises
    `zoneinfo.ZoneInfoNotFoundError` at the first question if the machine does not know ``zone``.
    """

    name: str
    origin: Origin
    zone: str
    days: frozenset[int]
    start: time
    end: time
    without: frozenset[date] = frozenset()
    extra: frozenset[date] = frozenset()
    # The last answer and from when to when it holds: the question comes four times a second, for every shift.
    _last: list[tuple[float, float, bool]] = field(default_factory=list, init=False, compare=False, repr=False)

    def open_at(self, wall: float) -> bool:
        return self._stretch(wall)[2]

    def next_change(self, wall: float) -> float | None:
        until = self._stretch(wall)[1]
        return None if until == math.inf else until

    def opens_on(self, day: date) -> bool:
        return day in self.extra or (day.weekday() in self.days and day not in self.without)

    def describe(self) -> str:
        parts = [_days(self.days), f"{self.start:%H:%M}-{self.end:%H:%M}", self.zone]
        without = sorted(day for day in self.without - self.extra if day.weekday() in self.days)
        extra = sorted(day for day in self.extra if day.weekday() not in self.days)
        parts += [f"except {' '.join(map(str, without))}"] if without else []
        parts += [f"extra {' '.join(map(str, extra))}"] if extra else []
        return " ".join(parts)

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    def _stretch(self, wall: float) -> tuple[float, float, bool]:
        """(since, until, open): the answer for ``wall``, and for every instant from the one to before the other."""
        if self._last:
            known = self._last[0]
            if known[0] <= wall < known[1]:
                return known
        found = (wall, *self._until(wall))
        self._last[:] = [found]
        return found

    def _until(self, wall: float) -> tuple[float, bool]:
        """Occurrences that touch or overlap are one: a shift of 24 hours does not close at its change of day."""
        until, is_open = wall, False
        for start, end in self._occurrences(wall):
            if start > until:
                return (until, True) if is_open else (start, False)
            if end > until:
                until, is_open = end, True
        return until if is_open and not self.days else math.inf, is_open

    def _occurrences(self, wall: float) -> Iterator[tuple[float, float]]:
        """(open, close) of those that can matter from ``wall`` on, in order. A gap in the clock may swallow one."""
        over = _ONE_DAY if self.end <= self.start else timedelta(0)
        for day in self._worked(datetime.fromtimestamp(wall, self._zone).date() - _BEFORE):
            start = instant(datetime.combine(day, self.start), self._zone)
            end = instant(datetime.combine(day + over, self.end), self._zone)
            if start < end:
                yield start, end

    def _worked(self, first: date) -> Iterator[date]:
        if not self.days:
            yield from sorted(day for day in self.extra if day >= first)
            return
        last = max(first, *self.without, *self.extra) + _BEYOND if self.without or self.extra else first + _BEYOND
        for ahead in range((last - first).days + 1):
            if self.opens_on(day := first + timedelta(days=ahead)):
                yield day


@dataclass(frozen=True)
class Window:
    """Open once, from ``opens`` to ``closes``: naive wall times of ``zone``. Raises as `Shift` does."""

    name: str
    origin: Origin
    zone: str
    opens: datetime
    closes: datetime

    def open_at(self, wall: float) -> bool:
        return self.span[0] <= wall < self.span[1]

    def next_change(self, wall: float) -> float | None:
        start, end = self.span
        if start >= end or wall >= end:
            return None
        return start if wall < start else end

    def describe(self) -> str:
        return f"{self.opens:%Y-%m-%d %H:%M} to {self.closes:%Y-%m-%d %H:%M} {self.zone}"

    @cached_property
    def span(self) -> tuple[float, float]:
        """Both ends as instants, seconds since 1970."""
        zone = ZoneInfo(self.zone)
        return instant(self.opens, zone), instant(self.closes, zone)


def _days(days: frozenset[int]) -> str:
    """``mon-fri``, ``mon,wed,fri``, ``sat,sun``: three or more in a row as a range."""
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ",".join(
        f"{DAYS[run[0]]}-{DAYS[run[-1]]}" if len(run) > 2 else ",".join(DAYS[day] for day in run) for run in runs
    )
