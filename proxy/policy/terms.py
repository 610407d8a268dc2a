"""On which terms a rule allows: what must hold besides who, where and what. And which terms are as loose as others."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from proxy.core.process import Predicate
    from proxy.core.surface import Monitor, Rate
    from proxy.policy.openings import Openings

FOREVER = math.inf


class Terms(NamedTuple):
    """``hours``: (name, what it means), of which one must be open; empty: always. ``unproved``: an address is enough
    for a change. ``since`` and ``until`` are wall times: it holds from the one to the other. A rule that begins
    ``FOREVER`` from now never holds."""

    needs: frozenset[str] = frozenset()
    hours: tuple[tuple[str, str], ...] = ()
    whilst: tuple[Predicate, ...] = ()
    rate: Rate | None = None
    budget: Rate | None = None
    unproved: bool = False
    since: float = 0.0
    until: float = FOREVER

    def single(self) -> Iterator[Terms]:
        """One for each hour: two rules with an hour each allow what one rule with both does."""
        if len(self.hours) < 2:
            yield self
        else:
            yield from (self._replace(hours=(hour,)) for hour in self.hours)

    def parted(self, edges: Iterable[float], now: float) -> Iterator[Terms]:
        """Cut where others begin or end, without what is over. The first begins with itself."""
        first = max(self.since, now)
        cuts = sorted({edge for edge in edges if first < edge < self.until})
        for start, end in pairwise((first, *cuts, self.until)):
            if start < end:
                yield self._replace(since=self.since if start == first else start, until=end)

    @property
    def limited(self) -> bool:
        return self.rate is not None or self.budget is not None

    def describe(self) -> str:
        return "; ".join(self._parts())

    def _parts(self) -> Iterator[str]:
        if self.needs:
            yield f"needs {', '.join(sorted(self.needs))}"
        if self.hours:
            yield f"when {' or '.join(f'{name} ({meaning})' for name, meaning in self.hours)}"
        for predicate in self.whilst:
            yield f"while {predicate.describe()}"
        if self.rate is not None:
            yield f"at most {self.rate.count} in any {self.rate.span}"
        if self.budget is not None:
            yield f"at most {self.budget.count} changes by all in any {self.budget.span}"
        if self.unproved:
            yield "an address is enough for a change"
        if self.since:
            yield f"from {instant(self.since)} on"
        if self.until < FOREVER:
            yield f"until {instant(self.until)}"


def instant(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def since(monitor: Monitor | None) -> float:
    """When something that is monitored comes into force by itself."""
    if monitor is None:
        return 0.0
    return monitor.until if monitor.then == "enforce" else FOREVER


def as_loose(old: Terms, new: Terms, openings: Openings, *, changes: bool, paired: bool) -> bool:
    """Whatever is allowed on ``new`` terms is allowed on ``old`` ones. ``new`` has at most one hour. ``changes``: it
    is about an action that changes the device. ``paired``: what ``old`` limits is the very rule that ``new`` does;
    two rules with a rate each allow more than one."""
    if not old.needs <= new.needs or old.since > new.since or old.until < new.until:
        return False
    if changes and new.unproved and not old.unproved:
        return False
    if old.hours:
        others = frozenset(meaning for _, meaning in old.hours)
        if not new.hours or not openings.covered(new.hours[0][1], others):
            return False
    if not all(any(_implies(one, other) for one in new.whilst) for other in old.whilst):
        return False
    if not old.limited:
        return True
    return paired and at_most(new.rate, old.rate) and (not changes or at_most(new.budget, old.budget))


def _implies(one: Predicate, other: Predicate) -> bool:
    """Where ``one`` holds, ``other`` does."""
    if (one.device, one.point) != (other.device, other.point) or one.fresh > other.fresh:
        return False
    if one.compare == "==":
        return other.holds(one.value)
    if one.compare == other.compare:
        tighter = {"<": one.value <= other.value, "<=": one.value <= other.value}
        tighter |= {">": one.value >= other.value, ">=": one.value >= other.value, "!=": one.value == other.value}
        return tighter[one.compare]
    return False


def at_most(new: Rate | None, old: Rate | None) -> bool:
    """In any stretch of the old length the new rate lets no more pass."""
    if old is None:
        return True
    return new is not None and math.ceil(old.seconds / new.seconds) * new.count <= old.count
