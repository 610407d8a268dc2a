"""From a connection to a speaker: which device of the inventory it is, and what speaks for and against that.

Two steps, kept apart. *Whose link is it?* finds one candidate; *is it true?* lets every source look at it. A candidate
keeps its id even if the evidence is against it, so that records name the device that is being impersonated. So an id
alone proves nothing: ask `Identifier.refusal` before a link may do anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from proxy.core.evidence import Evidence, Outcome, Strength
from proxy.core.principal import Principal
from proxy.core.reason import Reason
from proxy.identity.addresses import canonical_ip, canonical_mac
from proxy.identity.sources.base import EvidenceSource, capped
from proxy.identity.sources.x509 import SPIFFE, bound_uri, names, names_on_channel, subject_of

if TYPE_CHECKING:
    from proxy.core.facts import CertificateFacts, ConnFacts
    from proxy.core.inventory import Device


class Identifier:
    """Immutable; a reload of the site makes a new one. ``identify`` is pure, in memory, and never raises.

    ``sources`` are asked in their order. A kind that `require` names and that no source has is never matched.
    """

    def __init__(self, site: str, devices: Mapping[str, Device], sources: Sequence[EvidenceSource]) -> None:
        self._site = site
        self._devices = dict(devices)
        self._sources = tuple(sources)
        self._by_uri: dict[str, list[Device]] = {}
        self._by_cn: dict[str, list[Device]] = {}
        self._by_application: dict[str, list[Device]] = {}
        self._by_ip: dict[str, list[Device]] = {}
        self._by_mac: dict[str, list[Device]] = {}
        for device in self._devices.values():
            self._index(device)

    def _index(self, device: Device) -> None:
        bindings = device.bindings
        for index, key in (
            (self._by_uri, bound_uri(self._site, device)),
            (self._by_cn, bindings.x509_cn),
            (self._by_application, bindings.opcua_uri),
            (self._by_ip, canonical_ip(bindings.ip or device.address or "")),
            (self._by_mac, canonical_mac(bindings.mac)),
        ):
            if key is not None:
                index.setdefault(key, []).append(device)

    def identify(self, facts: ConnFacts) -> Principal:
        """The speaker. With a certificate, the certificate decides alone, also when it names nobody.

        A certificate outranks the address, and one that is bound to no device does not fall back to the address:
        else the holder of any certificate of the site (a revoked role, a technician, another machine) would become
        the device whose address it can take, and its own words about itself would count for nothing (T01, T08).
        """
        if facts.inside is not None:
            return self._inside(facts, facts.inside)
        if facts.certificate is not None:
            by = self._by_application_certificate if facts.channel else self._by_certificate
            return by(facts, facts.certificate)
        # What a client calls itself names whom it pretends to be, where nothing better does; it proves nothing.
        candidates = self._at_address(facts) or self._by_application.get(facts.application_uri or "", [])
        if len(candidates) == 1:
            return self._principal(facts, candidates[0], frozenset())
        return Principal(None, evidence=self._nobody(facts, candidates))

    def refusal(self, principal: Principal) -> Reason | None:
        """Why this speaker may not do anything at all, or None. To be asked for every principal."""
        return refusal(principal, None if principal.id is None else self._devices.get(principal.id))

    def _inside(self, facts: ConnFacts, speaker: str) -> Principal:
        """The gateway's own parts. What other sources compare (addresses, certificates) such a connection has not."""
        device = self._devices.get(speaker)
        if device is None:
            return Principal(None, evidence=self._nobody(facts, ()))
        evidence = tuple(_collect(source, facts, device) for source in self._sources if source.kind == "inside")
        return Principal(device.id, frozenset(), evidence, device.place)

    def _by_certificate(self, facts: ConnFacts, certificate: CertificateFacts) -> Principal:
        attributes = frozenset((f"mbaps:{certificate.role}" if certificate.role else "mbaps-null",))
        found: dict[str, Device] = {}
        for uri in certificate.uris:
            found.update((device.id, device) for device in self._by_uri.get(uri, ()))
        if certificate.common_name is not None:
            found.update((device.id, device) for device in self._by_cn.get(certificate.common_name, ()))
        bound = [device for device in found.values() if names(self._site, certificate, device)]
        # An X509-SVID has exactly one SPIFFE id: of two, neither is believed.
        if sum(uri.startswith(SPIFFE) for uri in certificate.uris) > 1:
            note = "the certificate has more than one SPIFFE id"
        elif len(bound) == 1:
            return self._principal(facts, bound[0], attributes)
        else:
            note = _count(bound, "the certificate")
        # It is proof all the same, of a holder whom the site's authority vouches for: rules may name its role.
        proof = Evidence("x509", Outcome.MATCH, Strength.PROOF, subject_of(certificate), note=note)
        return Principal(None, attributes, (proof,))

    def _by_application_certificate(self, facts: ConnFacts, certificate: CertificateFacts) -> Principal:
        """On OPC UA's secure channel, where the certificate is of the listener's trust list: whoever issued it speaks
        for applications, not for devices or roles of the site. Bound to no device, it is nobody's."""
        found: dict[str, Device] = {}
        for uri in certificate.uris:
            for device in (*self._by_application.get(uri, ()), *self._by_uri.get(uri, ())):
                found[device.id] = device
        for device in self._by_cn.get(certificate.common_name or "", ()):
            found[device.id] = device
        bound = [device for device in found.values() if names_on_channel(certificate, device)]
        if len(bound) == 1:
            return self._principal(facts, bound[0], frozenset())
        note = _count(bound, "the application's certificate")
        return Principal(
            None, evidence=(Evidence("x509", Outcome.ABSENT, Strength.PROOF, subject_of(certificate), note=note),)
        )

    def _at_address(self, facts: ConnFacts) -> list[Device]:
        """The devices that a connection without a certificate may claim to be, best claim first in this order:
        the one at this address; of several there the one with this MAC, or the one that its address identifies; with
        nobody there the one with this MAC (which then comes from an address that is not its own)."""
        mac = canonical_mac(facts.mac)
        owners = self._by_ip.get(canonical_ip(facts.peer_ip) or "", [])
        if not owners:
            return self._by_mac.get(mac or "", [])
        if len(owners) > 1:
            same_mac = [d for d in owners if mac is not None and canonical_mac(d.bindings.mac) == mac]
            return same_mac or [d for d in owners if d.bindings.address_only] or owners
        return owners

    def _nobody(self, facts: ConnFacts, candidates: Sequence[Device]) -> tuple[Evidence, ...]:
        observed = capped(f"{facts.mac or 'no MAC'} {facts.peer_ip}")
        return (Evidence("address", Outcome.ABSENT, Strength.CLAIM, observed, note=_count(candidates, "the address")),)

    def _principal(self, facts: ConnFacts, device: Device, attributes: frozenset[str]) -> Principal:
        evidence = tuple(_collect(source, facts, device) for source in self._sources)
        return Principal(device.id, attributes, evidence, device.place)


