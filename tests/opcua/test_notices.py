"""Handles found by passing over a Publish response are those that the decoder finds, or none are found at all."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.protocols.opcua.decode import decode, decode_inner, encode, make_extension
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.notices import handles_of
from proxy.protocols.opcua.services import subscription as s
from proxy.protocols.opcua.services.messages import ResponseHeader
from proxy.protocols.opcua.values import DataValue, DiagnosticInfo, ExtensionObject, Variant

values = st.one_of(
    st.builds(Variant.of_double, st.floats(allow_nan=False)),
    st.builds(Variant.of_string, st.one_of(st.none(), st.text(max_size=8))),
    st.builds(lambda texts: Variant.of_strings(tuple(texts)), st.lists(st.text(max_size=3), max_size=3)),
)
data_values = st.builds(DataValue, st.one_of(st.none(), values), st.one_of(st.none(), st.integers(0, 2**32 - 1)))
items = st.builds(s.MonitoredItemNotification, st.integers(0, 2**32 - 1), data_values)
infos = st.one_of(st.none(), st.lists(st.just(DiagnosticInfo(b"\x01\x05\x00\x00\x00")), max_size=2).map(tuple))
changes = st.builds(s.DataChangeNotification, st.one_of(st.none(), st.lists(items, max_size=4).map(tuple)), infos)
others = st.sampled_from(
    [
        make_extension(s.StatusChangeNotification(0x800A0000, DiagnosticInfo.NULL)),
        make_extension(s.EventNotificationList((s.EventFieldList(7, ()),))),
        ExtensionObject(NodeId.numeric(0, 811), 0, None),
        ExtensionObject(NodeId.numeric(2, 811), 1, b""),
        ExtensionObject(NodeId(0, 811, 2), 1, b"\xff\xff\xff\xff\xff\xff\xff\xff"),
    ]
)
parts = st.one_of(st.none(), st.lists(st.one_of(changes.map(make_extension), others), max_size=3).map(tuple))
numbers = st.one_of(st.none(), st.lists(st.integers(0, 9), max_size=3).map(tuple))


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    message = s.NotificationMessage(draw(st.integers(0, 9)), 1, draw(parts))
    header = ResponseHeader.make(77, draw(st.sampled_from([0, 0x80000000])))
    more = draw(st.booleans())
    return encode(
        s.PublishResponse(header, draw(st.integers(0, 99)), draw(numbers), more, message, draw(numbers), draw(infos))
    )


def told(body: bytes) -> tuple[int, list[int]] | None:
    """By the decoder; None where something else than values is told."""
    response = decode(body)
    if not isinstance(response, s.PublishResponse):
        return None
    handles: list[int] = []
    for part in response.notification_message.notification_data or ():
        inner = decode_inner(part)
        if not isinstance(inner, s.DataChangeNotification):
            return None
        handles += [one.client_handle for one in inner.monitored_items or ()]
    return response.subscription_id, handles


@settings(max_examples=200, deadline=None)
@given(responses())
def test_it_finds_what_the_decoder_finds(body: bytes) -> None:
    found = handles_of(body)
    assert found is None or found == told(body)
    usual = told(body)
    if (
        usual is not None and b"\x02\x00\x00\x2b\x03\x00\x00" not in body
    ):  # a type id in a longer form goes the long way
        assert found == usual


@settings(max_examples=200, deadline=None)
@given(responses(), st.data())
def test_spoilt_bytes_are_not_taken_for_something_else(body: bytes, data: st.DataObject) -> None:
    """A cut, a changed byte, bytes behind: nothing is found that the decoder does not find."""
    at = data.draw(st.integers(0, len(body) - 1))
    spoilt = bytearray(body)
    spoilt[at] = data.draw(st.integers(0, 255))
    for other in (bytes(spoilt), body[:at], body + b"\0"):
        found = handles_of(other)
        assert found is None or found == told(other)


@pytest.mark.parametrize("end", range(0, 60))
def test_t42_any_beginning_of_one(end: int) -> None:
    change = s.DataChangeNotification((s.MonitoredItemNotification(1, DataValue(Variant.of_int32(1))),), None)
    message = s.NotificationMessage(1, 1, (make_extension(change),))
    body = encode(s.PublishResponse(ResponseHeader.make(77), 9, None, False, message, None, None))
    assert handles_of(body) == (9, [1])
    assert handles_of(body[:end]) is None
