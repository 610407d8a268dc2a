"""Whose session it is, and where it may be used (Part 4, 5.7; protocols.md 4.7)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from proxy.core.names import Names
from proxy.core.reason import Reason
from proxy.protocols.base import UpstreamState
from proxy.protocols.opcua import status
from proxy.protocols.opcua.channel import Broke
from proxy.protocols.opcua.decode import make_extension
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.services.attribute import (
    ReadRequest,
    ReadResponse,
    ReadValueId,
    WriteRequest,
    WriteResponse,
    WriteValue,
)
from proxy.protocols.opcua.services.discovery import (
    FindServersRequest,
    FindServersResponse,
    GetEndpointsRequest,
    GetEndpointsResponse,
    RegisteredServer,
    RegisterServerRequest,
)
from proxy.protocols.opcua.services.fault import ServiceFault
from proxy.protocols.opcua.services.messages import Request, ResponseHeader
from proxy.protocols.opcua.services.session import (
    ActivateSessionResponse,
    CloseSessionRequest,
    CloseSessionResponse,
    IssuedIdentityToken,
    UserNameIdentityToken,
    X509IdentityToken,
)
from proxy.protocols.opcua.services.view import RegisterNodesRequest, RegisterNodesResponse
from proxy.protocols.opcua.values import DataValue, ExtensionObject, QualifiedName, Variant
from tests.opcua.inspector_world import Policy, World, robot

if TYPE_CHECKING:
    from proxy.protocols.opcua.structures import Struct

RULE = {"read": ["nsu=urn:robot:7;s=Speed"], "write": ["nsu=urn:robot:7;s=Override"]}
UATCP = "http://opcfoundation.org/UA-Profile/Transport/uatcp-uasc-uabinary"


def server(world: World, request: Request) -> Struct | None:
    header = ResponseHeader.make(request.header.request_handle)
    if isinstance(request, ReadRequest):
        return ReadResponse(header, tuple(DataValue(status=0) for _ in request.nodes_to_read or ()), None)
    if isinstance(request, WriteRequest):
        return WriteResponse(header, tuple(0 for _ in request.nodes_to_write or ()), None)
    if isinstance(request, CloseSessionRequest):
        world.memory.drop(request.header.authentication_token)
        return CloseSessionResponse(header)
    return None


def user(name: str) -> ExtensionObject:
    return make_extension(UserNameIdentityToken("username", name, b"secret", None))


def read(world: World, token: NodeId, name: str = "Speed") -> ReadRequest:
    return ReadRequest(world.header(token), 0.0, 2, (ReadValueId(robot(name), 13, None, QualifiedName.NULL),))


def write(world: World, token: NodeId, value: float = 1.0) -> WriteRequest:
    item = WriteValue(robot("Override"), 13, None, DataValue(Variant.of_double(value)))
    return WriteRequest(world.header(token), (item,))


def code(world: World, request: Request) -> int:
    """Of the fault that the request gets."""
    return world.ask(request, ServiceFault).header.service_result


def world(**rule: object) -> World:
    return World(Policy.of(rule or RULE), server)


def test_nothing_is_served_before_a_user_is_accepted() -> None:
    """CVE-2023-26150: the address space of a session that is created and not activated."""
    one = world()
    token = one.created().authentication_token
    one.reached.clear()
    assert code(one, read(one, token)) == status.BAD_SESSION_NOT_ACTIVATED
    assert code(one, read(one, NodeId.NULL)) == status.BAD_SESSION_ID_INVALID
    assert one.reached == []


def test_a_token_is_worth_nothing_on_another_channel() -> None:
    """T11: a session hijacked on a second channel, of another device or of none."""
    one = world()
    token = one.session()
    two = World(Policy.of(RULE), server, memory=one.memory, names=Names("other"))
    assert code(two, read(two, token)) == status.BAD_SESSION_ID_INVALID
    assert code(two, two.activation(token)) == status.BAD_SESSION_ID_INVALID
    assert code(two, CloseSessionRequest(two.header(token), True)) == status.BAD_SESSION_ID_INVALID
    assert two.reached == []
    assert one.ask(read(one, token), ReadResponse).results, "its owner notices nothing"
    assert [event.reason for event in two.events] == [Reason.CHANNEL_REFUSED] * 2


def test_a_client_takes_its_session_to_a_new_channel() -> None:
    """Part 4, 5.7.3: the same client, the same user; the old channel has lost it then."""
    one = world()
    token = one.session(user("operator"))
    two = World(Policy.of(RULE), server, memory=one.memory)
    assert code(two, two.activation(token, user("mallory"))) == status.BAD_IDENTITY_TOKEN_REJECTED
    two.ask(two.activation(token, user("operator")), ActivateSessionResponse)
    assert two.ask(read(two, token), ReadResponse).results
    assert code(one, read(one, token)) == status.BAD_SESSION_ID_INVALID


def test_another_user_on_the_same_channel_has_other_rights() -> None:
    """protocols.md 4.7: cached verdicts are dropped with the user."""
    one = world(read=["nsu=urn:robot:7;s=Speed"], users=["operator"])
    token = one.session(user("operator"))
    for _ in range(2):
        assert [v.status for v in one.ask(read(one, token), ReadResponse).results or ()] == [0]
    one.policy.targets = (*one.policy.targets, *Policy.of({"read": ["i=1"], "users": ["guest"]}).targets)
    one.ask(one.activation(token, user("guest")), ActivateSessionResponse)
    told = one.ask(read(one, token), ReadResponse)
    assert [v.status for v in told.results or ()] == [status.BAD_USER_ACCESS_DENIED]


def test_a_user_whom_no_rule_means_gets_no_session() -> None:
    one = world(read=["i=1"], users=["operator"])
    token = one.created().authentication_token
    assert code(one, one.activation(token)) == status.BAD_USER_ACCESS_DENIED
    assert code(one, one.activation(token, user("guest"))) == status.BAD_USER_ACCESS_DENIED
    one.ask(one.activation(token, user("operator")), ActivateSessionResponse)


@pytest.mark.parametrize(
    "token",
    [
        make_extension(X509IdentityToken("x509", b"cert")),
        make_extension(IssuedIdentityToken("issued", b"data", None)),
        make_extension(UserNameIdentityToken("other", "operator", b"secret", None)),
        make_extension(UserNameIdentityToken("username", "op\x00erator", b"secret", None)),
        make_extension(UserNameIdentityToken("username", "", b"secret", None)),
        make_extension(UserNameIdentityToken("username", "a" * 600, b"secret", None)),
        make_extension(UserNameIdentityToken("username", "operator", b"s" * 600, None)),
        make_extension(UserNameIdentityToken("username", "operator", b"secret", "http://www.w3.org/2001/04/xmlenc#rsa-1_5")),
        ExtensionObject(robot("Token"), 1, b""),
    ],
    ids=["x509", "issued", "policy", "invisible", "empty", "long name", "long password", "rsa 1.5", "unknown"],
)  # fmt: skip
def test_tokens_that_are_not_relayed(token: ExtensionObject) -> None:
    """T12, CVE-2026-54155: one answer, and the server does not hear of it."""
    one = world()
    session = one.created().authentication_token
    one.reached.clear()
    answer = one.say(one.activation(session, token))
    told = [struct for id, struct in one.heard if id == answer]
    if told:
        (fault,) = told
        assert isinstance(fault, ServiceFault)
        assert fault.header.service_result in (
            status.BAD_IDENTITY_TOKEN_REJECTED, status.BAD_IDENTITY_TOKEN_INVALID
        )  # fmt: skip
    else:
        assert any(isinstance(broke, Broke) for broke in one.broke)
    assert one.reached == []
    assert not any("secret" in f"{event.action} {event.detail}" for event in one.events)


def test_more_sessions_than_one_channel_may_have() -> None:
    one = world()
    for _ in range(4):
        one.session()
    request = dataclasses.replace(one.reached[0], header=one.header())
    assert code(one, request) == status.BAD_TOO_MANY_SESSIONS


def test_endpoints_and_servers_agree_and_name_the_address_that_was_used() -> None:
    """protocols.md 4.3: clients dial the URL that they are given, and compare."""
    one = world()
    listed = one.ask(GetEndpointsRequest(one.header(), None, None, None), GetEndpointsResponse).endpoints or ()
    assert {endpoint.endpoint_url for endpoint in listed} == {"opc.tcp://front:4840"}
    assert one.created().server_endpoints == listed
    (found,) = one.ask(FindServersRequest(one.header(), None, None, None), FindServersResponse).servers or ()
    assert found == listed[0].server
    assert one.ask(GetEndpointsRequest(one.header(), None, None, ("other",)), GetEndpointsResponse).endpoints == ()
    assert one.ask(GetEndpointsRequest(one.header(), None, None, (UATCP,)), GetEndpointsResponse).endpoints == listed
    assert one.ask(FindServersRequest(one.header(), None, None, ("urn:x",)), FindServersResponse).servers == ()


def test_services_that_are_in_no_table_are_refused_and_the_session_lives_on() -> None:
    """T27."""
    one = world()
    token = one.session()
    one.reached.clear()
    registered = RegisteredServer("urn:x", None, None, 0, None, None, None, True)
    assert code(one, RegisterServerRequest(one.header(token), registered)) == status.BAD_SERVICE_UNSUPPORTED
    assert one.reached == []
    assert one.ask(read(one, token), ReadResponse).results


def test_registered_nodes_are_the_nodes_themselves() -> None:
    """T26: the server makes no aliases that policy does not know."""
    one = world()
    token = one.session()
    one.reached.clear()
    nodes = (robot("Speed"), robot("Secret"))
    told = one.ask(RegisterNodesRequest(one.header(token), nodes), RegisterNodesResponse)
    assert told.registered_node_ids == nodes
    assert one.reached == []


def test_an_act_waits_for_its_record_and_what_is_behind_it_too() -> None:
    """threats.md 5.3."""
    one = World(Policy.of(RULE, held="write"), server)
    token = one.session()
    one.reached.clear()
    written, asked = one.say(write(one, token)), one.say(read(one, token))
    ((number, event),) = one.out.held
    assert event.action == "write nsu=urn:robot:7;s=Override = 1"
    assert one.reached == []
    one.out.held.clear()
    one.inspector.resume(number, True, one.now, one.out)
    one.settle()
    assert [type(request) for request in one.reached] == [WriteRequest, ReadRequest]
    assert [id for id, _ in one.heard[-2:]] == [written, asked]


def test_an_act_that_cannot_be_recorded_does_not_happen() -> None:
    one = World(Policy.of(RULE, held="write"), server)
    token = one.session()
    one.reached.clear()
    one.say(write(one, token))
    ((number, _),) = one.out.held
    one.inspector.resume(number, False, one.now, one.out)
    one.settle()
    assert one.reached == []
    fault = one.heard[-1][1]
    assert isinstance(fault, ServiceFault)
    assert fault.header.service_result == status.BAD_RESOURCE_UNAVAILABLE
    assert one.events[-1].reason is Reason.AUDIT_NOT_WRITABLE


def test_an_act_that_lost_its_right_while_it_waited_does_not_happen() -> None:
    """T22."""
    one = World(Policy.of(RULE, held="write"), server)
    token = one.session()
    one.reached.clear()
    one.say(write(one, token))
    ((number, _),) = one.out.held
    one.policy.targets = ()
    one.inspector.resume(number, True, one.now, one.out)
    one.settle()
    assert one.reached == []
    told = one.heard[-1][1]
    assert isinstance(told, WriteResponse)
    assert told.results == (status.BAD_USER_ACCESS_DENIED,)


def test_the_end_of_a_link_ends_its_sessions_at_the_server() -> None:
    """Revoked: what is owed is answered, the session is closed upstream, the client told (protocols.md 4.8)."""
    one = world()
    token = one.session()
    one.server = lambda world, request: None
    one.reached.clear()
    asked = one.say(read(one, token))
    one.inspector.end(Reason.POLICY_CHANGED, one.now, one.out)
    one.settle()
    assert isinstance(one.reached[-1], CloseSessionRequest)
    assert one.out.closing
    (fault,) = [struct for id, struct in one.heard if id == asked]
    assert isinstance(fault, ServiceFault)
    assert fault.header.service_result == status.BAD_USER_ACCESS_DENIED
    assert [broke.status for broke in one.broke if isinstance(broke, Broke)] == [status.BAD_SECURE_CHANNEL_CLOSED]


def test_a_server_that_is_gone_is_told_of() -> None:
    one = world()
    token = one.session()
    one.server = lambda world, request: None
    asked = one.say(read(one, token))
    one.inspector.upstream_is(UpstreamState.LOST, one.now, one.out)
    one.settle()
    (fault,) = [struct for id, struct in one.heard if id == asked]
    assert isinstance(fault, ServiceFault)
    assert fault.header.service_result == status.BAD_SERVER_NOT_CONNECTED
    assert one.out.closing


def test_an_answer_that_does_not_fit_its_question_is_not_passed_on() -> None:
    """T42: another type, another handle."""
    one = world()
    token = one.session()
    for answer in (
        WriteResponse(ResponseHeader.make(77), (0,), None),
        ReadResponse(ResponseHeader.make(78), (DataValue(),), None),
    ):
        one.server = lambda world, request, answer=answer: answer  # type: ignore[misc]
        assert code(one, read(one, token)) == status.BAD_UNKNOWN_RESPONSE
    assert [event.reason for event in one.events] == [Reason.UPSTREAM_INVALID] * 2


def test_a_fault_of_the_server_loses_its_details() -> None:
    """CVE-2023-31048: the code goes on, the words stay."""
    one = world()
    token = one.session()
    header = dataclasses.replace(
        ResponseHeader.make(77, status.BAD_NODE_ID_UNKNOWN), string_table=("at line 7 of plc.c",)
    )
    one.server = lambda world, request: ServiceFault(header)
    told = one.ask(read(one, token), ServiceFault)
    assert told.header.service_result == status.BAD_NODE_ID_UNKNOWN
    assert told.header.string_table is None


def test_a_channel_without_a_session_ends_after_a_while() -> None:
    """T45: a client that opens a channel and wants nothing holds a place that others need."""
    one = world()
    due = one.inspector.deadline()
    assert due is not None
    assert due == one.now + 30
    one.inspector.tick(due, one.out)
    one.settle()
    assert one.out.why is Reason.IDLE
    two = world()
    two.session()
    due = two.inspector.deadline()
    assert due is not None
    assert due > 30, "its token's life is all that counts then"


def test_a_value_is_written_once_in_a_request() -> None:
    """T26: each was judged as if it were alone, and which one counts is the server's affair."""
    one = world()
    token = one.session()

    def codes(*parts: str | None) -> tuple[int, ...]:
        items = tuple(WriteValue(robot("Override"), 13, part, DataValue(Variant.of_double(1.0))) for part in parts)
        return tuple(one.ask(WriteRequest(one.header(token), items), WriteResponse).results or ())

    denied = status.BAD_USER_ACCESS_DENIED
    assert codes(None, None) == (0, denied)
    assert codes("1", "2") == (0, 0)
    assert codes("1", None) == (0, denied)
    assert codes(None, "1") == (0, denied)
