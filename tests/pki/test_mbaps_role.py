"""The role in a client certificate: MB-TCP-Security v36, R-21 to R-23 and R-65, as protocols.md 5.6 has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.pki.certificate import certificate_facts
from proxy.pki.leaf import Leaf
from proxy.pki.mbaps import MAX_ROLE, decode_role, encode_role
from tests.pki.crafted import (
    NOW,
    ROLE_OID_DER,
    der_of,
    extension,
    with_more_extensions,
    with_role_value,
)

if TYPE_CHECKING:
    from proxy.pki.authority import Authority


def test_r21_r22_the_oid_and_the_value_are_the_standards_bytes(authority: Authority) -> None:
    der = der_of(authority.issue(Leaf("scada", role="Operator"), NOW).certificate)
    assert ROLE_OID_DER + bytes.fromhex("04 0a 0c 08") + b"Operator" in der
    assert certificate_facts(der).role == "Operator"


@pytest.mark.parametrize(
    "role", ["ReadOnlySunSpec", "operator", "OPERATOR", "Operator,Engineer", "Wärter", "a b", "x" * 64]
)
def test_r65_the_whole_string_is_the_role_without_folding_or_splitting(authority: Authority, role: str) -> None:
    der = der_of(authority.issue(Leaf("scada", role=role), NOW).certificate)
    assert certificate_facts(der).role == role


NULL_ROLES = {
    "PrintableString": b"\x13\x08Operator",
    "IA5String": b"\x16\x08Operator",
    "OCTET STRING": b"\x04\x08Operator",
    "SEQUENCE around it": b"\x30\x0a\x0c\x08Operator",
    "raw bytes without the tag": b"Operator",
    "raw bytes that begin like a tag": b"\x0cperator",
    "empty string": b"\x0c\x00",
    "empty value": b"",
    "tag alone": b"\x0c",
    "trailing byte": b"\x0c\x08Operator\x00",
    "second string": b"\x0c\x08Operator\x0c\x08Engineer",
    "shorter than it says": b"\x0c\x09Operator",
    "longer than it says": b"\x0c\x07Operator",
    "length in long form where short would do": b"\x0c\x81\x08Operator",
    "length with a leading zero": b"\x0c\x82\x00\x80" + b"x" * 128,
    "indefinite length": b"\x0c\x80Operator\x00\x00",
    "constructed": b"\x2c\x0a\x0c\x08Operator",
    "longer than 255 bytes": b"\x0c\x82\x01\x00" + b"x" * 256,
    "invalid UTF-8": b"\x0c\x08Operat\xff\xff",
    "overlong UTF-8": b"\x0c\x02\xc0\xaf",
    "surrogate": b"\x0c\x03\xed\xa0\x80",
    "NUL inside": b"\x0c\x09Operator\x00",
    "line break inside": b"\x0c\x09Operator\n",
}


@pytest.mark.parametrize("value", NULL_ROLES.values(), ids=NULL_ROLES.keys())
def test_r23_r65_anything_but_one_strict_utf8string_is_the_null_role(authority: Authority, value: bytes) -> None:
    facts = certificate_facts(with_role_value(authority, value))
    assert facts.role is None
    assert facts.uris == ("spiffe://bottling/device/scada",)  # it was read, and everything else of it holds


def test_r23_no_role_extension_is_the_null_role(authority: Authority) -> None:
    assert certificate_facts(der_of(authority.issue(Leaf("scada"), NOW).certificate)).role is None


@pytest.mark.parametrize("second", ["Operator", "Engineer"])
def test_r65_two_role_extensions_are_the_null_role_and_name_nobody(authority: Authority, second: str) -> None:
    certificate = authority.issue(Leaf("scada", role="Operator"), NOW).certificate
    der = with_more_extensions(authority, certificate, extension(ROLE_OID_DER, encode_role(second)))
    facts = certificate_facts(der)
    assert (facts.role, facts.uris, facts.common_name) == (None, (), None)
    assert facts.serial == certificate.serial_number  # so it can be recorded and revoked


def test_r65_one_readable_role_beside_an_unreadable_one_is_still_two(authority: Authority) -> None:
    certificate = authority.issue(Leaf("scada", role="Operator"), NOW).certificate
    der = with_more_extensions(authority, certificate, extension(ROLE_OID_DER, b""))
    assert certificate_facts(der).role is None


def test_r21_a_role_under_a_neighbouring_oid_is_none(authority: Authority) -> None:
    neighbour = ROLE_OID_DER[:-1] + b"\x02"
    certificate = authority.issue(Leaf("scada"), NOW).certificate
    der = with_more_extensions(authority, certificate, extension(neighbour, encode_role("Operator")))
    assert certificate_facts(der).role is None


def test_r20_the_role_of_the_issuer_is_not_the_clients(authority: Authority) -> None:
    root = with_more_extensions(
        authority, authority.certificate, extension(ROLE_OID_DER, encode_role("SuperAdministratorSunSpec"))
    )
    assert certificate_facts(root).role == "SuperAdministratorSunSpec"
    assert certificate_facts(der_of(authority.issue(Leaf("scada"), NOW).certificate)).role is None


@given(st.text(min_size=1, max_size=MAX_ROLE))
def test_what_can_be_issued_is_read_back(role: str) -> None:
    try:
        value = encode_role(role)
    except ValueError:
        return
    assert decode_role(value) == role


@given(st.binary(max_size=300) | st.binary(max_size=40).map(lambda b: bytes((0x0C, len(b))) + b))
def test_only_the_one_canonical_encoding_of_a_role_is_read(value: bytes) -> None:
    role = decode_role(value)
    if role is not None:
        octets = role.encode()
        assert value == b"\x0c" + (b"\x81" if len(octets) > 127 else b"") + bytes((len(octets),)) + octets


def test_a_role_of_128_bytes_takes_the_long_form() -> None:
    role = "ä" * 64
    assert encode_role(role)[:3] == b"\x0c\x81\x80"
    assert decode_role(encode_role(role)) == role


@pytest.mark.parametrize("role", ["", " Operator", "Operator ", "x" * 65, "a\nb", "e\u0301"])
def test_a_role_that_no_rule_could_name_is_not_issued(role: str) -> None:
    with pytest.raises(ValueError, match="role"):
        encode_role(role)
