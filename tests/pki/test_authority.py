from __future__ import annotations

import random
import shutil
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from proxy.pki.authority import AUTHORITY_LIFE, Authority, AuthorityError, certificate_pem, key_pem
from proxy.pki.leaf import Leaf, check_name
from tests.pki.crafted import NOW


def uses(certificate: x509.Certificate) -> set[x509.ObjectIdentifier]:
    return set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def test_the_authority_signs_leaves_and_nothing_below_them(authority: Authority) -> None:
    root = authority.certificate
    constraints = root.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical and constraints.value == x509.BasicConstraints(ca=True, path_length=0)
    usage = root.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical and usage.value.key_cert_sign and usage.value.crl_sign
    assert not usage.value.digital_signature
    assert isinstance(root.public_key(), ec.EllipticCurvePublicKey)
    assert root.not_valid_after_utc - root.not_valid_before_utc == AUTHORITY_LIFE + timedelta(minutes=5)
    root.verify_directly_issued_by(root)


def test_a_device_is_a_client_and_no_server(authority: Authority) -> None:
    leaf = authority.issue(Leaf("scada"), NOW).certificate
    assert uses(leaf) == {ExtendedKeyUsageOID.CLIENT_AUTH}
    assert list(names(leaf)) == [x509.UniformResourceIdentifier("spiffe://bottling/device/scada")]
    assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    leaf.verify_directly_issued_by(authority.certificate)


def test_a_device_that_is_dialled_is_a_server_too(authority: Authority) -> None:
    leaf = authority.issue(Leaf("plc-3a", dns=("plc-3a.example",), ips=(ip_address("10.3.0.11"),)), NOW).certificate
    assert uses(leaf) == {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH}
    assert names(leaf).get_values_for_type(x509.DNSName) == ["plc-3a.example"]
    assert names(leaf).get_values_for_type(x509.IPAddress) == [ip_address("10.3.0.11")]


def test_a_person_never_has_the_uri_of_a_device(authority: Authority) -> None:
    leaf = authority.issue(Leaf("scada", kind="person"), NOW).certificate
    assert list(names(leaf)) == [x509.UniformResourceIdentifier("spiffe://bottling/person/scada")]


def test_key_identifiers_link_leaf_and_root(authority: Authority) -> None:
    leaf = authority.issue(Leaf("scada"), NOW).certificate
    own = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    issuer = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert issuer.key_identifier == own.digest


def test_r47_the_chain_is_the_leaf_and_then_the_root(authority: Authority) -> None:
    issued = authority.issue(Leaf("gateway", kind="gateway"), NOW)
    assert x509.load_pem_x509_certificates(issued.chain_pem) == [issued.certificate, authority.certificate]


def test_dates_begin_five_minutes_early_and_end_after_the_life_asked_for(authority: Authority) -> None:
    leaf = authority.issue(Leaf("scada", life=timedelta(hours=8)), NOW).certificate
    assert leaf.not_valid_before_utc == NOW - timedelta(minutes=5)
    assert leaf.not_valid_after_utc == NOW + timedelta(hours=8)


def test_a_leaf_never_outlives_the_authority() -> None:
    authority = Authority.create("bottling", NOW, timedelta(hours=2))
    leaf = authority.issue(Leaf("scada", life=timedelta(days=30)), NOW).certificate
    assert leaf.not_valid_after_utc == authority.certificate.not_valid_after_utc


@pytest.mark.parametrize("shift", [timedelta(days=-1), timedelta(days=3651)])
def test_an_authority_signs_nothing_outside_its_own_dates(authority: Authority, shift: timedelta) -> None:
    with pytest.raises(AuthorityError, match="valid from"):
        authority.issue(Leaf("scada"), NOW + shift)


def test_serial_numbers_are_random_positive_and_longer_than_64_bits(authority: Authority) -> None:
    serials = {authority.issue(Leaf("scada"), NOW).certificate.serial_number for _ in range(200)}
    assert len(serials) == 200
    assert all(0 < serial < 2**159 for serial in serials)
    assert max(serials) > 2**128


def test_t10_two_authorities_of_the_same_site_have_nothing_in_common() -> None:
    first, second = (Authority.create("bottling", NOW) for _ in range(2))
    assert first.key.private_numbers() != second.key.private_numbers()
    assert first.certificate.serial_number != second.certificate.serial_number


def test_t69_neither_authority_nor_leaf_shows_its_key_when_printed(authority: Authority) -> None:
    issued = authority.issue(Leaf("scada"), NOW)
    for holder, key in ((repr(authority), authority.key), (repr(issued), issued.key)):
        secret = key.private_numbers().private_value
        assert f"{secret:x}" not in holder and str(secret) not in holder
        assert "PRIVATE KEY" not in holder


def test_load_takes_back_what_create_made(authority: Authority) -> None:
    again = Authority.load(certificate_pem(authority.certificate), key_pem(authority.key))
    assert again.site == "bottling"
    again.issue(Leaf("scada"), NOW).certificate.verify_directly_issued_by(authority.certificate)


