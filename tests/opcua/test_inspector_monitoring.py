"""What a subscription may tell is judged when it tells, not only when it is asked for (T20, T21; protocols.md 4.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from proxy.protocols.opcua import status
from proxy.protocols.opcua.conversation import NUMBER
from proxy.protocols.opcua.decode import decode, decode_inner, encode, make_extension
from proxy.protocols.opcua.rules import parse_rule
from proxy.protocols.opcua.services import filters as f
from proxy.protocols.opcua.services import monitor as mon
from proxy.protocols.opcua.services import subscription as s
from proxy.protocols.opcua.services.attribute import ReadValueId
from proxy.protocols.opcua.services.fault import ServiceFault
from proxy.protocols.opcua.services.messages import Request, ResponseHeader
from proxy.protocols.opcua.services.session import UserNameIdentityToken
from proxy.protocols.opcua.services.view import RelativePath
from proxy.protocols.opcua.values import DataValue, ExtensionObject, QualifiedName, Variant
from tests.opcua.inspector_world import Policy, World, complain, robot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.protocols.opcua.node_id import NodeId
    from proxy.protocols.opcua.structures import Struct

DENIED = status.BAD_USER_ACCESS_DENIED
BOTH = {"subscribe": ["nsu=urn:robot:7;s=Speed", "nsu=urn:robot:7;s=Secret"]}
ONE = {"subscribe": ["nsu=urn:robot:7;s=Speed"]}
DISABLED = 0


def server(world: World, request: Request) -> Struct | None:
    """Subscriptions are numbered 9, 10, ..., items 500, 501, ...; Publish waits."""
    header = ResponseHeader.make(request.header.request_handle)
    if isinstance(request, s.CreateSubscriptionRequest):
        made = sum(isinstance(one, s.CreateSubscriptionRequest) for one in world.reached)
        return s.CreateSubscriptionResponse(header, 8 + made, 1.0, 1, 1)
    if isinstance(request, mon.CreateMonitoredItemsRequest):
        items = request.items_to_create or ()
        before = sum(
            len(one.items_to_create or ())
            for one in world.reached[:-1]
            if isinstance(one, mon.CreateMonitoredItemsRequest)
        )
        results = tuple(
            mon.MonitoredItemCreateResult(0, 500 + before + place, 1.0, 1, ExtensionObject.NULL)
            for place, _ in enumerate(items)
        )
        return mon.CreateMonitoredItemsResponse(header, results, None)
    if isinstance(request, mon.ModifyMonitoredItemsRequest):
        changed = tuple(
            mon.MonitoredItemModifyResult(0, 1.0, 1, ExtensionObject.NULL) for _ in request.items_to_modify or ()
        )
        return mon.ModifyMonitoredItemsResponse(header, changed, None)
    if isinstance(request, mon.SetMonitoringModeRequest):
        return mon.SetMonitoringModeResponse(header, (0,) * len(request.monitored_item_ids or ()), None)
    if isinstance(request, mon.SetTriggeringRequest):
        return mon.SetTriggeringResponse(header, (0,) * len(request.links_to_add or ()), None, None, None)
    if isinstance(request, s.TransferSubscriptionsRequest):
        return s.TransferSubscriptionsResponse(
            header, (s.TransferResult(0, None),) * len(request.subscription_ids or ()), None
        )
    return None


class Told:
    """One session with one subscription and two items: Speed with handle 1 and Secret with handle 2."""

    def __init__(self, rule: Mapping[str, object] = BOTH) -> None:
        self.world = World(Policy.of(rule), server)
        self.token = self.world.session()
        self.subscribe(self.token)
        self.items(self.token, (("Speed", 1), ("Secret", 2)))

    def subscribe(self, token: NodeId) -> None:
        request = s.CreateSubscriptionRequest(self.world.header(token), 1.0, 1, 1, 0, True, 0)
        self.world.ask(request, s.CreateSubscriptionResponse)

    def items(
        self, token: NodeId, named: tuple[tuple[str, int], ...], filter: ExtensionObject = ExtensionObject.NULL
    ) -> list[int]:
        items = tuple(
            mon.MonitoredItemCreateRequest(
                ReadValueId(robot(name), 13, None, QualifiedName.NULL),
                2,
                mon.MonitoringParameters(handle, 1.0, filter, 1, True),
            )
            for name, handle in named
        )
        request = mon.CreateMonitoredItemsRequest(self.world.header(token), 9, 2, items)
        answer = self.world.ask(request, mon.CreateMonitoredItemsResponse)
        return [one.status_code for one in answer.results or ()]

    def publish(self, *parts: ExtensionObject, subscription: int = 9, token: NodeId | None = None) -> list[Any]:
        """What the client is told of these notifications: their inner structures."""
        world = self.world
        id = world.say(s.PublishRequest(world.header(token or self.token), None))
        number = max(world.inspector._talk.pending)
        message = s.NotificationMessage(41, 1, parts)
        answer = s.PublishResponse(ResponseHeader.make(77), subscription, None, False, message, None, None)
        world.inspector.from_upstream(NUMBER.pack(number) + encode(answer), world.now, world.out)
        world.settle()
        (told,) = [one for at, one in world.heard if at == id]
        assert isinstance(told, s.PublishResponse)
        assert told.notification_message.sequence_number == 41
        return [decode_inner(part) for part in told.notification_message.notification_data or ()]

    def values(self, *handles: int, **more: Any) -> dict[int, object]:
        """(value or status) by handle."""
        data = s.DataChangeNotification(
            tuple(s.MonitoredItemNotification(one, DataValue(Variant.of_int32(one))) for one in handles), None
        )
        (told,) = self.publish(make_extension(data), **more)
        return {
            one.client_handle: one.value.status if one.value.value is None else one.value.value.numbers()[0]
            for one in told.monitored_items
        }

    def now_only(self, rule: Mapping[str, object]) -> None:
        world = self.world
        world.policy.targets = tuple(parse_rule(rule, complain))
        world.inspector.decide_again(world.now, world.out)
        world.settle()


def test_a_right_that_is_lost_is_told_once_and_the_item_disabled() -> None:
    """T21: the value does not go out; sequence numbers go on; the server need not send it any more."""
    told = Told()
    assert told.values(1, 2) == {1: 1.0, 2: 2.0}
    told.now_only(ONE)
    told.world.reached.clear()
    assert told.values(1, 2) == {1: 1.0, 2: DENIED}
    disabled = [one for one in told.world.reached if isinstance(one, mon.SetMonitoringModeRequest)]
    assert [(one.monitoring_mode, one.monitored_item_ids) for one in disabled] == [(DISABLED, (501,))]
    told.world.reached.clear()
    assert told.values(2) == {2: DENIED}
    assert not [one for one in told.world.reached if isinstance(one, mon.SetMonitoringModeRequest)], "once"
    assert [str(event.action) for event in told.world.events] == ["subscribe nsu=urn:robot:7;s=Secret"]


def test_a_right_that_comes_back_is_told_again() -> None:
    told = Told()
    told.now_only(ONE)
    told.now_only(BOTH)
    assert told.values(1, 2) == {1: 1.0, 2: 2.0}


def test_what_nobody_asked_for_is_not_told() -> None:
    """T21: handles and subscriptions that this session does not have, and notifications that cannot be read."""
    told = Told()
    assert told.values(1, 3) == {1: 1.0, 3: DENIED}
    assert told.values(1, subscription=99) == {1: DENIED}
    assert told.publish(ExtensionObject(robot("Unknown"), 1, b"secret")) == []


def test_two_items_of_one_handle_are_told_while_both_may_be() -> None:
    """T26: a handle is the client's own word, and says nothing of the node."""
    told = Told()
    assert told.items(told.token, (("Secret", 1),)) == [0]
    assert told.values(1) == {1: 1.0}
    told.now_only(ONE)
    assert told.values(1) == {1: DENIED}


