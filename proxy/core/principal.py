"""Who speaks."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.core.evidence import Evidence, Outcome, Strength
from proxy.core.names import Names


@dataclass(frozen=True, slots=True)
class Principal:
    """A speaker as far as it is proved.

    ``id`` is an inventory id, or None when nothing binds the speaker to one. ``attributes`` are what a trusted
    certificate says besides the id (``mbaps:Operator``); rules may name them. ``evidence`` is everything looked at.
    ``place`` is where the inventory says the device stands.
    """

    id: str | None
    attributes: frozenset[str] = frozenset()
    evidence: tuple[Evidence, ...] = ()
    place: str | None = None

    @property
    def names(self) -> Names:
        return Names(self.id, self.place)

    @property
    def label(self) -> str:
        return self.id if self.id is not None else "unknown"

    def has(self, kind: str) -> bool:
        return any(e.kind == kind and e.outcome is Outcome.MATCH for e in self.evidence)

    @property
    def proved(self) -> bool:
        """Possession of a key was shown, not just an address."""
        return any(e.strength is Strength.PROOF and e.outcome is Outcome.MATCH for e in self.evidence)

    @property
    def matched(self) -> frozenset[str]:
        return frozenset(e.kind for e in self.evidence if e.outcome is Outcome.MATCH)
