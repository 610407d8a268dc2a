"""`x509`: possession of the key of a certificate of the site, shown in the TLS handshake of this connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.evidence import Evidence, Outcome, Strength
from proxy.identity.sources.base import absent, capped

if TYPE_CHECKING:
    from proxy.core.facts import CertificateFacts, ConnFacts
    from proxy.core.inventory import Device


SPIFFE = "spiffe://"


def spiffe_id(site: str, device: str) -> str:
    return f"{SPIFFE}{site}/device/{device}"


def bound_uri(site: str, device: Device) -> str | None:
    """The SAN URI that names this device: the pinned one, else the SPIFFE id, unless a common name is pinned alone."""
    bindings = device.bindings
    if bindings.x509_uri is not None:
        return bindings.x509_uri
    return None if bindings.x509_cn is not None else spiffe_id(site, device.id)


def names(site: str, certificate: CertificateFacts, device: Device) -> bool:
    """The certificate is this device's: all that is pinned fits. Compared whole: no folding, no decoding (T12).

    A common name counts only where no SPIFFE id says otherwise: the person `anna` and the device `anna` both have
    the common name anna.
    """
    uri, cn = bound_uri(site, device), device.bindings.x509_cn
    if uri is None:
        own = spiffe_id(site, device.id)
        if any(u != own and u.startswith(SPIFFE) for u in certificate.uris):
            return False
    return (uri is None or uri in certificate.uris) and (cn is None or cn == certificate.common_name)


def subject_of(certificate: CertificateFacts) -> str:
    """What a certificate calls its holder, for display."""
    return capped(" ".join(certificate.uris) or certificate.common_name or f"serial {certificate.serial:x}")


class X509:
    """Proof. What it does not say: where the key lives, or which box it is in (identity.md 2)."""

    kind = "x509"
    strength = Strength.PROOF

    def __init__(self, site: str) -> None:
        self._site = site

    def collect(self, facts: ConnFacts, device: Device) -> Evidence:
        expected = bound_uri(self._site, device) or f"CN {device.bindings.x509_cn}"
        if facts.certificate is None:
            return absent(self, "the connection shows no certificate", expected=expected)
        fits = names(self._site, facts.certificate, device)
        outcome = Outcome.MATCH if fits else Outcome.MISMATCH
        return Evidence(self.kind, outcome, self.strength, subject_of(facts.certificate), expected)
