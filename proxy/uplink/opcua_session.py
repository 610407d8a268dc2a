"""A client's session with an OPC UA server, sans-IO: it subscribes to nodes and tells what it is told, in order.

    HEL, OPN -> CreateSession -> ActivateSession -> Read NamespaceArray -> CreateSubscription -> CreateMonitoredItems
    then Publish requests, always some ahead, each with the acknowledgements that are due; Republish for what is missing

One connection's worth: whatever goes wrong ends in `Over`, and the owner begins anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proxy.protocols.opcua import status
from proxy.protocols.opcua.channel import Broke, Closed, Opened, Said
from proxy.protocols.opcua.decode import decode_inner
from proxy.protocols.opcua.namespaces import id_of
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.security.policies import NONE, Mode
from proxy.protocols.opcua.services.attribute import ReadResponse
from proxy.protocols.opcua.services.monitor import CreateMonitoredItemsResponse
from proxy.protocols.opcua.services.session import ActivateSessionResponse, CreateSessionResponse
from proxy.protocols.opcua.services.subscription import (
    CreateSubscriptionResponse,
    DataChangeNotification,
    NotificationMessage,
    PublishResponse,
    RepublishResponse,
    StatusChangeNotification,
)
from proxy.protocols.opcua.south_channel import SouthChannel, SouthSetting
from proxy.uplink import opcua_requests as requests
from proxy.uplink.opcua_asking import ANSWERS_WITHIN, Asking
from proxy.uplink.sequence import Lost
from proxy.uplink.sequence import Sequence as Order
from proxy.uplink.source import LOST

if TYPE_CHECKING:
    from proxy.protocols.opcua.node import Node
    from proxy.protocols.opcua.values import DataValue

PATIENCE = 10.0
"""Seconds after a keep-alive was due, when nothing is heard."""
LONGEST_QUIET = 7200.0
"""Seconds between two keep-alives, whatever the server says."""
AHEAD = 3
"""Publish requests that the server has to answer with."""
AGAIN = 30.0
"""Seconds after which nodes that were refused are asked for again: rights and address spaces change."""


@dataclass(frozen=True, slots=True)
class Plan:
    """``nodes``: name on the UNS -> node, in order. ``every`` in seconds. ``url``: what the server is called."""

    publisher: str
    url: str
    nodes: Mapping[str, Node]
    every: float


@dataclass(frozen=True, slots=True)
class Subscribed:
    """Every node has been asked for; ``refused`` ones by the StatusCode that answered. May come again."""

    refused: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Told:
    """A value, in the order in which the server told them."""

    name: str
    value: DataValue


@dataclass(frozen=True, slots=True)
class Missed:
    """Notifications are gone for good, with values of nobody knows which nodes."""

    messages: int


@dataclass(frozen=True, slots=True)
class Over:
    """``why`` is printable and short."""

    why: str


Happening = Subscribed | Told | Missed | Over


@dataclass(slots=True)
class _Item:
    name: str
    node: Node
    id: int | None = None
    refused: int | None = None


@dataclass(slots=True)
class _State:
    subscription: int = 0
    namespaces: tuple[str, ...] = ()
    acknowledge: list[int] = field(default_factory=list)


class OpcUaSession:
    """``out`` holds the bytes for the server until the driver takes them. ``wall`` is time of day."""

    def __init__(self, plan: Plan, entropy: Callable[[int], bytes], wall: Callable[[], float], now: float) -> None:
        setting = SouthSetting(NONE, Mode.NONE, None, None, plan.url)
        self.out = bytearray()
        self._plan = plan
        self._entropy = entropy
        self._channel = SouthChannel(setting, entropy, wall)
        self._items = {at: _Item(name, node) for at, (name, node) in enumerate(plan.nodes.items(), 1)}
        self._state = _State()
        self._order: Order[NotificationMessage] = Order()
        self._asking = Asking(self._channel, wall, self._end, self.out)
        self._publishes = 0
        self._ahead = AHEAD
        self._quiet_until = float("inf")
        self._quiet = 0.0
        self._again = float("inf")
        self._now = now
        self._found: list[Happening] = []
        self._over = False
        self._channel.start(now, self.out)

    @property
    def over(self) -> bool:
        return self._over

    def receive(self, data: bytes, now: float) -> list[Happening]:
        """Bytes in any cut. Nothing follows `Over`."""
        for event in self._channel.receive(data, now, self.out):
            if self._over:
                break
            if isinstance(event, Said):
                self._now = now
                self._asking.said(event, now)
            elif isinstance(event, Opened):
                self._create_session(now)
            elif isinstance(event, Broke | Closed):
                self._end(event.why if isinstance(event, Broke) else "the server closed the channel")
        return self._take_found()

    def leave(self, now: float) -> None:
        """CloseSession, and the channel. No answer is waited for."""
        if not self._over and self._asking.token is not NodeId.NULL:
            self._asking.send(requests.close_session(self._asking.header()), lambda answer, at: None, now)
        self._channel.close(self.out)
        self._over = True

    def deadline(self) -> float:
        channel = self._channel.deadline()
        never = float("inf")
        return min(self._asking.deadline(), self._quiet_until, self._again, never if channel is None else channel)

    def tick(self, now: float) -> list[Happening]:
        if self._over:
            return []
        for event in self._channel.tick(now, self.out):
            if isinstance(event, Broke):
                self._end(event.why)
        if now >= self._asking.deadline():
            self._end(f"no answer within {ANSWERS_WITHIN:g} s")
        elif now >= self._quiet_until:
            self._end("the subscription is silent, without a keep-alive")
        elif now >= self._again:
            self._ask_again(now)
        return self._take_found()

    # What is asked, step by step.

    def _create_session(self, now: float) -> None:
        request = requests.create_session(
            self._asking.header(), self._plan.url, self._plan.publisher, self._entropy(32)
        )
        self._asking.send(request, self._asking.expecting(CreateSessionResponse, self._activate), now)

    def _activate(self, answer: CreateSessionResponse, now: float) -> None:
        self._asking.token = answer.authentication_token
        request = requests.activate_session(self._asking.header())
        self._asking.send(request, self._asking.expecting(ActivateSessionResponse, self._read_namespaces), now)

    def _read_namespaces(self, answer: ActivateSessionResponse, now: float) -> None:
        request = requests.read_namespaces(self._asking.header())
        self._asking.send(request, self._asking.expecting(ReadResponse, self._subscribe), now)

    def _subscribe(self, answer: ReadResponse, now: float) -> None:
        found = answer.results[0] if answer.results and len(answer.results) == 1 else None
        code = 0 if found is None or found.status is None else found.status
        names = found.value.strings() if found is not None and found.value is not None else None
        if found is None or status.is_bad(code) or not names:
            self._end(f"i=2255, the server's NamespaceArray, is not to be read: {status.name_of(code)}")
            return
        self._state.namespaces = tuple(name or "" for name in names)
        request = requests.create_subscription(self._asking.header(), self._plan.every)
        self._asking.send(request, self._asking.expecting(CreateSubscriptionResponse, self._create_items), now)

    def _create_items(self, answer: CreateSubscriptionResponse, now: float) -> None:
        self._state.subscription = answer.subscription_id
        revised = answer.revised_publishing_interval
        interval = revised / 1000 if 1.0 <= revised <= LONGEST_QUIET * 1000 else self._plan.every
        self._quiet = min(interval * max(1, answer.revised_max_keep_alive_count), LONGEST_QUIET) + PATIENCE
        self._quiet_until = now + self._quiet
        self._ask_for(self._items, now)

    def _ask_for(self, items: Mapping[int, _Item], now: float) -> None:
        """CreateMonitoredItems for these; a node in a namespace that the server has not is refused here."""
        wanted: list[tuple[int, NodeId]] = []
        for handle, item in items.items():
            node = id_of(item.node, self._state.namespaces)
            if node is None:
                item.refused = status.BAD_NODE_ID_UNKNOWN
            else:
                wanted.append((handle, node))
        if not wanted:
            self._subscribed(now)
            return
        handles = [handle for handle, _ in wanted]

        def created(answer: CreateMonitoredItemsResponse, now: float) -> None:
            self._created(handles, answer, now)

        def refused(code: int, now: float) -> None:
            for handle in handles:
                self._items[handle].refused = code
            self._subscribed(now)

        request = requests.create_items(self._asking.header(), self._state.subscription, wanted, self._plan.every)
        self._asking.send(request, self._asking.expecting(CreateMonitoredItemsResponse, created), now, refused)

    def _created(self, handles: Sequence[int], answer: CreateMonitoredItemsResponse, now: float) -> None:
        results = answer.results or ()
        if len(results) != len(handles):
            self._end("an answer with another number of results than there were nodes")
            return
        for handle, result in zip(handles, results, strict=True):
            item = self._items[handle]
            bad = status.is_bad(result.status_code)
            item.refused = result.status_code if bad else None
            item.id = None if bad else result.monitored_item_id
        self._subscribed(now)

    def _subscribed(self, now: float) -> None:
        refused = {item.name: item.refused for item in self._items.values() if item.refused is not None}
        self._again = now + AGAIN if refused else float("inf")
        self._found.append(Subscribed(refused))
        self._publish(now)

    def _ask_again(self, now: float) -> None:
        self._again = float("inf")
        refused = {handle: item for handle, item in self._items.items() if item.refused is not None}
        ids = [item.id for item in refused.values() if item.id is not None]
        for item in refused.values():
            item.id = None
        if ids:
            request = requests.delete_items(self._asking.header(), self._state.subscription, ids)
            self._asking.send(request, lambda answer, at: None, now, lambda code, at: None)
        self._ask_for(refused, now)

    # What the subscription tells.

    def _publish(self, now: float) -> None:
        while self._publishes < self._ahead and not self._over:
            self._publishes += 1
            numbers, self._state.acknowledge = self._state.acknowledge, []
            request = requests.publish(self._asking.header(), self._state.subscription, numbers)
            answered = self._asking.expecting(PublishResponse, self._published)
            self._asking.send(request, answered, float("inf"), self._publish_refused)

    def _publish_refused(self, code: int, now: float) -> None:
        self._publishes -= 1
        if code == status.BAD_TOO_MANY_PUBLISH_REQUESTS and self._ahead > 1:
            self._ahead = max(1, self._publishes)
        elif code == status.BAD_TIMEOUT:
            self._publish(now)
        else:
            self._end(f"the server ended the subscription: {status.name_of(code)}")

    def _published(self, answer: PublishResponse, now: float) -> None:
        self._publishes -= 1
        self._quiet_until = now + self._quiet
        if answer.subscription_id == self._state.subscription:
            message = answer.notification_message
            if message.notification_data:
                self._state.acknowledge.append(message.sequence_number)
                self._take(self._order.arrived(message.sequence_number, message))
            else:
                self._order.alive(message.sequence_number)
            self._republish(now)
        self._publish(now)

    def _republish(self, now: float) -> None:
        missing, self._order.missing[:] = list(self._order.missing), []
        for number in missing:
            self._ask_for_message(number, now)

    def _ask_for_message(self, number: int, now: float) -> None:
        def again(answer: RepublishResponse, now: float) -> None:
            message = answer.notification_message
            if message.sequence_number != number:
                self._take(self._order.gone(number))
                return
            self._state.acknowledge.append(number)
            self._take(self._order.arrived(number, message))

        def refused(code: int, now: float) -> None:
            self._take(self._order.gone(number))

        request = requests.republish(self._asking.header(), self._state.subscription, number)
        self._asking.send(request, self._asking.expecting(RepublishResponse, again), now, refused)

    def _take(self, messages: Sequence[NotificationMessage | Lost]) -> None:
        for message in messages:
            if isinstance(message, Lost):
                self._found.append(Missed(message.count))
                continue
            for part in message.notification_data or ():
                inner = decode_inner(part)
                if isinstance(inner, DataChangeNotification):
                    self._values(inner)
                elif isinstance(inner, StatusChangeNotification):
                    self._end(f"the server ended the subscription: {status.name_of(inner.status)}")
                elif inner is not None:
                    self._found.append(Missed(1))

    def _values(self, told: DataChangeNotification) -> None:
        for one in told.monitored_items or ():
            item = self._items.get(one.client_handle)
            if item is None:
                continue
            self._found.append(Told(item.name, one.value))
            code = (one.value.status or 0) & 0xFFFF0000
            if code in LOST:
                item.refused = code
                self._again = min(self._again, self._now + AGAIN)

    def _end(self, why: str) -> None:
        if not self._over:
            self._over = True
            self._found.append(Over(why))

    def _take_found(self) -> list[Happening]:
        found, self._found = self._found, []
        return found
