"""What a message may cost (T42): memory held against its bytes, nesting, array elements, and time."""

from __future__ import annotations

import time
import tracemalloc
from struct import pack
from typing import Any

import pytest

from proxy.protocols.opcua import status, type_ids
from proxy.protocols.opcua.decode import Malformed, decode, decode_inner, encode, make_extension
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.services.attribute import WriteRequest
from proxy.protocols.opcua.services.filters import ContentFilter, ContentFilterElement, EventFilter, LiteralOperand
from proxy.protocols.opcua.services.messages import Request, RequestHeader, ResponseHeader
from proxy.protocols.opcua.services.view import UnregisterNodesRequest
from proxy.protocols.opcua.spans import split_results
from proxy.protocols.opcua.values import ExtensionObject, Variant
from tests.opcua.codec_notation import message

MIB = 1 << 20
REQUEST, RESPONSE = message("{request}"), message("{response}")
HUGE = pack("<i", 2**31 - 1)


def peak_of(work: Any, *args: Any) -> tuple[Any, int]:
    """What a call gives and the most memory it held at a time."""
    work(*args)  # caches are filled before they are counted
    tracemalloc.start()
    try:
        found = work(*args)
        return found, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def body(number: int, rest: bytes) -> bytes:
    header = RESPONSE if number in (type_ids.READ_RESPONSE, type_ids.WRITE_RESPONSE) else REQUEST
    return b"\x01\x00" + pack("<H", number) + header + rest


