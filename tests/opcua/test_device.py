"""The upstream of one client: dialling, waiting, ids, time, and every way in which a server can be gone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from proxy.protocols.base import UpstreamState
from proxy.protocols.opcua import status
from proxy.protocols.opcua.decode import encode
from proxy.protocols.opcua.framing import ErrorMessage
from proxy.protocols.opcua.memory import Memory
from proxy.protocols.opcua.service import OpcUaService
from proxy.protocols.opcua.services.attribute import ReadRequest, ReadResponse
from proxy.protocols.opcua.services.fault import ServiceFault
from proxy.protocols.opcua.services.session import ActivateSessionRequest
from proxy.protocols.opcua.services.subscription import PublishRequest
from tests.opcua.south import South, activate, create, header, read
from tests.opcua.south_server import Server, good

OPEN, REFUSED, LOST = UpstreamState.OPEN, UpstreamState.REFUSED, UpstreamState.LOST


def silent(request: object) -> None:
    return None


def code(answer: Any) -> int:
    assert isinstance(answer, ServiceFault)
    return answer.header.service_result


def test_first_message_dials_and_waits_for_the_channel() -> None:
    south = South(Server())
    south.dials = False
    south.submit(create())
    south.submit(read(header().authentication_token))
    assert not south.up and not south.answers
    south.dials = south.up = True
    south.server.connect(south.now)
    south.device.opened(0, south.now, south.out)
    south.pump()
    assert south.states == [OPEN]
    assert [type(request).__name__ for request in south.server.log] == ["CreateSessionRequest", "ReadRequest"]
    assert set(south.answers) == {1, 2}


def test_hello_names_the_server_by_its_own_url() -> None:
    server = Server()
    south = South(server, OpcUaService(path="/UA/Server"))
    south.submit(create())
    assert server.channel.hello is not None
    assert server.channel.hello.endpoint_url == "opc.tcp://10.3.0.7:4840/UA/Server"


@pytest.mark.parametrize("cut", [1, 7, 1000])
def test_a_session_whatever_the_cut(cut: int) -> None:
    south = South(Server(), cut=cut)
    session = south.session()
    answer = south.ask(read(session.token, handle=4321))
    assert isinstance(answer, ReadResponse) and answer.header.request_handle == 4321
    assert south.states == [OPEN] and not south.events


def test_what_is_no_session_service_goes_on_byte_by_byte() -> None:
    """Also what the codec does not know: the inspector has accounted for it, and nothing is decoded here."""
    server = Server()
    south = South(server)
    session = south.session()
    body = encode(read(session.token)) + b"and something behind it"
    seen: list[bytes] = []
    answer = encode(ReadResponse(good(read(session.token)), None, None)) + b"too"
    take = server.channel.receive

    def receive(data: bytes, now: float, out: bytearray) -> list[Any]:
        for event in take(data, now, out):
            seen.append(event.body)  # type: ignore[union-attr]
            server.channel.send(event.request_id, answer, out)  # type: ignore[union-attr]
        return []

    server.channel.receive = receive  # type: ignore[method-assign]
    before = len(south.out.clients)
    south.device.submit(5, b"\x09\0\0\0" + body, south.now, south.out)
    sent = b"".join(south.out.device.pop(0))
    south.device.from_device(0, server.receive(sent, south.now), south.now, south.out)
    assert seen == [body]
    assert south.out.clients[before:] == [(5, b"\x09\0\0\0" + answer)]


def test_answers_find_their_questions_in_any_order() -> None:
    server = Server()
    south = South(server)
    session = south.session()
    kept: list[ReadRequest] = []
    server.answers[ReadRequest] = kept.append
    numbers = [south.submit(read(session.token, handle=handle)) for handle in (50, 51, 52)]
    ids = range(server_id(south) - 2, server_id(south) + 1)
    out = bytearray()
    for request_id, request in reversed(list(zip(ids, kept, strict=True))):
        server.channel.send(request_id, encode(ReadResponse(good(request), None, None)), out)
    south.device.from_device(0, bytes(out), south.now, south.out)
    south.pump()
    assert [south.answers[number].header.request_handle for number in numbers] == [50, 51, 52]


def server_id(south: South) -> int:
    """The request id that was used last."""
    return south.device._line._request_id


def test_an_answer_to_no_question_is_told_and_dropped() -> None:
    server = Server()
    south = South(server)
    session = south.session()
    out = bytearray()
    server.channel.send(40_000, encode(ReadResponse(good(read(session.token)), None, None)), out)
    known = len(south.answers)
    south.device.from_device(0, bytes(out), south.now, south.out)
    south.pump()
    assert south.events == ["UPSTREAM_INVALID: an answer to no question"] and len(south.answers) == known


class TestSilence:
    def test_a_request_without_answer_gets_timeout_and_its_late_answer_nothing(self) -> None:
        server = Server()
        south = South(server)
        session = south.session()
        south.wait(60)  # nothing else is due for long: it must say when this is
        server.answers[ReadRequest] = silent
        number = south.submit(read(session.token, handle=99))
        south.wait(9.9)
        assert number not in south.answers
        south.wait(0.2)
        assert code(south.answers[number]) == status.BAD_TIMEOUT
        assert south.answers[number].header.request_handle == 99
        assert south.events == ["UPSTREAM_SILENT: a request of type 631 was not answered in time"]
        out = bytearray()
        server.channel.send(server_id(south), encode(ReadResponse(good(read(session.token)), None, None)), out)
        south.device.from_device(0, bytes(out), south.now, south.out)
        south.pump()
        assert len(south.events) == 1 and south.up

    def test_a_client_that_says_it_takes_longer_is_given_longer(self) -> None:
        server = Server()
        south = South(server)
        session = south.session()
        server.answers[ReadRequest] = silent
        patient = south.submit(read(session.token, hint=30_000))
        usual = south.submit(read(session.token, hint=1))
        south.wait(11)
        assert usual in south.answers and patient not in south.answers
        south.wait(18)
        assert patient not in south.answers
        south.wait(2)
        assert code(south.answers[patient]) == status.BAD_TIMEOUT

    def test_publish_waits_until_there_is_something_to_tell(self) -> None:
        server = Server()
        south = South(server)
        session = south.session()
        server.answers[PublishRequest] = silent
        number = south.submit(PublishRequest(header(session.token), None))
        south.wait(600)
        assert number not in south.answers and not south.events

    def test_no_answer_to_create_session(self) -> None:
        server = Server()
        server.answers[type(create())] = silent
        south = South(server)
        number = south.submit(create(handle=3))
        south.wait(11)
        assert code(south.answers[number]) == status.BAD_TIMEOUT and south.answers[number].header.request_handle == 3

    def test_no_answer_to_activate_session(self) -> None:
        server = Server()
        server.answers[ActivateSessionRequest] = silent
        south = South(server)
        number = south.submit(activate(south.create().authentication_token))
        south.wait(11)
        assert code(south.answers[number]) == status.BAD_TIMEOUT

    def test_a_server_that_opens_no_channel(self) -> None:
        south = South(Server())
        south.server.receive = lambda data, now: b""  # type: ignore[method-assign]
        south.submit(create())
        south.wait(11)
        assert south.states == [REFUSED] and south.dropped
        assert len(south.events) == 1 and south.events[0].startswith("UPSTREAM_SILENT")

    def test_a_server_that_stops_in_the_middle_of_a_message(self) -> None:
        server = Server()
        south = South(server, OpcUaService(timeout_ms=600_000))
        session = south.session()
        south.wait(60)
        whole = server.receive
        server.receive = lambda data, now: whole(data, now)[:40]  # type: ignore[method-assign]
        south.submit(read(session.token))
        south.wait(11)
        assert south.states == [OPEN, LOST] and south.dropped


class TestLoss:
    def test_dial_fails(self) -> None:
        south = South(Server())
        south.dials = False
        south.submit(create())
        south.lose()
        assert south.states == [REFUSED]
        assert code(south.ask(read(header().authentication_token))) == status.BAD_SERVER_NOT_CONNECTED

    def test_lost_in_the_middle(self) -> None:
        server = Server()
        south = South(server)
        session = south.session()
        server.answers[ReadRequest] = silent
        south.submit(read(session.token))
        south.lose()
        assert south.states == [OPEN, LOST]
        assert south.events == ["UPSTREAM_SILENT: connection lost with 1 requests unanswered; their outcome is unknown"]
        assert code(south.ask(read(session.token))) == status.BAD_SERVER_NOT_CONNECTED
        assert south.device.deadline() is None
        before = len(south.answers)
        south.read_again()
        assert len(south.answers) == before
        assert south.memory.find(session.token) is session and not session.attached

    def test_the_server_says_error(self) -> None:
        south = South(Server())
        session = south.session()
        error = ErrorMessage(status.BAD_TCP_SECURE_CHANNEL_UNKNOWN, "\x1b[31mno").encode()
        south.device.from_device(0, error, south.now, south.out)
        south.pump()
        assert south.states == [OPEN, LOST] and south.dropped and not session.attached
        assert len(south.events) == 1 and "\x1b" not in south.events[0]

    @pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", bytes(64), b"MSGF\x10\0\0\0" + bytes(8)])
    def test_the_server_speaks_something_else(self, data: bytes) -> None:
        south = South(Server())
        south.session()
        south.device.from_device(0, data, south.now, south.out)
        south.pump()
        assert south.states == [OPEN, LOST] and south.dropped
        assert len(south.events) == 1 and south.events[0].startswith("UPSTREAM_INVALID")

    def test_leaving_closes_the_channel_and_keeps_the_session(self) -> None:
        south = South(Server())
        session = south.session()
        south.leave()
        assert [type(event).__name__ for event in south.server.broke] == ["Opened", "Closed"]
        assert south.dropped and not session.attached and south.memory.find(session.token) is session
        assert south.device.deadline() is None

    def test_leaving_before_the_channel_is_open(self) -> None:
        south = South(Server())
        south.dials = False
        south.submit(create())
        south.leave()
        assert south.dropped and not south.server.log
        south.device.opened(0, south.now, south.out)
        south.pump()
        assert not south.server.log


class TestBounds:
    def test_what_waits_for_the_channel(self) -> None:
        south = South(Server())
        south.dials = False
        numbers = [south.submit(read(header().authentication_token)) for _ in range(66)]
        assert sorted(south.answers) == numbers[64:]
        assert code(south.answers[65]) == status.BAD_TOO_MANY_OPERATIONS
        assert south.events[0].startswith("OVERLOAD")

    def test_bytes_that_wait_for_the_channel(self) -> None:
        south = South(Server())
        south.dials = False
        big = encode(read(header().authentication_token)) + bytes(600_000)
        first, second = south.submit(big), south.submit(big)
        assert first not in south.answers and second in south.answers

    def test_a_request_larger_than_the_server_takes(self) -> None:
        south = South(Server())
        session = south.session()
        answer = south.ask(encode(read(session.token, handle=8)) + bytes(2_000_000))
        assert code(answer) == status.BAD_REQUEST_TOO_LARGE and answer.header.request_handle == 8

    def test_requests_without_an_answer(self) -> None:
        server = Server()
        south = South(server)
        session = south.session()
        server.answers[PublishRequest] = silent
        for _ in range(1024):
            south.submit(PublishRequest(header(session.token), None))
        assert code(south.ask(read(session.token))) == status.BAD_TOO_MANY_OPERATIONS

    def test_heads_are_kept_and_not_messages(self) -> None:
        server = Server()
        south = South(server)
        session = south.session()
        server.answers[ReadRequest] = silent
        south.submit(read(session.token, "x" * 100_000))
        assert sum(len(head) for _, head, _ in south.device._line._pending.values()) <= 1024


class TestRenewal:
    def test_on_its_own_clock(self) -> None:
        """The client has nothing to do with it: the token is renewed at three quarters, and requests go on."""
        south = South(Server())
        session = south.session()
        south.wait(2_600)
        assert not renewals(south)
        south.wait(200)
        assert renewals(south) == 1
        assert isinstance(south.ask(read(session.token)), ReadResponse)
        south.wait(6_000)
        assert renewals(south) == 3 and south.states == [OPEN] and not south.events
        assert isinstance(south.ask(read(session.token)), ReadResponse)

    def test_a_token_with_a_shorter_life_than_the_last(self) -> None:
        south = South(Server())
        south.session()
        channel = south.device._channel
        channel._setting = replace(channel._setting, lifetime_ms=20_000)
        south.wait(2_710)
        assert renewals(south) == 1
        south.wait(31)
        assert renewals(south) == 3

    def test_a_server_that_does_not_renew(self) -> None:
        server = Server()
        south = South(server)
        south.session()
        server.receive = lambda data, now: b""  # type: ignore[method-assign]
        south.wait(5_000)
        assert south.states == [OPEN, LOST] and south.dropped
        assert south.events[0].startswith("UPSTREAM_SILENT: the server did not renew")


def renewals(south: South) -> int:
    return sum(type(event).__name__ == "Renewed" for event in south.server.broke)


def test_what_an_inspector_must_not_forward_is_a_bug() -> None:
    south = South(Server())
    south.session()
    with pytest.raises(ValueError, match="CreateSession"):
        south.submit(encode(create()) + b"x")


def test_a_link_without_memory_has_one_of_its_own() -> None:
    south = South(Server(), memory=Memory())
    assert south.session().attached
