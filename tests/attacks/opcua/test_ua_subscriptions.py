"""What a subscription, a page or a history goes on telling after the right to it is gone (T20, T21, T22)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from proxy.core.names import Names
from proxy.protocols.opcua import status
from proxy.protocols.opcua.conversation import NUMBER
from proxy.protocols.opcua.decode import decode_inner, encode, make_extension
from proxy.protocols.opcua.memory import Memory
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.rules import parse_rule
from proxy.protocols.opcua.services import filters as f
from proxy.protocols.opcua.services import history as h
from proxy.protocols.opcua.services import monitor as mon
from proxy.protocols.opcua.services import subscription as s
from proxy.protocols.opcua.services.attribute import ReadRequest, ReadValueId
from proxy.protocols.opcua.services.messages import Request, ResponseHeader
from proxy.protocols.opcua.values import DataValue, ExtensionObject, QualifiedName, Variant
from tests.opcua.inspector_world import Policy, World, complain, robot
from tests.opcua.test_inspector_monitoring import server as paper

if TYPE_CHECKING:
    from proxy.protocols.opcua.structures import Struct

DENIED = status.BAD_USER_ACCESS_DENIED
BOTH = {"subscribe": ["nsu=urn:robot:7;s=Speed", "nsu=urn:robot:7;s=Secret"]}
ONE = {"subscribe": ["nsu=urn:robot:7;s=Speed"]}


def server(world: World, request: Request) -> Struct | None:
    header = ResponseHeader.make(request.header.request_handle)
    if isinstance(request, mon.DeleteMonitoredItemsRequest):
        return mon.DeleteMonitoredItemsResponse(header, (0,) * len(request.monitored_item_ids or ()), None)
    if isinstance(request, s.RepublishRequest):
        return s.RepublishResponse(header, message(6))
    return paper(world, request)


def message(handle: int, value: float = 42.0) -> s.NotificationMessage:
    change = s.MonitoredItemNotification(handle, DataValue(Variant.of_double(value)))
    return s.NotificationMessage(1, 1, (make_extension(s.DataChangeNotification((change,), None)),))


def change(world: World, rule: dict[str, Any]) -> None:
    world.policy.targets = tuple(parse_rule(rule, complain))
    world.inspector.decide_again(world.now, world.out)
    world.settle()


def subscription(world: World, token: NodeId) -> int:
    request = s.CreateSubscriptionRequest(world.header(token), 1.0, 1, 1, 0, True, 0)
    return world.ask(request, s.CreateSubscriptionResponse).subscription_id


def monitor(world: World, token: NodeId, id: int, name: str, handle: int) -> int:
    wanted = ReadValueId(robot(name), 13, None, QualifiedName(0, None))
    item = mon.MonitoredItemCreateRequest(
        wanted, 2, mon.MonitoringParameters(handle, 1.0, ExtensionObject.NULL, 1, True)
    )
    answer = world.ask(
        mon.CreateMonitoredItemsRequest(world.header(token), id, 0, (item,)), mon.CreateMonitoredItemsResponse
    )
    (result,) = answer.results or ()
    return result.monitored_item_id


def told(notification: s.NotificationMessage) -> list[DataValue]:
    (part,) = notification.notification_data or ()
    inner = decode_inner(part)
    assert isinstance(inner, s.DataChangeNotification)
    return [one.value for one in inner.monitored_items or ()]


def republished(world: World, token: NodeId, id: int) -> list[DataValue]:
    answer = world.ask(s.RepublishRequest(world.header(token), id, 1), s.RepublishResponse)
    return told(answer.notification_message)


class TestHandlesThatAreUsedAgain:
    """A notification says nothing but the client's own handle, and the server keeps what was sent, for Republish."""

    @pytest.mark.parametrize("first", ["the right ends", "the item is deleted"])
    def test_what_was_withheld_is_not_told_as_another_node(self, first: str) -> None:
        world = World(Policy.of(BOTH), server)
        token = world.session()
        id = subscription(world, token)
        item = monitor(world, token, id, "Secret", 6)
        delete = mon.DeleteMonitoredItemsRequest(world.header(token), id, (item,))
        if first == "the right ends":
            change(world, ONE)
            world.ask(delete, mon.DeleteMonitoredItemsResponse)
        else:
            world.ask(delete, mon.DeleteMonitoredItemsResponse)
            change(world, ONE)
        monitor(world, token, id, "Speed", 6)
        assert [one.status for one in republished(world, token, id)] == [DENIED]

    def test_nor_by_giving_the_handle_to_another_item(self) -> None:
        world = World(Policy.of(BOTH), server)
        token = world.session()
        id = subscription(world, token)
        secret, speed = monitor(world, token, id, "Secret", 6), monitor(world, token, id, "Speed", 5)
        for item, handle in ((secret, 7), (speed, 6)):
            parameters = mon.MonitoringParameters(handle, 1.0, ExtensionObject.NULL, 1, True)
            modify = mon.MonitoredItemModifyRequest(item, parameters)
            world.say(mon.ModifyMonitoredItemsRequest(world.header(token), id, 0, (modify,)))
        assert [one.status for one in republished(world, token, id)] == [None]
        change(world, ONE)
        assert [one.status for one in republished(world, token, id)] == [DENIED]

    def test_a_handle_is_told_again_with_the_right(self) -> None:
        world = World(Policy.of(BOTH), server)
        token = world.session()
        id = subscription(world, token)
        item = monitor(world, token, id, "Secret", 6)
        change(world, ONE)
        world.say(mon.DeleteMonitoredItemsRequest(world.header(token), id, (item,)))
        monitor(world, token, id, "Speed", 6)
        change(world, BOTH)
        assert [one.status for one in republished(world, token, id)] == [None]

    def test_what_is_kept_of_deleted_items_is_bounded(self) -> None:
        world = World(Policy.of(ONE), server)
        token = world.session()
        id = subscription(world, token)
        for handle in range(40):
            item = monitor(world, token, id, "Speed", handle % 4)
            world.say(mon.DeleteMonitoredItemsRequest(world.header(token), id, (item,)))
        session = world.memory.find(token)
        assert session is not None
        (one,) = session.north.subscriptions.values()  # type: ignore[attr-defined]
        assert len(one) == 0 and len(list(one)) <= 4


