"""T26, T27: services and forms that asyncua's client never sends. What policy does not know does not arrive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from proxy.protocols.opcua import status
from proxy.protocols.opcua.decode import decode, encode, make_extension
from proxy.protocols.opcua.node_id import ExpandedNodeId, NodeId
from proxy.protocols.opcua.services.attribute import WriteRequest, WriteResponse, WriteValue
from proxy.protocols.opcua.services.discovery import RegisteredServer, RegisterServer2Request, RegisterServerRequest
from proxy.protocols.opcua.services.history import DeleteRawModifiedDetails, HistoryUpdateRequest, HistoryUpdateResponse
from proxy.protocols.opcua.services.manage import (
    AddNodesItem,
    AddNodesRequest,
    DeleteNodesItem,
    DeleteNodesRequest,
    DeleteReferencesItem,
    DeleteReferencesRequest,
)
from proxy.protocols.opcua.services.method import CallMethodRequest, CallRequest, CallResponse
from proxy.protocols.opcua.services.monitor import (
    CreateMonitoredItemsResponse,
    ModifyMonitoredItemsRequest,
    MonitoredItemModifyRequest,
    MonitoringParameters,
    SetMonitoringModeRequest,
    SetMonitoringModeResponse,
    SetTriggeringRequest,
)
from proxy.protocols.opcua.services.subscription import (
    CreateSubscriptionResponse,
    PublishResponse,
    TransferSubscriptionsRequest,
    TransferSubscriptionsResponse,
)
from proxy.protocols.opcua.services.view import RegisterNodesRequest, RegisterNodesResponse
from proxy.protocols.opcua.values import DataValue, ExtensionObject, QualifiedName, Variant
from tests.support.opcua import requests, site
from tests.support.opcua.names import CLOSED, NO_CALL, OPEN, OVERRIDE, ROBOT, SAMPLES, SECRET, START, node_id
from tests.support.opcua.raw_client import RawClient, Session

if TYPE_CHECKING:
    from proxy.protocols.opcua.services.messages import Request, RequestHeader
    from tests.support.opcua.robot_process import Robot

pytestmark = pytest.mark.system
INDEX = 2
DENIED = status.BAD_USER_ACCESS_DENIED
Talk = tuple[RawClient, Session]


def node(name: str) -> NodeId:
    return NodeId.string(INDEX, name)


@pytest.fixture(params=[site.RELAY, site.FRONT])
def talk(request: pytest.FixtureRequest, url: Callable[[str], str], robot: Robot) -> Iterator[Talk]:
    """An activated session over None; the robot's record begins after it. It must serve when all is over."""
    with RawClient(url(request.param)) as client:
        session = client.session()
        robot.forget()
        yield client, session
        answer = client.asked(requests.write(client.header(session.token), [(node(OPEN[9]), 9.0)]), WriteResponse)
        assert answer.results == (0,), "the session does not go on"


def written(talk: Talk, *values: WriteValue) -> tuple[int, ...]:
    client, session = talk
    return client.asked(WriteRequest(client.header(session.token), values), WriteResponse).results or ()


def value_of(name: str, value: DataValue, attribute: int = 13, index_range: str | None = None) -> WriteValue:
    return WriteValue(node(name), attribute, index_range, value)


def number(value: int) -> DataValue:
    return DataValue(Variant.of_int32(value), None, None, None, None, None)


# Whole services.


def _server() -> RegisteredServer:
    return RegisteredServer("urn:evil", "urn:evil", None, 0, None, ("opc.tcp://evil.invalid:4840",), None, True)


def _update(header: RequestHeader) -> Request:
    details = DeleteRawModifiedDetails(node(OPEN[0]), False, 0, 2**62)
    return HistoryUpdateRequest(header, (make_extension(details),))


def _add_nodes(header: RequestHeader) -> Request:
    parent = ExpandedNodeId(NodeId.numeric(0, 85), None, None)
    kind = NodeId.numeric(0, 35)
    fresh, none = ExpandedNodeId(node("fresh"), None, None), ExpandedNodeId(NodeId.NULL, None, None)
    name = QualifiedName(INDEX, "fresh")
    return AddNodesRequest(header, (AddNodesItem(parent, kind, fresh, name, 1, ExtensionObject.NULL, none),))


def _delete_references(header: RequestHeader) -> Request:
    target = ExpandedNodeId(node(OPEN[0]), None, None)
    item = DeleteReferencesItem(NodeId.numeric(0, 85), NodeId.numeric(0, 35), True, target, True)
    return DeleteReferencesRequest(header, (item,))


