"""What a decision may look at besides message and rules: which hours are open, and what devices were seen to be.

One object outlives every policy: a reload tells it new hours and points, and what was seen stays seen.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from proxy.policy.trail import Trail

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.core.hours import Hours
    from proxy.core.process import Point


class Circumstances:
    """Times of day are seconds since 1970, times of sightings monotonic seconds.

    ``open`` names the hours that were open at the last `look`. It changes there and nowhere else, so a verdict that
    depends on hours holds until then, and whoever calls `look` has the links concerned decided again.
    """

    def __init__(self, hours: Iterable[Hours] = (), wall: float = 0.0) -> None:
        self.open: frozenset[str] = frozenset()
        self._hours: tuple[Hours, ...] = ()
        self._seen: dict[tuple[str, Point], Trail] = {}
        self._watched: frozenset[tuple[str, Point]] = frozenset()
        self.tell(hours, wall)

    def tell(self, hours: Iterable[Hours], wall: float) -> frozenset[str]:
        """New hours are in force from here on. The names of those that opened or closed by that."""
        self._hours = tuple(hours)
        return self.look(wall)

    def look(self, wall: float) -> frozenset[str]:
        """Looks at the clock. The names of the hours that opened or closed since the last time."""
        before, self.open = self.open, frozenset(one.name for one in self._hours if one.open_at(wall))
        return before ^ self.open

    def next_change(self, wall: float) -> float | None:
        changes = [at for one in self._hours if (at := one.next_change(wall)) is not None]
        return min(changes, default=None)

    def describe(self, names: Iterable[str]) -> str:
        """``early (mon-fri 06:00-14:00 Europe/Berlin) or stop (...)``: for refusals."""
        texts = {one.name: f"{one.name} ({one.describe()})" for one in self._hours}
        return " or ".join(texts.get(name, name) for name in names)

    def watch(self, points: Iterable[tuple[str, Point]]) -> None:
        """Only these (device, point) are kept from here on: what some rule looks at, and so a bounded number."""
        self._watched = frozenset(points)
        self._seen = {key: value for key, value in self._seen.items() if key in self._watched}

    def observe(self, device: str, point: Point, value: float, now: float) -> None:
        """A device told that ``point`` is ``value``. What is no number tells nothing."""
        key = device, point
        if key not in self._watched or not math.isfinite(value):
            return
        if (trail := self._seen.get(key)) is None:
            trail = self._seen[key] = Trail()
        trail.note(value, now)

    def last(self, device: str, point: Point) -> tuple[float, float] | None:
        """(value, when), or None if it was never seen."""
        trail = self._seen.get((device, point))
        return None if trail is None else trail.last

    def trail(self, device: str, point: Point) -> Trail:
        """What is known of a point that was seen. KeyError if it was not."""
        return self._seen[device, point]
