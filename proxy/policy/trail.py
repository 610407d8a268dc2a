"""What one point of a device was seen to be in the last minute. Bounded, however often it is seen."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

KEPT = 60.0
"""Seconds that can be asked about."""
RECENT = 8
"""Values that are told apart exactly; a value that stays is one of them."""


class _Second(NamedTuple):
    """What was seen in one second, and what it was at the end of it."""

    second: int
    low: float
    high: float
    value: float


class Trail:
    """Sightings in the order in which they came, ``now`` in monotonic seconds. `note` comes first.

    Ranges are kept by whole seconds: a question may be answered with up to one second more than was asked for, never
    with less.
    """

    __slots__ = ("_recent", "_seconds")

    def __init__(self) -> None:
        self._recent: deque[tuple[float, float]] = deque(maxlen=RECENT)
        self._seconds: deque[_Second] = deque()

    def note(self, value: float, now: float) -> None:
        if self._recent and self._recent[-1][0] == value:
            self._recent.pop()
        self._recent.append((value, now))
        second, seconds = int(now // 1), self._seconds
        if seconds and seconds[-1].second >= second:
            one = seconds.pop()
            seconds.append(_Second(one.second, min(one.low, value), max(one.high, value), value))
        else:
            seconds.append(_Second(second, value, value, value))
        # The last that ended before tells what the value was when the minute began.
        while len(seconds) > 1 and seconds[1].second + 1 <= now - KEPT:
            seconds.popleft()

    @property
    def last(self) -> tuple[float, float]:
        """(value, when)."""
        return self._recent[-1]

    def showed(self, value: float, since: float) -> float | None:
        """When it was last seen to be exactly ``value``, if that was after ``since``; only lately is known."""
        return next((when for seen, when in reversed(self._recent) if seen == value and when > since), None)

    def first_after(self, time: float) -> float | None:
        """When it was first seen at ``time`` or later: a second too late at most, or more than `KEPT` ago."""
        if self.last[1] < time:
            return None
        return next((one.second + 1.0 for one in self._seconds if one.second >= time), self.last[1])

    def since(self, begin: float) -> tuple[float, float]:
        """(lowest, highest) of what it was from ``begin``, at most `KEPT` seconds ago, until now: what was seen, and
        the value that it had when that began."""
        values = [self.last[0], *self.within(begin)]
        values += [one.value for one in self._seconds if one.second + 1 <= begin][-1:]
        return min(values), max(values)

    def within(self, begin: float) -> tuple[float, ...]:
        """The lowest and highest of what was seen from ``begin`` until now; nothing, if nothing was."""
        lately = [one for one in self._seconds if one.second + 1 > begin]
        return (min(one.low for one in lately), max(one.high for one in lately)) if lately else ()
