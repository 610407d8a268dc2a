"""Chunks of a secure channel: sequence numbers, and messages put together from chunks (Part 6, 6.7.2).

All that a peer can make us keep is bounded here: bytes and chunks of the one message that may be under way (T43).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from proxy.protocols.opcua import framing, status
from proxy.protocols.opcua.wire import Malformed

LAST_NUMBER = 4_294_966_271
"""UInt32.MaxValue - 1024: above it a sequence number may start again, below 1,024."""
WRAPPED = 1_024


def follows(last: int | None, number: int) -> bool:
    """May ``number`` come after ``last`` (None: nothing came yet, and any may)?"""
    if last is None or number == last + 1:
        return True
    return last > LAST_NUMBER and number < WRAPPED


def after(last: int) -> int:
    """The number to send after ``last``."""
    return 1 if last > LAST_NUMBER else last + 1


class Bounds(NamedTuple):
    """The most that is taken: bytes of a frame, bytes of a message's body, chunks of a message."""

    frame: int
    message: int
    chunks: int


BEFORE_SESSION = Bounds(framing.FIRST_CHUNK, framing.FIRST_CHUNK, 1)
IN_SESSION = Bounds(framing.BUFFER, framing.MAX_MESSAGE, framing.MAX_CHUNKS)
FROM_SERVER = Bounds(framing.BUFFER, framing.MAX_ANSWER, framing.MAX_ANSWER_CHUNKS)


class Assembly:
    """The one message that may be under way on a channel."""

    __slots__ = ("_parts", "_request", "_size")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._request = 0
        self._size = 0

    @property
    def started(self) -> bool:
        return bool(self._parts)

    @property
    def size(self) -> int:
        """Bytes of the message so far."""
        return self._size

    def take(self, chunk: bytes, request: int, body: bytes, bounds: Bounds) -> bytes | None | Malformed:
        """The body of a whole message, None while chunks are missing or after an abort, or why the channel ends.

        ``chunk`` is b"F", b"C" or b"A". Chunks of one message follow each other: another request id between them
        would be a second message under way.
        """
        if self._parts:
            if request != self._request:
                return Malformed("chunks of two messages are mixed", status.BAD_DECODING_ERROR)
        elif chunk == b"F":
            return body if len(body) <= bounds.message else _too_large(bounds)
        if chunk == b"A":
            self.drop()
            return None
        self._request = request
        self._size += len(body)
        self._parts.append(body)
        if self._size > bounds.message or len(self._parts) > bounds.chunks:
            return _too_large(bounds)
        if chunk == b"C":
            # Where a message is one chunk, one that says that more will come is too many.
            return None if len(self._parts) < bounds.chunks else _too_large(bounds)
        whole = b"".join(self._parts)
        self.drop()
        return whole

    def drop(self) -> None:
        self._parts.clear()
        self._size = 0


def _too_large(bounds: Bounds) -> Malformed:
    why = f"a message of more than {bounds.message} bytes or {bounds.chunks} chunks"
    return Malformed(why, status.BAD_TCP_MESSAGE_TOO_LARGE)


def split(body: bytes, room: int) -> Iterator[tuple[bytes, bytes]]:
    """Chunk letter and part, ``room`` bytes each but the last; at least one."""
    last = max(len(body) - 1, 0) // room * room
    for at in range(0, last, room):
        yield b"C", body[at : at + room]
    yield b"F", body[last:]


def count(size: int, room: int) -> int:
    """How many chunks `split` makes of ``size`` bytes."""
    return max(size - 1, 0) // room + 1
