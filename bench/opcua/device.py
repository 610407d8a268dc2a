"""The quick device behind every target: policy None, everything in memory, one thread and one epoll loop.

``python -m bench.opcua.device`` prints its ports as one line of JSON and serves until it is killed. It must be far
quicker than what it stands behind, so a Read or Write that it was asked before is answered from bytes kept, and a
notification is packed by hand. The control port takes numbers (u32 LE): one of `WATCH_NAMES` changes; `COUNTS` asks
what was seen so far.
"""

from __future__ import annotations

import json
import select
import socket
from collections import deque
from dataclasses import dataclass, field
from struct import Struct
from typing import TYPE_CHECKING

from bench.opcua import names
from bench.opcua.device_answers import ANSWERS, Item, value_of
from bench.opcua.device_frames import Frames, head_of
from proxy.protocols.opcua import status, type_ids
from proxy.protocols.opcua.decode import decode, encode, header_of
from proxy.protocols.opcua.services.attribute import ReadRequest, WriteRequest
from proxy.protocols.opcua.services.fault import ServiceFault
from proxy.protocols.opcua.services.messages import Request, ResponseHeader
from proxy.protocols.opcua.wire import Malformed

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.protocols.opcua.values import DataValue

HOST = "127.0.0.1"
COUNTS = 0xFFFF_FFFF
NUMBER = Struct("<I")
_TYPE = Struct("<BBH")
READ = _TYPE.pack(1, 0, type_ids.READ_REQUEST)
WRITE = _TYPE.pack(1, 0, type_ids.WRITE_REQUEST)
PUBLISH = _TYPE.pack(1, 0, type_ids.PUBLISH_REQUEST)
_PARAMETERS = 35
"""Where they start behind a token of four bytes and a header with nothing in it."""
_ANSWER = Struct("<4sqIIBi3s")
"""Type, then a ResponseHeader with nothing in it."""
_CHANGE = Struct("<IBBd")
"""Client handle, DataValue with a value alone, a Double."""
_PUBLISHED = Struct("<IiBIqi4sBi")
"""Subscription, no available numbers, no more, sequence, time, one ExtensionObject: type, binary, length."""
_DATA_CHANGE = _TYPE.pack(1, 0, type_ids.DATA_CHANGE_NOTIFICATION)
_NULL = b"\xff\xff\xff\xff"


@dataclass(slots=True)
class Subscription:
    """``waiting``: changes that no Publish has taken yet."""

    number: int
    sequence: int = 0
    waiting: dict[int, float] = field(default_factory=dict)


@dataclass(slots=True)
class Kept:
    """What a request that was asked before did and got."""

    answer: bytes
    nodes: int
    write: tuple[tuple[str, DataValue], ...] = ()


class Device:
    """``counts``: requests that are about the plant's nodes, and such elements. What gateways ask for themselves (the
    NamespaceArray, the server's state) is not in them."""

    def __init__(self) -> None:
        self.values = {name: value_of(names.first_value(name)) for name in names.ALL_NAMES}
        self.counts = {"read": 0, "read_nodes": 0, "write": 0, "write_nodes": 0, "changes": 0, "publish": 0}
        self.kept: dict[bytes, Kept] = {}
        self.watchers: dict[str, list[tuple[Connection, Item]]] = {}
        self.changes = names.FIRST_CHANGE
        self._numbers = 0
        self._poll = select.epoll()
        self._handlers: dict[int, Callable[[], bool]] = {}
        self.server = socket.create_server((HOST, 0), backlog=512)
        self.control = socket.create_server((HOST, 0), backlog=8)
        self.port: int = self.server.getsockname()[1]
        self.watch(self.server, lambda: self._accept(self.server, lambda link: Connection(self, link).readable))
        self.watch(self.control, lambda: self._accept(self.control, lambda link: lambda: self._told(link)))

    def number(self) -> int:
        self._numbers += 1
        return self._numbers

    def watch(self, source: socket.socket, handler: Callable[[], bool]) -> None:
        self._handlers[source.fileno()] = handler
        self._poll.register(source, select.EPOLLIN)

    def run(self) -> None:
        while True:
            for number, _ in self._poll.poll():
                if not self._handlers[number]():
                    del self._handlers[number]  # the socket is closed, and so no longer polled

    def _accept(self, listener: socket.socket, made: Callable[[socket.socket], Callable[[], bool]]) -> bool:
        link, _ = listener.accept()
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.watch(link, made(link))
        return True

    def _told(self, link: socket.socket) -> bool:
        data = link.recv(4096)
        for (number,) in NUMBER.iter_unpack(data):
            if number == COUNTS:
                link.sendall(json.dumps(self.counts | {"values": self._written()}).encode() + b"\n")
            else:
                self._change(names.WATCH_NAMES[number])
        if not data:
            link.close()
        return bool(data)

    def _written(self) -> dict[str, float]:
        found = {name: self.values[name].value for name in (*names.WRITE_NAMES, names.FORBIDDEN)}
        return {name: (value.numbers() or (0.0,))[0] for name, value in found.items() if value is not None}

    def _change(self, name: str) -> None:
        self.counts["changes"] += 1
        self.changes += 1
        for connection, item in self.watchers.get(name, ()):
            connection.changed(item, float(self.changes))

    def read(self, name: str | None) -> DataValue | None:
        return self.values.get(name or "")

    def write(self, name: str, value: DataValue) -> int:
        if name not in self.values:
            return status.BAD_NODE_ID_UNKNOWN
        self.values[name] = value
        if name in names.READ_NAMES:
            self.kept.clear()
        return status.GOOD


