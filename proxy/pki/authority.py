"""The site's certificate authority: makes itself, and signs short-lived leaf certificates (RFC 5280, SPIFFE X509-SVID).

Keys are EC P-256, signatures ECDSA with SHA-256: what Modbus/TCP Security asks of an ECC device (R-39, R-40, R-61).
Time is an argument; the randomness of keys and serial numbers is the operating system's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from proxy.pki.leaf import Leaf, check_name
from proxy.pki.mbaps import ROLE_OID, encode_role

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

AUTHORITY_LIFE = timedelta(days=3650)
BACKDATE = timedelta(minutes=5)
"""Devices' clocks are behind; a certificate that begins a little early is not refused by them."""


class AuthorityError(Exception):
    """The authority cannot sign: it is not one, its key is another's, or its time has not come or is over."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A fresh leaf: its certificate, its key, and both as PEM. ``chain_pem`` is leaf then root (mbaps R-47)."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    chain_pem: bytes

    @property
    def key_pem(self) -> bytes:
        return key_pem(self.key)


@dataclass(frozen=True, slots=True)
class Authority:
    """One site's authority. Its ``repr`` shows no key: the key objects of pyca print as addresses."""

    site: str
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def create(cls, site: str, now: datetime, life: timedelta = AUTHORITY_LIFE) -> Authority:
        """A new self-signed authority. ``now`` is aware. Raises ValueError for a name that cannot be a site's."""
        check_name(site, "site")
        now = now.replace(microsecond=0)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = subject_of(site, "Bulkhead site authority")
        certificate = self_signed(subject, key, _usage(signs_certificates=True), now - BACKDATE, now + life)
        return cls(site, certificate, key)

    @classmethod
    def load(cls, certificate_pem: bytes, private_key_pem: bytes) -> Authority:
        """From what `create` made. Raises AuthorityError for anything that is not an authority with its own key."""
        site, certificate, key = load_authority(certificate_pem, private_key_pem)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise AuthorityError("not an authority with an EC key")
        return cls(site, certificate, key)

    def issue(self, leaf: Leaf, now: datetime) -> Issued:
        """Signs a certificate for a fresh key. It ends with the authority at the latest.

        Raises ValueError for a leaf that cannot be, AuthorityError outside the authority's own dates.
        """
        leaf.check()
        now = now.replace(microsecond=0)
        ends = end_of(self.certificate, now, leaf.life)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = subject_of(self.site, leaf.name)
        builder = builder_of(subject, self.certificate.subject, key.public_key(), now - BACKDATE, ends)
        for extension, critical in self._extensions(leaf, key.public_key()):
            builder = builder.add_extension(extension, critical)
        certificate = builder.sign(self.key, hashes.SHA256())
        return Issued(certificate, key, certificate_pem(certificate) + certificate_pem(self.certificate))

    def _extensions(self, leaf: Leaf, public_key: ec.EllipticCurvePublicKey) -> list[tuple[x509.ExtensionType, bool]]:
        uses = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if leaf.is_server:
            uses.insert(0, ExtendedKeyUsageOID.SERVER_AUTH)
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(leaf.uri(self.site))]
        names += [x509.DNSName(name) for name in leaf.dns]
        names += [x509.IPAddress(ip) for ip in leaf.ips]
        extensions: list[tuple[x509.ExtensionType, bool]] = [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_usage(signs_certificates=False), True),
            (x509.ExtendedKeyUsage(uses), False),
            (x509.SubjectAlternativeName(names), False),
            (x509.SubjectKeyIdentifier.from_public_key(public_key), False),
            (issuer_id(self.certificate), False),
        ]
        if leaf.role is not None:
            extensions.append((x509.UnrecognizedExtension(ROLE_OID, encode_role(leaf.role)), False))
        return extensions


def certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    """Unencrypted PKCS #8: the gateway starts unattended, so the file's mode is its protection (T69)."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def self_signed(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    usage: x509.KeyUsage,
    begins: datetime,
    ends: datetime,
) -> x509.Certificate:
    """Of an authority below which there is no other."""
    builder = builder_of(subject, subject, key.public_key(), begins, ends)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(usage, critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    return builder.sign(key, hashes.SHA256())


def load_authority(certificate_pem: bytes, private_key_pem: bytes) -> tuple[str, x509.Certificate, PrivateKeyTypes]:
    """Its site, certificate and key. Raises AuthorityError for anything that is not an authority with its own key."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        key = serialization.load_pem_private_key(private_key_pem, password=None)
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.ExtensionNotFound, InvalidSignature) as fault:
        raise AuthorityError(f"not a self-signed authority and its key ({type(fault).__name__})") from fault
    if not constraints.ca:
        raise AuthorityError("the certificate is not an authority's")
    if key.public_key() != certificate.public_key():
        raise AuthorityError("the key belongs to another certificate")
    names = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    if len(names) != 1:
        raise AuthorityError("the authority names no site")
    return str(names[0].value), certificate, key


def end_of(authority: x509.Certificate, now: datetime, life: timedelta) -> datetime:
    """When what it signs now ends: with the authority at the latest. Raises AuthorityError outside its own dates."""
    first, last = authority.not_valid_before_utc, authority.not_valid_after_utc
    if not first <= now < last:
        raise AuthorityError(f"the authority is valid from {first} to {last}")
    return min(now + life, last)


def issuer_id(authority: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    own = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def subject_of(site: str, name: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, site), x509.NameAttribute(NameOID.COMMON_NAME, name)]
    )


def builder_of(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    begins: datetime,
    ends: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())  # 159 random bits; the CA/B Forum asks for 64
        .not_valid_before(begins)
        .not_valid_after(ends)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
