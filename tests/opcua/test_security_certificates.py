"""Whose certificate is read, and whose is believed (T50, T51; CVE-2022-37013)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from proxy.protocols.opcua.security.certificates import CertificateFault, OwnCertificate, Peer, Trust, cut_chain
from proxy.protocols.opcua.wire import Malformed
from tests.opcua.channel_world import CLIENT, DAY, OTHER, WALL, Wanted, certificate, der, own, peer, pem_of, rsa_key

CA = "ca"
NOW = datetime.fromtimestamp(WALL, UTC)
AUTHORITY = Wanted(CA, uri=None, ca=True, key_cert_sign=True)
ISSUED = Wanted(CLIENT, issuer=CA, ca=False, key_cert_sign=False)


def _der(wanted: Wanted) -> bytes:
    return der(certificate(wanted))


def _pem(wanted: Wanted) -> bytes:
    return certificate(wanted).public_bytes(Encoding.PEM)


def _ec_certificate() -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = certificate(Wanted(CLIENT)).subject
    builder = x509.CertificateBuilder(name, name, key.public_key(), 9)
    return builder.not_valid_before(NOW - DAY).not_valid_after(NOW + DAY).sign(key, hashes.SHA256())


def test_a_peer_is_read() -> None:
    data = _der(Wanted(CLIENT))
    read = Peer.read(data)
    assert isinstance(read, Peer)
    assert (read.der, read.uris) == (data, ("urn:plant:hmi",))
    assert read.thumbprint == certificate(Wanted(CLIENT)).fingerprint(hashes.SHA1())


def test_of_a_chain_the_leaf_counts() -> None:
    leaf, authority = _der(ISSUED), _der(AUTHORITY)
    assert cut_chain(leaf + authority) == [leaf, authority]
    read = Peer.read(leaf + authority)
    assert isinstance(read, Peer)
    assert read.der == leaf


@pytest.mark.parametrize(("bits", "good"), [(1024, False), (2047, False), (2048, True), (4096, True), (4097, False)])
def test_t50_a_key_that_is_too_weak_or_too_dear_is_no_peer(bits: int, good: bool) -> None:
    """Nobody has the private key of these: only the size is looked at before a signature is checked."""
    assert isinstance(Peer.read(_of_size(bits)), Peer) is good


def _of_size(bits: int) -> bytes:
    public = (1 << bits) - 1
    numbers = rsa.RSAPublicNumbers(65537, public)
    wanted = certificate(Wanted(CLIENT))
    builder = x509.CertificateBuilder(wanted.issuer, wanted.subject, numbers.public_key(), 9)
    builder = builder.not_valid_before(NOW - DAY).not_valid_after(NOW + DAY)
    return der(builder.sign(rsa_key(CLIENT), hashes.SHA256()))


def test_t50_an_ec_key_is_no_peer() -> None:
    assert isinstance(Peer.read(der(_ec_certificate())), Malformed)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30",
        b"\x30\x82\x00",
        b"\x30\x82\xff\xff" + bytes(100),
        b"\x30\x80\x00\x00",
        b"junk",
        b"\x30\x82\x00\x00",
    ],
)
def test_t50_what_is_no_certificate_is_no_peer(data: bytes) -> None:
    assert isinstance(Peer.read(data), Malformed)
    assert isinstance(Peer.read(own(CLIENT).der + data[1:] + b"x"), Malformed)


@given(st.binary(max_size=120), st.integers(0, 800))
def test_t50_no_bytes_raise(data: bytes, at: int) -> None:
    good = own(CLIENT).der
    for one in (data, good[:at] + data + good[at + len(data) :], good + data):
        assert isinstance(Peer.read(one), Peer | Malformed)


def test_t50_a_chain_is_three_certificates_at_most() -> None:
    """CVE-2022-37013: a chain whose certificates issue each other is just too long."""
    data = own(CLIENT).der
    assert isinstance(cut_chain(data * 3), list)
    assert isinstance(cut_chain(data * 4), Malformed)


def test_t50_a_certificate_is_4_kib_at_most() -> None:
    assert isinstance(cut_chain(b"\x30\x82\x0f\xfc" + bytes(4_092)), list)
    assert isinstance(cut_chain(b"\x30\x82\x0f\xfd" + bytes(4_093)), Malformed)


def test_a_listed_certificate_is_trusted() -> None:
    for listed in (_der(Wanted(CLIENT)), _pem(Wanted(CLIENT)), _pem(Wanted(OTHER)) + _pem(Wanted(CLIENT))):
        assert Trust([listed]).accepts(_der(Wanted(CLIENT)), WALL) is None


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(OTHER),
        Wanted(CLIENT, uri="urn:plant:other"),
        Wanted(OTHER, name=CLIENT),
        Wanted(CLIENT, ca=True),
        replace(ISSUED, issuer=OTHER),
    ],
    ids=["another", "another uri", "the same name", "another form", "issued by another"],
)
def test_t51_a_certificate_that_is_not_listed_is_not_trusted(wanted: Wanted) -> None:
    assert Trust([_der(Wanted(CLIENT))]).accepts(_der(wanted), WALL) is not None


def test_what_a_listed_authority_issued_is_trusted() -> None:
    trust = Trust([_pem(AUTHORITY)])
    assert trust.accepts(_der(ISSUED), WALL) is None
    assert trust.accepts(_der(ISSUED) + _der(AUTHORITY), WALL) is None


@pytest.mark.parametrize(
    "wanted",
    [
        replace(ISSUED, issuer=OTHER, name=CA),
        replace(ISSUED, ca=True),
        replace(ISSUED, key_cert_sign=True),
        AUTHORITY,
    ],
    ids=[
        "signed by another of that name",
        "an authority",
        "signs certificates",
        "itself",
    ],
)
def test_t51_a_forged_or_misused_certificate_is_not_trusted(wanted: Wanted) -> None:
    assert Trust([_pem(AUTHORITY)]).accepts(_der(wanted), WALL) is not None


def test_t51_a_changed_certificate_is_not_trusted() -> None:
    data = bytearray(_der(ISSUED))
    at = data.index(b"urn:plant:hmi")
    data[at : at + 13] = b"urn:plant:plc"
    assert Trust([_pem(AUTHORITY)]).accepts(bytes(data), WALL) is not None


def test_t51_a_chain_brings_no_trust_of_its_own() -> None:
    """The attacker's own authority in the chain, and one that a listed authority issued."""
    stranger = Wanted(OTHER, uri=None, ca=True, key_cert_sign=True)
    assert Trust([_pem(AUTHORITY)]).accepts(_der(replace(ISSUED, issuer=OTHER)) + _der(stranger), WALL) is not None
    below = replace(stranger, issuer=CA)
    assert Trust([_pem(AUTHORITY)]).accepts(_der(replace(ISSUED, issuer=OTHER)) + _der(below), WALL) is not None


