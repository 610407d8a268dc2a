"""Which rule takes the place of one that is gone: what limits the one then limits the other, and there is still one."""

from __future__ import annotations

from heapq import nsmallest
from typing import TYPE_CHECKING

from proxy.policy.terms import at_most

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from proxy.core.action import Target
    from proxy.policy.access import Clause, Side

Targets = tuple["Target", ...]
LOOKED_AT = 16
"""Rules that may have taken the place of one, nearest in the file first."""


class Heirs:
    """Every rule that is gone has one heir at most, at any time: two would let twice as much pass. Which one, is a
    guess, and a wrong one tells too much. ``beyond`` is `Gains` comparing targets of a protocol."""

    def __init__(self, new: Side, old: Side, beyond: Callable[[str, Targets, Targets], Targets]) -> None:
        self._new = new
        self._old = old
        self._beyond = beyond
        self._found: dict[tuple[str, float], Mapping[str, str]] = {}
        self._edges: dict[str, frozenset[float]] = {}

    def edges(self, surface: str) -> frozenset[float]:
        """When rules of a surface begin or end: between two of these nobody else inherits."""
        known = self._edges.get(surface)
        if known is None:
            clauses = [clause for side in (self._new, self._old) for clause in side.clauses(surface).values()]
            known = frozenset(at for clause in clauses for at in (clause.terms.since, clause.terms.until))
            self._edges[surface] = known
        return known

    def of(self, surface: str, at: float) -> Mapping[str, str]:
        """From the names of rules with a limit to those of their heirs: of those that hold at a time."""
        known = self._found.get((surface, at))
        if known is None:
            known = self._found[surface, at] = dict(self._all(surface, at))
        return known

    def _all(self, surface: str, at: float) -> Iterator[tuple[str, str]]:
        olds = self._old.clauses(surface)
        live = {name: one for name, one in self._new.clauses(surface).items() if one.terms.until > at}
        fresh = [one for name, one in live.items() if one.terms.since <= at and not _same(one, olds.get(name))]
        named = {
            (gone, rule.ref.name)
            for side in (self._new, self._old)
            if surface in side.surfaces
            for rule in side.surfaces[surface].rules
            for gone in rule.replaces
        }
        used: set[str] = set()
        for name, old in olds.items():
            if name in live:
                yield name, name
            elif old.terms.limited and (heir := self._heir(old, fresh, named, used)) is not None:
                used.add(heir)
                yield name, heir

    def _heir(
        self, old: Clause, fresh: Iterable[Clause], named: Collection[tuple[str, str]], used: Collection[str]
    ) -> str | None:
        """The likeliest: itself under another name, one that says so, or what allows no more."""

        def apart(new: Clause) -> tuple[bool, bool, int]:
            says_so = (old.ref.name, new.ref.name) in named
            return new.meaning != old.meaning, not says_so, abs(new.ref.origin.line - old.ref.origin.line)

        def unlike(new: Clause) -> tuple[bool, bool, bool, bool]:
            protocols = dict.fromkeys(target.protocol for target in new.targets)
            wider = any(self._beyond(one, new.about(one), old.about(one)) for one in protocols)
            return *apart(new)[:2], wider, new.ref.name in used

        near = nsmallest(LOOKED_AT, (one for one in fresh if _fits(one, old)), key=apart)
        return min(near, key=unlike).ref.name if near else None


def _same(one: Clause, other: Clause | None) -> bool:
    return other is not None and other.meaning == one.meaning


def _fits(new: Clause, old: Clause) -> bool:
    return (
        at_most(new.terms.rate, old.terms.rate)
        and (at_most(new.terms.budget, old.terms.budget) or not any(target.changes for target in new.targets))
        and not new.speakers.isdisjoint(old.speakers)
        and not set(new.devices).isdisjoint(old.devices)
    )