class Connection(Frames):
    """``publishes``: request id and handle of each that waits."""

    def __init__(self, device: Device, link: socket.socket) -> None:
        super().__init__(link, device.number)
        self.device = device
        self.items: dict[int, Item] = {}
        self.subscriptions: dict[int, Subscription] = {}
        self.publishes: deque[tuple[int, int]] = deque()

    def gone(self) -> None:
        for item in self.items.values():
            watching = self.device.watchers.get(item.name, [])
            watching[:] = [each for each in watching if each[0] is not self]

    def message(self, request: int, body: bytes) -> None:
        kind = body[:4]
        if body[4] == 1 and kind in (READ, WRITE, PUBLISH):
            (handle,) = NUMBER.unpack_from(body, 16)
            if kind == PUBLISH:
                self.device.counts["publish"] += 1
                self.publishes.append((request, handle))
                self.report()
                return
            kept = self.device.kept.get(kind + body[_PARAMETERS:])
            if kept is not None:
                self._again(request, handle, kept)
                return
        self._asked(request, body)

    def _again(self, request: int, handle: int, kept: Kept) -> None:
        counts = self.device.counts
        what = "write" if kept.write else "read"
        counts[what] += 1 if kept.nodes else 0
        counts[what + "_nodes"] += kept.nodes
        for name, value in kept.write:
            self.device.values[name] = value
        self.say(request, head_of(kept.answer[:4], handle) + kept.answer[_ANSWER.size :])

    def _asked(self, request: int, body: bytes) -> None:
        asked = decode(body)
        if not isinstance(asked, Request):
            found = header_of(body)
            handle = 0 if isinstance(found, Malformed) else found[1].request_handle
            self.say(request, encode(ServiceFault(ResponseHeader.make(handle, status.BAD_SERVICE_UNSUPPORTED))))
            return
        make = ANSWERS.get(asked.ID)
        if make is None:
            code = status.BAD_SERVICE_UNSUPPORTED
            self.say(request, encode(ServiceFault(ResponseHeader.make(asked.header.request_handle, code))))
            return
        answer = encode(make(self, asked))
        if isinstance(asked, (ReadRequest, WriteRequest)):
            self._keep(asked, body, answer)
        self.say(request, answer)
        self.report()

    def _keep(self, asked: ReadRequest | WriteRequest, body: bytes, answer: bytes) -> None:
        nodes = asked.nodes_to_read if isinstance(asked, ReadRequest) else asked.nodes_to_write
        what = "read" if isinstance(asked, ReadRequest) else "write"
        count = sum(one.node_id.namespace == names.INDEX for one in nodes or ())
        self.device.counts[what] += 1 if count else 0
        self.device.counts[what + "_nodes"] += count
        written: tuple[tuple[str, DataValue], ...] = ()
        if isinstance(asked, WriteRequest):
            written = tuple((str(one.node_id.identifier), one.value) for one in asked.nodes_to_write or ())
            if any(name not in self.device.values or name in names.READ_NAMES for name, _ in written):
                return
        if body[4] == 1 and body[24:28] == _NULL and body[32:_PARAMETERS] == b"\0\0\0":
            self.device.kept[body[:4] + body[_PARAMETERS:]] = Kept(answer, count, written)

    # Subscriptions.

    def subscribe(self, number: int) -> None:
        self.subscriptions[number] = Subscription(number)

    def add(self, number: int, item: Item, value: float) -> None:
        self.items[number] = item
        self.device.watchers.setdefault(item.name, []).append((self, item))
        self.subscriptions[item.subscription].waiting[item.handle] = value

    def changed(self, item: Item, value: float) -> None:
        self.subscriptions[item.subscription].waiting[item.handle] = value
        self.report()

    def report(self) -> None:
        """All that waits in a subscription goes with one Publish."""
        for subscription in self.subscriptions.values():
            if subscription.waiting and self.publishes:
                request, handle = self.publishes.popleft()
                self.say(request, published(handle, subscription))


def published(handle: int, subscription: Subscription) -> bytes:
    """A PublishResponse with every change that waits, which then waits no longer."""
    subscription.sequence += 1
    changes = [_CHANGE.pack(number, 1, 11, value) for number, value in subscription.waiting.items()]
    subscription.waiting.clear()
    data = NUMBER.pack(len(changes)) + b"".join(changes) + _NULL
    head = _PUBLISHED.pack(subscription.number, -1, 0, subscription.sequence, 0, 1, _DATA_CHANGE, 1, len(data))
    kind = _TYPE.pack(1, 0, type_ids.PUBLISH_RESPONSE)
    return head_of(kind, handle) + head + data + _NULL + _NULL


def main() -> None:
    device = Device()
    print(json.dumps({"port": device.port, "control": device.control.getsockname()[1]}), flush=True)
    device.run()


if __name__ == "__main__":
    main()
