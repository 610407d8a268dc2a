"""What each session of the generator does again and again, and what its answers must be."""

from __future__ import annotations

from collections import deque
from struct import Struct, pack, unpack_from
from typing import TYPE_CHECKING

from bench.generator import WrongAnswers
from bench.opcua import names
from bench.opcua.link import HEAD, NUMBER, PLACE, Link, Template, handle_of, rest_of
from bench.opcua.plan import NOTIFY, READ, WRITE
from proxy.protocols.opcua.decode import decode, decode_inner, encode
from proxy.protocols.opcua.services.attribute import (
    ReadRequest,
    ReadResponse,
    ReadValueId,
    WriteRequest,
    WriteResponse,
    WriteValue,
)
from proxy.protocols.opcua.services.monitor import (
    CreateMonitoredItemsRequest,
    CreateMonitoredItemsResponse,
    MonitoredItemCreateRequest,
    MonitoringParameters,
)
from proxy.protocols.opcua.services.subscription import (
    CreateSubscriptionRequest,
    CreateSubscriptionResponse,
    DataChangeNotification,
    MonitoredItemNotification,
    PublishRequest,
    PublishResponse,
    SubscriptionAcknowledgement,
)
from proxy.protocols.opcua.type_ids import prefix
from proxy.protocols.opcua.values import DataValue, ExtensionObject, QualifiedName, Variant

if TYPE_CHECKING:
    import socket

VALUE = 13
PLAIN = QualifiedName(0, None)
WRITTEN = tuple(100.0 + number for number in range(8))
"""What a session writes in turn; the device knows each after the first time."""
_MARK = 1234.5678
PUBLISHED = prefix(PublishResponse.ID)
_COUNT = Struct("<i")
_SUBSCRIPTION = 28
"""Behind type and header of a PublishResponse."""
_AVAILABLE = _SUBSCRIPTION + 4
"""The sequence numbers that can be asked for again: how many, and then they."""


def value_of(name: str) -> ReadValueId:
    return ReadValueId(names.node(name), VALUE, None, PLAIN)


def read_of(link: Link, wanted: tuple[str, ...] = names.READ_NAMES) -> ReadRequest:
    return ReadRequest(link.header(), 0.0, 3, tuple(value_of(name) for name in wanted))


def write_of(link: Link, values: tuple[tuple[str, float], ...]) -> WriteRequest:
    return WriteRequest(link.header(), tuple(written(name, value) for name, value in values))


def written(name: str, value: float) -> WriteValue:
    double = DataValue(Variant.of_double(value), None, None, None, None, None)
    return WriteValue(names.node(name), VALUE, None, double)


class Operation:
    """One of one session. ``began``: when the last one went out, nanoseconds."""

    template: Template

    def __init__(self, link: Link) -> None:
        self.link = link
        self.began = 0
        self._rest = b""

    def send(self) -> None:
        self.link.socket.sendall(self.template.frame())

    def take(self, data: bytes) -> bool:
        """Whether the answer is whole now, and right. WrongAnswers for any other than the one that is due."""
        if self.link.door.own is None:
            data = self._rest + data if self._rest else data
            if len(data) < HEAD or len(data) < int.from_bytes(data[4:8], "little"):
                self._rest = data
                return False
            self._rest = b""
            return self._plain(data)
        self.link.heard(data)
        said = self.link.answers()
        if len(said) > 1:
            raise WrongAnswers("two answers to one request")
        return bool(said) and self.fits(*said[0])

    def _plain(self, data: bytes) -> bool:
        """Past the channel, which is told how far its peer has counted."""
        sequence, request = PLACE.unpack_from(data, 16)
        channel = self.link.channel
        if (
            data[:4] != b"MSGF"
            or int.from_bytes(data[4:8], "little") != len(data)
            or sequence != (channel._heard or 0) + 1
        ):
            raise WrongAnswers(f"not one answer in one chunk: {data[:60]!r}")
        channel._heard = sequence
        return self.fits(request, data[HEAD:])

    def fits(self, request: int, body: bytes) -> bool:
        """Of the whole answer."""
        raise NotImplementedError


class Answered(Operation):
    """A request and the answer to it, which is always the same."""

    expected: bytes

    def fits(self, request: int, body: bytes) -> bool:
        number = self.template.number
        if request != number or handle_of(body) != number or rest_of(body) != self.expected:
            raise WrongAnswers(f"request {number} was answered as {request}, {decode(body)}")
        return True


class Read(Answered):
    def __init__(self, link: Link, index: int) -> None:
        super().__init__(link)
        message = read_of(link)
        answer = link.ask(message, ReadResponse)
        found = [one.value.numbers() if one.value is not None else None for one in answer.results or ()]
        if found != [(names.first_value(name),) for name in names.READ_NAMES]:
            raise WrongAnswers(f"a Read gave {found}")
        self.expected = rest_of(encode(answer))
        self.template = link.template(message)


