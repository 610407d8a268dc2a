"""What a client, or a server, can do to a channel that is only read and cut (`signed: cut`; T12, T20, T43, T45)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.core.process import Point
from proxy.protocols.base import Effects, Watched
from proxy.protocols.opcua import status
from proxy.protocols.opcua.decode import encode, make_extension
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.rules import parse_never
from proxy.protocols.opcua.services.attribute import ReadRequest, ReadResponse
from proxy.protocols.opcua.services.fault import ServiceFault
from proxy.protocols.opcua.services.messages import Request, ResponseHeader
from proxy.protocols.opcua.services.session import ActivateSessionRequest, UserNameIdentityToken
from proxy.protocols.opcua.services.subscription import CreateSubscriptionRequest, PublishRequest
from proxy.protocols.opcua.values import DataValue, Variant
from tests.opcua.inspector_world import NAMESPACES, complain, robot
from tests.opcua.test_signed import RULE, UNSIGNED, Through

if TYPE_CHECKING:
    from proxy.protocols.opcua.structures import Struct


class Slow(Through):
    """The server answers nothing about users, once there is a session."""

    quiet = False

    def session(self) -> Slow:
        super().session()
        self.quiet = True
        return self

    def answer(self, request: Request) -> Struct | None:
        quiet = self.quiet and isinstance(request, ActivateSessionRequest)
        return None if quiet else super().answer(request)


def activate(through: Through, name: str | None) -> None:
    user = make_extension(UserNameIdentityToken("username", name, b"secret", None))
    through.say(ActivateSessionRequest(through.header(), UNSIGNED, None, None, user, UNSIGNED))


def respond(through: Through, answer: Struct) -> None:
    through.pair.north.send(through._requests, encode(answer), through.pair.down)
    through.pump()


def test_a_request_id_is_used_once_at_a_time() -> None:
    """Two users under one id: the good answer to the first would be taken for the second, who has another right."""
    through = Slow().session()
    activate(through, "guest")
    through._requests -= 1
    activate(through, "root")
    assert through.ended_with()


def test_chunks_of_aborted_messages_are_not_kept() -> None:
    through = Through().session()
    south = through.pair.south
    for number in range(200):
        south._seal(b"MSG", b"C", number + 100, bytes(4_000), through.pair.up)
        south._seal(b"MSG", b"A", number + 100, bytes(8), through.pair.up)
    through.pump()
    assert not through.inspector._up.frames
    through.read(robot("ok1"))  # the numbers still follow, so the server has all of it
    assert [type(one) for one in through.reached] == [ReadRequest]


@pytest.mark.parametrize("name", [None, "", "a\nb", "x" * 513, "\u202eroot"])
def test_names_that_are_none(name: str | None) -> None:
    """A null name is not the anonymous user: the server has another idea of it."""
    through = Through().session()
    activate(through, name)
    assert through.ended_with() and not through.reached


def test_users_who_are_refused_are_forgotten() -> None:
    through = Slow().session()
    for _ in range(300):
        activate(through, "u" * 500)
        respond(through, ServiceFault(ResponseHeader.make(77, status.BAD_USER_ACCESS_DENIED)))
    assert not through.broke and not through.inspector._sessions._users


def test_an_answer_of_another_kind_is_not_told() -> None:
    """Else what a Publish may not tell is told in a Read."""
    through = Through().session()
    through.say(PublishRequest(through.header(), None))
    told = len(through.heard)
    respond(through, ReadResponse(ResponseHeader.make(77), (DataValue(Variant.of_double(1.0)),), None))
    assert through.ended_with() and len(through.heard) == told


def test_a_message_of_several_chunks_is_no_reason_to_be_cut_later() -> None:
    through = Through().session()
    through.read(*[robot(f"ok{number:0300}") for number in range(400)], cut=20_000)
    assert len(through.reached) == 1
    assert through.inspector.deadline() is None


def test_a_message_that_never_ends_rings() -> None:
    """The link asks for the time once; then it has to be told (`Effects.wake`). A chunk more is no second beginning."""
    through = Through().session()
    south = through.pair.south
    through.out = Effects()
    south._seal(b"MSG", b"C", 500, bytes(100), through.pair.up)
    through.pump()
    assert through.out.wake == through.inspector.deadline() == 10.0
    through.now = 9.0
    south._seal(b"MSG", b"C", 500, bytes(100), through.pair.up)
    through.pump()
    assert through.inspector.deadline() == 10.0


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_never_of_a_subtree_that_nobody_browsed(when: str) -> None:
    """Nothing can be asked on this channel, so everything may lie below what policy names."""
    watched = Watched()
    root = frozenset({Point("opcua", "under nsu=urn:robot:7;s=Cell")})
    if when == "before":
        watched.points = root
    through = Through(watched=watched)
    through.policy.nevers = tuple(parse_never({"write": ["under nsu=urn:robot:7;s=Cell"]}, complain))
    through.session()
    watched.points = root
    if when == "after":
        through.inspector.decide_again(through.now, through.out)
    through.write(5)
    assert through.ended_with() and not through.reached


def test_one_that_it_read_again_changes_what_items_mean() -> None:
    through = Through({**RULE, "subscribe": "all"}).session()
    through.say(CreateSubscriptionRequest(through.header(), 1.0, 1, 1, 0, True, 0))
    session = next(iter(through.inspector._sessions._memory.sessions.values()))
    before = session.surveyed
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.opcua.test_signed.NAMESPACES", (NAMESPACES[0], NAMESPACES[2], NAMESPACES[1]))
        through.read(NodeId.numeric(0, 2255))
    assert session.surveyed == before + 1