def refusal(principal: Principal, device: Device | None) -> Reason | None:
    """Whether the evidence carries the id. ``device`` is the inventory's entry for `principal.id`.

    - no id: `UNKNOWN_DEVICE`, except for the holder of a verified certificate, whom rules may name by mbaps role;
    - something differs from what the operator bound: `DIFFERS_FROM_PIN`. A hint only counts if `require` names it;
    - a kind in `require` is not matched, or nothing better than a hint matches at all: `EVIDENCE_TOO_WEAK`.
    """
    if principal.id is None:
        return None if principal.proved else Reason.UNKNOWN_DEVICE
    if device is None:
        return Reason.UNKNOWN_DEVICE
    require = device.bindings.require
    counted = [e for e in principal.evidence if e.strength is not Strength.HINT or e.kind in require]
    if any(e.outcome is Outcome.MISMATCH for e in counted):
        return Reason.DIFFERS_FROM_PIN
    identifies = any(e.outcome is Outcome.MATCH and e.strength is not Strength.HINT for e in counted)
    return None if identifies and require <= principal.matched else Reason.EVIDENCE_TOO_WEAK


def _collect(source: EvidenceSource, facts: ConnFacts, device: Device) -> Evidence:
    try:
        return source.collect(facts, device)
    except Exception as bug:  # identity.md rule 1: an exception is absence, never a match (CVE-2022-3500)
        note = f"the check failed: {type(bug).__name__}"
        return Evidence(source.kind, Outcome.ABSENT, source.strength, note=note)


def _count(devices: Sequence[Device], what: str) -> str:
    if not devices:
        return f"{what} is bound to no device"
    return f"{what} is bound to several devices: {', '.join(sorted(device.id for device in devices))}"
