"""`address`: the source address alone, where the operator wrote `unsafe_address_only: true`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.evidence import Evidence, Outcome, Strength
from proxy.identity.addresses import canonical_ip, same_ip
from proxy.identity.sources.base import absent, capped

if TYPE_CHECKING:
    from proxy.core.facts import ConnFacts
    from proxy.core.inventory import Device


class Address:
    """The weakest claim there is: whoever can use the address has it.

    It is a permission, not a pin: the same device may come from elsewhere with better evidence. Only where `require`
    names it does another address differ from what the operator bound.
    """

    kind = "address"
    strength = Strength.CLAIM

    def collect(self, facts: ConnFacts, device: Device) -> Evidence:
        expected = device.bindings.ip or device.address or ""
        if not device.bindings.address_only:
            return absent(self, "the address alone does not identify this device", facts.peer_ip, expected)
        if canonical_ip(expected) is None or canonical_ip(facts.peer_ip) is None:
            return absent(self, "no address to compare", facts.peer_ip, expected)
        if same_ip(expected, facts.peer_ip):
            return Evidence(self.kind, Outcome.MATCH, self.strength, capped(facts.peer_ip), expected)
        if self.kind in device.bindings.require:
            return Evidence(self.kind, Outcome.MISMATCH, self.strength, capped(facts.peer_ip), expected)
        return absent(self, "it comes from another address", facts.peer_ip, expected)