NODES = pack("<i", MIB // 2) + b"\0\x48" * (MIB // 2)
VALUE = b"\0\x48" + message("#13 - 01")
FULL = b"\x98" + pack("<i", 60_000) + b"\0" * 60_000
ATTACKS = {
    "2^31 nodes": body(631, bytes(12) + HUGE),
    "2^31 nodes and a megabyte": body(631, bytes(12) + HUGE + b"\0" * MIB),
    "as many nodes as there are bytes": body(566, pack("<i", MIB // 2) + b"\0\x48" * (MIB // 2 - 1) + b"\0"),
    "half a million nodes": body(566, NODES),
    "half a million nodes and a byte": body(566, NODES + b"\0"),
    "a million null variants": body(712, pack("<i", 1) + bytes(4) + pack("<i", MIB) + b"\0" * (MIB - 1)),
    "a million null variants and a byte": body(712, pack("<i", 1) + bytes(4) + pack("<i", MIB) + b"\0" * (MIB + 1)),
    "a string of a megabyte that is none": body(631, bytes(12) + pack("<iB2xi", 1, 3, MIB) + b"\xff" * MIB),
    "variants in variants": body(673, pack("<i", 1) + VALUE + b"\x98\1\0\0\0" * 200_000),
    "arrays of variants in an array": body(673, pack("<i", 1) + VALUE + (b"\x98" + pack("<i", 16) + FULL * 16) * 2),
    "1,000 nodes, the last cut": body(566, pack("<i", 1000) + message('03 0200 "Line1.Speed"') * 999 + b"\x03\x02\0"),
    "60,000 short nodes, the last cut": body(566, pack("<i", 60_000) + b"\1\1\2\1" * 59_999 + b"\1"),
    "many statuses": body(676, pack("<i", MIB) + bytes(4 * MIB)),
    "diagnostics in diagnostics": body(676, b"\xff\xff\xff\xff" + pack("<i", 1) + b"\x40" * MIB),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_what_is_refused_costs_four_times_its_bytes_at_most(name: str) -> None:
    data = ATTACKS[name]
    for work in (decode, split_results):
        found, peak = peak_of(work, data)
        assert isinstance(found, Malformed)
        assert peak <= 4 * len(data) + 65536, (work, peak)


@pytest.mark.parametrize("name", ["2^31 nodes", "2^31 nodes and a megabyte"])
def test_what_lies_about_its_length_costs_nothing(name: str) -> None:
    found, peak = peak_of(decode, ATTACKS[name])
    assert isinstance(found, Malformed)
    assert peak <= 8192


def test_what_is_accepted_costs_by_its_elements() -> None:
    """Objects cost more than the two bytes of a short NodeId: the number of elements bounds them."""
    nodes = tuple(NodeId(0, number % 256, 0) for number in range(1000))
    data = encode(UnregisterNodesRequest(RequestHeader.make(), nodes))
    found, peak = peak_of(decode, data, 1000)
    assert found == UnregisterNodesRequest(RequestHeader.make(), nodes)
    assert peak <= 4 * len(data) + 65536 + 256 * 1000
    refused = decode(data, 999)
    assert isinstance(refused, Malformed)
    assert refused.status == status.BAD_TOO_MANY_OPERATIONS


def test_elements_are_counted_over_the_whole_message() -> None:
    """Browse paths of 100 elements each: neither number alone is large."""
    element = b"\0\x21\0\1" + message('0000 "a"')
    path = b"\0\x55" + pack("<i", 100) + element * 100
    data = body(554, pack("<i", 50) + path * 50)
    assert isinstance(decode(data, 5050), Request)
    refused = decode(data, 5049)
    assert isinstance(refused, Malformed)
    assert refused.status == status.BAD_TOO_MANY_OPERATIONS


@pytest.mark.parametrize("element", [b"\0", b"\x06\1\0\0\0"])
def test_elements_in_a_value_are_counted(element: bytes) -> None:
    """An array is one Variant to policy, and as many steps to whoever passes over it."""
    for count, fits in ((65_000, True), (66_000, False)):
        value = b"\x98" + pack("<i", count) + element * count
        found = decode(body(673, pack("<i", 1) + VALUE + value))
        assert isinstance(found, WriteRequest) is fits
        if not fits:
            assert isinstance(found, Malformed)
            assert found.status == status.BAD_TOO_MANY_OPERATIONS


def test_plain_numbers_are_not_counted() -> None:
    """An array of a million bytes is one step."""
    found = decode(body(673, pack("<i", 1) + VALUE + b"\x83" + pack("<i", MIB) + bytes(MIB)))
    assert isinstance(found, WriteRequest)


def test_results_are_counted() -> None:
    data = body(676, pack("<i", 100) + bytes(400) + b"\xff" * 4)
    assert not isinstance(split_results(data, 100), Malformed)
    refused = split_results(data, 99)
    assert isinstance(refused, Malformed)
    assert refused.status == status.BAD_TOO_MANY_OPERATIONS


def nested_literals(levels: int) -> ExtensionObject:
    """Literals whose value is a literal: what a server opens one inside the other."""
    holder = make_extension(LiteralOperand(Variant.of_bool(True)))
    for _ in range(levels - 1):
        holder = make_extension(LiteralOperand(Variant(b"\x16" + written(holder))))
    return holder


def written(holder: ExtensionObject) -> bytes:
    head = b"\x01\x00" + pack("<H", type_ids.LITERAL_OPERAND)
    return head + b"\x01" + pack("<i", len(holder.body or b"")) + (holder.body or b"")


def test_extension_objects_in_extension_objects() -> None:
    """CVE-2021-27432. A literal in an event filter, in the filter of a monitored item or an additional header."""
    for levels, fits in ((8, True), (9, False), (200, False)):
        header = RequestHeader(NodeId.NULL, 0, 0, 0, None, 0, nested_literals(levels))
        found = decode(encode(UnregisterNodesRequest(header, ())))
        assert isinstance(found, UnregisterNodesRequest) is fits, levels
        clause = ContentFilter((ContentFilterElement(0, (nested_literals(levels),)),))
        inner = decode_inner(make_extension(EventFilter((), clause)))
        assert isinstance(inner, EventFilter) is fits, levels
        if not fits:
            assert isinstance(inner, Malformed)
            assert inner.status == status.BAD_ENCODING_LIMITS_EXCEEDED


def test_a_response_header_that_is_not_the_usual_one() -> None:
    """The quick way over a ResponseHeader and the decoder see the same end."""
    for table, extra in (("#0", "000000"), ('#1 "a"', "000000"), ("-", "01 02 0100 01 (00)"), ("#1 -", "0000 00")):
        for diagnostics in ("00", "01 #0"):
            data = message(f"@676 00*8 #7 #0 {diagnostics} {table} {extra} #1 #0 -")
            split = split_results(data)
            assert not isinstance(split, Malformed)
            assert split.results == (bytes(4),)
            assert len(split.head) == len(data) - 12


@pytest.mark.parametrize("name", ATTACKS)
def test_no_message_takes_long(name: str) -> None:
    """A walk passes over `ELEMENTS` one by one at most. Generous: the machine may be busy."""
    started = time.process_time()
    decode(ATTACKS[name])
    assert time.process_time() - started < 0.5


def test_a_response_header_is_made() -> None:
    header = ResponseHeader.make(7, status.BAD_TIMEOUT, 5)
    assert (header.request_handle, header.service_result, header.timestamp) == (7, status.BAD_TIMEOUT, 5)