class TestTransfer:
    def test_policy_that_changes_meanwhile(self) -> None:
        """Nobody decides for a session whose channel is gone; its items come with the subscription."""
        memory = Memory()
        one = World(Policy.of(BOTH), server, memory=memory)
        old = one.session()
        id = subscription(one, old)
        monitor(one, old, id, "Secret", 6)
        one.inspector.eof(one.now, one.out)
        two = World(Policy.of(BOTH), server, memory=memory)
        two._tokens = 500
        new = two.session()
        held: list[bytes] = []
        two._serve, serve = held.append, two._serve  # type: ignore[method-assign, assignment]
        two.say(s.TransferSubscriptionsRequest(two.header(new), (id,), False))
        change(two, ONE)
        two._serve = serve  # type: ignore[method-assign]
        answer = s.TransferSubscriptionsResponse(ResponseHeader.make(77), (s.TransferResult(0, None),), None)
        two.inspector.from_upstream(held[0][: NUMBER.size] + encode(answer), two.now, two.out)
        two.settle()
        assert [one.status for one in republished(two, new, id)] == [DENIED]


class TestSubscriptionsThatAreOver:
    """16 may live. One that the server let end does not, and a client must not be locked out by it."""

    def test_the_server_says_so(self) -> None:
        world = World(Policy.of(ONE), server)
        token = world.session()
        for _ in range(20):
            id = subscription(world, token)
            held: list[bytes] = []
            world._serve, serve = held.append, world._serve  # type: ignore[method-assign, assignment]
            world.say(s.PublishRequest(world.header(token), None))
            world._serve = serve  # type: ignore[method-assign]
            over = make_extension(s.StatusChangeNotification(status.BAD_TIMEOUT, world_diagnostics()))
            gone = s.NotificationMessage(1, 1, (over,))
            answer = s.PublishResponse(ResponseHeader.make(77), id, None, False, gone, None, None)
            world.inspector.from_upstream(held[0][: NUMBER.size] + encode(answer), world.now, world.out)
            world.settle()

    def test_the_server_no_longer_knows_it(self) -> None:
        def forgetful(world: World, request: Request) -> Struct | None:
            if isinstance(request, s.DeleteSubscriptionsRequest):
                header = ResponseHeader.make(request.header.request_handle)
                return s.DeleteSubscriptionsResponse(header, (status.BAD_SUBSCRIPTION_ID_INVALID,), None)
            return server(world, request)

        world = World(Policy.of(ONE), forgetful)
        token = world.session()
        for _ in range(20):
            id = subscription(world, token)
            world.say(s.DeleteSubscriptionsRequest(world.header(token), (id,)))


def world_diagnostics() -> Any:
    from proxy.protocols.opcua.values import DiagnosticInfo

    return DiagnosticInfo.NULL


def history(world: World, token: NodeId, name: str, point: bytes | None, details: Any = None) -> h.HistoryReadRequest:
    wanted = h.HistoryReadValueId(robot(name), None, QualifiedName(0, None), point)
    raw = details or h.ReadRawModifiedDetails(False, 0, 0, 10, False)
    return h.HistoryReadRequest(world.header(token), make_extension(raw), 2, False, (wanted,))


