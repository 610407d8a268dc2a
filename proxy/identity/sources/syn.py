"""`syn`: the shape of the first packet is one that this device has shown before (`proxy.identity.syn`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from proxy.core.evidence import Evidence, Outcome, Strength
from proxy.identity.sources.base import absent, capped

if TYPE_CHECKING:
    from proxy.core.facts import ConnFacts
    from proxy.core.inventory import Device


class Syn:
    """A hint: it tells TCP stacks apart, not machines, and only ever lowers (identity.md rule 4).

    ``baselines``: device id -> signatures that it has shown; several, since firmware changes them. A device without
    a baseline has nothing to differ from.
    """

    kind = "syn"
    strength = Strength.HINT

    def __init__(self, baselines: Mapping[str, frozenset[str]] | None = None) -> None:
        self._baselines = dict(baselines or {})

    def collect(self, facts: ConnFacts, device: Device) -> Evidence:
        baseline = self._baselines.get(device.id)
        if facts.syn is None:
            return absent(self, "the connection shows no SYN header")
        if not baseline:
            return absent(self, "no baseline of this device", facts.syn)
        outcome = Outcome.MATCH if facts.syn in baseline else Outcome.MISMATCH
        return Evidence(self.kind, outcome, self.strength, capped(facts.syn), " or ".join(sorted(baseline)))
