"""What indexes mean and what lies below a root is known from the server, and changes (T21, T26, T47)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.process import Point
from proxy.protocols.base import Client, Watched
from proxy.protocols.opcua.memory import Memory, Session
from proxy.protocols.opcua.node import parse_node
from proxy.protocols.opcua.rules import parse_never
from proxy.protocols.opcua.services.attribute import ReadRequest, ReadResponse, WriteRequest, WriteResponse, WriteValue
from proxy.protocols.opcua.services.messages import Request, ResponseHeader
from proxy.protocols.opcua.services.view import BrowseRequest
from proxy.protocols.opcua.values import DataValue, Variant
from tests.attacks.opcua.test_ua_sessions import read
from tests.attacks.opcua.test_ua_subscriptions import DENIED, ONE, monitor, republished, server, subscription
from tests.opcua.inspector_world import NAMESPACES, Policy, World, complain, robot
from tests.opcua.south import South, activate, create
from tests.opcua.south_server import ROBOT, Server

if TYPE_CHECKING:
    from proxy.protocols.opcua.structures import Struct

CELL = f"nsu={ROBOT};s=Cell"
SWAPPED = (NAMESPACES[0], NAMESPACES[2], NAMESPACES[1])


def answers(world: World, request: Request) -> Struct | None:
    header = ResponseHeader.make(request.header.request_handle)
    if isinstance(request, ReadRequest):
        return ReadResponse(header, (DataValue(Variant.of_double(1.0)),), None)
    if isinstance(request, WriteRequest):
        return WriteResponse(header, (0,), None)
    return server(world, request)


def surveyed(session: Session, namespaces: tuple[str, ...]) -> None:
    """As the upstream does when the server was read again."""
    session.know(namespaces, session.above, session.partial, session.roots)


class TestAnArrayThatChanged:
    def test_verdicts_go_with_it(self) -> None:
        world = World(Policy.of({"read": ["nsu=urn:robot:7;s=*"]}), answers)
        token = world.session()
        for _ in range(2):
            (value,) = world.ask(read(world, token), ReadResponse).results or ()
            assert value.status is None
        session = world.memory.find(token)
        assert session is not None
        surveyed(session, SWAPPED)
        (value,) = world.ask(read(world, token), ReadResponse).results or ()
        assert value.status == DENIED

    def test_and_so_does_what_a_subscription_may_tell(self) -> None:
        """The server made the item when its index meant something else."""
        world = World(Policy.of({"subscribe": "all"}, {"subscribe": ["nsu=urn:server;s=Speed"]}), answers)
        token = world.session()
        id = subscription(world, token)
        monitor(world, token, id, "Speed", 6)
        assert [one.status for one in republished(world, token, id)] == [None]
        session = world.memory.find(token)
        assert session is not None
        surveyed(session, SWAPPED)
        assert [one.status for one in republished(world, token, id)] == [DENIED]

    def test_one_that_grew_changes_nothing(self) -> None:
        world = World(Policy.of(ONE), answers)
        token = world.session()
        id = subscription(world, token)
        monitor(world, token, id, "Speed", 6)
        session = world.memory.find(token)
        assert session is not None
        surveyed(session, (*NAMESPACES, "urn:new"))
        assert [one.status for one in republished(world, token, id)] == [None]


class TestANewNever:
    def test_of_a_subtree_holds_in_sessions_that_live(self) -> None:
        """What lies below the new root is not known yet: then everything may."""
        watched = Watched()
        world = World(Policy.of({"write": ["nsu=urn:robot:7;s=*"]}), answers)
        client = world.inspector._talk.client
        world.inspector._talk.client = Client(client.names, client.entropy, 0.0, watched, client.memory, client.wall)
        token = world.session()
        request = WriteRequest(
            world.header(token), (WriteValue(robot("Speed"), 13, None, DataValue(Variant.of_double(1.0))),)
        )
        assert world.ask(request, WriteResponse).results == (0,)
        never = {"write": [f"under {CELL}"]}
        world.policy.nevers = tuple(parse_never(never, complain))
        watched.points = frozenset({Point("opcua", f"under {CELL}")})
        world.inspector.decide_again(world.now, world.out)
        assert bytes(4) in world.out.upstream, "the upstream is not asked to look"
        world.settle()
        assert world.ask(request, WriteResponse).results == (DENIED,)
        session = world.memory.find(token)
        assert session is not None
        session.know(NAMESPACES, {}, frozenset(), frozenset({parse_node(CELL)}))
        assert world.ask(request, WriteResponse).results == (0,)

    def test_that_came_during_the_survey(self) -> None:
        south_server = Server()
        south_server.tree = {"Cell": ["Speed"]}
        south = South(south_server)
        token = south.create().authentication_token
        read_array = south_server.usual

        def reload(request: Request) -> Struct | None:
            south.watched.points = frozenset({Point("opcua", f"under {CELL}")})
            answer: Struct | None = read_array(request)
            return answer

        south_server.answers[ReadRequest] = reload
        south.ask(activate(token))
        session = south.memory.find(token)
        assert session is not None and session.partial == {parse_node(CELL)}
        south.wait(1.1)
        assert session.above and not session.partial


class TestWhatItCosts:
    def test_an_unknown_index_does_not_browse_the_plant_each_second(self) -> None:
        south_server = Server()
        south_server.tree = {"Cell": [f"n{number}" for number in range(50)]}
        south = South(south_server, under=(CELL,))
        session = south.session()
        browsed = len(south_server.requests(BrowseRequest))
        for _ in range(10):
            south.read_again()
            south.wait(1.1)
        assert len(south_server.requests(BrowseRequest)) == browsed and len(session.above) == 50

    def test_one_survey_of_a_session_at_a_time(self) -> None:
        south_server = Server()
        south = South(south_server)
        south.session()
        read_before = len(south_server.requests(ReadRequest))
        south_server.answers[ReadRequest] = lambda request: None
        for _ in range(4):
            south.read_again()
            south.wait(1.1)
        assert len(south_server.requests(ReadRequest)) == read_before + 1

    def test_a_session_that_nobody_holds_keeps_no_tree(self) -> None:
        south_server = Server()
        south_server.tree = {"Cell": ["Speed"]}
        south = South(south_server, under=(CELL,))
        session = south.session()
        south.leave()
        assert not session.above and not session.roots

    def test_sessions_share_what_they_know(self) -> None:
        memory = Memory()
        south_server = Server()
        south_server.tree = {"Cell": ["Speed"]}
        south = South(south_server, memory=memory, under=(CELL,))
        assert south.session().above is south.session().above


class TestWhatAServerMayMakeUsKeep:
    def test_a_long_token(self) -> None:
        south_server = Server()
        south_server.entropy = lambda n: bytes(100_000 if n == 16 else n)
        south = South(south_server)
        south.submit(create())
        assert not south.memory.sessions

    def test_a_long_namespace(self) -> None:
        south_server = Server()
        south_server.namespaces = (NAMESPACES[0], "urn:" + "x" * 100_000)
        south = South(south_server)
        token = south.create().authentication_token
        south.submit(activate(token))
        assert not south.memory.sessions