@pytest.mark.parametrize("ca", [True, None])
def test_t51_an_application_issues_no_certificates(ca: bool | None) -> None:
    """Old SDKs make self-signed application certificates with cA: who holds one must not make himself other names."""
    listed = Wanted(CLIENT, ca=ca)
    trust = Trust([_der(listed)])
    assert trust.accepts(_der(listed), WALL) is None
    assert trust.accepts(_der(replace(ISSUED, owner=OTHER, issuer=CLIENT)), WALL) is not None


@pytest.mark.parametrize("made", [Wanted(CLIENT), ISSUED], ids=["listed", "issued"])
@pytest.mark.parametrize(("seconds", "good"), [(-1, False), (0, True), (2 * 86_400, True), (2 * 86_400 + 1, False)])
def test_dates_are_looked_at(made: Wanted, seconds: int, good: bool) -> None:
    trust = Trust([_der(made) if made.issuer is None else _pem(AUTHORITY)])
    why = trust.accepts(_der(made), WALL - 86_400 + seconds)
    assert (why is None) is good
    assert good or "expired" in str(why)


def test_an_authority_whose_time_is_over_is_believed_no_more() -> None:
    trust = Trust([_pem(replace(AUTHORITY, ends=NOW - timedelta(hours=1)))])
    assert "authority" in str(trust.accepts(_der(ISSUED), WALL))


def test_uris_are_short_printable_ascii_or_none() -> None:
    for uri in ("urn:" + "x" * 512, "urn:a\nb"):
        read = Peer.read(_der(Wanted(CLIENT, uri=uri)))
        assert isinstance(read, Malformed) or read.uris == ()


def test_our_own_certificate_is_loaded_with_its_chain() -> None:
    key = pem_of(rsa_key(CLIENT))
    loaded = OwnCertificate.load(_pem(ISSUED) + _pem(AUTHORITY), key)
    assert loaded.der == _der(ISSUED)
    assert loaded.chain == _der(ISSUED) + _der(AUTHORITY)
    assert loaded.thumbprint == certificate(ISSUED).fingerprint(hashes.SHA1())
    assert "PrivateKey" not in repr(loaded)
    assert OwnCertificate.load(_der(ISSUED), key).chain == _der(ISSUED)


def test_files_that_do_not_fit_are_told_with_a_mend() -> None:
    key = pem_of(rsa_key(CLIENT))
    for files in ((b"", key), (b"-----BEGIN", key), (_pem(ISSUED), b""), (_pem(ISSUED), pem_of(rsa_key(OTHER)))):
        with pytest.raises(CertificateFault, match=": "):
            OwnCertificate.load(*files)
    with pytest.raises(CertificateFault, match="put the file"):
        Trust([b"not a certificate"])


def test_a_peer_is_compared_by_what_it_is() -> None:
    assert peer(CLIENT) == Peer.read(own(CLIENT).chain)
    assert peer(CLIENT) != peer(OTHER)
