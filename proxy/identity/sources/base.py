"""The interface of a kind of evidence, and how to add one.

A new kind is one file here with one class, an entry in the list that `proxy/app.py` hands to the `Identifier`, and an
example in `tests/contract/test_evidence_sources.py`, which finds the class by itself and checks what is said below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from proxy.core.evidence import Evidence, Outcome, Strength

if TYPE_CHECKING:
    from proxy.core.facts import ConnFacts
    from proxy.core.inventory import Device

MAX_OBSERVED = 120


class EvidenceSource(Protocol):
    """Compares one thing that a connection shows with what is bound to one device. Pure and in memory."""

    @property
    def kind(self) -> str:
        """Its name in `identity:` and `require:` of fingerprints and in `needs:` of rules."""
        ...

    @property
    def strength(self) -> Strength:
        """The class of its evidence (identity.md 2) when that matches. A `HINT` only ever lowers."""
        ...

    def collect(self, facts: ConnFacts, device: Device) -> Evidence:
        """`MATCH`, `MISMATCH` with what the operator bound, or `ABSENT`: nothing bound, or nothing to look at.

        Never raises: what goes wrong inside is `ABSENT` with a note, never a match (CVE-2022-3500, CVE-2023-3674).
        ``observed`` is hostile text: it goes through `capped`.
        """
        ...


def capped(text: str) -> str:
    """Hostile text for display: at most `MAX_OBSERVED` printable characters (T80)."""
    return "".join(c if c.isprintable() else "?" for c in text[:MAX_OBSERVED])


def absent(source: EvidenceSource, note: str, observed: str = "", expected: str = "") -> Evidence:
    return Evidence(source.kind, Outcome.ABSENT, source.strength, capped(observed), expected, note)
