"""Which certificates of others may be put on a trust list."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from proxy.pki.certificate import CertificateError
from proxy.pki.trusted import check_application, check_authority, read_certificate
from tests.pki.crafted import NOW

KEY = rsa.generate_private_key(65537, 2048)
URI = "urn:hmi-1:viewer"


def usage(*, signs: bool = False, enciphers: bool = True) -> x509.KeyUsage:
    return x509.KeyUsage(True, True, enciphers, enciphers, False, signs, signs, False, False)


def crafted(
    *,
    uris: tuple[str, ...] = (URI,),
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = KEY,
    ca: bool = False,
    key_usage: x509.KeyUsage | None = None,
    ends: datetime = NOW + timedelta(365),
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "viewer")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(7)
    builder = builder.public_key(key.public_key()).not_valid_before(NOW - timedelta(1)).not_valid_after(ends)
    builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
    if key_usage is not None:
        builder = builder.add_extension(key_usage, critical=True)
    if uris:
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri) for uri in uris])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(key, hashes.SHA256())


def test_what_applications_make_of_themselves_is_taken() -> None:
    """A self-signed one may sign itself: keyCertSign alone makes no authority."""
    for key_usage in (None, usage(), usage(signs=True)):
        check_application(crafted(key_usage=key_usage), NOW)


@pytest.mark.parametrize(
    ("certificate", "wrong"),
    [
        (crafted(uris=()), "0 URIs"),
        (crafted(uris=(URI, "urn:other")), "2 URIs"),
        (crafted(uris=("spiffe://bottling/device/scada",)), "SPIFFE"),
        (crafted(uris=("SPIFFE://bottling/device/scada",)), "SPIFFE"),
        (crafted(uris=("urn:a\x1b[2Jb",)), "printable"),
        (crafted(ca=True), "--authority"),
        (crafted(ca=True, key_usage=usage(signs=True)), "--authority"),
        (crafted(key_usage=usage(enciphers=False)), "keyUsage"),
        (crafted(ends=NOW), "it ended"),
        (crafted(key=rsa.generate_private_key(65537, 1024)), "2048 to 4096"),
        (crafted(key=ec.generate_private_key(ec.SECP256R1())), "RSA"),
    ],
)
def test_what_is_not_taken_is_told(certificate: x509.Certificate, wrong: str) -> None:
    with pytest.raises(CertificateError, match=wrong):
        check_application(certificate, NOW)


def test_t50_an_application_that_may_issue_is_neither() -> None:
    """Or its owner could issue himself the name of any application."""
    both = crafted(ca=True, key_usage=usage(signs=True))
    for check in (check_application, check_authority):
        with pytest.raises(CertificateError):
            check(both, NOW)
    check_authority(crafted(uris=(), ca=True, key_usage=usage(signs=True)), NOW)
    with pytest.raises(CertificateError, match="not of an authority"):
        check_authority(crafted(uris=()), NOW)


def test_one_certificate_and_no_more_is_read_from_a_file() -> None:
    pem, der = (crafted().public_bytes(encoding) for encoding in (Encoding.PEM, Encoding.DER))
    assert read_certificate(pem) == read_certificate(der) == crafted_again(der)
    for data, wrong in (
        (pem + pem, "2 certificates"),
        (b"", "neither"),
        (der[:-1], "neither"),
        (der + b"\0", "neither"),
        (pem[:-40], "neither"),
        (b"-----BEGIN " + b"PRIVATE KEY-----\n", "neither"),
        (bytes(70_000), "too long"),
    ):
        with pytest.raises(CertificateError, match=wrong):
            read_certificate(data)


def crafted_again(der: bytes) -> x509.Certificate:
    return x509.load_der_x509_certificate(der)
