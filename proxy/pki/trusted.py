"""Whether a certificate of somebody else's may be put on a trust list: looked at once, by a person, before it counts.

What is asked is what OPC 10000-6 6.2.2 and the security policies ask of an application, so that a certificate which
no client could ever use is told now and not when the HMI fails to connect.
"""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from proxy.pki.certificate import MAX_DER_BYTES, CertificateError, certificate_facts

LEAST_BITS, MOST_BITS = 2048, 4096
_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_UNREADABLE = (ValueError, x509.InvalidVersion, x509.UnsupportedGeneralNameType, Warning)


def read_certificates(data: bytes) -> list[x509.Certificate]:
    """One certificate in DER, or one or several in PEM. Raises CertificateError."""
    if len(data) > 4 * MAX_DER_BYTES:
        raise CertificateError("the file is too long for a certificate")
    try:
        if not data.lstrip().startswith(b"-----"):
            return [x509.load_der_x509_certificate(data)]
        return x509.load_pem_x509_certificates(data)
    except _UNREADABLE as fault:
        raise CertificateError("the file holds no X.509 certificate, neither PEM nor DER") from fault


def read_certificate(data: bytes) -> x509.Certificate:
    """As `read_certificates`, but only one. Several raise CertificateError: which one is meant?"""
    found = read_certificates(data)
    if len(found) != 1:
        raise CertificateError(f"the file holds {len(found)} certificates: take out all but the one that is meant")
    return found[0]


def check_application(certificate: x509.Certificate, now: datetime) -> None:
    """Raises CertificateError unless it can be that of an application of somebody else's."""
    _check_form(certificate, now)
    if is_authority(certificate):
        raise CertificateError(
            "it may issue certificates to others: --authority trusts whatever comes from it; else have the application"
            " make a certificate with CA:FALSE"
        )
    uris = uris_of(certificate)
    if len(uris) != 1:
        raise CertificateError(
            f"it has {len(uris)} URIs in its subjectAltName and not one, the ApplicationUri: have the application make"
            " another certificate"
        )
    if uris[0].lower().startswith("spiffe:"):
        raise CertificateError("its URI is a SPIFFE id: that names a device by TLS, and no application")
    usage = _extension(certificate, x509.KeyUsage)
    if isinstance(usage, x509.KeyUsage) and not (
        usage.digital_signature and (usage.data_encipherment or usage.key_encipherment)
    ):
        raise CertificateError("its keyUsage lacks digitalSignature and dataEncipherment, which channels need")


def check_authority(certificate: x509.Certificate, now: datetime) -> None:
    """Raises CertificateError unless it is that of an authority, whose applications are all to be trusted."""
    _check_form(certificate, now)
    if not is_authority(certificate):
        raise CertificateError("it is not of an authority (no CA:TRUE with keyCertSign): leave --authority out")
    if uris_of(certificate):
        raise CertificateError(
            "it is of an application that may issue certificates too; have it make one with CA:FALSE"
        )


def is_authority(certificate: x509.Certificate) -> bool:
    constraints = _extension(certificate, x509.BasicConstraints)
    usage = _extension(certificate, x509.KeyUsage)
    signs = not isinstance(usage, x509.KeyUsage) or usage.key_cert_sign
    return isinstance(constraints, x509.BasicConstraints) and constraints.ca and signs


def uris_of(certificate: x509.Certificate) -> tuple[str, ...]:
    names = _extension(certificate, x509.SubjectAlternativeName)
    if not isinstance(names, x509.SubjectAlternativeName):
        return ()
    return tuple(names.get_values_for_type(x509.UniformResourceIdentifier))


def rsa_key(certificate: x509.Certificate) -> rsa.RSAPublicKey | None:
    """Its public key, if that is RSA."""
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, rsa.RSAPublicKey) else None


def _check_form(certificate: x509.Certificate, now: datetime) -> None:
    certificate_facts(certificate.public_bytes(Encoding.DER))  # what the gateway will read of it at each handshake
    key = rsa_key(certificate)
    if key is None or not LEAST_BITS <= key.key_size <= MOST_BITS:
        raise CertificateError(f"its key is not RSA of {LEAST_BITS} to {MOST_BITS} bits, as the security policies ask")
    if not isinstance(certificate.signature_hash_algorithm, _HASHES):
        raise CertificateError("it is not signed with SHA-256 or better: have the application make another")
    if certificate.not_valid_after_utc <= now:
        raise CertificateError(f"it ended {certificate.not_valid_after_utc:%Y-%m-%d}")


def _extension(certificate: x509.Certificate, kind: type[x509.ExtensionType]) -> x509.ExtensionType | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
    except (x509.DuplicateExtension, *_UNREADABLE) as fault:
        raise CertificateError(f"its extensions cannot be read ({type(fault).__name__})") from fault
