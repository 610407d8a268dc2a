"""Evidence: one proved or disproved fact about who speaks (identity.md 2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    """What a check found. A check never raises: an error is `ABSENT` with a note (CVE-2022-3500)."""

    MATCH = "match"
    MISMATCH = "mismatch"
    ABSENT = "absent"
    STALE = "stale"


class Strength(Enum):
    """The class of a kind of evidence: only `PROOF` lets a change through (T01, T02)."""

    PROOF = "proof"
    PLACE = "place"
    CLAIM = "claim"
    HINT = "hint"


@dataclass(frozen=True, slots=True)
class Evidence:
    """``kind`` as in fingerprints (`x509`, `mac_ip`...); ``observed`` is capped hostile text, only for display."""

    kind: str
    outcome: Outcome
    strength: Strength
    observed: str = ""
    expected: str = ""
    note: str = ""