DENIED_SERVICES: dict[str, Callable[[RequestHeader], Request]] = {
    **requests.RARE,
    "RegisterServer": lambda header: RegisterServerRequest(header, _server()),
    "RegisterServer2": lambda header: RegisterServer2Request(header, _server(), None),
    "AddNodes": _add_nodes,
    "DeleteNodes": lambda header: DeleteNodesRequest(header, (DeleteNodesItem(node(OPEN[0]), True),)),
    "DeleteReferences": _delete_references,
    "HistoryUpdate": _update,
}
HARMLESS = {"Cancel", "BrowseNext"}
"""May be answered or passed on: they change nothing, and a continuation point is the server's own."""


@pytest.mark.parametrize("name", [name for name in DENIED_SERVICES if name not in HARMLESS])
def test_t27_a_service_that_no_rule_allows_does_not_arrive(talk: Talk, robot: Robot, name: str) -> None:
    client, session = talk
    answer = client.ask(DENIED_SERVICES[name](client.header(session.token)))
    codes = {answer.header.service_result, *_codes(answer)}  # type: ignore[attr-defined]
    assert codes & {DENIED, status.BAD_SERVICE_UNSUPPORTED} or any(code & status.BAD for code in codes), answer
    assert robot.received() == []


def _codes(answer: object) -> list[int]:
    results = getattr(answer, "results", None) or ()
    return [one if isinstance(one, int) else one.status_code for one in results]


@pytest.mark.parametrize("name", ["RegisterServer", "RegisterServer2"])
def test_t27_registering_a_server_needs_no_session_and_is_refused_all_the_same(
    url: Callable[[str], str], robot: Robot, name: str
) -> None:
    for listener in (site.RELAY, site.FRONT, site.STRICT):
        with RawClient(url(listener)) as client:
            assert client.refused(DENIED_SERVICES[name](client.header())) & status.BAD
    assert robot.received() == []


@pytest.mark.parametrize("type_id", [15901, 9999, 65535, 631 + 1])
def test_t27_an_unknown_service_is_refused_and_the_session_lives_on(talk: Talk, robot: Robot, type_id: int) -> None:
    """SessionlessInvoke (15901) wraps a whole request."""
    client, session = talk
    body = encode(requests.read(client.header(session.token), [node(OPEN[0])]))
    assert client.refused(b"\x01\x00" + type_id.to_bytes(2, "little") + body[4:]) == status.BAD_SERVICE_UNSUPPORTED
    assert robot.received() == []


def test_t26_history_update_item_by_item(talk: Talk, robot: Robot) -> None:
    client, session = talk
    answer = client.ask(_update(client.header(session.token)))
    if isinstance(answer, HistoryUpdateResponse):
        assert [one.status_code for one in answer.results or ()] == [DENIED]
    assert robot.received() == []


# Values.


