"""Frames of UA-TCP: the header that starts each, and the three messages of the connection itself (Part 6, 7.1).

    +------+-------+-------------+---------------------+
    | type | chunk | size u32 LE | size - 8 bytes      |
    +------+-------+-------------+---------------------+
     3 byte  F C A   header included

OPN, MSG and CLO are chunks of the secure channel (`chunks`); HEL, ACK, ERR and RHE are whole messages here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

from proxy.protocols.opcua import status
from proxy.protocols.opcua.wire import Malformed

HEADER = 8
VERSION = 0
"""Of the UA-TCP protocol: there has been one so far."""

SMALLEST_BUFFER = 8_192
BUFFER = 65_535
MAX_URL = 4_096
MAX_REASON = 4_096
FIRST_CHUNK = 8_192
"""Bytes of a chunk that a client without a session may send (protocols.md 4.1)."""
MAX_MESSAGE = 1_048_576
MAX_CHUNKS = 64
MAX_ANSWER = 16_777_216
"""Bytes of an answer that we take from a server."""
MAX_ANSWER_CHUNKS = 2_048

_HEADER = struct.Struct("<3ssI")
_LIMITS = struct.Struct("<5I")
_SIZE = struct.Struct("<i")
_CODE = struct.Struct("<I")
_LEAST = {b"HEL": 32, b"ACK": 28, b"ERR": 16, b"RHE": 16, b"OPN": 32, b"MSG": 24, b"CLO": 24}
_NULL = -1


class Header(NamedTuple):
    """``kind`` is the type (b"MSG"), ``chunk`` b"F", b"C" or b"A", ``size`` bytes with the header."""

    kind: bytes
    chunk: bytes
    size: int

    def pack(self) -> bytes:
        return _HEADER.pack(*self)


def frame_end(data: bytes | bytearray, at: int, limit: int) -> int | None | Malformed:
    """Where the frame that starts at ``at`` ends (exclusive; beyond ``data`` while the rest is still to come).

    None: the header is not complete yet. ``limit``: the most bytes that a frame may have, its header included; a
    longer one is refused before a byte of it has been kept.
    """
    if len(data) - at < HEADER:
        return None
    kind, chunk, size = _HEADER.unpack_from(data, at)
    least = _LEAST.get(kind)
    if least is None:
        return Malformed("a frame of no known type", status.BAD_TCP_MESSAGE_TYPE_INVALID)
    if chunk != b"F" and (kind != b"MSG" or chunk not in (b"C", b"A")):
        return Malformed("a chunk type that does not go with the frame", status.BAD_TCP_MESSAGE_TYPE_INVALID)
    if size < least:
        return Malformed("a frame shorter than its own headers", status.BAD_DECODING_ERROR)
    if size > limit:
        return Malformed(f"a frame of {size} bytes, more than {limit}", status.BAD_TCP_MESSAGE_TOO_LARGE)
    return at + int(size)


def _text(data: bytes, at: int, most: int) -> tuple[str | None, int] | None:
    """A string of at most ``most`` bytes and where it ends; None if there is none such."""
    if len(data) - at < 4:
        return None
    (size,) = _SIZE.unpack_from(data, at)
    at += 4
    if size == _NULL:
        return None, at
    if not 0 <= size <= min(most, len(data) - at):
        return None
    try:
        return data[at : at + size].decode(), at + size
    except UnicodeDecodeError:
        return None


def _string(text: str | None) -> bytes:
    if text is None:
        return _SIZE.pack(_NULL)
    raw = text.encode()
    return _SIZE.pack(len(raw)) + raw


def _frame(kind: bytes, body: bytes) -> bytes:
    return _HEADER.pack(kind, b"F", HEADER + len(body)) + body


class Limits(NamedTuple):
    """What one side takes (HEL) or what both will keep to (ACK), in bytes and chunks; 0 means no limit for the last
    two. ``receive`` and ``send`` are buffers as seen by the one who says it."""

    version: int
    receive: int
    send: int
    message: int
    chunks: int


@dataclass(frozen=True, slots=True)
class Hello:
    """HEL (Part 6, 7.1.2.3)."""

    limits: Limits
    endpoint_url: str | None

    def encode(self) -> bytes:
        return _frame(b"HEL", _LIMITS.pack(*self.limits) + _string(self.endpoint_url))

    @staticmethod
    def decode(frame: bytes) -> Hello | Malformed:
        """Of a whole frame. Buffers below 8,192 bytes are refused: the standard's least."""
        limits = Limits(*_LIMITS.unpack_from(frame, HEADER))
        url = _text(frame, HEADER + _LIMITS.size, MAX_URL)
        if url is None or url[1] != len(frame):
            return Malformed("the endpoint url of HEL is not legal", status.BAD_TCP_ENDPOINT_URL_INVALID)
        if min(limits.receive, limits.send) < SMALLEST_BUFFER:
            return Malformed("a buffer of HEL is below 8192 bytes", status.BAD_TCP_NOT_ENOUGH_RESOURCES)
        return Hello(limits, url[0])


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """ACK (Part 6, 7.1.2.4)."""

    limits: Limits

    def encode(self) -> bytes:
        return _frame(b"ACK", _LIMITS.pack(*self.limits))

    @staticmethod
    def decode(frame: bytes) -> Acknowledge | Malformed:
        if len(frame) != HEADER + _LIMITS.size:
            return Malformed("bytes after ACK", status.BAD_DECODING_ERROR)
        limits = Limits(*_LIMITS.unpack_from(frame, HEADER))
        if min(limits.receive, limits.send) < SMALLEST_BUFFER:
            return Malformed("a buffer of ACK is below 8192 bytes", status.BAD_TCP_NOT_ENOUGH_RESOURCES)
        return Acknowledge(limits)


@dataclass(frozen=True, slots=True)
class ErrorMessage:
    """ERR (Part 6, 7.1.2.5). ``reason`` is the peer's text: shown only through `printable`."""

    status: int
    reason: str | None

    def encode(self) -> bytes:
        return _frame(b"ERR", _CODE.pack(self.status) + _string(self.reason))

    @staticmethod
    def decode(frame: bytes) -> ErrorMessage | Malformed:
        reason = _text(frame, HEADER + _CODE.size, MAX_REASON)
        if reason is None or reason[1] != len(frame):
            return Malformed("the reason of ERR is not legal", status.BAD_DECODING_ERROR)
        return ErrorMessage(_CODE.unpack_from(frame, HEADER)[0], reason[0])
