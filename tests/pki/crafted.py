"""Certificates that a proper builder refuses to make, signed by a proper authority.

A signer that takes what it is given (a vendor's script, an old tool) makes such certificates, so they reach us.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from proxy.pki.leaf import Leaf

if TYPE_CHECKING:
    from proxy.pki.authority import Authority

NOW = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
ROLE_OID_DER = bytes.fromhex("06 0b 2b 06 01 04 01 83 89 0c 86 22 01")
SAN_OID_DER = bytes.fromhex("06 03 55 1d 11")

SEQUENCE, OCTETS, EXTENSIONS, URI_NAME = 0x30, 0x04, 0xA3, 0x86

Field = tuple[int, bytes]


def tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def children(content: bytes) -> list[Field]:
    """The (tag, content) of the elements in ``content``."""
    found = []
    at = 0
    while at < len(content):
        tag, size = content[at], content[at + 1]
        at += 2
        if size >= 0x80:
            more = size & 0x7F
            size, at = int.from_bytes(content[at : at + more], "big"), at + more
        found.append((tag, content[at : at + size]))
        at += size
    return found


def der_of(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def extension(oid_der: bytes, value: bytes) -> bytes:
    return tlv(SEQUENCE, oid_der + tlv(OCTETS, value))


def san(*uris: bytes) -> bytes:
    """A subjectAltName extension with these URIs, whatever is in them."""
    return extension(SAN_OID_DER, tlv(SEQUENCE, b"".join(tlv(URI_NAME, uri) for uri in uris)))


def with_more_extensions(authority: Authority, certificate: x509.Certificate, *added: bytes) -> bytes:
    """The DER of ``certificate`` with further extensions at the end, signed anew by ``authority``."""
    fields, algorithm = _fields(certificate)
    fields[-1] = _extensions([*_listed(fields[-1]), *added])
    return _signed(authority, fields, algorithm)


def with_uris(authority: Authority, certificate: x509.Certificate, *uris: bytes) -> bytes:
    """The DER of ``certificate`` with these URIs in place of its own names."""
    fields, algorithm = _fields(certificate)
    fields[-1] = _extensions([*(e for e in _listed(fields[-1]) if SAN_OID_DER not in e), san(*uris)])
    return _signed(authority, fields, algorithm)


def with_serial(authority: Authority, certificate: x509.Certificate, serial: bytes) -> bytes:
    """The DER of ``certificate`` with these content octets as its serial number."""
    fields, algorithm = _fields(certificate)
    fields[1] = (0x02, serial)
    return _signed(authority, fields, algorithm)


def _fields(certificate: x509.Certificate) -> tuple[list[Field], bytes]:
    tbs, algorithm, _ = children(children(der_of(certificate))[0][1])
    return children(tbs[1]), tlv(*algorithm)


def _listed(field: Field) -> list[bytes]:
    tag, explicit = field
    assert tag == EXTENSIONS
    return [tlv(*e) for e in children(children(explicit)[0][1])]


def _extensions(listed: list[bytes]) -> Field:
    return EXTENSIONS, tlv(SEQUENCE, b"".join(listed))


def _signed(authority: Authority, fields: list[Field], algorithm: bytes) -> bytes:
    tbs = tlv(SEQUENCE, b"".join(tlv(*field) for field in fields))
    signature = authority.key.sign(tbs, ec.ECDSA(hashes.SHA256()))
    return tlv(SEQUENCE, tbs + algorithm + tlv(0x03, b"\0" + signature))


def with_role_value(authority: Authority, value: bytes, name: str = "scada") -> bytes:
    """A leaf whose role extension holds ``value`` as it is."""
    plain = authority.issue(Leaf(name), NOW).certificate
    return with_more_extensions(authority, plain, extension(ROLE_OID_DER, value))


def with_subject(authority: Authority, subject: x509.Name) -> bytes:
    """A leaf with any subject and no extensions."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(authority.certificate.subject)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(NOW).not_valid_after(NOW + timedelta(hours=1))
    return der_of(builder.sign(authority.key, hashes.SHA256()))
