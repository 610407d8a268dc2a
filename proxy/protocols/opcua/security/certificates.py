"""Application instance certificates: our own, a peer's, and whom we trust (Part 6, 6.2; Part 4, 6.1.3).

What a peer sends is read before any trust in it, so each step is bounded: bytes, certificates of a chain, bits of a
key (T50). A chain is cut by the lengths of its DER and walked one step, so it cannot loop (CVE-2022-37013).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from proxy.protocols.opcua import status
from proxy.protocols.opcua.security.policies import MAX_BITS, MIN_BITS
from proxy.protocols.opcua.wire import Malformed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

T = TypeVar("T", bound=x509.ExtensionType)

MAX_CHAIN = 3
MAX_CERTIFICATE = 4_096
MAX_URIS = 8
MAX_URI = 512

_UNREADABLE = (ValueError, UnsupportedAlgorithm, x509.InvalidVersion, x509.UnsupportedGeneralNameType, Warning)
_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


class CertificateFault(ValueError):
    """A file of the operator's that cannot be used. The text says which part, and how to mend it."""


@dataclass(frozen=True, slots=True)
class OwnCertificate:
    """What we prove ourselves with. ``chain`` is what a peer is sent: the leaf, then its issuers, all DER."""

    der: bytes
    key: RSAPrivateKey = field(repr=False)
    chain: bytes
    thumbprint: bytes

    @classmethod
    def load(cls, certificate: bytes, key_pem: bytes) -> OwnCertificate:
        """``certificate`` is PEM (leaf first, then issuers) or DER. Raises CertificateFault."""
        chain = _load(certificate)
        try:
            key = serialization.load_pem_private_key(key_pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as fault:
            raise CertificateFault("the key is no unencrypted PEM key: issue the certificate again") from fault
        if not isinstance(key, RSAPrivateKey) or not MIN_BITS <= key.key_size <= MAX_BITS:
            raise CertificateFault(f"the key is not RSA of {MIN_BITS} to {MAX_BITS} bits, as OPC UA policies want it")
        if key.public_key() != _public_key(chain[0]):
            raise CertificateFault("the key belongs to another certificate: put the pair that was issued together")
        ders = [_der(one) for one in chain[:MAX_CHAIN]]
        return cls(ders[0], key, b"".join(ders), hashlib.sha1(ders[0], usedforsecurity=False).digest())


@dataclass(frozen=True, slots=True)
class Peer:
    """A certificate that a peer showed; nothing is proved by it alone. ``uris`` are those of its subjectAltName:
    empty if it holds one that is no short printable ASCII, or some extension twice. ``thumbprint`` is its SHA-1."""

    der: bytes
    public_key: RSAPublicKey = field(repr=False)
    thumbprint: bytes
    uris: tuple[str, ...]
    certificate: x509.Certificate = field(repr=False, compare=False)

    @staticmethod
    def read(der_chain: bytes) -> Peer | Malformed:
        """The leaf of a SenderCertificate or of a pinned file (DER, a chain as Part 6, 6.2.6 joins it)."""
        chain = cut_chain(der_chain)
        if isinstance(chain, Malformed):
            return chain
        try:
            certificate = x509.load_der_x509_certificate(chain[0])
            key = certificate.public_key()
            uris = _uris(certificate)
        except _UNREADABLE:
            return _invalid("a certificate that cannot be read")
        if not isinstance(key, RSAPublicKey) or not MIN_BITS <= key.key_size <= MAX_BITS:
            return _invalid(f"a certificate whose key is not RSA of {MIN_BITS} to {MAX_BITS} bits")
        thumbprint = hashlib.sha1(chain[0], usedforsecurity=False).digest()
        return Peer(chain[0], key, thumbprint, uris, certificate)


def cut_chain(data: bytes) -> list[bytes] | Malformed:
    """The certificates of a chain, leaf first: each a DER SEQUENCE with a definite length of two or three bytes."""
    parts: list[bytes] = []
    at = 0
    while at < len(data):
        if len(parts) == MAX_CHAIN:
            return _invalid(f"a chain of more than {MAX_CHAIN} certificates")
        if data[at : at + 2] != b"\x30\x82" or at + 4 > len(data):
            return _invalid("a certificate that is no DER sequence")
        end = at + 4 + int.from_bytes(data[at + 2 : at + 4], "big")
        if end > len(data) or end - at > MAX_CERTIFICATE:
            return _invalid(f"a certificate that is cut off or longer than {MAX_CERTIFICATE} bytes")
        parts.append(data[at:end])
        at = end
    return parts or _invalid("no certificate")


class Trust:
    """Whom a listener believes: certificates listed themselves, and what listed authorities issued directly.

    An authority is a certificate for CA use that names no application: a self-signed application certificate that
    says cA (old SDKs make such) speaks for itself alone, or its owner could issue himself anybody's name.
    """

    def __init__(self, certificates: Iterable[bytes]) -> None:
        """Each is PEM (one or several) or DER. Raises CertificateFault."""
        listed = [one for data in certificates for one in _load(data)]
        self._authorities = [one for one in listed if _is_authority(one)]
        self._listed = frozenset(_der(one) for one in listed if not _is_authority(one))

    def accepts(self, chain: bytes, now: float) -> str | None:
        """Why the leaf of ``chain`` (DER) is not trusted; None if it is. ``now``: wall clock, seconds since 1970.

        Only public keys are used. The text is ours and quotes nothing of the certificate.
        """
        peer = Peer.read(chain)
        return peer.why if isinstance(peer, Malformed) else self.accepts_peer(peer, now)

    def accepts_peer(self, peer: Peer, now: float) -> str | None:
        """`accepts` for a certificate that was read already."""
        if not _in_time(peer.certificate, now):
            return "the certificate is expired or not yet valid"
        if peer.der in self._listed:
            return None
        named = [one for one in self._authorities if one.subject == peer.certificate.issuer]
        issuers = [one for one in named if _issued(peer.certificate, one)]
        if not issuers:
            return "the certificate is not in the trust list and was issued by nobody in it"
        if not any(_in_time(one, now) for one in issuers):
            return "the certificate of the authority is expired or not yet valid"
        if not _is_application(peer.certificate):
            return "the certificate is not for an application"
        return None


def _invalid(why: str) -> Malformed:
    return Malformed(why, status.BAD_CERTIFICATE_INVALID)


def _load(data: bytes) -> list[x509.Certificate]:
    try:
        if data.lstrip().startswith(b"-----"):
            return x509.load_pem_x509_certificates(data)
        return [x509.load_der_x509_certificate(data)]
    except _UNREADABLE as fault:
        raise CertificateFault("no X.509 certificate in PEM or DER: put the file that the application shows") from fault


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def _public_key(certificate: x509.Certificate) -> CertificatePublicKeyTypes | None:
    try:
        return certificate.public_key()
    except _UNREADABLE:
        return None


def _in_time(certificate: x509.Certificate, now: float) -> bool:
    return certificate.not_valid_before_utc.timestamp() <= now <= certificate.not_valid_after_utc.timestamp()


def _uris(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension):
        return ()
    uris = tuple(names.get_values_for_type(x509.UniformResourceIdentifier))
    fit = len(uris) <= MAX_URIS and all(len(uri) <= MAX_URI and uri.isascii() and uri.isprintable() for uri in uris)
    return uris if fit else ()


def _extension(certificate: x509.Certificate, kind: type[T]) -> T | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        constraints = _extension(certificate, x509.BasicConstraints)
        usage = _extension(certificate, x509.KeyUsage)
        names_one = bool(_uris(certificate))
    except (x509.DuplicateExtension, *_UNREADABLE):
        return False
    return constraints is not None and constraints.ca and (usage is None or usage.key_cert_sign) and not names_one


def _is_application(certificate: x509.Certificate) -> bool:
    """What an authority issued for signing, and not as an authority of its own (Part 6, 6.2.2)."""
    try:
        constraints = _extension(certificate, x509.BasicConstraints)
        usage = _extension(certificate, x509.KeyUsage)
    except (x509.DuplicateExtension, *_UNREADABLE):
        return False
    return not (constraints is not None and constraints.ca) and (usage is None or usage.digital_signature)


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """A SHA-1 signature counts for nothing: two certificates can share one (T51). pyca does not verify such either."""
    try:
        if not isinstance(certificate.signature_hash_algorithm, _HASHES):
            return False
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, TypeError, *_UNREADABLE):
        return False
    return True
