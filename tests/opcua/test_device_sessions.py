"""Our own session layer: what the server sees of the client's session, and what must be true before it may be used."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from proxy.protocols.base import UpstreamState
from proxy.protocols.opcua import status
from proxy.protocols.opcua.memory import SESSIONS, Memory, Session
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.service import OpcUaService
from proxy.protocols.opcua.services.attribute import ReadRequest, ReadResponse
from proxy.protocols.opcua.services.discovery import GetEndpointsRequest
from proxy.protocols.opcua.services.fault import ServiceFault
from proxy.protocols.opcua.services.session import (
    ActivateSessionRequest,
    ActivateSessionResponse,
    AnonymousIdentityToken,
    CloseSessionRequest,
    CloseSessionResponse,
    CreateSessionRequest,
    CreateSessionResponse,
    IssuedIdentityToken,
    X509IdentityToken,
)
from proxy.protocols.opcua.values import DataValue, ExtensionObject, Variant
from tests.opcua.south import URL, South, activate, close, create, read
from tests.opcua.south_server import ROBOT, UA, Server, fault, good, user_policy


def code(answer: Any) -> int:
    assert isinstance(answer, ServiceFault), answer
    return answer.header.service_result


def attached(session: Session) -> bool:
    return session.attached


class TestCreate:
    def test_the_server_sees_us(self) -> None:
        server = Server()
        south = South(server, OpcUaService(path="/UA"))
        answer = south.create()
        (seen,) = server.requests(CreateSessionRequest)
        assert seen.endpoint_url == f"{URL}/UA" and seen.server_uri is None and seen.client_certificate is None
        assert len(seen.client_nonce) == 32 and seen.session_name == "s"
        assert seen.client_description == create().client_description
        assert answer.header.request_handle == 11 and len(answer.server_endpoints or ()) == 2
        assert not server.requests(GetEndpointsRequest)  # without security it would prove nothing

    @pytest.mark.parametrize(("asked", "sent"), [(60_000.0, 60_000.0), (0.0, 0.0), (1e12, 3.6e6), (-1.0, 3.6e6)])
    def test_timeout_is_capped(self, asked: float, sent: float) -> None:
        server = Server()
        South(server).ask(replace(create(), requested_session_timeout=asked))
        assert server.requests(CreateSessionRequest)[0].requested_session_timeout == sent

    def test_not_a_number_is_capped_too(self) -> None:
        server = Server()
        South(server).ask(replace(create(), requested_session_timeout=float("nan")))
        assert server.requests(CreateSessionRequest)[0].requested_session_timeout == 3.6e6

    def test_each_session_has_its_own_nonce_and_place(self) -> None:
        server = Server()
        south = South(server)
        tokens = [south.create().authentication_token for _ in range(3)]
        assert len({request.client_nonce for request in server.requests(CreateSessionRequest)}) == 3
        assert [south.memory.find(token) is not None for token in tokens] == [True] * 3

    def test_refused_by_the_server(self) -> None:
        server = Server()
        server.answers[CreateSessionRequest] = lambda request: fault(request, status.BAD_TOO_MANY_SESSIONS)
        south = South(server)
        assert code(south.ask(create())) == status.BAD_TOO_MANY_SESSIONS and not south.memory.sessions

    def test_answer_of_another_kind(self) -> None:
        server = Server()
        server.answers[CreateSessionRequest] = lambda request: CloseSessionResponse(good(request))
        south = South(server)
        assert code(south.ask(create())) == status.BAD_UNKNOWN_RESPONSE
        assert south.events == ["UPSTREAM_INVALID: no fitting answer to CreateSession"]

    def test_answer_that_cannot_be_read(self) -> None:
        server = Server()
        server.answers[CreateSessionRequest] = lambda request: b"\x01\x00\xd0\x01" + bytes(5)
        south = South(server)
        assert code(south.ask(create())) == status.BAD_UNKNOWN_RESPONSE and len(south.events) == 1

    @pytest.mark.parametrize("changed", [{"authentication_token": NodeId.NULL}, {"server_nonce": bytes(129)}])
    def test_null_token_and_long_nonce(self, changed: dict[str, Any]) -> None:
        server = Server()
        server.answers[CreateSessionRequest] = lambda request: replace(server.create(request), **changed)
        south = South(server)
        assert code(south.ask(create())) == status.BAD_SECURITY_CHECKS_FAILED
        assert len(south.events) == 1 and not south.memory.sessions
        assert len(server.requests(CloseSessionRequest)) == 1

    def test_no_room_in_memory(self) -> None:
        server = Server()
        south = South(server)
        for number in range(SESSIONS):
            held = Session(NodeId.numeric(9, number + 1), NodeId.NULL, 60.0, holder=south)
            assert south.memory.add(held, 0.0)
        assert code(south.ask(create())) == status.BAD_TOO_MANY_SESSIONS
        assert len(server.requests(CloseSessionRequest)) == 1 and len(south.memory.sessions) == SESSIONS

    def test_keys_of_the_clients_side_stay_there(self) -> None:
        server = Server()
        south = South(server)
        keys = ExtensionObject(NodeId.numeric(0, 17537), 1, b"\0\0\0\0")
        request = create()
        south.ask(replace(request, header=replace(request.header, additional_header=keys)))
        token = next(iter(server.sessions.values())).token
        again = activate(token)
        south.ask(replace(again, header=replace(again.header, additional_header=keys)))
        seen = [*server.requests(CreateSessionRequest), *server.requests(ActivateSessionRequest)]
        assert [one.header.additional_header for one in seen] == [ExtensionObject.NULL] * 2
        assert [one.header.request_handle for one in seen] == [11, 12]


class TestUsers:
    def test_anonymous_under_the_servers_own_policy_id(self) -> None:
        server = Server()
        South(server).session()
        (seen,) = server.requests(ActivateSessionRequest)
        assert seen.user_identity_token.body == b"\x06\0\0\0anon-7"

    def test_null_token_is_anonymous_too(self) -> None:
        south = South(Server())
        token = south.create().authentication_token
        assert isinstance(south.ask(activate(token, inner=ExtensionObject.NULL)), ActivateSessionResponse)

    def test_a_server_that_lists_no_policies_gets_a_null_token(self) -> None:
        server = Server(users=())
        South(server).session()
        assert server.requests(ActivateSessionRequest)[0].user_identity_token == ExtensionObject.NULL

    def test_a_server_without_anonymous(self) -> None:
        server = Server(users=(user_policy("u", 1),))
        south = South(server)
        answer = south.ask(activate(south.create().authentication_token))
        assert code(answer) == status.BAD_IDENTITY_TOKEN_REJECTED and not server.requests(ActivateSessionRequest)

    def test_password_to_a_server_that_knows_no_better(self) -> None:
        server = Server()
        South(server).session("operator", b"op-secret")
        assert [live.user for live in server.sessions.values()] == ["operator"]

    def test_wrong_password_is_the_servers_answer(self) -> None:
        south = South(Server())
        token = south.create().authentication_token
        answer = south.ask(activate(token, "operator", b"guess", handle=31))
        assert code(answer) == status.BAD_USER_ACCESS_DENIED and answer.header.request_handle == 31
        assert isinstance(south.ask(activate(token, "operator", b"op-secret")), ActivateSessionResponse)

    @pytest.mark.parametrize("inner", [X509IdentityToken("", b"0"), IssuedIdentityToken("", b"x", None)])
    def test_tokens_that_cannot_be_passed_on(self, inner: Any) -> None:
        server = Server()
        south = South(server)
        answer = south.ask(activate(south.create().authentication_token, inner=inner))
        assert code(answer) == status.BAD_IDENTITY_TOKEN_REJECTED and not server.requests(ActivateSessionRequest)

    @pytest.mark.parametrize("inner", [AnonymousIdentityToken(""), X509IdentityToken("", b"0")])
    def test_a_login_of_the_service_replaces_them(self, inner: Any) -> None:
        server = Server()
        service = OpcUaService(login="robot-7.login")
        south = South(server, service, secrets={"robot-7.login": b"operator\nop-secret\n"})
        assert isinstance(
            south.ask(activate(south.create().authentication_token, inner=inner)), ActivateSessionResponse
        )
        assert [live.user for live in server.sessions.values()] == ["operator"]

    def test_a_login_that_is_none(self) -> None:
        south = South(Server(), OpcUaService(login="x"), secrets={"x": b"\n"})
        south.submit(create())
        assert south.states == [UpstreamState.REFUSED] and not south.up
        assert south.events == ["UPSTREAM_UNREACHABLE: the login file has no user name in its first line"]

    def test_another_user_on_the_same_session(self) -> None:
        server = Server()
        south = South(server)
        session = south.session()
        south.ask(activate(session.token, "operator", b"op-secret"))
        assert [live.user for live in server.sessions.values()] == ["operator"]
        assert len(server.requests(ReadRequest)) == 2  # what this user sees is looked at again


class TestNamespaces:
    def test_read_before_the_client_hears_of_its_session(self) -> None:
        server = Server()
        south = South(server)
        token = south.create().authentication_token
        server.answers[ReadRequest] = lambda request: None
        number = south.submit(activate(token))
        assert number not in south.answers
        south.wait(11)
        assert code(south.answers[number]) == status.BAD_CONFIGURATION_ERROR

    def test_known_by_uri(self) -> None:
        south = South(Server())
        assert south.session().namespaces == (UA, "urn:plant:robot-7", ROBOT)

    @pytest.mark.parametrize(
        ("array", "why"),
        [
            ((UA, "urn:a", ROBOT, "urn:a"), "one URI twice, the second time at index 3"),
            ((UA, ROBOT, UA), "one URI twice, the second time at index 2"),
            ((ROBOT, UA), "index 0 of the NamespaceArray is not the OPC UA namespace"),
            ((None, ROBOT), "index 0 of the NamespaceArray is not the OPC UA namespace"),
            ((), "not an array of strings, or empty"),
            (tuple([UA] + [f"urn:{n}" for n in range(5000)]), "5001 entries, more than 4096"),
            (None, "cannot be read: Bad_UserAccessDenied"),
        ],
    )
    def test_a_server_whose_names_are_not_sure_is_refused(self, array: Any, why: str) -> None:
        server = Server()
        server.namespaces = array
        south = South(server)
        token = south.create().authentication_token
        assert code(south.ask(activate(token))) == status.BAD_CONFIGURATION_ERROR
        assert len(south.events) == 1 and why in south.events[0] and south.events[0].startswith("UPSTREAM_INVALID")
        assert south.memory.find(token) is None and not server.sessions

    def test_empty_entries_name_nothing_and_may_repeat(self) -> None:
        server = Server()
        server.namespaces = (UA, "", ROBOT, "")
        assert South(server).session().namespaces == (UA, "", ROBOT, "")

    @pytest.mark.parametrize(
        "answer",
        [
            lambda request: ReadResponse(good(request), None, None),
            lambda request: ReadResponse(good(request), (DataValue(),), None),
            lambda request: ReadResponse(good(request), (DataValue(Variant.of_string(UA)),), None),
            lambda request: ReadResponse(good(request), (DataValue(Variant.of_double(1.0)),), None),
            lambda request: ReadResponse(good(request), (DataValue(Variant.of_strings((UA,))),) * 2, None),
            lambda request: ReadResponse(
                good(request), (DataValue(Variant.of_strings((UA,)), status.UNCERTAIN),), None
            ),
            lambda request: fault(request, status.BAD_SESSION_ID_INVALID),
            lambda request: CloseSessionResponse(good(request)),
            lambda request: b"\x01\x00\x7a\x02\0",
        ],
    )
    def test_answers_that_are_no_array(self, answer: Any) -> None:
        server = Server()
        server.answers[ReadRequest] = answer
        south = South(server)
        assert code(south.ask(activate(south.create().authentication_token))) == status.BAD_CONFIGURATION_ERROR
        assert not south.memory.sessions

    def test_read_again_on_request_once_a_second(self) -> None:
        server = Server()
        south = South(server)
        session = south.session()
        kept = session.namespaces
        server.namespaces = (*kept, "urn:new")
        south.read_again()
        assert session.namespaces == (*kept, "urn:new") and len(server.requests(ReadRequest)) == 2
        server.namespaces = kept
        for _ in range(5):
            south.read_again()
        assert len(server.requests(ReadRequest)) == 2
        south.wait(1.1)
        assert session.namespaces == kept and len(server.requests(ReadRequest)) == 3
        south.wait(5)
        assert len(server.requests(ReadRequest)) == 3

    def test_an_array_that_goes_bad_takes_its_session_along(self) -> None:
        server = Server()
        south = South(server)
        session = south.session()
        server.namespaces = (UA, ROBOT, ROBOT)
        south.read_again()
        assert session.namespaces == () and south.memory.find(session.token) is None and not server.sessions
        assert len(south.events) == 1 and "one URI twice" in south.events[0]
        assert code(south.ask(activate(session.token))) == status.BAD_SESSION_ID_INVALID

    def test_a_server_that_is_slow_to_be_read_again_keeps_its_sessions(self) -> None:
        server = Server()
        south = South(server)
        session = south.session()
        kept = session.namespaces
        server.answers[ReadRequest] = lambda request: None
        south.read_again()
        south.wait(5.5)
        assert session.namespaces == kept and south.memory.find(session.token) is session
        del server.answers[ReadRequest]
        server.namespaces = (*kept, "urn:new")
        south.wait(1.1)
        assert session.namespaces == (*kept, "urn:new")

    def test_only_sessions_of_this_link_are_read_again(self) -> None:
        server = Server()
        first = South(server)
        one = first.session()
        first.leave()
        second = South(server, memory=first.memory)
        second.session()
        before = len(server.requests(ReadRequest))
        second.read_again()
        assert len(server.requests(ReadRequest)) == before + 1 and one.namespaces


class TestAcrossLinks:
    def test_activated_again_on_another_channel(self) -> None:
        """The next nonce of the server is known to whichever link comes (Part 4 5.7.3)."""
        server = Server()
        first = South(server)
        session = first.session()
        first.lose()
        assert not attached(session) and session.south.nonce
        server.namespaces = (UA, ROBOT)
        second = South(server, memory=first.memory)
        assert isinstance(second.ask(activate(session.token)), ActivateSessionResponse)
        assert attached(session) and session.namespaces == (UA, ROBOT)
        assert isinstance(second.ask(read(session.token)), ReadResponse)

    def test_the_old_link_lets_go_of_nothing_that_another_took(self) -> None:
        server = Server()
        first = South(server)
        session = first.session()
        second = South(server, memory=first.memory)
        second.ask(activate(session.token))
        first.leave()
        assert attached(session)
        second.leave()
        assert not attached(session)

    def test_a_session_that_nobody_knows(self) -> None:
        server = Server()
        south = South(server)
        assert code(south.ask(activate(NodeId.numeric(0, 4711)))) == status.BAD_SESSION_ID_INVALID
        assert not server.requests(ActivateSessionRequest)

    def test_a_session_that_the_server_forgot(self) -> None:
        server = Server()
        first = South(server)
        session = first.session()
        first.lose()
        server.sessions.clear()
        second = South(server, memory=first.memory)
        assert code(second.ask(activate(session.token))) == status.BAD_SESSION_ID_INVALID

    def test_a_token_that_a_restarted_server_gives_out_again(self) -> None:
        """Nothing that was known of the old session clings to the new one."""
        server = Server()
        south = South(server)
        old = south.session()
        old.north = object()
        south.lose()
        server.answers[CreateSessionRequest] = lambda request: replace(
            server.create(request), authentication_token=old.token
        )
        again = South(server, memory=south.memory)
        again.create()
        new = again.memory.find(old.token)
        assert new is not None and new is not old and new.north is None and not new.namespaces


class TestClose:
    def test_closed_at_the_server_and_forgotten(self) -> None:
        server = Server()
        south = South(server)
        session = south.session()
        assert isinstance(south.ask(close(session.token)), CloseSessionResponse)
        assert south.memory.find(session.token) is None and not server.sessions

    def test_a_refused_close_forgets_nothing(self) -> None:
        server = Server()
        south = South(server)
        session = south.session()
        server.answers[CloseSessionRequest] = lambda request: fault(request, status.BAD_INTERNAL_ERROR)
        assert code(south.ask(close(session.token))) == status.BAD_INTERNAL_ERROR
        assert south.memory.find(session.token) is session


class TestMemory:
    def held(self, number: int, **more: Any) -> Session:
        return Session(NodeId.numeric(3, number), NodeId.NULL, 60.0, **more)

    def test_forms_of_one_token_are_one_session(self) -> None:
        memory = Memory()
        session = Session(NodeId(0, 7, 0), NodeId.NULL, 1.0)
        memory.add(session, 0.0)
        assert memory.find(NodeId(0, 7, 1)) is session and memory.find(NodeId(0, 7, 2)) is session

    def test_the_oldest_that_nobody_holds_goes_first(self) -> None:
        memory = Memory()
        for number in range(SESSIONS):
            memory.add(self.held(number, holder=None if number in (3, 5) else self, left=100.0), 100.0)
        assert memory.add(self.held(1000, holder=self), 101.0)
        assert memory.find(NodeId.numeric(3, 3)) is None and memory.find(NodeId.numeric(3, 5)) is not None

    def test_what_the_server_has_let_end_goes_before(self) -> None:
        memory = Memory()
        for number in range(SESSIONS):
            memory.add(self.held(number, left=100.0 if number % 2 else 0.0), 100.0)
        assert memory.add(self.held(1000), 101.0)
        assert len(memory.sessions) == SESSIONS // 2 + 1

    def test_a_token_that_is_there_takes_no_new_place(self) -> None:
        memory = Memory()
        for number in range(SESSIONS):
            memory.add(self.held(number, holder=self), 0.0)
        again = self.held(5, holder=self)
        assert memory.add(again, 1.0) and memory.find(again.token) is again
        assert list(memory.sessions)[-1] == again.token.key

    def test_none_that_is_held_goes(self) -> None:
        memory = Memory()
        for number in range(SESSIONS):
            memory.add(self.held(number, holder=self), 0.0)
        assert not memory.add(self.held(1000), 1e9) and len(memory.sessions) == SESSIONS


def test_create_answer_is_passed_on_as_the_server_sent_it() -> None:
    server = Server()
    answer = South(server).create()
    (live,) = server.sessions.values()
    assert isinstance(answer, CreateSessionResponse)
    assert (answer.server_nonce, answer.authentication_token) == (live.nonce, live.token)
    assert answer.server_endpoints == server.endpoints()
