"""One flow as it is kept."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FlowRow:
    """Messages that were alike: the same speaker, device and actions but for how much, and the same answer.

    ``who`` is an inventory id or ``unknown``; ``attributes`` and ``evidence`` (kinds that matched) are sorted.
    ``low`` and ``high`` are the smallest and the largest that was asked, as the protocol's `parse_actions` reads them
    again; both the same where size does not tell. ``allowed``, ``code`` (``BH-1201`` or empty) and ``rule``
    (``surface/name``) are the answer, ``at`` (file:line) where that rule stood. ``would``, ``would_code`` and
    ``would_rule`` are the candidate's answer where it was another one; ``would`` is None where it was the same.
    ``policy`` is the digest in force when it was last seen. ``count`` is messages; times are seconds since 1970.
    """

    who: str
    attributes: tuple[str, ...]
    evidence: tuple[str, ...]
    to: str
    protocol: str
    low: str
    high: str
    allowed: bool
    code: str
    rule: str
    at: str
    would: bool | None
    would_code: str
    would_rule: str
    policy: str
    count: int
    first: float
    last: float
