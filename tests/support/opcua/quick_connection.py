"""One connection of the quick server: frames, the channel, and a way round the codec for what is asked again."""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from proxy.protocols.opcua import framing, status, type_ids
from proxy.protocols.opcua.chunks import split
from proxy.protocols.opcua.decode import Malformed, decode, encode, header_of, make_extension
from proxy.protocols.opcua.framing import Acknowledge, Hello, Limits
from proxy.protocols.opcua.opening import OpenBody, plain_body, read_open, seal_open
from proxy.protocols.opcua.security.policies import NONE
from proxy.protocols.opcua.services.channel import (
    ChannelSecurityToken,
    OpenSecureChannelRequest,
    OpenSecureChannelResponse,
)
from proxy.protocols.opcua.services.fault import ServiceFault
from proxy.protocols.opcua.services.messages import Request, ResponseHeader
from proxy.protocols.opcua.services.subscription import (
    DataChangeNotification,
    MonitoredItemNotification,
    NotificationMessage,
    PublishResponse,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.protocols.opcua.structures import Struct
    from proxy.protocols.opcua.values import DataValue
    from tests.support.opcua.quick_server import QuickServer

_MESSAGE = struct.Struct("<3ssIIIII")
"""MSG, chunk, size, channel, token, sequence, request."""
_ANSWER = struct.Struct("<BBHqIIBi3s")
"""Type NodeId in four bytes, then a ResponseHeader with nothing in it."""
_READ = struct.pack("<BBH", 1, 0, type_ids.READ_REQUEST)
_TOKENS = {0: 2, 1: 4, 2: 7}
"""Bytes of a token by the form of its NodeId; others are not quick."""
_FIXED = 27
"""Bytes of a RequestHeader after its token, if it holds no text and nothing additional."""
_HEAD = 24
_ROOM = framing.BUFFER - _HEAD


@dataclass
class Item:
    """Of a subscription: what it watches, and what the client calls it."""

    subscription: int
    handle: int
    name: str


class Connection(asyncio.Protocol):
    def __init__(self, server: QuickServer) -> None:
        self.server = server
        self.channel = 0
        self.token = 1
        self.items: dict[int, Item] = {}
        self.sequences: dict[int, int] = {}
        self.publishes: deque[tuple[int, Request]] = deque()
        self.waiting: deque[tuple[Item, DataValue]] = deque()
        self._rest = b""
        self._parts: list[bytes] = []
        self._sent = 0
        self._transport: asyncio.Transport | None = None
        self._request = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data if self._rest else data
        at, size = 0, len(data)
        while size - at >= 8:
            end = at + int.from_bytes(data[at + 4 : at + 8], "little")
            if end > size:
                break
            self._frame(data[at:end])
            at = end
        self._rest = data[at:]

    def _frame(self, frame: bytes) -> None:
        kind = frame[:3]
        if kind == b"MSG":
            request = int.from_bytes(frame[20:24], "little")
            if frame[3:4] == b"F" and not self._parts:
                self._message(request, frame[_HEAD:])
                return
            self._parts.append(frame[_HEAD:])
            if frame[3:4] == b"F":
                body, self._parts = b"".join(self._parts), []
                self._message(request, body)
        elif kind == b"HEL":
            hello = Hello.decode(frame)
            assert isinstance(hello, Hello), hello
            self.transmit(Acknowledge(Limits(0, framing.BUFFER, framing.BUFFER, 0, 0)).encode())
        elif kind == b"OPN":
            self._open(frame)
        elif self._transport is not None:
            self._transport.close()

    def _open(self, frame: bytes) -> None:
        chunk = read_open(frame)
        assert not isinstance(chunk, Malformed), chunk
        said = plain_body(chunk)
        assert said is not None
        asked = decode(said.body)
        assert isinstance(asked, OpenSecureChannelRequest), asked
        if not self.channel:
            self.channel = self.server.number()
        else:
            self.token += 1
        life = asked.requested_lifetime or 3_600_000
        issued = ChannelSecurityToken(self.channel, self.token, 0, life)
        header = ResponseHeader.make(asked.header.request_handle)
        body = encode(OpenSecureChannelResponse(header, 0, issued, None))
        self._sent += 1
        self.transmit(seal_open(NONE, self.channel, None, None, OpenBody(self._sent, said.request, body)))

    def _message(self, request: int, body: bytes) -> None:
        self._request = request
        if body[:4] == _READ and self.server.quick and self._quick_read(request, body):
            return
        asked = decode(body)
        if not isinstance(asked, Request):
            found = header_of(body)
            handle = 0 if isinstance(found, Malformed) else found[1].request_handle
            self.say(request, ServiceFault(ResponseHeader.make(handle, status.BAD_SERVICE_UNSUPPORTED)))
            return
        counts = self.server.asked
        counts[asked.ID] = counts.get(asked.ID, 0) + 1
        make = self.server.answers.get(asked.ID)
        if make is None:
            self.fault(asked, status.BAD_SERVICE_UNSUPPORTED)
            return
        answer = make(self, asked)
        if answer is not None:
            self.say(request, answer)

    def fault(self, asked: Request, code: int) -> None:
        self.say(self._request, ServiceFault(ResponseHeader.make(asked.header.request_handle, code)))

    def _quick_read(self, request: int, body: bytes) -> bool:
        """Answers a Read that was answered before. Only for tokens of four bytes or numbers, and plain headers."""
        size = _TOKENS.get(body[4])
        if size is None:
            return False
        at = 4 + size
        end = at + _FIXED
        if body[at + 16 : at + 20] != b"\xff\xff\xff\xff" or body[end - 3 : end] != b"\0\0\0":
            return False
        tail = self.server.kept.get(body[end:])
        if tail is None:
            asked = decode(body)
            if not isinstance(asked, Request):
                return False
            answer = self.server.answers[type_ids.READ_REQUEST](self, asked)
            assert answer is not None
            tail = self.server.kept[body[end:]] = encode(answer)[_ANSWER.size :]
        counts = self.server.asked
        counts[type_ids.READ_REQUEST] = counts.get(type_ids.READ_REQUEST, 0) + 1
        handle = int.from_bytes(body[at + 8 : at + 12], "little")
        head = _ANSWER.pack(1, 0, type_ids.READ_RESPONSE, 0, handle, 0, 0, -1, b"\0\0\0")
        self.say_bytes(request, head + tail)
        return True

    def say(self, request: int, answer: Struct) -> None:
        self.say_bytes(request, encode(answer))

    def say_bytes(self, request: int, body: bytes) -> None:
        if len(body) <= _ROOM:
            self._sent += 1
            size = _HEAD + len(body)
            self.transmit(_MESSAGE.pack(b"MSG", b"F", size, self.channel, self.token, self._sent, request) + body)
            return
        for chunk, part in split(body, _ROOM):
            self._sent += 1
            size = _HEAD + len(part)
            self.transmit(_MESSAGE.pack(b"MSG", chunk, size, self.channel, self.token, self._sent, request) + part)

    def transmit(self, data: bytes) -> None:
        """Any bytes."""
        if self._transport is not None:
            self._transport.write(data)

    def changed(self, name: str, value: DataValue) -> None:
        for item in self.items.values():
            if item.name == name:
                self.waiting.append((item, value))
        self.report()

    def report(self) -> None:
        """As many notifications as there are Publish requests, one change in each."""
        while self.waiting and self.publishes:
            item, value = self.waiting.popleft()
            request, asked = self.publishes.popleft()
            sequence = self.sequences[item.subscription] = self.sequences.get(item.subscription, 0) + 1
            self.say(request, _notification(asked, item, sequence, value))

    def later(self, act: Callable[[], None]) -> None:
        """After the answer that is being made."""
        asyncio.get_running_loop().call_soon(act)

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def publish(self, asked: Request) -> None:
        self.publishes.append((self._request, asked))
        self.report()


def _notification(asked: Request, item: Item, sequence: int, value: DataValue) -> PublishResponse:
    change = DataChangeNotification((MonitoredItemNotification(item.handle, value),), None)
    message = NotificationMessage(sequence, 0, (make_extension(change),))
    header = ResponseHeader.make(asked.header.request_handle)
    return PublishResponse(header, item.subscription, (sequence,), False, message, None, None)
