"""The `certs/` folder of a test site: good keys, and each kind of key that must not get in."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509

from proxy.pki.authority import Authority, key_pem
from proxy.pki.folder import CertificateFolder
from proxy.pki.leaf import Leaf
from tests.pki.crafted import ROLE_OID_DER, extension, with_more_extensions
from tests.support.net import LOCAL

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

SITE = "plant"
DAY = timedelta(days=1)


@dataclass(frozen=True)
class KeyFiles:
    """A client's certificate (leaf, then root) and key, and what revokes it."""

    certificate: Path
    key: Path
    serial: int
    name: str

    def trusting(self, ca: Path, *, oldest: ssl.TLSVersion | None = None, newest: ssl.TLSVersion | None = None) -> Tls:
        context = trusting(ca, oldest=oldest, newest=newest)
        context.load_cert_chain(self.certificate, self.key)
        return context


Tls = ssl.SSLContext
TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def trusting(ca: Path, *, oldest: ssl.TLSVersion | None = None, newest: ssl.TLSVersion | None = None) -> Tls:
    """A client without a certificate of its own. It checks the gateway's chain, not the name it dialled."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(ca)
    if oldest is not None:
        context.minimum_version = oldest
    if newest is not None:
        context.maximum_version = newest
    return context


class Keys:
    """An authority that has been there for a month, and the gateway's own certificate."""

    def __init__(self, folder: Path, site: str = SITE) -> None:
        self.folder = folder
        self._certificates = CertificateFolder(folder, site)
        self.authority = self._certificates.create_authority(datetime.now(UTC) - 30 * DAY)
        self.gateway = self.issue(Leaf("gateway", "gateway", dns=("gateway",), ips=(ip_address(LOCAL),)))

    @property
    def ca(self) -> Path:
        return self.folder / "site-ca.crt"

    def issue(self, leaf: Leaf | str, *, since: timedelta = timedelta()) -> KeyFiles:
        """A certificate issued ``since`` ago; with a life shorter than that it has expired."""
        leaf = Leaf(leaf) if isinstance(leaf, str) else leaf
        issued = self.authority.issue(leaf, datetime.now(UTC) - since)
        return self._write(leaf.name, issued.certificate, issued.key, issued.chain_pem)

    def ending_in(self, name: str, seconds: float) -> KeyFiles:
        """Certificates are dated in whole seconds: it ends at the second after ``seconds`` from now."""
        ends = datetime.now(UTC) + timedelta(seconds=seconds)
        return self.issue(Leaf(name, life=DAY), since=DAY - (ends - datetime.now(UTC)) - timedelta(seconds=1))

    def expired(self, name: str) -> KeyFiles:
        return self.issue(Leaf(name, life=DAY), since=2 * DAY)

    def of_another_authority(self, name: str) -> KeyFiles:
        """Everything as it should be, but signed by an authority that only calls itself the site's."""
        other = Authority.create(self.authority.site, datetime.now(UTC))
        issued = other.issue(Leaf(name), datetime.now(UTC))
        return self._write(f"foreign-{name}", issued.certificate, issued.key, issued.chain_pem)

    def with_roles(self, name: str, *values: bytes) -> KeyFiles:
        """One role extension for each of ``values``, which are its DER as it is."""
        issued = self.authority.issue(Leaf(name), datetime.now(UTC))
        added = [extension(ROLE_OID_DER, value) for value in values]
        der = with_more_extensions(self.authority, issued.certificate, *added)
        chain = ssl.DER_cert_to_PEM_cert(der).encode() + self.ca.read_bytes()
        return self._write(name, x509.load_der_x509_certificate(der), issued.key, chain)

    def revoke(self, *keys: KeyFiles) -> None:
        self._certificates.revoke([(key.serial, key.name) for key in keys], "a test", datetime.now(UTC))

    def _write(
        self, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, chain: bytes
    ) -> KeyFiles:
        paths = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        paths[0].write_bytes(chain)
        paths[1].touch(mode=0o600)
        paths[1].touch(mode=0o600)
        paths[1].write_bytes(key_pem(key))
        return KeyFiles(*paths, certificate.serial_number, name)