def historian(world: World, request: Request) -> Struct | None:
    """A page of each, and the name of its node as the continuation point."""
    if isinstance(request, h.HistoryReadRequest):
        header = ResponseHeader.make(request.header.request_handle)
        results = tuple(
            h.HistoryReadResult(0, str(one.node_id.identifier).encode(), ExtensionObject.NULL)
            for one in request.nodes_to_read or ()
        )
        return h.HistoryReadResponse(header, results, None)
    return None


PAGES = {"history_read": ["nsu=urn:robot:7;s=Speed", "nsu=urn:robot:7;s=Secret"]}


class TestHistory:
    """A continuation point is worth its node: the server goes on with it, whatever node is named beside it."""

    def codes(self, world: World, request: h.HistoryReadRequest) -> list[int]:
        return [one.status_code for one in world.ask(request, h.HistoryReadResponse).results or ()]

    def test_a_page_of_another_node(self) -> None:
        world = World(Policy.of(PAGES), historian)
        token = world.session()
        assert self.codes(world, history(world, token, "Secret", None)) == [0]
        change(world, {"history_read": ["nsu=urn:robot:7;s=Speed"]})
        reached = len(world.reached)
        assert self.codes(world, history(world, token, "Speed", b"Secret")) == [DENIED]
        assert len(world.reached) == reached

    def test_a_page_of_another_session(self) -> None:
        world = World(Policy.of(PAGES), historian)
        one, two = world.session(), world.session()
        assert self.codes(world, history(world, one, "Speed", None)) == [0]
        assert self.codes(world, history(world, two, "Speed", b"Speed")) == [DENIED]

    def test_the_next_page(self) -> None:
        world = World(Policy.of(PAGES), historian)
        token = world.session()
        assert self.codes(world, history(world, token, "Speed", None)) == [0]
        assert self.codes(world, history(world, token, "Speed", b"Speed")) == [0]

    def test_a_filter_that_looks_at_other_nodes(self) -> None:
        """As in a monitored item: what an event's filter compares with is read."""
        from proxy.protocols.opcua.services.view import RelativePath

        other = make_extension(f.AttributeOperand(robot("Secret"), None, RelativePath(None), 13, None))
        where = f.ContentFilter((f.ContentFilterElement(0, (other,)),))
        details = h.ReadEventDetails(1, 0, 0, f.EventFilter(None, where))
        world = World(Policy.of(PAGES), historian)
        token = world.session()
        world.say(history(world, token, "Speed", None, details))
        assert not any(isinstance(one, h.HistoryReadRequest) for one in world.reached)

    def test_details_of_a_type_that_nobody_knows(self) -> None:
        world = World(Policy.of(PAGES), historian)
        token = world.session()
        unknown = ExtensionObject(NodeId.numeric(2, 4711), 1, b"\1\2")
        wanted = h.HistoryReadValueId(robot("Speed"), None, QualifiedName(0, None), None)
        world.say(h.HistoryReadRequest(world.header(token), unknown, 2, False, (wanted,)))
        assert not any(isinstance(one, h.HistoryReadRequest) for one in world.reached)


def test_a_number_that_the_server_gives_again_is_no_longer_the_one_before() -> None:
    """It restarted, and counts from the beginning. To the server we are one client, so it would let anybody of ours
    have what now is somebody else's."""
    memory = Memory()
    one = World(Policy.of(BOTH), server, memory=memory)
    old = one.session()
    id = subscription(one, old)
    monitor(one, old, id, "Speed", 6)
    one.inspector.eof(one.now, one.out)
    other = World(Policy.of(BOTH), server, memory=memory, names=Names("scada"))
    other._tokens = 500
    theirs = other.session()
    assert subscription(other, theirs) == id
    back = World(Policy.of(BOTH), server, memory=memory)
    back._tokens = 900
    token = back.session()
    back.say(s.TransferSubscriptionsRequest(back.header(token), (id,), False))
    assert not any(isinstance(request, s.TransferSubscriptionsRequest) for request in back.reached)


def test_an_unknown_index_asks_once() -> None:
    """1,000 items of one request are one reason to read the NamespaceArray again."""
    world = World(Policy.of(BOTH), server)
    token = world.session()
    seen: list[bytes] = []
    serve = world._serve
    world._serve = lambda message: (seen.append(message), serve(message))[1]  # type: ignore[method-assign, func-returns-value]
    wanted = tuple(ReadValueId(NodeId.string(9, f"n{one}"), 13, None, QualifiedName(0, None)) for one in range(50))
    world.say(ReadRequest(world.header(token), 0.0, 3, wanted))
    assert seen == [bytes(4)]
