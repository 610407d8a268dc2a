"""The flows of a moment, in memory: what every link tells, added up, in bounds that hold whatever comes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from proxy.core.action import Action

MOST = 50_000
MOST_OF_ONE = 4_000
"""Flows in all, and of one speaker: whoever asks for ever other things must not push out what the others say. *"""


class Parties(NamedTuple):
    """Who spoke, known by what, to which device in which protocol; see `proxy.flows.row.FlowRow`."""

    who: str
    attributes: tuple[str, ...]
    evidence: tuple[str, ...]
    to: str
    protocol: str


class Answer(NamedTuple):
    """See `proxy.flows.row.FlowRow`. Not where the rule stands: a reload that moves lines makes no new flow."""

    allowed: bool
    code: str
    rule: str
    would: bool | None
    would_code: str
    would_rule: str


class Key(NamedTuple):
    """What makes a flow this one. ``shape``: texts, numbers, None and tuples of these (`Action.shape`)."""

    parties: Parties
    shape: Hashable
    answer: Answer


class Seen:
    """How much of a flow was seen. Sizes are `Action.size`, times seconds since 1970."""

    __slots__ = ("at", "count", "first", "high", "largest", "last", "low", "policy", "smallest")

    def __init__(
        self,
        low: tuple[Action, ...],
        high: tuple[Action, ...],
        sizes: tuple[float, float],
        *,
        at: str,
        policy: str,
        count: int,
        first: float,
        last: float,
    ) -> None:
        self.low = low
        self.high = high
        self.smallest, self.largest = sizes
        self.at = at
        self.policy = policy
        self.count = count
        self.first = first
        self.last = last

    def add(self, other: Seen) -> None:
        """``other`` is the later one of the two."""
        if other.smallest < self.smallest:
            self.smallest, self.low = other.smallest, other.low
        if other.largest > self.largest:
            self.largest, self.high = other.largest, other.high
        self.at, self.policy = other.at, other.policy
        self.count += other.count
        self.first = min(self.first, other.first)
        self.last = max(self.last, other.last)


class Book:
    """Belongs to one thread. ``untold`` is messages of flows for which there was no room, here or where they were
    counted: never silent (`docs/metrics.md`)."""

    def __init__(self, most: int = MOST, most_of_one: int = MOST_OF_ONE) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._flows: dict[Key, Seen] = {}
        self._of: Counter[str] = Counter()
        self.untold = 0

    def __len__(self) -> int:
        return len(self._flows)

    def add(self, key: Key, seen: Seen) -> None:
        known = self._flows.get(key)
        if known is not None:
            known.add(seen)
            return
        who = key.parties.who
        if len(self._flows) >= self._most or self._of[who] >= self._most_of_one:
            self.untold += seen.count
            return
        self._of[who] += 1
        self._flows[key] = seen

    def __iter__(self) -> Iterator[tuple[Key, Seen]]:
        return iter(self._flows.items())

    @property
    def speakers(self) -> frozenset[str]:
        return frozenset(self._of)

    def take(self) -> dict[Key, Seen]:
        """All of it; the book is empty then. Whoever takes it may do so in another thread."""
        taken, self._flows, self._of = self._flows, {}, Counter()
        return taken
