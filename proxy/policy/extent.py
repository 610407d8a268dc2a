"""Finds the few targets that a request may touch among many, so that a miss costs the same with 10 rules and 10,000.

An action or a target may say where it lies: ``extent -> (space, first, last) | None``, for Modbus
``("holding", 40, 49)``. The promise: where ``target.covers(action)`` is not 0, both extents have the same space and
overlap, or one of them is None. What says nothing is always asked.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.core.action import Action, Target

T = TypeVar("T")
Extent = tuple[str, int, int]

FEW = 8
"""Up to here asking all is quicker than looking."""


class Nearby(Generic[T]):
    """Items with their targets, in the order in which they are to be asked."""

    __slots__ = ("_all", "_loose", "_spaces")

    def __init__(self, items: Sequence[tuple[T, Target]]) -> None:
        self._all: tuple[T, ...] = tuple(item for item, _ in items)
        self._loose: list[int] = []
        self._spaces: dict[str, _Space] | None = None
        if len(items) <= FEW:
            return
        spaces: dict[str, list[tuple[int, int, int]]] = {}
        for at, (_, target) in enumerate(items):
            extent: Extent | None = getattr(target, "extent", None)
            if extent is None:
                self._loose.append(at)
            else:
                spaces.setdefault(extent[0], []).append((extent[1], extent[2], at))
        self._spaces = {name: _Space(spans) for name, spans in spaces.items()}

    @property
    def all(self) -> tuple[T, ...]:
        return self._all

    def to(self, action: Action) -> Sequence[T]:
        """Every item whose target may cover part of ``action``, in order."""
        return self._all if self._spaces is None else self.of(getattr(action, "extent", None))

    def of(self, extent: Extent | None) -> Sequence[T]:
        """As `to`, of what lies there."""
        if self._spaces is None or extent is None:
            return self._all
        space = self._spaces.get(extent[0])
        found = self._loose if space is None else sorted(self._loose + space.overlapping(extent[1], extent[2]))
        return [self._all[at] for at in found]


class _Space:
    """Spans sorted by where they begin; ``_reach[i]`` is how far the first i + 1 of them go."""

    __slots__ = ("_firsts", "_reach", "_spans")

    def __init__(self, spans: list[tuple[int, int, int]]) -> None:
        self._spans = sorted(spans)
        self._firsts = [first for first, _, _ in self._spans]
        self._reach = list(accumulate((last for _, last, _ in self._spans), max))

    def overlapping(self, first: int, last: int) -> list[int]:
        found = []
        at = bisect_right(self._firsts, last) - 1
        while at >= 0 and self._reach[at] >= first:
            if self._spans[at][1] >= first:
                found.append(self._spans[at][2])
            at -= 1
        return found
