"""What is asked (Action) and how far a rule goes (Target). Each protocol brings its own of both.

A request can have parts that different rules allow: a read of 20 registers may be covered by two rules of 10.
So an action numbers its parts, its *atoms*, and coverage is a bit mask over them (bit ``i`` = atom ``i``).
An action of one part has the mask 1. Allowed means: the union of what the rules admit is the whole mask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from proxy.core.names import Names
    from proxy.core.process import Move


class Action(Protocol):
    """One elementary thing somebody asks to do to a device, parsed and canonical.

    A compound message (Modbus FC 23, an OPC UA Write of five nodes) becomes several actions.
    """

    @property
    def protocol(self) -> str: ...
    @property
    def verb(self) -> str: ...
    @property
    def changes(self) -> bool:
        """True if the device is changed by it: then policy wants proof of who speaks (T01, T02)."""
        ...

    @property
    def extent(self) -> tuple[str, int, int] | None:
        """Where it lies, if its resources are numbered: (space, first, last). An index may use it to skip targets
        whose extent does not meet it; `covers` stays the judge. None: not numbered, nothing may be skipped."""
        ...

    @property
    def atoms(self) -> int:
        """The mask of all parts, ``(1 << n) - 1``."""
        ...

    @property
    def shape(self) -> Hashable:
        """What is asked without how much: two writes of the same register have one shape, whatever they write. Made of
        texts, numbers, None and tuples of these, so that it is the same in every run."""
        ...

    @property
    def size(self) -> float:
        """How much: of the actions of one shape the smallest and the largest stand for all between them."""
        ...

    def describe(self) -> str:
        """For records and people, e.g. ``write holding 40 = 77 (unit 1)``. Never raises, at most 120 characters."""
        ...


class Target(Protocol):
    """How far one rule goes, in the words of its protocol. Pure, total, without state."""

    @property
    def protocol(self) -> str: ...
    @property
    def verb(self) -> str: ...

    @property
    def values_matter(self) -> bool:
        """True if `admits` looks at values, so that a verdict does not hold for another value."""
        ...

    @property
    def changes(self) -> bool:
        """True if it can cover an action that `changes`."""
        ...

    @property
    def extent(self) -> tuple[str, int, int] | None:
        """As for an action: no action outside it is covered."""
        ...

    def bound(self, names: Names) -> Target:
        """The target as it holds for one speaker: its placeholders filled in. Itself if it has none. Policy judges
        with bound targets only; an unbound one admits nothing where it has a placeholder."""
        ...

    def within(self, other: Target) -> bool:
        """Whatever this target admits, ``other`` admits too. For hints to the author; may err towards False."""
        ...

    def overlaps(self, other: Target) -> bool:
        """There is an action that both cover. ``other`` may be one of a `never`. Both are bound. Exact, or False."""
        ...

    def moves(self, action: Action) -> Sequence[Move]:
        """Where the target limits how far values may go from the last ones seen: those values. Else nothing."""
        ...

    def covers(self, action: Action) -> int:
        """The atoms of `action` that lie inside this target, values not looked at. 0 for another verb."""
        ...

    def admits(self, action: Action) -> int:
        """The atoms of `action` inside this target whose values are within its windows: a subset of `covers`."""
        ...

    def describe(self) -> str:
        """Canonical text, e.g. ``write holding 40 in 0..1500``; equal targets have equal text."""
        ...