def test_load_refuses_what_is_no_authority_or_not_its_key(authority: Authority) -> None:
    other = Authority.create("bottling", NOW)
    issued = authority.issue(Leaf("scada"), NOW)
    root, key = certificate_pem(authority.certificate), key_pem(authority.key)
    for pem, private in (
        (root, key_pem(other.key)),
        (certificate_pem(issued.certificate), issued.key_pem),
        (b"", key),
        (root, b""),
        (root, root),
    ):
        with pytest.raises(AuthorityError):
            Authority.load(pem, private)


@pytest.mark.timeout(120)
def test_t12_a_name_is_taken_exactly_if_it_is_in_the_closed_alphabet(authority: Authority) -> None:
    rng = random.Random(12)
    good, bad = "abz019._-", "#+/\\%*?: \0\n\r\tABZ@$&'\"`;|<>éßµ\u00ad\u200b\u202e\uff41\u0131\u212a\U0001d41a"
    taken = 0
    for _ in range(100_000):
        letters = rng.choices(good, k=rng.randrange(70))
        for _ in range(rng.choice((0, 0, 1, 3)) if letters else 0):
            letters[rng.randrange(len(letters))] = rng.choice(bad)
        text = "".join(letters)
        proper = 1 <= len(text) <= 64 and set(text) <= set(good) and text[0] not in "._-"
        try:
            check_name(text)
        except ValueError:
            assert not proper, text
        else:
            assert proper, text
            taken += 1
    assert taken > 5_000


@pytest.mark.parametrize("name", ["", "..", "a/b", "../x", "#", "+", "Scada", "sc\0da", "scada\n", "x" * 65, "scädä"])
def test_t12_no_certificate_is_issued_for_another_name(authority: Authority, name: str) -> None:
    with pytest.raises(ValueError, match="a name has"):
        authority.issue(Leaf(name), NOW)
    with pytest.raises(ValueError, match="a site has"):
        Authority.create(name, NOW)


@pytest.mark.parametrize(
    "leaf",
    [
        Leaf("scada", kind="root"),
        Leaf("scada", life=timedelta(0)),
        Leaf("scada", life=timedelta(hours=-1)),
        Leaf("scada", dns=("*.example",)),
        Leaf("scada", dns=("Example",)),
        Leaf("scada", dns=("a..b",)),
        Leaf("scada", role=""),
    ],
)
def test_a_leaf_that_makes_no_sense_is_not_issued(authority: Authority, leaf: Leaf) -> None:
    with pytest.raises(ValueError):
        authority.issue(leaf, NOW)


def contexts(folder: Path, client_age: timedelta = timedelta(0)) -> list[ssl.SSLContext]:
    """A server's context and that of a client whose certificate was issued ``client_age`` ago for 24 hours.

    OpenSSL looks at the machine's clock, so here the time is the real one.
    """
    now = datetime.now(UTC)
    authority = Authority.create("bottling", now - timedelta(days=10))
    (folder / "ca").write_bytes(certificate_pem(authority.certificate))
    gateway = authority.issue(Leaf("gateway", "gateway", dns=("localhost",)), now)
    client = authority.issue(Leaf("scada"), now - client_age)
    made = []
    for protocol, issued in ((ssl.PROTOCOL_TLS_SERVER, gateway), (ssl.PROTOCOL_TLS_CLIENT, client)):
        (folder / "crt").write_bytes(issued.chain_pem)
        (folder / "key").write_bytes(issued.key_pem)
        context = ssl.SSLContext(protocol)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.load_verify_locations(folder / "ca")
        context.load_cert_chain(folder / "crt", folder / "key")
        made.append(context)
    return made


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> ssl.SSLObject:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server, server_hostname="localhost"),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return ends[1]


def test_openssl_takes_both_sides_of_a_strict_mutual_handshake(tmp_path: Path) -> None:
    server, client = contexts(tmp_path)
    end = shake_hands(server, client)
    assert end.version() == "TLSv1.3"
    peer = end.getpeercert()
    assert peer is not None and peer["subjectAltName"] == (("URI", "spiffe://bottling/device/scada"),)


def test_openssl_refuses_an_expired_client(tmp_path: Path) -> None:
    server, client = contexts(tmp_path, client_age=timedelta(hours=25))
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        shake_hands(server, client)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command")
def test_openssl_verifies_the_chain_strictly_for_its_purpose(tmp_path: Path) -> None:
    contexts(tmp_path)  # the client's pair is the last one written
    for purpose, code in (("sslclient", 0), ("sslserver", 2)):
        command = [
            "openssl",
            "verify",
            "-x509_strict",
            "-purpose",
            purpose,
            "-CAfile",
            f"{tmp_path}/ca",
            f"{tmp_path}/crt",
        ]
        assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == code
