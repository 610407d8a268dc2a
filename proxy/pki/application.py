"""Certificates of OPC UA applications (OPC 10000-6, 6.2.2), and the authority that issues them.

The security policies of OPC UA that are in use ask for RSA all the way, so the site has a second authority beside the
EC one of `proxy.pki.authority`. A certificate names its application by one URI, the ApplicationUri; it holds no SPIFFE
id and no role, so that nobody becomes a device of the site by it unless the operator has bound that URI to the device.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from proxy.pki.authority import (
    BACKDATE,
    AuthorityError,
    builder_of,
    certificate_pem,
    end_of,
    issuer_id,
    key_pem,
    load_authority,
    self_signed,
    subject_of,
)
from proxy.pki.leaf import Leaf, check_name

AUTHORITY_BITS = 3072
AUTHORITY_LIFE = timedelta(days=3650)
APPLICATION_LIFE = timedelta(days=365)
LIST_LIFE = timedelta(days=365)
"""Servers and clients refuse what comes from an authority whose revocation list has ended."""
BITS = (2048, 3072, 4096)
"""Sizes of keys that all three policies take (OPC 10000-7)."""
MAX_URI = 256


@dataclass(frozen=True, slots=True)
class Application:
    """What to put in an application's certificate. ``uri``: its ApplicationUri; the software itself must be set to the
    same. ``dns`` and ``ips``: where it is dialled, if it is a server."""

    name: str
    uri: str
    bits: int = 2048
    life: timedelta = APPLICATION_LIFE
    dns: tuple[str, ...] = ()
    ips: tuple[IPv4Address | IPv6Address, ...] = ()

    def check(self) -> None:
        """Raises ValueError with what is wrong."""
        Leaf(self.name, life=self.life, dns=self.dns, ips=self.ips).check()
        check_uri(self.uri)
        if self.bits not in BITS:
            raise ValueError(f"the key has {', '.join(map(str, BITS))} bits")


def check_uri(uri: str) -> str:
    """``uri`` if it can be an ApplicationUri, else ValueError. A SPIFFE id means a device of the site, by TLS alone."""
    scheme, _, rest = uri.partition(":")
    if not (0 < len(uri) <= MAX_URI and uri.isascii() and uri.isprintable() and " " not in uri and scheme and rest):
        raise ValueError(f"an ApplicationUri is at most {MAX_URI} printable ASCII characters, such as urn:hmi-1:viewer")
    if scheme.lower() == "spiffe":
        raise ValueError("a SPIFFE id is no ApplicationUri; write for example urn:hmi-1:viewer")
    return uri


def default_uri(site: str, name: str) -> str:
    return f"urn:bulkhead:{site}:{name}"


@dataclass(frozen=True, slots=True)
class ApplicationIssued:
    """``pem`` is the leaf alone: old servers take no chain, and a file that a trust list names must not bring its
    authority along."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey

    @property
    def pem(self) -> bytes:
        return certificate_pem(self.certificate)

    @property
    def key_pem(self) -> bytes:
        return key_pem(self.key)


@dataclass(frozen=True, slots=True)
class ApplicationAuthority:
    """One site's authority for OPC UA applications. Signs with SHA-256; time is an argument."""

    site: str
    certificate: x509.Certificate
    key: rsa.RSAPrivateKey

    @classmethod
    def create(cls, site: str, now: datetime, bits: int = AUTHORITY_BITS) -> ApplicationAuthority:
        """A new self-signed authority. ``now`` is aware. Raises ValueError for a name that cannot be a site's."""
        check_name(site, "site")
        now = now.replace(microsecond=0)
        key = rsa.generate_private_key(65537, bits)
        subject = subject_of(site, "Bulkhead OPC UA authority")
        certificate = self_signed(subject, key, _usage(authority=True), now - BACKDATE, now + AUTHORITY_LIFE)
        return cls(site, certificate, key)

    @classmethod
    def load(cls, certificate_pem: bytes, private_key_pem: bytes) -> ApplicationAuthority:
        """From what `create` made. Raises AuthorityError for anything that is not an authority with its own key."""
        site, certificate, key = load_authority(certificate_pem, private_key_pem)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise AuthorityError("not an authority with an RSA key")
        return cls(site, certificate, key)

    def issue(self, application: Application, now: datetime, key: rsa.RSAPrivateKey | None = None) -> ApplicationIssued:
        """Signs a certificate for ``key``, or for a fresh one. It ends with the authority at the latest.

        Raises ValueError for an application that cannot be, AuthorityError outside the authority's own dates.
        """
        application.check()
        now = now.replace(microsecond=0)
        ends = end_of(self.certificate, now, application.life)
        if key is None:
            key = rsa.generate_private_key(65537, application.bits)
        subject = subject_of(self.site, application.name)
        builder = builder_of(subject, self.certificate.subject, key.public_key(), now - BACKDATE, ends)
        for extension, critical in self._extensions(application, key.public_key()):
            builder = builder.add_extension(extension, critical)
        return ApplicationIssued(builder.sign(self.key, hashes.SHA256()), key)

    def revocations(self, serials: Iterable[int], now: datetime) -> bytes:
        """The list of revoked certificates, DER: without one, most OPC UA software trusts nothing that comes from an
        authority (OPC 10000-4, 6.1.3: Bad_CertificateIssuerRevocationUnknown)."""
        now = now.replace(microsecond=0)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject)
        builder = builder.last_update(now - BACKDATE).next_update(now + LIST_LIFE)
        builder = builder.add_extension(issuer_id(self.certificate), critical=False)
        builder = builder.add_extension(x509.CRLNumber(int(now.timestamp())), critical=False)
        for serial in sorted(set(serials)):
            one = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
            builder = builder.add_revoked_certificate(one)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)

    def _extensions(self, application: Application, key: rsa.RSAPublicKey) -> list[tuple[x509.ExtensionType, bool]]:
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(application.uri)]
        names += [x509.DNSName(name) for name in application.dns]
        names += [x509.IPAddress(ip) for ip in application.ips]
        uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        return [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_usage(authority=False), True),
            (x509.ExtendedKeyUsage(uses), False),
            (x509.SubjectAlternativeName(names), False),
            (x509.SubjectKeyIdentifier.from_public_key(key), False),
            (issuer_id(self.certificate), False),
        ]


def application_of(certificate: x509.Certificate) -> Application:
    """What the certificate says, for one that is to say the same again. Raises ValueError if it is not of an
    application."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension) as fault:
        raise ValueError("the certificate names no application (no URI)") from fault
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    key = certificate.public_key()
    if len(uris) != 1 or len(common) != 1 or not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("the certificate is not of an OPC UA application")
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc - BACKDATE
    return Application(
        str(common[0].value),
        uris[0],
        key.key_size,
        life,
        tuple(names.get_values_for_type(x509.DNSName)),
        tuple(ip for ip in names.get_values_for_type(x509.IPAddress) if isinstance(ip, IPv4Address | IPv6Address)),
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    """OPC 10000-6, table 48: an application signs (nonRepudiation too) and is sent secrets."""
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=not authority,
        key_encipherment=not authority,
        data_encipherment=not authority,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
