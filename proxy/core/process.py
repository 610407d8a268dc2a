"""The state of a process as far as the gateway has seen it: values that devices told those who asked them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a device. ``name`` is canonical in the words of ``protocol``: ``holding 10 u16 (unit 1)``."""

    protocol: str
    name: str

    def __str__(self) -> str:
        return f"{self.protocol} {self.name}"


COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Predicate:
    """What must be so for a rule to count: ``point compare value``, seen at most ``fresh`` seconds ago.

    ``device`` is whose point it is: that of the rule's `to`, or another of the site (an interlock).
    """

    device: str
    point: Point
    compare: str
    value: float
    fresh: float

    def holds(self, seen: float) -> bool:
        return COMPARE[self.compare](seen, self.value)

    def describe(self) -> str:
        exact = repr(self.value + 0.0).removesuffix(".0")  # it goes into the digest by which a change is known
        return f"{self.device} {self.point} {self.compare} {exact} within {self.fresh:g} s"


@dataclass(frozen=True, slots=True)
class Move:
    """A value that an action would give to a point, and how far it may lie from the last one seen (T53): ``step`` at
    once, ``ramp`` per minute. None: as far as it likes. ``atoms`` are the parts of the action that carry it."""

    point: Point
    value: float
    step: float | None
    ramp: float | None
    atoms: int
