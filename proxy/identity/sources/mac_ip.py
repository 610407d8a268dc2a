"""`mac_ip`: the frames of this connection carry the MAC and the address that are bound to the device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.evidence import Evidence, Outcome, Strength
from proxy.identity.addresses import canonical_mac, same_ip
from proxy.identity.sources.base import absent, capped

if TYPE_CHECKING:
    from proxy.core.facts import ConnFacts
    from proxy.core.inventory import Device


class MacIp:
    """A claim, unless the kernel holds each port to its MAC and address: then the caller says `Strength.PLACE`.

    Behind a router the MAC is the router's, so do not bind it there: it would differ from the pin.
    """

    kind = "mac_ip"

    def __init__(self, strength: Strength = Strength.CLAIM) -> None:
        self.strength = strength

    def collect(self, facts: ConnFacts, device: Device) -> Evidence:
        mac, ip = canonical_mac(device.bindings.mac), device.bindings.ip
        if mac is None and ip is None:
            return absent(self, "no MAC is bound to the device")
        if ip is None:
            ip = device.address
        seen_mac = canonical_mac(facts.mac)
        observed = capped(f"{seen_mac or 'no MAC'} {facts.peer_ip}")
        expected = f"{mac or 'no MAC'} {ip or 'any address'}"
        # One half that differs is enough: a stolen key used from another host shows its address (T08).
        if (ip is not None and not same_ip(ip, facts.peer_ip)) or (
            mac is not None and seen_mac is not None and mac != seen_mac
        ):
            return Evidence(self.kind, Outcome.MISMATCH, self.strength, observed, expected)
        if mac is None or seen_mac is None:
            return absent(self, "no MAC to compare; an address alone is not this evidence", observed, expected)
        return Evidence(self.kind, Outcome.MATCH, self.strength, observed, expected)
