"""A session is of one client, one user and one channel at a time, and whoever lost it can do nothing with it (T08, T21,
T22; protocols.md 4.7)."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

import pytest

from proxy.core.names import Names
from proxy.protocols.base import UpstreamState
from proxy.protocols.opcua import status
from proxy.protocols.opcua.conversation import NUMBER
from proxy.protocols.opcua.decode import encode, make_extension
from proxy.protocols.opcua.memory import Memory
from proxy.protocols.opcua.node_id import ExpandedNodeId
from proxy.protocols.opcua.security.policies import BY_NAME as Policies
from proxy.protocols.opcua.services import subscription as s
from proxy.protocols.opcua.services.attribute import ReadRequest, ReadResponse, ReadValueId, WriteRequest, WriteValue
from proxy.protocols.opcua.services.fault import ServiceFault
from proxy.protocols.opcua.services.messages import Request, ResponseHeader
from proxy.protocols.opcua.services.session import (
    ActivateSessionResponse,
    CloseSessionRequest,
    CreateSessionRequest,
    UserNameIdentityToken,
)
from proxy.protocols.opcua.services.view import (
    BrowsePath,
    BrowsePathResult,
    BrowsePathTarget,
    RelativePath,
    TranslateBrowsePathsToNodeIdsRequest,
    TranslateBrowsePathsToNodeIdsResponse,
)
from proxy.protocols.opcua.values import DataValue, QualifiedName, Variant
from tests.opcua.channel_world import SERVER, own
from tests.opcua.inspector_world import Policy, World, robot

if TYPE_CHECKING:
    from proxy.protocols.opcua.node_id import NodeId
    from proxy.protocols.opcua.structures import Struct
    from proxy.protocols.opcua.values import ExtensionObject

NO_MATCH = status.BAD_NO_MATCH
ALL = {"read": "all", "subscribe": "all"}


def server(world: World, request: Request) -> Struct | None:
    header = ResponseHeader.make(request.header.request_handle)
    if isinstance(request, ReadRequest):
        return ReadResponse(header, (DataValue(Variant.of_double(1.0)),), None)
    if isinstance(request, CloseSessionRequest):
        return ServiceFault(ResponseHeader.make(request.header.request_handle, status.BAD_INTERNAL_ERROR))
    return None


def user(name: str) -> ExtensionObject:
    return make_extension(UserNameIdentityToken("username", name, b"secret", None))


def read(world: World, token: NodeId, name: str = "Speed") -> ReadRequest:
    wanted = ReadValueId(robot(name), 13, None, QualifiedName(0, None))
    return ReadRequest(world.header(token), 0.0, 3, (wanted,))


def write(world: World, token: NodeId) -> WriteRequest:
    return WriteRequest(world.header(token), (WriteValue(robot("Speed"), 13, None, DataValue(Variant.of_double(5.0))),))


def count(world: World, kind: type[Request]) -> int:
    return sum(isinstance(one, kind) for one in world.reached)


class TestReadsThatWereJudgedBefore:
    """The quick way must look at the session as the long way does."""

    def test_not_after_the_session_was_closed(self) -> None:
        world = World(Policy.of(ALL), server)
        token = world.session()
        world.ask(read(world, token), ReadResponse)
        world.say(CloseSessionRequest(world.header(token), True))
        before = count(world, ReadRequest)
        world.ask(read(world, token), ServiceFault)
        assert count(world, ReadRequest) == before

    def test_not_on_the_channel_that_the_session_left(self) -> None:
        memory = Memory()
        one, other = World(Policy.of(ALL), server, memory=memory), World(Policy.of(ALL), server, memory=memory)
        token = one.session()
        one.ask(read(one, token), ReadResponse)
        other.ask(other.activation(token), ActivateSessionResponse)
        before = count(one, ReadRequest)
        one.ask(read(one, token), ServiceFault)
        assert count(one, ReadRequest) == before

    def test_not_of_the_user_before(self) -> None:
        """The server refused to close the session, so it lives on, as somebody else."""
        world = World(Policy.of({"read": ["nsu=urn:robot:7;s=*"], "users": ["root"]}), server)
        world.policy.targets += Policy.of({"browse": "all"}).targets
        token = world.session(user("root"))
        world.ask(read(world, token), ReadResponse)
        world.say(CloseSessionRequest(world.header(token), True))
        world.ask(world.activation(token, user("guest")), ActivateSessionResponse)
        before = count(world, ReadRequest)
        world.say(read(world, token))
        assert count(world, ReadRequest) == before, "guest reads with the right of root"


class TestAnotherUserOnItsWay:
    """From ActivateSession until its answer the server may act for either user; the survey makes that seconds."""

    def test_nothing_goes_on_in_between(self) -> None:
        rule = {"write": ["nsu=urn:robot:7;s=Speed"], "users": ["root"]}
        world = World(Policy.of(rule), server)
        world.policy.targets += Policy.of({"read": "all"}).targets
        token = world.session(user("root"))
        quiet = _Quiet(world)
        world.say(world.activation(token, user("guest")))
        world.say(write(world, token))
        assert not count(world, WriteRequest), "written as root, while the server has guest"
        quiet.answer()
        world.ask(read(world, token), ReadResponse)

    def test_a_refused_change_leaves_who_was_there(self) -> None:
        world = World(Policy.of(ALL), server)
        token = world.session(user("root"))
        quiet = _Quiet(world)
        world.say(world.activation(token, user("guest")))
        quiet.answer(status.BAD_USER_ACCESS_DENIED)
        world.ask(read(world, token), ReadResponse)


class _Quiet:
    """Takes the next ActivateSession away from the server, to be answered later."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.taken = b""
        serve = world._serve

        def quiet(message: bytes) -> None:
            if message[4:8] == encode(world.activation(robot("x")))[:4]:
                self.taken = message
            else:
                serve(message)

        world._serve = quiet  # type: ignore[method-assign]

    def answer(self, code: int = 0) -> None:
        world = self.world
        response = ActivateSessionResponse(ResponseHeader.make(77, code), None, None, None)
        world.inspector.from_upstream(self.taken[: NUMBER.size] + encode(response), world.now, world.out)
        world.settle()


