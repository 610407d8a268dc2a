"""`inside`: the connection never left this process; the gateway itself speaks, as the device that the site names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.evidence import Evidence, Outcome, Strength
from proxy.identity.sources.base import absent, capped

if TYPE_CHECKING:
    from proxy.core.facts import ConnFacts
    from proxy.core.inventory import Device


class Inside:
    """A proof: `Gateway.attach` alone makes such connections, and no socket leads to it."""

    kind = "inside"
    strength = Strength.PROOF

    def collect(self, facts: ConnFacts, device: Device) -> Evidence:
        if facts.inside is None:
            return absent(self, "the connection comes from outside", expected=device.id)
        outcome = Outcome.MATCH if facts.inside == device.id else Outcome.MISMATCH
        return Evidence(self.kind, outcome, self.strength, capped(facts.inside), device.id)
