from __future__ import annotations

import random
import warnings
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from proxy.pki.certificate import (
    MAX_DER_BYTES,
    MAX_URI_CHARACTERS,
    MAX_URIS,
    CertificateError,
    CertificateReader,
    certificate_facts,
)
from proxy.pki.leaf import Leaf
from tests.pki.crafted import (
    NOW,
    der_of,
    san,
    with_more_extensions,
    with_serial,
    with_subject,
    with_uris,
)

if TYPE_CHECKING:
    from proxy.pki.authority import Authority


def common_names(*names: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name, _validate=False) for name in names])


def test_facts_of_an_issued_leaf(authority: Authority) -> None:
    issued = authority.issue(Leaf("scada", role="Operator"), NOW)
    facts = certificate_facts(der_of(issued.certificate))
    assert facts.serial == issued.certificate.serial_number
    assert facts.common_name == "scada"
    assert facts.uris == ("spiffe://bottling/device/scada",)
    assert facts.not_before == (NOW - timedelta(minutes=5)).timestamp()
    assert facts.not_after == (NOW + timedelta(hours=24)).timestamp()
    assert len(facts.sha256) == 64


def test_a_certificate_without_extensions_names_its_common_name_alone(authority: Authority) -> None:
    facts = certificate_facts(with_subject(authority, common_names("old-hmi")))
    assert (facts.common_name, facts.uris, facts.role) == ("old-hmi", (), None)


def test_two_common_names_name_nobody(authority: Authority) -> None:
    assert certificate_facts(with_subject(authority, common_names("scada", "plc-3a"))).common_name is None


@pytest.mark.parametrize("name", ["x" * 65, "a\nb", "\u202egro.elpmaxe"])
def test_a_common_name_that_is_too_long_or_does_not_print_is_refused(authority: Authority, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        der = with_subject(authority, common_names(name))
    with pytest.raises(CertificateError):  # warnings are errors here
        certificate_facts(der)
    with warnings.catch_warnings(), pytest.raises(CertificateError):  # as in production
        warnings.simplefilter("ignore")
        certificate_facts(der)


@pytest.mark.parametrize("serial", [b"\0", b"\xff", b"\x80\x00"])
def test_a_serial_number_below_one_is_refused(authority: Authority, serial: bytes) -> None:
    der = with_serial(authority, authority.issue(Leaf("scada"), NOW).certificate, serial)
    with pytest.raises(CertificateError):
        certificate_facts(der)
    with warnings.catch_warnings(), pytest.raises(CertificateError):
        warnings.simplefilter("ignore")
        certificate_facts(der)


def test_two_lists_of_names_name_nobody(authority: Authority) -> None:
    certificate = authority.issue(Leaf("sensor-3-1"), NOW).certificate
    der = with_more_extensions(authority, certificate, san(b"spiffe://bottling/device/scada"))
    facts = certificate_facts(der)
    assert (facts.uris, facts.common_name, facts.role) == ((), None, None)


@pytest.mark.parametrize(
    "names",
    [
        [b"spiffe://bottling/device/x"] * (MAX_URIS + 1),
        [b"u:" + b"x" * MAX_URI_CHARACTERS],
        [b"spiffe://bottling/device/\x00scada"],
        [b"spiffe://bottling/device/sc\xc3\xa4da"],
        [b"spiffe://bottling/device/sc\nada"],
    ],
    ids=["many", "long", "NUL", "not ASCII", "line break"],
)
def test_uris_beyond_the_caps_or_that_are_not_plain_ascii_are_refused(authority: Authority, names: list[bytes]) -> None:
    leaf = authority.issue(Leaf("scada"), NOW).certificate
    with pytest.raises(CertificateError, match="URI|readable"):
        certificate_facts(with_uris(authority, leaf, *names))


def test_as_many_uris_as_the_cap_allows_are_read(authority: Authority) -> None:
    leaf = authority.issue(Leaf("scada"), NOW).certificate
    names = [b"urn:" + bytes((0x61 + i,)) for i in range(MAX_URIS)]
    assert certificate_facts(with_uris(authority, leaf, *names)).uris == tuple(n.decode() for n in names)


def test_oversized_bytes_are_refused_before_they_are_parsed() -> None:
    with pytest.raises(CertificateError, match="longer than"):
        certificate_facts(bytes(MAX_DER_BYTES + 1))


@given(st.binary(max_size=2000))
def test_any_bytes_are_facts_or_a_certificate_error(data: bytes) -> None:
    with pytest.raises(CertificateError):
        certificate_facts(data)


@pytest.mark.fuzz
@pytest.mark.timeout(120)
def test_mutated_certificates_are_facts_or_a_certificate_error(authority: Authority) -> None:
    der = der_of(authority.issue(Leaf("scada", role="Operator", dns=("a.example",)), NOW).certificate)
    rng = random.Random(20260302)
    read = 0
    for _ in range(20_000):
        mutant = bytearray(der)
        for _ in range(rng.choice((1, 1, 2, 4))):
            mutant[rng.randrange(len(mutant))] = rng.choice((rng.randrange(256), 0, 0x7F, 0x80, 0xFF))
        if rng.random() < 0.1:
            del mutant[rng.randrange(len(mutant)) :]
        try:
            facts = certificate_facts(bytes(mutant))
        except CertificateError:
            continue
        read += 1
        assert facts.role is None or facts.role.isprintable()
    assert 1_000 < read < 19_000  # the mutants reach both ends


def test_the_reader_remembers_and_gives_the_same_answer(authority: Authority) -> None:
    reader = CertificateReader()
    der = der_of(authority.issue(Leaf("scada"), NOW).certificate)
    first = reader.read(der)
    assert reader.read(bytes(bytearray(der))) is first
    assert first == certificate_facts(der)


def test_the_reader_is_bounded_and_forgets_what_was_used_longest_ago(authority: Authority) -> None:
    reader = CertificateReader(2)
    a, b, c = (der_of(authority.issue(Leaf(name), NOW).certificate) for name in ("a", "b", "c"))
    facts = reader.read(a)
    reader.read(b)
    assert reader.read(a) is facts
    reader.read(c)
    assert len(reader) == 2
    assert reader.read(a) is facts  # b went, not a


def test_the_reader_does_not_remember_faults() -> None:
    reader = CertificateReader()
    with pytest.raises(CertificateError):
        reader.read(b"0")
    assert len(reader) == 0
