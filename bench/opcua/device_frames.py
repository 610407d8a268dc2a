"""Frames of the quick device: HEL, OPN with policy None, chunks of messages in any cut."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from proxy.protocols.opcua import framing
from proxy.protocols.opcua.chunks import split
from proxy.protocols.opcua.decode import decode, encode
from proxy.protocols.opcua.framing import Acknowledge, Limits
from proxy.protocols.opcua.opening import OpenBody, plain_body, read_open, seal_open
from proxy.protocols.opcua.security.policies import NONE
from proxy.protocols.opcua.services.channel import (
    ChannelSecurityToken,
    OpenSecureChannelRequest,
    OpenSecureChannelResponse,
)
from proxy.protocols.opcua.services.messages import ResponseHeader
from proxy.protocols.opcua.wire import Malformed

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

MESSAGE = Struct("<4sIIIII")
"""MSG and chunk, size, channel, token, sequence, request."""
_ANSWER = Struct("<4sqIIBi3s")
_ROOM = framing.BUFFER - MESSAGE.size


def head_of(kind: bytes, handle: int) -> bytes:
    """Type of an answer, and its ResponseHeader: Good, and nothing in it."""
    return _ANSWER.pack(kind, 0, handle, 0, 0, -1, b"\0\0\0")


class Frames:
    """One connection. What a subclass says goes out with one send for each read."""

    def __init__(self, link: socket.socket, number: Callable[[], int]) -> None:
        self.link = link
        self._number = number
        self._channel = 0
        self._token = 0
        self._sent = 0
        self._rest = b""
        self._parts: list[bytes] = []
        self._out = bytearray()
        self._reading = False

    def message(self, request: int, body: bytes) -> None:
        """One whole request."""
        raise NotImplementedError

    def gone(self) -> None:
        """The connection ended."""
        raise NotImplementedError

    def readable(self) -> bool:
        """False when the connection ended, or must."""
        try:
            data = self.link.recv(65536)
        except ConnectionError:
            data = b""
        if not data or not self._read(self._rest + data if self._rest else data):
            self.gone()
            self.link.close()
            return False
        return True

    def _read(self, data: bytes) -> bool:
        at, size = 0, len(data)
        self._reading = True
        while size - at >= framing.HEADER:
            end = at + int.from_bytes(data[at + 4 : at + 8], "little")
            if end > size:
                break
            if not self._frame(data[at:end]):
                return False
            at = end
        self._rest = data[at:]
        self._reading = False
        self._flush()
        return True

    def _frame(self, frame: bytes) -> bool:
        kind = frame[:4]
        if kind == b"MSGF" and not self._parts:
            self.message(int.from_bytes(frame[20:24], "little"), frame[MESSAGE.size :])
        elif kind in (b"MSGC", b"MSGF"):
            self._parts.append(frame[MESSAGE.size :])
            if kind == b"MSGF":
                body, self._parts = b"".join(self._parts), []
                self.message(int.from_bytes(frame[20:24], "little"), body)
        elif kind == b"HELF":
            self._out += Acknowledge(Limits(0, framing.BUFFER, framing.BUFFER, 0, 0)).encode()
        elif kind == b"OPNF":
            return self._open(frame)
        else:
            return False
        return True

    def _open(self, frame: bytes) -> bool:
        chunk = read_open(frame)
        said = None if isinstance(chunk, Malformed) else plain_body(chunk)
        asked = None if said is None else decode(said.body)
        if said is None or not isinstance(asked, OpenSecureChannelRequest):
            return False
        self._channel = self._channel or self._number()
        self._token += 1
        issued = ChannelSecurityToken(self._channel, self._token, 0, asked.requested_lifetime or 3_600_000)
        answer = OpenSecureChannelResponse(ResponseHeader.make(asked.header.request_handle), 0, issued, None)
        self._sent += 1
        self._out += seal_open(NONE, self._channel, None, None, OpenBody(self._sent, said.request, encode(answer)))
        return True

    def say(self, request: int, body: bytes) -> None:
        """An answer."""
        for chunk, part in split(body, _ROOM) if len(body) > _ROOM else ((b"F", body),):
            self._sent += 1
            size = MESSAGE.size + len(part)
            self._out += MESSAGE.pack(b"MSG" + chunk, size, self._channel, self._token, self._sent, request) + part
        if not self._reading:
            self._flush()

    def _flush(self) -> None:
        if self._out:
            try:
                self.link.sendall(self._out)
            except ConnectionError:
                pass  # the end comes with the next read
            self._out.clear()
