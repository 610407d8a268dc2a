"""One clause as one speaker has it: whether its evidence is there, when it holds, and what else stands in its way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.policy.constraints import constraints

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.policy.circumstances import Circumstances
    from proxy.policy.rates import Rates
    from proxy.policy.rows import Clause, Place
    from proxy.policy.speaker import Speaker


class Candidate:
    """``calm``: it counts for what changes nothing, ``acts``: for what changes the device. A rule counts if the
    evidence it needs is there; and who changes a device has shown a key, not only an address (T01, T02).

    ``when`` names hours of which one must be open; empty: always. ``constraints`` are asked for each message.
    """

    __slots__ = ("_clause", "_speaker", "acts", "admits", "calm", "constraints", "covers", "ref", "target", "when")

    def __init__(
        self, clause: Clause, speaker: Speaker, device: str, rates: Rates, circumstances: Circumstances
    ) -> None:
        rule = clause.rule
        self._clause = clause
        self._speaker = speaker
        self.ref = rule.ref
        self.target = clause.target.bound(speaker.names)
        self.admits = self.target.admits
        self.covers = self.target.covers
        self.calm = rule.needs <= speaker.matched
        self.acts = self.calm and (speaker.proved or clause.surface.writes_without_proof)
        self.when = frozenset(rule.when)
        self.constraints = constraints(rule, self.target, speaker.budget, device, rates, circumstances)

    @property
    def order(self) -> tuple[int, Place]:
        """Rules without a constraint come first, and those that count what they let through come last, so that none
        is charged for what is free anyway."""
        rule = self._clause.rule
        counted = rule.rate is not None or rule.budget is not None
        return 2 if counted else 1 if self.constraints else 0, self._clause.place

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

    def open(self, now_open: frozenset[str]) -> bool:
        """One of its hours is open, if it has any."""
        return not self.when or not self.when.isdisjoint(now_open)


def candidates(
    listed: Iterable[Clause], speaker: Speaker, device: str, rates: Rates, circumstances: Circumstances
) -> list[Candidate]:
    """In the order in which they contribute; the first one that does is reported."""
    found = [Candidate(clause, speaker, device, rates, circumstances) for clause in listed]
    return sorted(found, key=lambda one: one.order)