def test_events_are_judged_like_values() -> None:
    told = Told()
    event = make_extension(s.EventNotificationList((s.EventFieldList(1, ()), s.EventFieldList(2, ()))))
    told.now_only(ONE)
    (seen,) = told.publish(event)
    assert [one.client_handle for one in seen.events] == [1]


def test_a_republished_message_is_judged_again() -> None:
    """T21."""
    told = Told()
    told.now_only(ONE)
    world = told.world
    id = world.say(s.RepublishRequest(world.header(told.token), 9, 41))
    data = s.DataChangeNotification((s.MonitoredItemNotification(2, DataValue(Variant.of_int32(2))),), None)
    answer = s.RepublishResponse(ResponseHeader.make(77), s.NotificationMessage(41, 1, (make_extension(data),)))
    number = max(world.inspector._talk.pending)
    world.inspector.from_upstream(NUMBER.pack(number) + encode(answer), world.now, world.out)
    world.settle()
    (got,) = [one for at, one in world.heard if at == id]
    assert isinstance(got, s.RepublishResponse)
    inner: Any = decode_inner((got.notification_message.notification_data or ())[0])
    assert inner.monitored_items[0].value == DataValue(status=DENIED)


def test_a_first_value_may_come_before_the_answer_that_makes_the_item() -> None:
    told = Told()
    world = told.world
    silent = world.server
    world.server = lambda world, request: None
    item = mon.MonitoredItemCreateRequest(
        ReadValueId(robot("Speed"), 13, None, QualifiedName.NULL),
        2,
        mon.MonitoringParameters(5, 1.0, ExtensionObject.NULL, 1, True),
    )
    world.say(mon.CreateMonitoredItemsRequest(world.header(told.token), 9, 2, (item,)))
    world.server = silent
    assert told.values(5) == {5: 5.0}


