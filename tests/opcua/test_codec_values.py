"""What policy asks of decoded values: which node an id names, the numbers and texts of a Variant, names of statuses."""

from __future__ import annotations

from struct import pack

import pytest
from hypothesis import given

from proxy.protocols.opcua import status
from proxy.protocols.opcua.node_id import Guid, NodeId
from proxy.protocols.opcua.values import Variant
from proxy.protocols.opcua.wire import Reader, Writer
from tests.opcua.codec_notation import message
from tests.opcua.codec_strategies import variants

NULLS = [
    NodeId.NULL, NodeId(0, 0, 1), NodeId(0, 0, 2), NodeId(0, "", 3), NodeId(0, None, 3), NodeId(0, Guid(16), 4),
    NodeId(0, b"", 5), NodeId(0, None, 5),
]  # fmt: skip


@pytest.mark.parametrize("node", NULLS)
def test_all_null_forms_are_one_node(node: NodeId) -> None:
    """protocols.md 4.5; Part 3, 8.2.4."""
    assert node.key == (0, "i", 0)
    assert node.is_null


def test_the_numeric_forms_of_an_id_are_one_node_and_different_bytes() -> None:
    forms = [NodeId(0, 85, form) for form in (0, 1, 2)]
    assert len({node.key for node in forms}) == 1
    assert len(set(forms)) == 3
    assert NodeId(1, 85, 1).key == NodeId(1, 85, 2).key == (1, "i", 85)


def test_ids_that_differ_are_not_one_node() -> None:
    nodes = [
        NodeId(2, 1, 1), NodeId(2, "1", 3), NodeId(2, b"1", 5), NodeId(2, "", 3), NodeId(2, b"", 5), NodeId(2, 0, 1),
        NodeId(2, Guid(16), 4), NodeId(3, "1", 3), NodeId(2, "a", 3), NodeId(2, "A", 3), NodeId(2, "a ", 3),
        NodeId(2, "é", 3), NodeId(2, "e\u0301", 3),
    ]  # fmt: skip
    assert len({node.key for node in nodes}) == len(nodes)


@pytest.mark.parametrize(
    ("namespace", "number", "form"), [(0, 255, 0), (0, 256, 1), (255, 65535, 1), (256, 1, 2), (0, 65536, 2)]
)
def test_the_shortest_form(namespace: int, number: int, form: int) -> None:
    assert NodeId.numeric(namespace, number) == NodeId(namespace, number, form)


def test_an_id_as_text() -> None:
    guid = Guid.of("09087e75-8e5e-499b-954f-f2a9603db28a")
    assert guid.hex() == "757e08095e8e9b49954ff2a9603db28a"  # Part 6, 5.2.2.6: the first three parts little endian
    assert str(NodeId(1, guid, 4)) == "ns=1;g=09087e75-8e5e-499b-954f-f2a9603db28a"
    assert [str(node) for node in (NodeId(0, 85, 0), NodeId(2, "a", 3), NodeId(2, b"\x01", 5))] == [
        "i=85", "ns=2;s=a", "ns=2;b=01",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("00", None), ("01 01", (1.0,)), ("02 FF", (-1.0,)), ("03 FF", (255.0,)), ("04 00FF", (-256.0,)),
        ("05 00FF", (65280.0,)), ("06 FFFFFFFF", (-1.0,)), ("07 FFFFFFFF", (4294967295.0,)),
        ("08 FFFFFFFFFFFFFFFF", (-1.0,)), ("0A 0000803F", (1.0,)), ("0B 000000000000F03F", (1.0,)),
        ("86 #2 #1 #-2", (1.0, -2.0)), ("86 #0", ()), ("86 -", None), ("C6 #2 #1 #2 #2 #1 #2", (1.0, 2.0)),
        ('0C "1"', None), ("0D 00*8", None), ("13 #0", None), ("98 #1 06 #1", None), ("16 0000 00", None),
    ],
)  # fmt: skip
def test_numbers_of_a_value(text: str, numbers: tuple[float, ...] | None) -> None:
    found = Variant(message(text)).numbers()
    assert found == numbers
    assert all(isinstance(number, float) for number in found or ())


def test_no_number_is_rounded_into_a_limit() -> None:
    assert Variant(b"\x08" + pack("<q", 2**53 + 1)).numbers() == (2**53 + 1,)
    assert Variant(b"\x09" + pack("<Q", 2**64 - 1)).numbers() == (2**64 - 1,)
    (number,) = Variant(b"\x08" + pack("<q", 2**53 + 1)).numbers() or (0,)
    assert number > 2.0**53


def test_numbers_that_are_none_stay() -> None:
    (number,) = Variant.of_double(float("nan")).numbers() or (0,)
    assert number != number
    assert Variant.of_double(float("inf")).numbers() == (float("inf"),)


def test_strings_of_a_value() -> None:
    assert Variant.of_string("a").strings() == ("a",)
    assert Variant.of_string(None).strings() == (None,)
    assert Variant.of_strings(("a", None, "")).strings() == ("a", None, "")
    assert Variant(message("8C -")).strings() is None
    assert Variant.of_int32(1).strings() is None


def test_values_that_are_made() -> None:
    assert Variant.of_int32(-7).numbers() == (-7.0,)
    assert Variant.of_bool(True).raw == b"\x01\x01"
    assert Variant.of_strings(()).raw == message("8C #0")
    assert (Variant.of_double(1).kind, Variant.of_double(1).is_array) == (11, False)
    assert (Variant.of_strings(()).kind, Variant.of_strings(()).is_array) == (12, True)


@given(variants())
def test_every_value_answers(value: Variant) -> None:
    value.numbers()
    value.strings()
    reader = Reader(value.raw)
    assert Variant.read(reader) == value
    reader.done()


@pytest.mark.parametrize(
    "node",
    [NodeId(0, "a", 2), NodeId(0, 5, 3), NodeId(0, b"short", 4), NodeId(0, "a", 5), NodeId(0, 5, 6)],
)
def test_an_id_without_an_encoding_is_not_written(node: NodeId) -> None:
    with pytest.raises(ValueError, match="another type"):
        node.write(Writer())


def test_status_codes() -> None:
    """The numbers of protocols.md 4.8."""
    assert status.BAD_USER_ACCESS_DENIED == 0x801F0000
    assert status.BAD_NODE_ID_UNKNOWN == 0x80340000
    assert status.BAD_TCP_MESSAGE_TOO_LARGE == 0x80800000
    assert status.BAD_SESSION_ID_INVALID == 0x80250000
    assert status.name_of(0x801F0000) == status.name_of(0x801F0480) == "Bad_UserAccessDenied"
    assert status.name_of(0) == "Good"
    assert status.name_of(0x8FFF0001) == "0x8FFF0001"
    assert [status.is_good(code) for code in (0, 0x40000000, 0x80000000)] == [True, False, False]
    assert [status.is_bad(code) for code in (0, 0x40000000, 0x80000000)] == [False, False, True]
