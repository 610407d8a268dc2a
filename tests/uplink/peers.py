"""Both peers of a publisher, scripted, without sockets: an OPC UA server with one subscription, and a broker."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from proxy.protocols.mqtt import packets
from proxy.protocols.mqtt.packets import Ack, Connack, Connect, Malformed, Ping, Publish, Suback, Subscribe
from proxy.protocols.opcua import status
from proxy.protocols.opcua.channel import Said
from proxy.protocols.opcua.decode import decode, encode, make_extension
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.north_channel import NorthChannel, NorthSetting
from proxy.protocols.opcua.services.attribute import ReadRequest, ReadResponse
from proxy.protocols.opcua.services.fault import ServiceFault
from proxy.protocols.opcua.services.messages import ResponseHeader
from proxy.protocols.opcua.services.monitor import (
    CreateMonitoredItemsRequest,
    CreateMonitoredItemsResponse,
    DeleteMonitoredItemsRequest,
    DeleteMonitoredItemsResponse,
    MonitoredItemCreateResult,
)
from proxy.protocols.opcua.services.session import (
    ActivateSessionRequest,
    ActivateSessionResponse,
    CloseSessionRequest,
    CloseSessionResponse,
    CreateSessionRequest,
    CreateSessionResponse,
    SignatureData,
)
from proxy.protocols.opcua.services.subscription import (
    CreateSubscriptionRequest,
    CreateSubscriptionResponse,
    DataChangeNotification,
    MonitoredItemNotification,
    NotificationMessage,
    PublishRequest,
    PublishResponse,
    RepublishRequest,
    RepublishResponse,
)
from proxy.protocols.opcua.values import DataValue, ExtensionObject, Variant

ROBOT = "urn:robot:7"
TIME = 132_000_000_000_000_000
"""Source timestamps are this and the number of the notification."""


class Server:
    """``refused``: identifier -> StatusCode at CreateMonitoredItems. ``log``: all requests that came."""

    def __init__(self, refused: Mapping[str, int] | None = None) -> None:
        self.refused = dict(refused or {})
        self.namespaces: tuple[str | None, ...] = ("http://opcfoundation.org/UA/", "urn:server", ROBOT)
        self.readable = True
        self.log: list[Any] = []
        self.out = bytearray()
        self.items: dict[str, int] = {}
        self.kept: dict[int, NotificationMessage] = {}
        self.acknowledged: list[int] = []
        self.connect()

    def connect(self) -> None:
        """A new connection, and a server that has forgotten everything."""
        setting = NorthSetting(None, frozenset({"None"}), frozenset(), None)
        self._channel = NorthChannel(setting, random.Random(7).randbytes, 0.0, lambda: 1.8e9)
        self._channel.in_session = True
        self._waiting: list[tuple[int, PublishRequest]] = []
        self._number = 0
        self.items.clear()
        self.kept.clear()

    def receive(self, data: bytes, now: float) -> None:
        for event in self._channel.receive(data, now, self.out):
            if isinstance(event, Said):
                request: Any = decode(event.body)
                self.log.append(request)
                self._answer(event.request_id, request)

    def requests(self, kind: type[Any]) -> list[Any]:
        return [one for one in self.log if isinstance(one, kind)]

    def tell(self, values: Sequence[tuple[str, DataValue]], *, lose: bool = False, forget: bool = False) -> None:
        """A notification. ``lose``: its answer never arrives; ``forget``: the server does not keep it either."""
        self._number += 1
        told = tuple(MonitoredItemNotification(self.items[name], value) for name, value in values)
        message = NotificationMessage(self._number, 0, (make_extension(DataChangeNotification(told, None)),))
        if not forget:
            self.kept[self._number] = message
        if not lose:
            self._publish(message)

    def tell_numbers(self, name: str, *numbers: float, **how: bool) -> None:
        for number in numbers:
            self.tell([(name, value(number))], **how)

    def keep_alive(self) -> None:
        if self._waiting:
            self._publish(NotificationMessage(self._number + 1, 0, None))

    def end(self, code: int) -> None:
        number, request = self._waiting.pop(0)
        self._say(number, ServiceFault(ResponseHeader.make(request.header.request_handle, code)))

    def _publish(self, message: NotificationMessage) -> None:
        number, request = self._waiting.pop(0)
        header = ResponseHeader.make(request.header.request_handle)
        self._say(number, PublishResponse(header, 1, tuple(self.kept), False, message, None, None))

    def _say(self, number: int, answer: Any) -> None:
        assert self._channel.send(number, encode(answer), self.out) or self._channel.over

    def _answer(self, number: int, request: Any) -> None:
        header = ResponseHeader.make(request.header.request_handle)
        if isinstance(request, PublishRequest):
            self.acknowledged += [one.sequence_number for one in request.subscription_acknowledgements or ()]
            self._waiting.append((number, request))
        elif isinstance(request, RepublishRequest):
            kept = self.kept.get(request.retransmit_sequence_number)
            if kept is None:
                header = ResponseHeader.make(request.header.request_handle, status.BAD_MESSAGE_NOT_AVAILABLE)
                self._say(number, ServiceFault(header))
            else:
                self._say(number, RepublishResponse(header, kept))
        else:
            self._say(number, self._made(request, header))

    def _made(self, request: Any, header: ResponseHeader) -> Any:
        none = SignatureData(None, None)
        match request:
            case CreateSessionRequest():
                return CreateSessionResponse(
                    header, NodeId.numeric(1, 1), NodeId(0, b"token", 5), 60_000.0, b"n" * 32, None, (), None, none, 0
                )
            case ActivateSessionRequest():
                return ActivateSessionResponse(header, b"n" * 32, None, None)
            case ReadRequest():
                found = DataValue(Variant.of_strings(self.namespaces), None)
                refused = DataValue(None, status.BAD_USER_ACCESS_DENIED)
                return ReadResponse(header, (found if self.readable else refused,), None)
            case CreateSubscriptionRequest():
                return CreateSubscriptionResponse(header, 1, request.requested_publishing_interval, 60, 10)
            case CreateMonitoredItemsRequest():
                results = tuple(self._item(one) for one in request.items_to_create or ())
                return CreateMonitoredItemsResponse(header, results, None)
            case DeleteMonitoredItemsRequest():
                return DeleteMonitoredItemsResponse(header, (0,) * len(request.monitored_item_ids or ()), None)
            case CloseSessionRequest():
                return CloseSessionResponse(header)
        raise AssertionError(request)

    def _item(self, wanted: Any) -> MonitoredItemCreateResult:
        name, handle = str(wanted.item_to_monitor.node_id.identifier), wanted.requested_parameters.client_handle
        assert wanted.item_to_monitor.node_id.namespace == 2
        code = self.refused.get(name, 0)
        if not code:
            self.items[name] = handle
        return MonitoredItemCreateResult(code, handle + 100, 0.0, 1, ExtensionObject.NULL)


def value(number: float, code: int | None = None) -> DataValue:
    return DataValue(Variant.of_double(number), code, TIME + int(number))


class Broker:
    """``code``: what answers CONNECT; ``acknowledges``: whether PUBACKs are sent; ``refuses``: topics with 0x87."""

    def __init__(self, level: int = 5) -> None:
        self.level = level
        self.code = 0
        self.acknowledges = True
        self.refuses: set[str] = set()
        self.subscribed = 0
        self.connects: list[Connect] = []
        self.published: list[Publish] = []
        self.said: list[packets.Packet] = []
        self.out = bytearray()
        self._data = b""

    def connect(self) -> None:
        self._data = b""
        self.out.clear()

    def receive(self, data: bytes) -> None:
        self._data += data
        while isinstance(end := packets.frame_end(self._data, 0, 1 << 20), int) and end <= len(self._data):
            frame, self._data = self._data[:end], self._data[end:]
            level = self.level if not self.connects or frame[0] >> 4 != 1 else (packets.claimed_level(frame) or 4)
            packet = packets.decode(frame, level, to_broker=True)
            assert not isinstance(packet, Malformed), packet
            self.said.append(packet)
            self._take(packet)

    def messages(self, part: str = "") -> list[Publish]:
        return [one for one in self.published if part in one.topic]

    def command(self, topic: str, payload: bytes) -> None:
        self._send(Publish(topic, payload, 1, packet_id=9))

    def _take(self, packet: packets.Packet) -> None:
        match packet:
            case Connect(level=level):
                self.connects.append(packet)
                if level > self.level:
                    self.out += packets.encode(Connack(False, 1), 4)
                else:
                    self._send(Connack(False, self.code))
            case Publish():
                self.published.append(packet)
                if packet.packet_id is not None and self.acknowledges:
                    self._send(Ack(4, packet.packet_id, 0x87 if packet.topic in self.refuses else 0))
            case Subscribe(packet_id=number, filters=filters):
                self._send(Suback(number, (self.subscribed,) * len(filters)))
            case Ping():
                self._send(Ping(True))
            case _:
                pass

    def _send(self, packet: packets.Packet) -> None:
        self.out += packets.encode(packet, self.level)