class Write(Answered):
    """Each time the next of `WRITTEN`."""

    def __init__(self, link: Link, index: int) -> None:
        super().__init__(link)
        message = write_of(link, ((names.WRITE_NAMES[index], _MARK),))
        answer = link.ask(message, WriteResponse)
        if answer.results != (0,):
            raise WrongAnswers(f"a Write gave {answer.results}")
        self.expected = rest_of(encode(answer))
        self.template = link.template(message)
        self._place = encode(message).index(pack("<d", _MARK))
        self._turn = index
        self._values = tuple(pack("<d", value) for value in WRITTEN)

    def send(self) -> None:
        self._turn += 1
        self.template.patch(self._place, self._values[self._turn % len(WRITTEN)])
        super().send()


class Notify(Operation):
    """A change at the device, told by its control port, until the notification. The next Publish, which acknowledges
    it, goes out with the next change."""

    def __init__(self, link: Link, index: int, control: socket.socket) -> None:
        super().__init__(link)
        self.index = index
        self._control = control
        self._change = (link.door.watch + index).to_bytes(4, "little")
        made = link.ask(
            CreateSubscriptionRequest(link.header(), 0.0, 60_000, 20_000, 0, True, 0), CreateSubscriptionResponse
        )
        self.subscription = made.subscription_id
        wanted = MonitoringParameters(index, 0.0, ExtensionObject.NULL, 10, True)
        item = MonitoredItemCreateRequest(value_of(names.WATCH_NAMES[link.door.watch + index]), 2, wanted)
        created = link.ask(
            CreateMonitoredItemsRequest(link.header(), self.subscription, 3, (item,)), CreateMonitoredItemsResponse
        )
        if [one.status_code for one in created.results or ()] != [0]:
            raise WrongAnswers(f"a monitored item gave {created.results}")
        self._waiting: deque[int] = deque()
        self._sequence = 0
        self._value = 0.0
        self._place = 0
        message = PublishRequest(link.header(), (SubscriptionAcknowledgement(self.subscription, 0),))
        self._number_at = len(encode(message)) - 4
        self._first()
        self.template = link.template(message)
        self._publish()
        self._publish()

    def _first(self) -> None:
        """Tells the value that is there already, and with it where in a notification values are."""
        while True:
            body = self.link.body_of(PublishRequest(self.link.header(), None))
            found = decode(body)
            if not isinstance(found, PublishResponse):
                raise WrongAnswers(f"a notification was {found}")
            for one in found.notification_message.notification_data or ():
                data = decode_inner(one)
                if isinstance(data, DataChangeNotification) and data.monitored_items:
                    self._learn(body, data.monitored_items[0])
                    return

    def _learn(self, body: bytes, item: MonitoredItemNotification) -> None:
        value = (item.value.value.numbers() if item.value.value is not None else None) or (0.0,)
        if value[0] < names.first_value(names.WATCH_NAMES[0]) or item.client_handle != self.index:
            raise WrongAnswers(f"the first notification was {item}")
        at = self._numbered(body)
        self._sequence = int.from_bytes(body[at : at + 4], "little")
        self._value = value[0]
        self._place = body.index(pack("<d", value[0]), at) - at

    @staticmethod
    def _numbered(body: bytes) -> int:
        """Where its sequence number is, behind those that can be asked for again."""
        count: int = _COUNT.unpack_from(body, _AVAILABLE)[0]
        return _AVAILABLE + 4 + 4 * max(count, 0) + 1

    def _publish(self) -> None:
        """The next one, which acknowledges the last notification."""
        self.template.patch(self._number_at, self._sequence.to_bytes(4, "little"))
        self.link.socket.sendall(self.template.frame())
        self._waiting.append(self.template.number)

    def send(self) -> None:
        if len(self._waiting) < 2:
            self._publish()
        self._control.sendall(self._change)

    def fits(self, request: int, body: bytes) -> bool:
        """To the Publish that waits longest, in this subscription, the next number, a value greater than the last."""
        at = self._numbered(body)
        sequence, (value,) = int.from_bytes(body[at : at + 4], "little"), unpack_from("<d", body, at + self._place)
        right = body[:4] == PUBLISHED and NUMBER.unpack_from(body, _SUBSCRIPTION)[0] == self.subscription
        if not right or request != self._waiting.popleft() or sequence != self._sequence + 1 or value <= self._value:
            raise WrongAnswers(f"a notification was {decode(body)}")
        self._sequence, self._value = sequence, value
        return True


def operation(kind: str, link: Link, index: int, control: socket.socket) -> Operation:
    if kind == NOTIFY:
        return Notify(link, index, control)
    return {READ: Read, WRITE: Write}[kind](link, index)
