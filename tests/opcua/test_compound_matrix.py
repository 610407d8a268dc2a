"""T26: whatever stands where in a compound request, the forbidden does not reach the server, the allowed does, and each
answer comes back at its own place. Every service, every pattern of allowed and forbidden among four items.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from proxy.protocols.opcua import status
from proxy.protocols.opcua.decode import make_extension
from proxy.protocols.opcua.node_id import ExpandedNodeId, NodeId
from proxy.protocols.opcua.services import attribute as a
from proxy.protocols.opcua.services import history as h
from proxy.protocols.opcua.services import manage as m
from proxy.protocols.opcua.services import method as c
from proxy.protocols.opcua.services import monitor as mon
from proxy.protocols.opcua.services import subscription as s
from proxy.protocols.opcua.services import view as v
from proxy.protocols.opcua.services.messages import ResponseHeader
from proxy.protocols.opcua.values import DataValue, DiagnosticInfo, ExtensionObject, QualifiedName, Variant
from tests.opcua.inspector_world import Policy, World, robot

if TYPE_CHECKING:
    from proxy.protocols.opcua.services.messages import Request, Response
    from proxy.protocols.opcua.structures import Struct

DENIED = status.BAD_USER_ACCESS_DENIED
NAMES = ("A", "B", "C", "D")
RULE: dict[str, object] = {
    "read": ["nsu=urn:robot:7;s=ok.*"],
    "browse": ["nsu=urn:robot:7;s=ok.*"],
    "write": ["nsu=urn:robot:7;s=ok.*"],
    "call": ["nsu=urn:robot:7;s=Robot -> nsu=urn:robot:7;s=ok.*"],
    "subscribe": ["nsu=urn:robot:7;s=ok.*"],
    "history_read": ["nsu=urn:robot:7;s=ok.*"],
    "history_write": ["nsu=urn:robot:7;s=ok.*"],
    "manage_nodes": ["nsu=urn:robot:7;s=ok.*"],
}
FINE = ExtensionObject.NULL
NO_NAME = QualifiedName.NULL
ITEM = mon.MonitoringParameters(0, 100.0, FINE, 1, True)


def far(node: NodeId) -> ExpandedNodeId:
    return ExpandedNodeId(node)


@dataclass(frozen=True)
class Kind:
    """``code_of`` reads the status of one result; ``mark_of`` what the server put there to tell items apart."""

    request: type[Request]
    response: type[Response]
    field: str
    make: Callable[[World, NodeId, Sequence[Any]], Request]
    item: Callable[[NodeId], Any]
    result: Callable[[int], Any]
    code_of: Callable[[Any], int]

    def __str__(self) -> str:
        return self.request.__name__.removesuffix("Request")


def plain(kind: type[Any]) -> Callable[[World, NodeId, Sequence[Any]], Any]:
    return lambda world, token, items: kind(world.header(token), tuple(items))


def mark(place: int) -> int:
    """A good StatusCode that tells where an item stood in what the server was asked."""
    return place << 4


KINDS = [
    Kind(
        a.ReadRequest, a.ReadResponse, "nodes_to_read",
        lambda w, t, items: a.ReadRequest(w.header(t), 0.0, 2, tuple(items)),
        lambda node: a.ReadValueId(node, 13, None, NO_NAME),
        lambda place: DataValue(status=mark(place)), lambda one: one.status,
    ),
    Kind(
        a.WriteRequest, a.WriteResponse, "nodes_to_write", plain(a.WriteRequest),
        lambda node: a.WriteValue(node, 13, None, DataValue(Variant.of_double(1.0))), mark, int,
    ),
    Kind(
        c.CallRequest, c.CallResponse, "methods_to_call", plain(c.CallRequest),
        lambda node: c.CallMethodRequest(robot("Robot"), node, None),
        lambda place: c.CallMethodResult(mark(place), None, None, None), lambda one: one.status_code,
    ),
    Kind(
        h.HistoryReadRequest, h.HistoryReadResponse, "nodes_to_read",
        lambda w, t, items: h.HistoryReadRequest(
            w.header(t), make_extension(h.ReadRawModifiedDetails(False, 1, 2, 3, False)), 2, False, tuple(items)
        ),
        lambda node: h.HistoryReadValueId(node, None, NO_NAME, None),
        lambda place: h.HistoryReadResult(mark(place), None, FINE), lambda one: one.status_code,
    ),
    Kind(
        h.HistoryUpdateRequest, h.HistoryUpdateResponse, "history_update_details", plain(h.HistoryUpdateRequest),
        lambda node: make_extension(h.DeleteRawModifiedDetails(node, False, 1, 2)),
        lambda place: h.HistoryUpdateResult(mark(place), None, None), lambda one: one.status_code,
    ),
    Kind(
        v.BrowseRequest, v.BrowseResponse, "nodes_to_browse",
        lambda w, t, items: v.BrowseRequest(w.header(t), v.ViewDescription(NodeId.NULL, 0, 0), 0, tuple(items)),
        lambda node: v.BrowseDescription(node, 0, NodeId.NULL, True, 0, 63),
        lambda place: v.BrowseResult(mark(place), None, ()), lambda one: one.status_code,
    ),
    Kind(
        v.TranslateBrowsePathsToNodeIdsRequest, v.TranslateBrowsePathsToNodeIdsResponse, "browse_paths",
        plain(v.TranslateBrowsePathsToNodeIdsRequest),
        lambda node: v.BrowsePath(node, v.RelativePath(())),
        lambda place: v.BrowsePathResult(mark(place), ()), lambda one: one.status_code,
    ),
    Kind(
        m.AddNodesRequest, m.AddNodesResponse, "nodes_to_add", plain(m.AddNodesRequest),
        lambda node: m.AddNodesItem(
            far(node), NodeId.NULL, far(NodeId.NULL), NO_NAME, 2, FINE, far(NodeId.NULL)
        ),
        lambda place: m.AddNodesResult(mark(place), NodeId.NULL), lambda one: one.status_code,
    ),
    Kind(
        m.DeleteNodesRequest, m.DeleteNodesResponse, "nodes_to_delete", plain(m.DeleteNodesRequest),
        lambda node: m.DeleteNodesItem(node, True), mark, int,
    ),
    Kind(
        m.AddReferencesRequest, m.AddReferencesResponse, "references_to_add", plain(m.AddReferencesRequest),
        lambda node: m.AddReferencesItem(node, NodeId.NULL, True, None, far(robot("ok.target")), 2), mark, int,
    ),
    Kind(
        m.DeleteReferencesRequest, m.DeleteReferencesResponse, "references_to_delete",
        plain(m.DeleteReferencesRequest),
        lambda node: m.DeleteReferencesItem(robot("ok.source"), NodeId.NULL, True, far(node), False), mark, int,
    ),
    Kind(
        mon.CreateMonitoredItemsRequest, mon.CreateMonitoredItemsResponse, "items_to_create",
        lambda w, t, items: mon.CreateMonitoredItemsRequest(w.header(t), 9, 2, tuple(items)),
        lambda node: mon.MonitoredItemCreateRequest(a.ReadValueId(node, 13, None, NO_NAME), 2, ITEM),
        lambda place: mon.MonitoredItemCreateResult(mark(place), 500 + place, 1.0, 1, FINE),
        lambda one: one.status_code,
    ),
]  # fmt: skip
PATTERNS = [p for n in (1, 2, 3, 4) for p in itertools.product((True, False), repeat=n)]


def server(kind: Kind, *, diagnostics: bool) -> Callable[[World, Request], Struct | None]:
    def answer(world: World, request: Request) -> Struct | None:
        header = ResponseHeader.make(request.header.request_handle)
        if isinstance(request, s.CreateSubscriptionRequest):
            return s.CreateSubscriptionResponse(header, 9, 1.0, 1, 1)
        assert isinstance(request, kind.request)
        count = len(getattr(request, kind.field))
        infos = tuple(DiagnosticInfo(bytes((1,)) + place.to_bytes(4, "little")) for place in range(count))
        make: Callable[..., Response] = kind.response
        return make(header, tuple(kind.result(place) for place in range(count)), infos if diagnostics else None)

    return answer


@pytest.mark.parametrize("diagnostics", [False, True], ids=["plain", "diagnostics"])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_position_times_every_element(kind: Kind, diagnostics: bool) -> None:
    """T26."""
    world = World(Policy.of(RULE), server(kind, diagnostics=diagnostics))
    token = world.session()
    if kind.request is mon.CreateMonitoredItemsRequest:
        world.ask(s.CreateSubscriptionRequest(world.header(token), 1.0, 1, 1, 0, True, 0), s.CreateSubscriptionResponse)
    for pattern in PATTERNS:
        nodes = [robot(f"{'ok' if allowed else 'no'}.{name}") for allowed, name in zip(pattern, NAMES, strict=False)]
        items = [kind.item(node) for node in nodes]
        world.reached.clear()
        told: Any = world.ask(kind.make(world, token, items), kind.response)
        expected, place = [], 0
        for allowed in pattern:
            expected.append(mark(place) if allowed else DENIED)
            place += allowed
        assert [kind.code_of(one) for one in told.results] == expected, pattern
        reached = [item for request in world.reached for item in getattr(request, kind.field)]
        assert reached == [item for item, allowed in zip(items, pattern, strict=True) if allowed], pattern
        assert told.header.request_handle == 77
        if diagnostics and any(pattern) and not all(pattern):
            infos = iter(range(sum(pattern)))
            assert [one.raw for one in told.diagnostic_infos] == [
                bytes((1,)) + next(infos).to_bytes(4, "little") if allowed else b"\0" for allowed in pattern
            ]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_nothing_allowed_means_that_the_server_is_not_asked(kind: Kind) -> None:
    """T26, protocols.md 4.8."""
    world = World(Policy.of(RULE), server(kind, diagnostics=False))
    token = world.session()
    if kind.request is mon.CreateMonitoredItemsRequest:
        world.ask(s.CreateSubscriptionRequest(world.header(token), 1.0, 1, 1, 0, True, 0), s.CreateSubscriptionResponse)
    world.reached.clear()
    told: Any = world.ask(kind.make(world, token, [kind.item(robot("no.A")), kind.item(robot("no.B"))]), kind.response)
    assert [kind.code_of(one) for one in told.results] == [DENIED, DENIED]
    assert world.reached == []
    assert len(world.events) == 2