def test_t26_a_value_outside_its_window(talk: Talk, robot: Robot) -> None:
    values = (0, 100, 101, -1, 50)
    results = written(talk, *[value_of(OPEN[0], requests.double(1.0)), value_of(OVERRIDE, number(100))])
    assert results == (0, 0)
    for value in values:
        wanted = 0 if 0 <= value <= 100 else DENIED
        assert written(talk, value_of(OVERRIDE, number(value))) == (wanted,), value
    assert robot.items("Write", "value") == [1.0, 100, 0, 100, 50]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (DataValue(Variant.of_string("50"), None, None, None, None, None), "text"),
        (DataValue(None, None, None, None, None, None), "no value"),
        (DataValue(Variant.of_int32(50), 0x80000000, None, None, None, None), "a status that is not good"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_t26_what_is_no_number_under_a_window(talk: Talk, robot: Robot, value: DataValue, why: str) -> None:
    assert written(talk, value_of(OVERRIDE, value)) == (DENIED,), why
    assert robot.received("Write") == []


def test_t26_the_same_node_twice_under_a_window(talk: Talk, robot: Robot) -> None:
    """Which of the two would be last is the server's to say."""
    results = written(talk, value_of(OVERRIDE, number(10)), value_of(OVERRIDE, number(20)))
    assert DENIED in results
    assert len(robot.items("Write")) <= 1


@pytest.mark.parametrize("attribute", [1, 3, 4, 17, 20])
def test_t26_another_attribute_is_another_right(talk: Talk, robot: Robot, attribute: int) -> None:
    """NodeId, BrowseName, DisplayName, AccessLevel, Historizing."""
    results = written(talk, value_of(OPEN[0], requests.double(1.0)), value_of(OPEN[1], requests.double(1.0), attribute))
    assert results == (0, DENIED)
    assert robot.items("Write") == [node_id(OPEN[0])]


def test_a_part_of_an_array(talk: Talk, robot: Robot) -> None:
    """Without a window a part is as good as the whole."""
    written(talk, value_of(SAMPLES, requests.double(3.0), index_range="1"))
    assert robot.items("Write", "range") == ["1"]
    assert written(talk, value_of(OVERRIDE, number(10), index_range="0")) == (DENIED,)


@pytest.mark.parametrize(
    "other",
    [
        node(OPEN[0].lower()),
        node(" " + OPEN[0]),
        node(OVERRIDE.lower()),
        node(OVERRIDE + " "),
        node("Overr\u0131de"),
        NodeId.string(INDEX + 1, OPEN[0]),
        NodeId.string(0, OPEN[0]),
        NodeId.string(1, OPEN[0]),
        NodeId.string(65535, OPEN[0]),
        NodeId(INDEX, OPEN[0].encode(), 5),
    ],
    ids=str,
)
def test_t29_a_node_that_only_looks_like_an_open_one(talk: Talk, robot: Robot, other: NodeId) -> None:
    """T29: bytes are compared, case and blanks count, an index outside the server's own array is nothing."""
    assert written(talk, WriteValue(other, 13, None, requests.double(1.0))) == (DENIED,)
    assert robot.received("Write") == []


def test_t29_a_nul_in_an_identifier(url: Callable[[str], str], robot: Robot) -> None:
    """T29: a server in C may see another node than we do."""
    for listener in (site.RELAY, site.FRONT):
        with RawClient(url(listener)) as client:
            session = client.session()
            robot.forget()
            client.say(requests.write(client.header(session.token), [(node(OPEN[0] + "\x00"), 1.0)]))
            assert client.ended_or_refused()
            assert robot.received() == []


@pytest.mark.parametrize("form", [1, 2])
def test_t29_one_number_in_two_forms_is_one_node(talk: Talk, robot: Robot, form: int) -> None:
    client, session = talk
    asked = requests.read(client.header(session.token), [NodeId(INDEX, 1001, form), NodeId(INDEX, 1002, form)])
    results = client.ask(asked).results  # type: ignore[attr-defined]
    assert [one.status or 0 for one in results] == [0, DENIED]
    assert robot.items("Read") == [f"{node_id('')[:-2]}i=1001"]


# Methods.


def _called(talk: Talk, *calls: CallMethodRequest) -> list[int]:
    client, session = talk
    answer = client.asked(CallRequest(client.header(session.token), calls), CallResponse)
    return [one.status_code for one in answer.results or ()]


def test_t27_a_method_on_another_object(talk: Talk, robot: Robot) -> None:
    """The rule says which method of which object; the type's own, another object's and none are others."""
    number_ = (Variant.of_double(1.0),)
    for owner in (node("Cell"), NodeId.numeric(0, 85), NodeId.NULL):
        assert _called(talk, CallMethodRequest(owner, node("Ok.Call"), number_)) == [DENIED]
    assert _called(talk, CallMethodRequest(node(ROBOT), node(NO_CALL), number_)) == [DENIED]
    assert robot.received() == []


@pytest.mark.parametrize("method", [11492, 12749, 12873, 12886, 3875, 12912, 13737, 12740, 11580])
def test_t27_methods_of_the_standard_are_denied_unless_named(talk: Talk, robot: Robot, method: int) -> None:
    """GetMonitoredItems, ResendData, ConditionRefresh (CVE-2023-27321), UpdateCertificate..."""
    call = CallMethodRequest(NodeId.numeric(0, 2253), NodeId.numeric(0, method), (Variant.of_int32(1),))
    assert _called(talk, call) == [DENIED]
    assert robot.received() == []


def test_a_user_has_what_his_rule_says(url: Callable[[str], str], robot: Robot) -> None:
    """Several sessions with different users on one channel: identity belongs to the session."""
    with RawClient(url(site.FRONT)) as client:
        sessions = {user: client.session(user) for user in (None, "operator", "maintainer")}
        robot.forget()
        start = CallMethodRequest(node(ROBOT), node(START), None)
        found = {user: _called((client, session), start) for user, session in sessions.items()}
        assert found == {None: [DENIED], "operator": [DENIED], "maintainer": [0]}
        assert [line["user"] for line in robot.received("Call")] == ["maintainer"]


# Aliases, subscriptions.


def test_t26_a_registered_alias_is_its_node(talk: Talk, robot: Robot) -> None:
    client, session = talk
    asked = RegisterNodesRequest(client.header(session.token), (node(OPEN[0]), node(CLOSED[0])))
    answer = client.ask(asked)
    aliases = answer.registered_node_ids if isinstance(answer, RegisterNodesResponse) else None
    if aliases is not None:
        robot.forget()
        values = [WriteValue(alias, 13, None, requests.double(1.0)) for alias in aliases]
        assert written(talk, *values) == (0, DENIED)
        assert robot.items("Write") == [node_id(OPEN[0])]


def _items(client: RawClient, session: Session, *names: str) -> tuple[int, list[int]]:
    """A subscription and its items."""
    made = client.asked(requests.subscription(client.header(session.token)), CreateSubscriptionResponse)
    number_ = made.subscription_id
    asked = requests.monitored(client.header(session.token), number_, [node(name) for name in names])
    results = client.asked(asked, CreateMonitoredItemsResponse).results or ()
    return number_, [one.monitored_item_id for one in results if one.status_code == 0]


def test_t26_items_and_subscriptions_of_another_session(talk: Talk, robot: Robot) -> None:
    """Their numbers are easy to guess. Set the mode, change, trigger: each only on what is one's own."""
    client, session = talk
    other = client.session("operator")
    subscription, (item,) = _items(client, other, OPEN[0])
    robot.forget()
    header = client.header
    wanted = MonitoringParameters(1, 20.0, ExtensionObject.NULL, 5, True)
    asked: list[Request] = [
        SetMonitoringModeRequest(header(session.token), subscription, 0, (item,)),
        ModifyMonitoredItemsRequest(
            header(session.token), subscription, 2, (MonitoredItemModifyRequest(item, wanted),)
        ),
        SetTriggeringRequest(header(session.token), subscription, item, (item,), None),
        requests.monitored(header(session.token), subscription, [node(OPEN[1])]),
    ]
    for one in asked:
        answer = client.ask(one)
        codes = [answer.header.service_result, *_codes(answer)]  # type: ignore[attr-defined]
        assert any(code & status.BAD for code in codes), (one, answer)
    assert robot.received() == []
    own = SetMonitoringModeRequest(header(other.token), subscription, 0, (item,))
    assert client.asked(own, SetMonitoringModeResponse).results == (0,)


@pytest.mark.parametrize("name", [SECRET, OPEN[0]])
def test_t26_a_subscription_transferred_to_somebody_else(talk: Talk, robot: Robot, name: str) -> None:
    """Not even one with what he may see himself: a subscription is its user's."""
    client, session = talk
    other = client.session("maintainer")
    subscription, items = _items(client, other, name)
    assert len(items) == 1
    robot.forget()
    asked = TransferSubscriptionsRequest(client.header(session.token), (subscription,), True)
    answer = client.ask(asked)
    codes = (
        [one.status_code for one in answer.results or ()] if isinstance(answer, TransferSubscriptionsResponse) else []
    )
    assert all(code & status.BAD for code in codes), answer
    assert robot.received() == []


def test_a_subscription_transferred_to_its_own_user(talk: Talk, robot: Robot) -> None:
    """What the service is for; and what comes is told to the new session."""
    client, session = talk
    other = client.session()
    subscription, _ = _items(client, other, OPEN[3])
    asked = TransferSubscriptionsRequest(client.header(session.token), (subscription,), True)
    answer = client.asked(asked, TransferSubscriptionsResponse)
    assert [one.status_code for one in answer.results or ()] == [0]
    assert [line["token"] for line in robot.received("TransferSubscriptions")]
    number_ = client.say(requests.publish(client.header(session.token)))
    published = decode(client.hear(number_).body)
    assert isinstance(published, PublishResponse) and published.subscription_id == subscription


def test_t42_a_body_that_is_not_what_it_says(url: Callable[[str], str], robot: Robot) -> None:
    """T42: a lying count, bytes left over, a Boolean of 2: the request never arrives."""
    with RawClient(url(site.FRONT)) as client:
        session = client.session()
        good = encode(requests.write(client.header(session.token), [(node(OPEN[0]), 5.0)]))
    at = good.rindex(b"\x01\x00\x00\x00", 0, good.index(b"Ok."))
    for broken in (
        good + b"\x00",
        good[:-1],
        good[:at] + b"\xff\xff\xff\x7f" + good[at + 4 :],
        good[:at] + b"\xfe\xff\xff\xff",
    ):
        with RawClient(url(site.FRONT)) as client:
            session = client.session()
            robot.forget()
            token = encode(replace(requests.write(client.header(session.token), []), nodes_to_write=None))
            head = len(token) - 4
            client.wire(client.frames(token[:head] + broken[head:]))
            client.ended_or_refused()
            assert robot.received("Write") == []
