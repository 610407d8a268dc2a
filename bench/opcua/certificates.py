"""A throw-away authority and the certificates of the gateways and the client: RSA 2048, the same for every peer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

SITE = "bench"
AUTHORITY, GATEWAY, CLIENT = "opcua-ca", "opcua", "scada"


@dataclass(frozen=True, slots=True)
class Certificates:
    folder: Path

    def pem(self, name: str) -> Path:
        return self.folder / f"{name}.crt"

    def der(self, name: str) -> Path:
        return self.folder / f"{name}.der"

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key"


def uri_of(name: str) -> str:
    return f"urn:{SITE}:{name}"


def make_certificates(folder: Path) -> Certificates:
    """Imports the product, so that a run of other parts needs nothing of it."""
    from cryptography.hazmat.primitives.serialization import Encoding

    from proxy.pki.application import Application, ApplicationAuthority
    from proxy.pki.authority import certificate_pem

    folder.mkdir(parents=True)
    files, now = Certificates(folder), datetime.now(UTC)
    authority = ApplicationAuthority.create(SITE, now, 2048)
    files.pem(AUTHORITY).write_bytes(certificate_pem(authority.certificate))
    (folder / f"{AUTHORITY}.crl").write_bytes(authority.revocations([], now))
    for name in (GATEWAY, CLIENT):
        issued = authority.issue(Application(name, uri_of(name), ips=(ip_address("127.0.0.1"),)), now)
        files.pem(name).write_bytes(issued.pem)
        files.der(name).write_bytes(issued.certificate.public_bytes(Encoding.DER))
        files.key(name).touch(mode=0o600)
        files.key(name).write_bytes(issued.key_pem)
    return files