class TestLimitsHoldForWhatIsUnderWay:
    """A limit that counts what was answered is none for a client that does not wait for answers."""

    def test_sessions_of_a_channel(self) -> None:
        world = World(Policy.of(ALL), server)
        held: list[bytes] = []
        world._serve = held.append  # type: ignore[method-assign, assignment]
        for _ in range(20):
            _create(world)
        assert len(held) == 4

    def test_a_refused_session_makes_room(self) -> None:
        world = World(Policy.of(ALL), server)
        world._session_service = lambda request: ServiceFault(  # type: ignore[method-assign]
            ResponseHeader.make(request.header.request_handle, status.BAD_TOO_MANY_SESSIONS)
        )
        for _ in range(20):
            _create(world)
        assert count(world, CreateSessionRequest) == 20

    def test_sessions_of_one_device(self) -> None:
        """Else one client takes all there are, and nobody else gets in."""
        memory = Memory()
        for number in range(64):
            world = World(Policy.of(ALL), server, memory=memory, names=Names("hmi"))
            world._tokens = 1000 * number
            for _ in range(4):
                _create(world)
        World(Policy.of(ALL), server, memory=memory, names=Names("scada")).session()

    def test_subscriptions_of_a_session(self) -> None:
        world = World(Policy.of(ALL), server)
        token = world.session()
        for _ in range(40):
            world.say(s.CreateSubscriptionRequest(world.header(token), 1.0, 1, 1, 0, True, 0))
        assert count(world, s.CreateSubscriptionRequest) == 16


def _create(world: World) -> None:
    try:
        world.created()
    except AssertionError:
        world.heard.clear()


class TestPublishing:
    def test_the_count_does_not_drift_with_lost_links(self) -> None:
        """20 may wait; a client that comes back with its session has as many as before."""
        memory = Memory()
        world = World(Policy.of(ALL), server, memory=memory)
        token = world.session()
        for _ in range(4):
            for _ in range(8):
                world.say(s.PublishRequest(world.header(token), None))
            world.inspector.eof(world.now, world.out)
            world = World(Policy.of(ALL), server, memory=memory)
            world.ask(world.activation(token), ActivateSessionResponse)
        reached = count(world, s.PublishRequest)
        world.say(s.PublishRequest(world.header(token), None))
        assert count(world, s.PublishRequest) == reached + 1

    def test_nor_with_requests_that_were_too_many(self) -> None:
        deaf = World(Policy.of(ALL), lambda world, request: None)
        token = deaf.session()
        for number in range(256):
            deaf.say(read(deaf, token, f"Node{number}"))
        for _ in range(30):
            deaf.say(s.PublishRequest(deaf.header(token), None))
        session = deaf.memory.find(token)
        assert session is not None
        assert session.north.waiting.publish == 0  # type: ignore[attr-defined]

    def test_nor_when_the_server_is_gone(self) -> None:
        world = World(Policy.of(ALL), server)
        token = world.session()
        world.say(s.PublishRequest(world.header(token), None))
        world.inspector.upstream_is(UpstreamState.LOST, world.now, world.out)
        session = world.memory.find(token)
        assert session is not None
        assert session.north.waiting.publish == 0  # type: ignore[attr-defined]


