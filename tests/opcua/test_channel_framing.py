"""UA-TCP frames: the three outcomes, HEL, ACK and ERR, and what is none (T42)."""

from __future__ import annotations

import os
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.protocols.opcua import framing, status
from proxy.protocols.opcua.channel import Broke
from proxy.protocols.opcua.framing import Acknowledge, ErrorMessage, Header, Hello, Limits, frame_end
from proxy.protocols.opcua.north_channel import NorthChannel
from proxy.protocols.opcua.wire import Malformed
from tests.opcua.channel_world import none_pair, north_setting, wall

LIMITS = Limits(0, 65_535, 65_535, 0, 0)
URL = "opc.tcp://plc:4840"
TYPE, DECODING = status.BAD_TCP_MESSAGE_TYPE_INVALID, status.BAD_DECODING_ERROR
TOO_LARGE, URL_INVALID = status.BAD_TCP_MESSAGE_TOO_LARGE, status.BAD_TCP_ENDPOINT_URL_INVALID


def _channel() -> NorthChannel:
    return NorthChannel(north_setting(), os.urandom, 0.0, wall)


def _header(kind: bytes, chunk: bytes, size: int) -> bytes:
    return Header(kind, chunk, size).pack()


def test_a_frame_is_incomplete_or_whole() -> None:
    hello = Hello(LIMITS, URL).encode()
    for size in range(framing.HEADER):
        assert frame_end(hello[:size], 0, 8_192) is None
    for size in range(framing.HEADER, len(hello) + 1):
        assert frame_end(hello[:size], 0, 8_192) == len(hello)
    assert frame_end(b"?" + hello, 1, 8_192) == len(hello) + 1


@pytest.mark.parametrize(
    ("head", "wanted"),
    [
        (_header(b"GET", b" ", 100), TYPE),
        (_header(b"hel", b"F", 100), TYPE),
        (_header(b"MSG", b"X", 100), TYPE),
        (_header(b"MSG", b"f", 100), TYPE),
        (_header(b"OPN", b"C", 100), TYPE),
        (_header(b"OPN", b"A", 100), TYPE),
        (_header(b"CLO", b"C", 100), TYPE),
        (_header(b"HEL", b"C", 100), TYPE),
        (_header(b"HEL", b"F", 0), DECODING),
        (_header(b"HEL", b"F", 7), DECODING),
        (_header(b"HEL", b"F", 31), DECODING),
        (_header(b"MSG", b"F", 23), DECODING),
        (_header(b"OPN", b"F", 8), DECODING),
        (_header(b"HEL", b"F", 8_193), TOO_LARGE),
        (_header(b"MSG", b"C", 2**31), TOO_LARGE),
        (_header(b"OPN", b"F", 2**32 - 1), TOO_LARGE),
    ],
)
def test_t42_a_header_that_cannot_be_is_refused_from_its_eight_bytes(head: bytes, wanted: int) -> None:
    end = frame_end(head, 0, 8_192)
    assert isinstance(end, Malformed)
    assert end.status == wanted
    out = bytearray()
    (broke,) = _channel().receive(head, 0.0, out)
    assert isinstance(broke, Broke)
    assert bytes(out) == ErrorMessage(wanted, None).encode()


@given(
    st.tuples(*[st.integers(0, 2**32 - 1)] * 5),
    st.one_of(st.none(), st.text(max_size=50)),
)
def test_hello_acknowledge_and_error_come_back(numbers: tuple[int, ...], text: str | None) -> None:
    limits = Limits(numbers[0], numbers[1] | 8_192, numbers[2] | 8_192, *numbers[3:])
    hello = Hello(limits, text)
    assert Hello.decode(hello.encode()) == hello
    assert Acknowledge.decode(Acknowledge(limits).encode()) == Acknowledge(limits)
    assert ErrorMessage.decode(ErrorMessage(numbers[0], text).encode()) == ErrorMessage(numbers[0], text)


