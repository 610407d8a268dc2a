"""Certificates of OPC UA applications for a test site, and each kind that must not get in.

One RSA key per application is made when first asked for and kept: they are slow to make.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from proxy.pki.application import Application, ApplicationAuthority
from proxy.pki.authority import certificate_pem, key_pem
from tests.support.keys import SITE
from tests.support.net import LOCAL

GATEWAY, AUTHORITY = "opcua", "opcua-ca"
BITS = 2048
MONTH = timedelta(days=30)


def uri_of(name: str) -> str:
    return f"urn:{SITE}:{name}"


@dataclass(frozen=True)
class ApplicationFiles:
    """``certificate`` is DER, ``key`` PEM; ``uri`` what the application must call itself."""

    name: str
    uri: str
    certificate: Path
    key: Path
    serial: int

    @property
    def der(self) -> bytes:
        return self.certificate.read_bytes()


class Applications:
    """The site's RSA authority and the gateway's own certificate, in the files of ``certs``; clients' beside them."""

    def __init__(self, certs: Path, clients: Path) -> None:
        self._clients = clients
        self._keys: dict[str, rsa.RSAPrivateKey] = {}
        clients.mkdir(parents=True, exist_ok=True)
        certs.mkdir(parents=True, exist_ok=True)
        self.certs = certs
        self.authority = ApplicationAuthority.create(SITE, datetime.now(UTC) - MONTH, BITS)
        (certs / f"{AUTHORITY}.crt").write_bytes(certificate_pem(self.authority.certificate))
        (certs / f"{AUTHORITY}.crl").write_bytes(self.authority.revocations([], datetime.now(UTC)))
        own = Application(GATEWAY, uri_of("gateway"), ips=(ip_address(LOCAL),))
        issued = self.authority.issue(own, datetime.now(UTC), self.key(GATEWAY))
        chain = certificate_pem(issued.certificate) + certificate_pem(self.authority.certificate)
        (certs / f"{GATEWAY}.crt").write_bytes(chain)
        _write_key(certs / f"{GATEWAY}.key", issued.key)

    def key(self, name: str) -> rsa.RSAPrivateKey:
        if name not in self._keys:
            self._keys[name] = rsa.generate_private_key(65537, BITS)
        return self._keys[name]

    def issue(self, name: str, uri: str = "", *, since: timedelta = timedelta(), life: timedelta = MONTH) -> Files:
        """From the site's authority, ``since`` ago: with a ``life`` shorter than that it has ended."""
        uri = uri or uri_of(name)
        application = Application(name, uri, life=life, ips=(ip_address(LOCAL),))
        issued = self.authority.issue(application, datetime.now(UTC) - since, self.key(name))
        return self._write(name, uri, issued.certificate, self.key(name))

    def self_signed(self, name: str, uri: str = "", *, label: str = "") -> Files:
        """What software makes for itself when it is installed. ``label``: of the files, if not the name."""
        label, uri = label or name, uri or uri_of(name)
        key = self.key(label)
        return self._write(label, uri, _self_signed(name, uri, key), key)

    def of_another_authority(self, name: str, uri: str) -> Files:
        """Everything as it should be, but signed by an authority that only calls itself the site's."""
        other = ApplicationAuthority(SITE, self.authority.certificate, self.key("another authority"))
        issued = other.issue(Application(name, uri), datetime.now(UTC), self.key(name))
        return self._write(name, uri, issued.certificate, self.key(name))

    def trust(self, files: Files) -> str:
        """Copies the certificate to ``certs``; its name for a listener's `trust` or a service's `server`."""
        name = f"{files.name}.der"
        (self.certs / name).write_bytes(files.der)
        return name

    def _write(self, label: str, uri: str, certificate: x509.Certificate, key: rsa.RSAPrivateKey) -> Files:
        files = self._clients / f"{label}.der", self._clients / f"{label}.pem"
        files[0].write_bytes(certificate.public_bytes(Encoding.DER))
        _write_key(files[1], key)
        return ApplicationFiles(label, uri, *files, certificate.serial_number)


Files = ApplicationFiles


def _write_key(path: Path, key: rsa.RSAPrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(key_pem(key))


def _self_signed(name: str, uri: str, key: rsa.RSAPrivateKey) -> x509.Certificate:
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    usage = x509.KeyUsage(True, True, True, True, False, True, False, False, False)
    names = [x509.UniformResourceIdentifier(uri), x509.IPAddress(ip_address(LOCAL))]
    builder = x509.CertificateBuilder(who, who, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + MONTH)
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(usage, critical=True)
    return builder.sign(key, hashes.SHA256())
