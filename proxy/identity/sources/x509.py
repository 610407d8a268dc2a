"""`x509`: possession of the key of a certificate, shown in the handshake of this connection.

In TLS that is a certificate of the site's authority. On OPC UA's secure channel it is any that the listener trusts, and
so only what is bound to the device by name counts: not the SPIFFE id that each device of the site has by itself.
"""

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


def bound_on_channel(device: Device) -> tuple[str | None, str | None]:
    """The URI and the common name that the certificate of its secure channel must have, as far as they are bound."""
    bindings = device.bindings
    return (bindings.opcua_uri, None) if bindings.opcua_uri is not None else (bindings.x509_uri, bindings.x509_cn)


def names_on_channel(certificate: CertificateFacts, device: Device) -> bool:
    uri, cn = bound_on_channel(device)
    if uri is None and (cn is None or any(u.startswith(SPIFFE) for u in certificate.uris)):
        return False
    return (uri is None or uri in certificate.uris) and (cn is None or cn == certificate.common_name)


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
        expected = self._expected(device, channel=facts.channel)
        if facts.certificate is None:
            return absent(self, "the connection shows no certificate", expected=expected)
        if facts.channel:
            fits = names_on_channel(facts.certificate, device)
        else:
            fits = names(self._site, facts.certificate, device)
        outcome = Outcome.MATCH if fits else Outcome.MISMATCH
        return Evidence(self.kind, outcome, self.strength, subject_of(facts.certificate), expected)

    def _expected(self, device: Device, *, channel: bool) -> str:
        uri, cn = bound_on_channel(device) if channel else (bound_uri(self._site, device), device.bindings.x509_cn)
        return uri or (f"CN {cn}" if cn is not None else "no certificate of an OPC UA application")