def _hello(url: bytes, *, length: int | None = None, receive: int = 65_535, send: int = 65_535) -> bytes:
    body = struct.pack("<5Ii", 0, receive, send, 0, 0, len(url) if length is None else length) + url
    return _header(b"HEL", b"F", 8 + len(body)) + body


@pytest.mark.parametrize(
    ("frame", "wanted"),
    [
        (_hello(b"u" * 4_097), URL_INVALID),
        (_hello(b"url", length=4), URL_INVALID),
        (_hello(b"url", length=2), URL_INVALID),
        (_hello(b"url", length=-2), URL_INVALID),
        (_hello(b"url", length=2**31 - 1), URL_INVALID),
        (_hello(b"url", length=-1), URL_INVALID),
        (_hello(b"\xff\xfe"), URL_INVALID),
        (_hello(b"url", receive=8_191), status.BAD_TCP_NOT_ENOUGH_RESOURCES),
        (_hello(b"url", send=0), status.BAD_TCP_NOT_ENOUGH_RESOURCES),
    ],
)
def test_t42_a_hello_that_lies_is_refused(frame: bytes, wanted: int) -> None:
    out = bytearray()
    (broke,) = _channel().receive(frame, 0.0, out)
    assert isinstance(broke, Broke)
    assert broke.status == wanted


def test_a_hello_at_its_limits_is_taken() -> None:
    for frame in (_hello(b"u" * 4_096, receive=8_192, send=8_192), _hello(b"", length=-1)):
        channel, out = _channel(), bytearray()
        assert channel.receive(frame, 0.0, out) == []
        assert out[:3] == b"ACK"
        assert isinstance(Acknowledge.decode(bytes(out)), Acknowledge)


def test_the_acknowledge_says_what_both_keep_to() -> None:
    channel, out = _channel(), bytearray()
    channel.receive(_hello(b"url", receive=10_000, send=2**32 - 1), 0.0, out)
    acknowledge = Acknowledge.decode(bytes(out))
    assert acknowledge == Acknowledge(Limits(0, 65_535, 10_000, 1_048_576, 64))


@pytest.mark.parametrize("first", [b"MSG", b"CLO", b"OPN", b"ACK", b"ERR", b"RHE"])
def test_t42_the_first_frame_is_a_hello(first: bytes) -> None:
    frame = _header(first, b"F", 40) + bytes(32)
    (broke,) = _channel().receive(frame, 0.0, bytearray())
    assert isinstance(broke, Broke)
    assert broke.status == TYPE


@pytest.mark.parametrize("second", [b"HEL", b"ACK", b"ERR", b"MSG", b"CLO"])
def test_t42_what_follows_a_hello_is_an_opn(second: bytes) -> None:
    channel = _channel()
    channel.receive(_hello(b"url"), 0.0, bytearray())
    (broke,) = channel.receive(_header(second, b"F", 40) + bytes(32), 0.0, bytearray())
    assert isinstance(broke, Broke)
    assert broke.status == TYPE


@given(st.lists(st.binary(max_size=80), max_size=6), st.booleans())
def test_t42_no_bytes_raise_and_none_are_kept_beyond_a_frame(pieces: list[bytes], greeted: bool) -> None:
    channel = _channel()
    if greeted:
        channel.receive(_hello(b"url"), 0.0, bytearray())
    for piece in pieces:
        channel.receive(piece, 0.0, bytearray())
    assert len(channel._rest) <= 8_192


@given(st.binary(max_size=400), st.sampled_from([b"OPN", b"MSG", b"CLO"]))
def test_t42_no_body_of_a_frame_raises(body: bytes, kind: bytes) -> None:
    """Behind a legal header, before and after the channel is open."""
    frame = _header(kind, b"F", 8 + len(body)) + body
    channel = _channel()
    channel.receive(_hello(b"url"), 0.0, bytearray())
    channel.receive(frame, 0.0, bytearray())
    pair = none_pair()
    pair.gives(frame)
    pair = none_pair()
    pair.south.receive(frame, 0.0, bytearray())
