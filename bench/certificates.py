"""A throw-away site CA, the gateway's certificates, the broker's and the clients': the same files for every peer.

P-256 throughout; leaves carry the URI SAN `spiffe://bench/device/<id>` that Bulkhead binds to a device.
"""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SITE = "bench"
CLIENT = "scada"
FLOODER = "flooder"
BROKER = "broker"
TO_BROKER = "gateway-client"  # what a proxy shows to the broker
PURPOSES = {
    "gateway": ExtendedKeyUsageOID.SERVER_AUTH,
    BROKER: ExtendedKeyUsageOID.SERVER_AUTH,
    CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH,
    FLOODER: ExtendedKeyUsageOID.CLIENT_AUTH,
    TO_BROKER: ExtendedKeyUsageOID.CLIENT_AUTH,
}


@dataclass(frozen=True, slots=True)
class Certificates:
    folder: Path

    @property
    def ca(self) -> Path:
        return self.folder / "site-ca.crt"

    @property
    def gateway(self) -> Path:
        """The leaf, then the root."""
        return self.folder / "gateway.crt"

    @property
    def gateway_key(self) -> Path:
        return self.folder / "gateway.key"

    def certificate(self, name: str) -> Path:
        """The leaf of one of `PURPOSES`, then the root."""
        return self.folder / f"{name}.crt"

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key"

    @property
    def client(self) -> Path:
        return self.folder / f"{CLIENT}.crt"

    @property
    def client_key(self) -> Path:
        return self.folder / f"{CLIENT}.key"


def make_certificates(folder: Path) -> Certificates:
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    root = certificate_authority(key)
    write(folder, "site-ca", key, [root])
    for name, purpose in PURPOSES.items():
        leaf_key = ec.generate_private_key(ec.SECP256R1())
        write(folder, name, leaf_key, [leaf(name, purpose, leaf_key.public_key(), root, key), root])
    return Certificates(folder)


def named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def builder(subject: str, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(named(subject))
        .issuer_name(named(f"{SITE} site CA"))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(hours=12))
    )


def key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, key_cert_sign=signs_certificates, crl_sign=signs_certificates,
        content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def certificate_authority(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    return (
        builder(f"{SITE} site CA", key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def leaf(
    name: str,
    purpose: x509.ObjectIdentifier,
    public: ec.EllipticCurvePublicKey,
    root: x509.Certificate,
    signer: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    uri = x509.UniformResourceIdentifier(f"spiffe://{SITE}/device/{name}")
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    names: list[x509.GeneralName] = (
        [uri, address, x509.DNSName(name)] if purpose == ExtendedKeyUsageOID.SERVER_AUTH else [uri]
    )
    issuer = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return (
        builder(name, public)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False)
        .sign(signer, hashes.SHA256())
    )


def write(folder: Path, name: str, key: ec.EllipticCurvePrivateKey, chain: list[x509.Certificate]) -> None:
    pem = b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in chain)
    (folder / f"{name}.crt").write_bytes(pem)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / f"{name}.key"
    path.touch(mode=0o600)
    path.write_bytes(secret)