def test_an_item_that_the_server_refused_is_forgotten() -> None:
    told = Told()
    world = told.world
    refuse = mon.MonitoredItemCreateResult(status.BAD_NODE_ID_UNKNOWN, 0, 0.0, 0, ExtensionObject.NULL)
    world.server = lambda world, request: mon.CreateMonitoredItemsResponse(
        ResponseHeader.make(request.header.request_handle), (refuse,), None
    )
    assert told.items(told.token, (("Speed", 6),)) == [status.BAD_NODE_ID_UNKNOWN]
    world.server = server
    assert told.values(6) == {6: DENIED}


def event_filter(operand: ExtensionObject) -> ExtensionObject:
    where = f.ContentFilter((f.ContentFilterElement(0, (operand,)),))
    return make_extension(f.EventFilter((), where))


@pytest.mark.parametrize(
    ("filter", "fine"),
    [
        (make_extension(f.DataChangeFilter(1, 0, 0.0)), True),
        (event_filter(make_extension(f.LiteralOperand(Variant.of_int32(1)))), True),
        (event_filter(make_extension(f.AttributeOperand(robot("Secret"), None, RelativePath(None), 13, None))), False),
        (ExtensionObject(robot("Unknown"), 1, b""), False),
    ],
    ids=["data change", "literal", "attribute of another node", "unknown type"],
)
def test_a_filter_looks_at_nothing_but_its_item(filter: ExtensionObject, fine: bool) -> None:
    """T26: an AttributeOperand in a where clause reads any node of the server."""
    told = Told()
    told.world.reached.clear()
    assert told.items(told.token, (("Speed", 8),), filter) == [0 if fine else DENIED]
    assert bool(told.world.reached) is fine


