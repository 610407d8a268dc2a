"""A Read that was judged before goes on undecoded: the server and the client get the bytes of the long way."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.protocols.opcua.decode import encode
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.services.attribute import ReadRequest, ReadResponse, ReadValueId
from proxy.protocols.opcua.services.messages import RequestHeader, ResponseHeader
from proxy.protocols.opcua.values import DataValue, ExtensionObject, QualifiedName, Variant
from tests.opcua.inspector_world import Policy, World, robot

if TYPE_CHECKING:
    from proxy.protocols.opcua.services.messages import Request
    from proxy.protocols.opcua.structures import Struct

RULE = {"read": ["nsu=urn:robot:7;s=ok*", "i=2258"]}
NODES = [robot("ok1"), robot("ok2"), robot("no"), NodeId.numeric(0, 2258), NodeId(0, 2258, 2), NodeId.numeric(9, 1)]


def server(world: World, request: Request) -> Struct | None:
    assert isinstance(request, ReadRequest)
    results = tuple(DataValue(Variant.of_int32(place)) for place, _ in enumerate(request.nodes_to_read or ()))
    return ReadResponse(ResponseHeader.make(request.header.request_handle), results, None)


def read(header: RequestHeader, nodes: tuple[ReadValueId, ...], age: float = 0.0, timestamps: int = 2) -> ReadRequest:
    return ReadRequest(header, age, timestamps, nodes)


def value(node: NodeId, attribute: int = 13, part: str | None = None) -> ReadValueId:
    return ReadValueId(node, attribute, part, QualifiedName.NULL)


values = st.builds(value, st.sampled_from(NODES), st.sampled_from([13, 4]), st.sampled_from([None, "", "1:2"]))
headers = st.tuples(
    st.integers(0, 2**32 - 1), st.sampled_from([None, "", "who"]), st.sampled_from([0, 1]), st.sampled_from([0, 5000])
)
reads = st.tuples(headers, st.lists(values, min_size=1, max_size=3).map(tuple), st.sampled_from([0.0, 5.0]))


@settings(max_examples=60, deadline=None)
@given(st.lists(reads, min_size=2, max_size=8))
def test_the_quick_way_and_the_long_way_are_one(
    asked: list[tuple[tuple[int, str | None, int, int], tuple[ReadValueId, ...], float]],
) -> None:
    quick, long = World(Policy.of(RULE), server), World(Policy.of(RULE), server)
    tokens = quick.session(), long.session()
    assert tokens[0] == tokens[1]
    for (handle, audit, diagnostics, timeout), nodes, age in asked * 2:
        header = RequestHeader(tokens[0], 0, handle, diagnostics, audit, timeout, ExtensionObject.NULL)
        request = read(header, nodes, age)
        long.inspector._talk.settle()
        quick.say(request)
        long.say(request)
    assert [encode(one) for one in quick.reached] == [encode(one) for one in long.reached]
    assert [told for _, told in quick.heard if isinstance(told, ReadResponse)] == [
        told for _, told in long.heard if isinstance(told, ReadResponse)
    ]
    assert quick.inspector.tally() == long.inspector.tally()


def test_it_is_quick_the_second_time_and_not_after_a_change() -> None:
    """Policy is asked once for the same Read; a new epoch asks again, and what was counted stays counted."""
    world = World(Policy.of(RULE), server)
    token = world.session()
    request = read(world.header(token), (value(robot("ok1")), value(robot("ok2"))))
    for _ in range(3):
        world.ask(request, ReadResponse)
    asked = len(world.policy.asked)
    world.ask(request, ReadResponse)
    assert len(world.policy.asked) == asked
    assert sum(world.inspector.tally().values()) == 1 + 4 * 2
    world.inspector.decide_again(world.now, world.out)
    world.settle()
    world.policy.targets = ()
    told = world.ask(request, ReadResponse)
    assert [one.status for one in told.results or ()] == [0x801F0000] * 2
    assert sum(world.inspector.tally().values()) == 1 + 4 * 2


@pytest.mark.parametrize("change", ["token", "diagnostics", "audit", "additional", "age", "part"])
def test_whatever_differs_goes_the_long_way(change: str) -> None:
    """Policy sees it again, or the header is one that is not compared byte for byte."""
    world = World(Policy.of(RULE), server)
    token = world.session()
    request = read(world.header(token), (value(robot("ok1")),))
    body = encode(request)
    world.ask(request, ReadResponse)
    (quick,) = world.inspector._talk.quick.values()
    assert quick.handle_of(body) == 77
    header = request.header
    other = {
        "token": dataclasses.replace(
            request, header=dataclasses.replace(header, authentication_token=NodeId.numeric(1, 9))
        ),
        "diagnostics": dataclasses.replace(request, header=dataclasses.replace(header, return_diagnostics=1)),
        "audit": dataclasses.replace(request, header=dataclasses.replace(header, audit_entry_id="x")),
        "additional": dataclasses.replace(
            request,
            header=dataclasses.replace(header, additional_header=ExtensionObject(NodeId.numeric(0, 9), 0, None)),
        ),
        "age": dataclasses.replace(request, max_age=1.0),
        "part": dataclasses.replace(request, nodes_to_read=(value(robot("ok1"), 13, "1"),)),
    }[change]
    assert quick.handle_of(encode(other)) is None
    for end in range(4, len(body)):
        assert quick.handle_of(body[:end]) is None