class TestWhatARequestMayKeep:
    """A Publish waits for as long as there is nothing to tell: 80 of them on a channel (T43)."""

    def test_acknowledgements_are_bounded(self) -> None:
        world = World(Policy.of(ALL), server)
        token = world.session()
        many = tuple(s.SubscriptionAcknowledgement(1, number) for number in range(5_000))
        answer = world.ask(s.PublishRequest(world.header(token), many), ServiceFault)
        assert answer.header.service_result == status.BAD_TOO_MANY_OPERATIONS

    @pytest.mark.parametrize("service", ["publish", "subscription"])
    def test_the_body_is_not_kept(self, service: str) -> None:
        import tracemalloc

        world = World(Policy.of(ALL), lambda world, request: None)
        token = world.session()
        header = world.header(token)
        object.__setattr__(header, "audit_entry_id", "x" * 500_000)
        world.reached = _Forgets()
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(12):
                if service == "publish":
                    world.say(s.PublishRequest(header, None))
                else:
                    world.say(s.CreateSubscriptionRequest(header, 1.0, 1, 1, 0, True, 0))
            grown = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        assert grown < 2_500_000, grown


class _Forgets(list[Request]):
    def append(self, request: Request) -> None:
        pass


def test_a_hidden_node_looks_like_one_that_is_not_there() -> None:
    """T52: TranslateBrowsePaths guesses names. What may not be browsed is answered as what does not exist."""
    told = BrowsePathResult(0, (BrowsePathTarget(ExpandedNodeId(robot("Secret"), None, None), 0xFFFFFFFF),))

    def paths(world: World, request: Request) -> Struct | None:
        if isinstance(request, TranslateBrowsePathsToNodeIdsRequest):
            header = ResponseHeader.make(request.header.request_handle)
            return TranslateBrowsePathsToNodeIdsResponse(header, (told, BrowsePathResult(NO_MATCH, ())), None)
        return None

    world = World(Policy.of({"browse": ["nsu=urn:robot:7;s=Cell"]}), paths)
    token = world.session()
    path = BrowsePath(robot("Cell"), RelativePath(None))
    request = TranslateBrowsePathsToNodeIdsRequest(world.header(token), (path, path))
    hidden, missing = world.ask(request, TranslateBrowsePathsToNodeIdsResponse).results or ()
    assert (hidden.status_code, hidden.targets or ()) == (missing.status_code, missing.targets or ())


def test_a_session_does_not_keep_the_link_that_broke() -> None:
    """A reset tells the inspector nothing. Its verdicts would stay with each session that may come back (T43)."""
    world = World(Policy.of(ALL), server)
    token = world.session()
    world.ask(read(world, token), ReadResponse)
    session, gone = world.memory.find(token), weakref.ref(world.inspector)
    assert session is not None
    session.holder = None
    del world
    gc.collect()
    assert gone() is None


def test_passwords_that_cost_an_rsa_decryption_are_counted() -> None:
    """2 ms each with 2048 bits, 20 with 4096: a client that guesses takes everybody's time (T47)."""
    world = World(Policy.of(ALL), server)
    token = world.created().authentication_token
    sessions = world.inspector._sessions
    sessions._own = sessions._front._own = own(SERVER)
    told = UserNameIdentityToken("username", "root", bytes(256), Policies["Basic256Sha256"].encryption_uri)
    answers = [
        world.ask(world.activation(token, make_extension(told)), ServiceFault).header.service_result for _ in range(600)
    ]
    assert answers[0] == status.BAD_IDENTITY_TOKEN_REJECTED
    assert answers.count(status.BAD_TCP_SERVER_TOO_BUSY) >= 80
    world.now += 10.0
    answer = world.ask(world.activation(token, make_extension(told)), ServiceFault)
    assert answer.header.service_result == status.BAD_IDENTITY_TOKEN_REJECTED