def test_a_change_of_an_item_is_judged_and_its_new_handle_known() -> None:
    told = Told()
    world = told.world

    def modify(id: int, handle: int) -> list[int]:
        change = mon.MonitoredItemModifyRequest(
            id, mon.MonitoringParameters(handle, 1.0, ExtensionObject.NULL, 1, True)
        )
        request = mon.ModifyMonitoredItemsRequest(world.header(told.token), 9, 2, (change,))
        return [one.status_code for one in world.ask(request, mon.ModifyMonitoredItemsResponse).results or ()]

    assert modify(500, 70) == [0]
    assert told.values(70, 1) == {70: 1.0 * 70, 1: DENIED}
    assert modify(999, 71) == [DENIED], "an item of nobody"
    told.now_only(ONE)
    assert modify(501, 72) == [DENIED]


def test_a_lost_item_cannot_be_switched_on_but_off() -> None:
    told = Told()
    told.now_only(ONE)
    world = told.world

    def mode(mode: int) -> list[int]:
        request = mon.SetMonitoringModeRequest(world.header(told.token), 9, mode, (500, 501))
        return list(world.ask(request, mon.SetMonitoringModeResponse).results or ())

    assert mode(2) == [0, DENIED]
    assert mode(DISABLED) == [0, 0]


def test_triggering_needs_all_its_items() -> None:
    """T26: one item may not make another report that may not be told."""
    told = Told()
    world = told.world
    world.ask(mon.SetTriggeringRequest(world.header(told.token), 9, 500, (501,), None), mon.SetTriggeringResponse)
    told.now_only(ONE)
    world.reached.clear()
    fault = world.ask(mon.SetTriggeringRequest(world.header(told.token), 9, 500, (501,), None), ServiceFault)
    assert fault.header.service_result == DENIED
    assert world.reached == []


def test_a_subscription_goes_to_another_session_of_the_same_user_alone() -> None:
    """T26: TransferSubscriptions."""
    told = Told()
    world = told.world

    def transfer(token: NodeId) -> int:
        request = s.TransferSubscriptionsRequest(world.header(token), (9,), False)
        (result,) = world.ask(request, s.TransferSubscriptionsResponse).results or ()
        return result.status_code

    other = world.session(make_extension(UserNameIdentityToken("username", "operator", b"", None)))
    assert transfer(other) == DENIED
    same = world.session()
    assert transfer(same) == 0
    assert told.values(1, token=same) == {1: 1.0}
    assert told.values(1) == {1: DENIED}, "it is not the first session's any more"


def test_limits_of_a_session() -> None:
    """CVE-2022-25897, CVE-2022-24375, CVE-2022-24298: subscriptions and waiting Publish requests are counted."""
    told = Told()
    world = told.world
    for _ in range(15):
        told.subscribe(told.token)
    request = s.CreateSubscriptionRequest(world.header(told.token), 1.0, 1, 1, 0, True, 0)
    assert world.ask(request, ServiceFault).header.service_result == status.BAD_TOO_MANY_SUBSCRIPTIONS
    for _ in range(20):
        world.say(s.PublishRequest(world.header(told.token), None))
    fault = world.ask(s.PublishRequest(world.header(told.token), None), ServiceFault)
    assert fault.header.service_result == status.BAD_TOO_MANY_PUBLISH_REQUESTS


def test_what_is_told_decodes_to_what_was_told() -> None:
    """A notification that nothing is withheld from goes on byte for byte."""
    told = Told()
    world = told.world
    world.say(s.PublishRequest(world.header(told.token), None))
    number = max(world.inspector._talk.pending)
    data = s.DataChangeNotification((s.MonitoredItemNotification(1, DataValue(Variant.of_double(1.5))),), ())
    body = encode(
        s.PublishResponse(
            ResponseHeader.make(77), 9, (), False, s.NotificationMessage(1, 1, (make_extension(data),)), (), None
        )
    )
    world.inspector.from_upstream(NUMBER.pack(number) + body, world.now, world.out)
    world.settle()
    assert world.heard[-1][1] == decode(body)
