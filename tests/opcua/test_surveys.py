"""Subtrees that policy names with `under`: what is found, what is not, and what it may cost."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.core.process import Point
from proxy.protocols.opcua import status
from proxy.protocols.opcua.node import Node, parse_node
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.services.fault import ServiceFault
from proxy.protocols.opcua.services.session import ActivateSessionResponse
from proxy.protocols.opcua.services.view import (
    BrowseNextRequest,
    BrowseNextResponse,
    BrowseRequest,
    BrowseResponse,
    BrowseResult,
)
from proxy.protocols.opcua.subtree import BATCH, LEVELS, NODES, REFERENCES, Subtree
from tests.opcua.south import South, activate, header
from tests.opcua.south_server import ROBOT, UA, Server, fault, good, reference

CELL, ARM = f"nsu={ROBOT};s=Cell", f"nsu={ROBOT};s=Arm"
Tree = dict[str, list[str]]


def n(name: str) -> Node:
    return Node(ROBOT, "s", name)


def server_of(tree: Tree, page: int = 1_000) -> Server:
    server = Server()
    server.tree, server.page = tree, page
    return server


def names(nodes: Any) -> set[str]:
    return {node.identifier for node in nodes}


def browses(server: Server) -> int:
    return len(server.requests(BrowseRequest)) + len(server.requests(BrowseNextRequest))


def test_nothing_is_browsed_without_need() -> None:
    server = server_of({"Cell": ["Speed"]})
    assert not South(server).session().above and not browses(server)


def test_what_lies_below_each_root() -> None:
    tree = {"Cell": ["Arm", "Speed"], "Arm": ["Axis"], "Axis": [], "Speed": [], "Other": ["Axis9"]}
    session = South(server_of(tree), under=(CELL, ARM)).session()
    assert session.above == {
        n("Arm"): {parse_node(CELL)},
        n("Speed"): {parse_node(CELL)},
        n("Axis"): {parse_node(CELL), parse_node(ARM)},
    }
    assert not session.partial


def test_forward_hierarchical_references_of_all_kinds_are_asked_for() -> None:
    server = server_of({"Cell": []})
    South(server, under=(CELL,)).session()
    (request,) = server.requests(BrowseRequest)
    (wanted,) = request.nodes_to_browse
    assert wanted.node_id == NodeId.string(2, "Cell") and wanted.browse_direction == 0
    assert wanted.reference_type_id == NodeId.numeric(0, 33) and wanted.include_subtypes
    assert wanted.node_class_mask == 0 and request.view.view_id == NodeId.NULL
    assert request.requested_max_references_per_node == REFERENCES


@pytest.mark.parametrize("tree", [{"Cell": ["Cell"]}, {"Cell": ["Arm"], "Arm": ["Cell", "Arm"]}])
def test_circles(tree: Tree) -> None:
    session = South(server_of(tree), under=(CELL, ARM)).session()
    assert not session.partial and parse_node(CELL) not in session.above.get(n("Cell"), ())


def test_long_lists_come_in_pages() -> None:
    leaves = [f"x{number}" for number in range(25)]
    server = server_of({"Cell": leaves, **{leaf: [] for leaf in leaves}}, page=10)
    session = South(server, under=(CELL,)).session()
    assert names(session.above) == set(leaves) and not session.partial
    assert len(server.requests(BrowseNextRequest)) == 2 and not server.points


def test_many_nodes_in_one_request() -> None:
    leaves = [f"x{number}" for number in range(BATCH * 2)]
    server = server_of({"Cell": leaves, **{leaf: [] for leaf in leaves}})
    South(server, under=(CELL,)).session()
    assert len(server.requests(BrowseRequest)) == 3


def test_a_root_that_is_not_there() -> None:
    """Neither its namespace nor the node: then nothing is below it, and that is certain."""
    server = server_of({"Cell": ["Speed"], "Speed": []})
    session = South(server, under=("nsu=urn:nowhere;s=Cell", ARM, CELL)).session()
    assert names(session.above) == {"Speed"} and not session.partial


@pytest.mark.parametrize("root", ["i=85", f"nsu={ROBOT};i=1001", f"nsu={ROBOT};b=AQI=",
                                  f"nsu={ROBOT};g=09087e75-8e5e-499b-954f-f2a9603db28a"])  # fmt: skip
def test_roots_of_every_kind(root: str) -> None:
    server = server_of({})
    server.answers[BrowseRequest] = lambda request: BrowseResponse(
        good(request), tuple(server.references(["Speed"]) for _ in request.nodes_to_browse), None
    )
    session = South(server, under=(root,)).session()
    assert session.above[n("Speed")] == {parse_node(root)}


def test_nodes_by_uri_and_on_other_servers() -> None:
    tree = {"Cell": [f"nsu={ROBOT};ByUri", "nsu=urn:unknown;x", "server:Far"], "ByUri": []}
    session = South(server_of(tree), under=(CELL,)).session()
    assert names(session.above) == {"ByUri"}
    assert session.partial == {parse_node(CELL)}  # of the second nobody can say what it is


class TestPartial:
    """What was not looked at leaves its root partial: a `never` must not believe that a node lies elsewhere."""

    def session(self, server: Server, **more: Any) -> Any:
        south = South(server, under=(CELL, ARM), **more)
        return south.session(), south

    @pytest.mark.parametrize("code", [status.BAD_USER_ACCESS_DENIED, status.BAD_INTERNAL_ERROR])
    def test_a_node_that_cannot_be_browsed(self, code: int) -> None:
        server = server_of({"Cell": ["Arm"], "Arm": ["Axis"], "Axis": []})

        def answer(request: BrowseRequest) -> BrowseResponse:
            made = server.usual(request)
            results = tuple(
                BrowseResult(code, None, None) if one.node_id.identifier == "Axis" else result
                for one, result in zip(request.nodes_to_browse or (), made.results, strict=True)
            )
            return BrowseResponse(good(request), results, None)

        server.answers[BrowseRequest] = answer
        session, _ = self.session(server)
        assert session.partial == {parse_node(CELL), parse_node(ARM)} and names(session.above) == {"Arm", "Axis"}

    def test_sixteen_levels(self) -> None:
        server = server_of({"Cell": ["1"], **{str(level): [str(level + 1)] for level in range(1, 40)}, "Arm": []})
        session, south = self.session(server)
        assert names(session.above) == {str(level) for level in range(1, LEVELS + 1)}
        assert session.partial == {parse_node(CELL)} and not south.events

    def test_ten_thousand_nodes(self) -> None:
        many = [f"x{number}" for number in range(NODES + 500)]
        session, _ = self.session(server_of({"Cell": many, "Arm": []}))
        assert len(session.above) == NODES - 2 and session.partial >= {parse_node(CELL)}

    def test_what_the_server_keeps_is_given_back(self) -> None:
        many = [f"x{number}" for number in range(NODES * 2)]
        server = server_of({"Cell": many, "Arm": []}, page=6_000)
        self.session(server)
        released = [request for request in server.requests(BrowseNextRequest) if request.release_continuation_points]
        assert len(released) == 1 and not server.points

    def test_five_seconds(self) -> None:
        """The server takes a second for each answer; the client gets its session all the same."""
        server = server_of({"Cell": ["1"], **{str(level): [str(level + 1)] for level in range(1, 40)}, "Arm": []})
        south = South(server, under=(CELL, ARM))
        token = south.create().authentication_token
        usual = server.usual

        def slow(request: Any) -> Any:
            south.now += 1.0
            return usual(request)

        server.answers[BrowseRequest] = slow
        before = south.now
        assert isinstance(south.ask(activate(token)), ActivateSessionResponse)
        session = south.memory.find(token)
        assert session is not None and 5 <= south.now - before <= 6
        assert session.partial == {parse_node(CELL)} and names(session.above) == {"1", "2", "3", "4", "5"}

    def test_a_server_that_stops_answering(self) -> None:
        server = server_of({"Cell": ["Speed"]})
        server.answers[BrowseRequest] = lambda request: None
        south = South(server, under=(CELL,))
        number = south.submit(activate(south.create().authentication_token))
        south.wait(4.9)
        assert number not in south.answers
        south.wait(0.2)
        assert isinstance(south.answers[number], ActivateSessionResponse)
        (session,) = south.memory.sessions.values()
        assert session.partial == {parse_node(CELL)} and session.namespaces

    @pytest.mark.parametrize(
        "answer",
        [
            lambda request: fault(request, status.BAD_SERVICE_UNSUPPORTED),
            lambda request: BrowseResponse(good(request), None, None),
            lambda request: BrowseResponse(good(request), (), None),
            lambda request: BrowseNextResponse(fault(request, status.BAD_INTERNAL_ERROR).header, None, None),
            lambda request: ServiceFault(good(request)),
            lambda request: b"\x01\x00\x12\x02\x00",
        ],
    )
    def test_answers_that_say_nothing(self, answer: Any) -> None:
        server = server_of({"Cell": ["Speed"]})
        server.answers[BrowseRequest] = answer
        session, _ = self.session(server)
        assert session.partial == {parse_node(CELL), parse_node(ARM)} and not session.above


class TestSmallServers:
    @pytest.mark.parametrize("most", [1, 3, 20])
    def test_that_take_few_nodes_at_once(self, most: int) -> None:
        leaves = [f"x{number}" for number in range(50)]
        server = server_of({"Cell": leaves, **{leaf: [] for leaf in leaves}})

        def answer(request: BrowseRequest) -> Any:
            if len(request.nodes_to_browse or ()) > most:
                return fault(request, status.BAD_TOO_MANY_OPERATIONS)
            return server.usual(request)

        server.answers[BrowseRequest] = answer
        session = South(server, under=(CELL,)).session()
        assert names(session.above) == set(leaves) and not session.partial

    def test_that_take_not_even_one(self) -> None:
        server = server_of({"Cell": ["Speed"]})
        server.answers[BrowseRequest] = lambda request: fault(request, status.BAD_TOO_MANY_OPERATIONS)
        session = South(server, under=(CELL,)).session()
        assert session.partial == {parse_node(CELL)} and browses(server) == 1

    def test_that_have_few_continuation_points(self) -> None:
        folders = [f"f{number}" for number in range(8)]
        tree = {"Cell": folders, **{name: [f"{name}.{leaf}" for leaf in range(5)] for name in folders}}
        server = server_of({**tree, **{leaf: [] for name in folders for leaf in tree[name]}}, page=1_000)

        def answer(request: BrowseRequest) -> Any:
            made = server.usual(request)
            if len(made.results) <= 2:
                return made
            lost = BrowseResult(status.BAD_NO_CONTINUATION_POINTS, None, None)
            return BrowseResponse(good(request), (*made.results[:2], *(lost for _ in made.results[2:])), None)

        server.answers[BrowseRequest] = answer
        session = South(server, under=(CELL,)).session()
        assert len(session.above) == 48 and not session.partial


class TestAgain:
    def test_a_changed_tree_and_changed_roots(self) -> None:
        server = server_of({"Cell": ["Speed"], "Speed": [], "Arm": ["Axis"], "Axis": []})
        south = South(server, under=(CELL,))
        session = south.session()
        server.tree["Cell"] = ["Speed", "New"]
        south.watched.points = frozenset({Point("opcua", f"under {CELL}"), Point("opcua", f"under {ARM}")})
        south.read_again()
        assert names(session.above) == {"Speed", "New", "Axis"}

    def test_points_of_rules_that_look_at_values_are_no_roots(self) -> None:
        server = server_of({"Cell": ["Speed"]})
        south = South(server)
        south.watched.points = frozenset({Point("opcua", CELL), Point("modbus", f"under {CELL}")})
        south.session()
        assert not browses(server)

    def test_another_user_sees_another_tree(self) -> None:
        server = server_of({"Cell": ["Speed"], "Speed": []})
        south = South(server, under=(CELL,))
        session = south.session()
        server.tree["Cell"] = []
        south.ask(activate(session.token, "operator", b"op-secret"))
        assert not session.above


def test_equal_answers_share_their_memory() -> None:
    roots = {parse_node(CELL): NodeId.string(2, "Cell")}
    walk = Subtree(roots, (UA, "urn:a", ROBOT))
    walk.ask(header())
    walk.answered((BrowseResult(0, None, tuple(reference(f"x{number}") for number in range(100))),))
    above, _ = walk.found()
    assert len({id(these) for these in above.values()}) == 1
