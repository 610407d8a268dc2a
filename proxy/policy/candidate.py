"""One clause as one speaker has it: whether its evidence is there, and which budget it spends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.policy.rates import RateKey

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.policy.rows import Clause, Place
    from proxy.policy.speaker import Speaker


class Candidate:
    """``calm``: it counts for what changes nothing, ``acts``: for what changes the device. A rule counts if the
    evidence it needs is there; and who changes a device has shown a key, not only an address (T01, T02)."""

    __slots__ = ("_clause", "_speaker", "acts", "admits", "calm", "covers", "rate", "ref", "target")

    def __init__(self, clause: Clause, speaker: Speaker) -> None:
        rule = clause.rule
        self._clause = clause
        self._speaker = speaker
        self.ref = rule.ref
        self.target = clause.target.bound(speaker.names)
        self.admits = self.target.admits
        self.covers = self.target.covers
        self.calm = rule.needs <= speaker.matched
        self.acts = self.calm and (speaker.proved or clause.surface.writes_without_proof)
        self.rate = None if rule.rate is None else RateKey(rule.ref.surface, rule.ref.name, speaker.budget, rule.rate)

    @property
    def order(self) -> tuple[bool, Place]:
        """Rules without a rate come first, so that none is charged for what is free anyway."""
        return self.rate is not None, self._clause.place

    @property
    def lacking(self) -> str:
        """What the speaker would have to show for this rule to count."""
        seen = ", ".join(sorted(self._speaker.matched)) or "nothing"
        if missing := sorted(self._clause.rule.needs - self._speaker.matched):
            return f"needs {', '.join(missing)}; shown: {seen}"
        return (
            f"a change needs proof of a key, such as x509; shown: {seen} "
            f"(unsafe_writes_without_proof is not set in {self._clause.surface.name})"
        )

    @property
    def budget(self) -> str:
        rate = self._clause.rule.rate
        return "" if rate is None else f"{rate.count} in {rate.seconds:g} s"


def candidates(listed: Iterable[Clause], speaker: Speaker) -> list[Candidate]:
    """In the order in which they contribute; the first one that does is reported."""
    return sorted((Candidate(clause, speaker) for clause in listed), key=lambda one: one.order)
