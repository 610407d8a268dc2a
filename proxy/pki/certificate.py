"""What identity and policy look at in a client certificate.

The certificate comes from a finished TLS handshake, so its chain is verified: it was signed by an authority of the
site. It is read strictly all the same, because an authority signs what it is given.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from cryptography import x509
from cryptography.x509.oid import NameOID

from proxy.core.facts import CertificateFacts
from proxy.pki.mbaps import ROLE_OID, decode_role

MAX_DER_BYTES = 16_384
MAX_URIS = 8
MAX_URI_CHARACTERS = 512
MAX_COMMON_NAME = 64  # ub-common-name, RFC 5280 appendix A.1


class CertificateError(ValueError):
    """The bytes are no certificate that a link may rest on; the text says why and quotes nothing of it."""


def certificate_facts(der: bytes) -> CertificateFacts:
    """The facts of a DER certificate. Raises CertificateError, and nothing else, for any other bytes.

    A certificate that holds some extension twice (RFC 5280 4.2 forbids it) keeps its serial number and its dates but
    speaks for nobody: no URI, no common name, the NULL role. Which of the two was meant is not ours to guess (R-65).
    """
    if len(der) > MAX_DER_BYTES:
        raise CertificateError(f"longer than {MAX_DER_BYTES} bytes")
    try:
        certificate = x509.load_der_x509_certificate(der)
        return _facts(certificate, hashlib.sha256(der).hexdigest())
    except CertificateError:
        raise
    # pyca reports some faults as warnings (a serial number below 1, a common name over 64 characters): where
    # warnings are errors they arrive here, elsewhere the checks in _facts find the same faults.
    except (ValueError, x509.InvalidVersion, x509.UnsupportedGeneralNameType, Warning) as fault:
        raise CertificateError(f"not a readable certificate ({type(fault).__name__})") from fault


def _facts(certificate: x509.Certificate, sha256: str) -> CertificateFacts:
    serial = certificate.serial_number
    if serial <= 0:
        raise CertificateError("the serial number is not positive")
    common_name = _common_name(certificate.subject)
    uris: tuple[str, ...] = ()
    role = None
    try:
        extensions = certificate.extensions
    except x509.DuplicateExtension:
        common_name = None
    else:
        uris = _uris(extensions)
        role = _role(extensions)
    return CertificateFacts(
        serial=serial,
        common_name=common_name,
        uris=uris,
        role=role,
        not_before=certificate.not_valid_before_utc.timestamp(),
        not_after=certificate.not_valid_after_utc.timestamp(),
        sha256=sha256,
    )


def _common_name(subject: x509.Name) -> str | None:
    """The only common name, or None: two of them name nobody."""
    names = [attribute.value for attribute in subject if attribute.oid == NameOID.COMMON_NAME]
    if len(names) != 1:
        return None
    name = names[0]
    if not isinstance(name, str) or not 0 < len(name) <= MAX_COMMON_NAME or not name.isprintable():
        raise CertificateError(f"the common name is not 1 to {MAX_COMMON_NAME} printable characters")
    return name


def _uris(extensions: x509.Extensions) -> tuple[str, ...]:
    try:
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    uris = tuple(names.get_values_for_type(x509.UniformResourceIdentifier))
    if len(uris) > MAX_URIS:
        raise CertificateError(f"more than {MAX_URIS} URIs")
    for uri in uris:
        # pyca reads UTF-8 here; an IA5String is ASCII (RFC 5280 4.2.1.6), and so is everything that is compared.
        if len(uri) > MAX_URI_CHARACTERS or not uri.isascii() or not uri.isprintable():
            raise CertificateError(f"a URI that is not at most {MAX_URI_CHARACTERS} printable ASCII characters")
    return uris


def _role(extensions: x509.Extensions) -> str | None:
    for extension in extensions:
        if extension.oid == ROLE_OID:
            value = extension.value
            return decode_role(value.value) if isinstance(value, x509.UnrecognizedExtension) else None
    return None


class CertificateReader:
    """`certificate_facts` with a memory, for clients that come again and again with the same certificate.

    Keyed by SHA-256, because equal bytes are all that may share an answer. Holds the ``size`` most recently used.
    What raised is not remembered. Dates and revocation are not answers of this class: they change with time.
    """

    def __init__(self, size: int = 1024) -> None:
        if size < 1:
            raise ValueError("size is at least 1")
        self._size = size
        self._known: OrderedDict[bytes, CertificateFacts] = OrderedDict()

    def read(self, der: bytes) -> CertificateFacts:
        """As `certificate_facts`, and raises the same."""
        key = hashlib.sha256(der).digest()
        known = self._known.get(key)
        if known is not None:
            self._known.move_to_end(key)
            return known
        facts = certificate_facts(der)
        self._known[key] = facts
        if len(self._known) > self._size:
            self._known.popitem(last=False)
        return facts

    def __len__(self) -> int:
        return len(self._known)
