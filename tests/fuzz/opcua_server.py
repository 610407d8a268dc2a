"""A server of paper that has everything it is asked for: one good answer to each request of every service.

It keeps what it made, so that what a client is told can be held against what is there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from proxy.protocols.opcua.decode import make_extension
from proxy.protocols.opcua.node_id import ExpandedNodeId, NodeId
from proxy.protocols.opcua.services import attribute as a
from proxy.protocols.opcua.services import history as h
from proxy.protocols.opcua.services import manage as m
from proxy.protocols.opcua.services import method as c
from proxy.protocols.opcua.services import monitor as mon
from proxy.protocols.opcua.services import session as ses
from proxy.protocols.opcua.services import subscription as s
from proxy.protocols.opcua.services import view as v
from proxy.protocols.opcua.services.messages import Request, Response, ResponseHeader
from proxy.protocols.opcua.values import DataValue, ExtensionObject, LocalizedText, QualifiedName, Variant
from tests.opcua.inspector_world import robot

NULL = ExtensionObject.NULL
UNKNOWN = 0x80420000
SEEN = ("ok.a", "no.a", "ok.b", "no.b")
"""What a browse of any node gives."""
Key = tuple[int, str, int | str | bytes]


@dataclass
class Monitored:
    subscription: int
    node: NodeId
    attribute: int
    handle: int


@dataclass
class Paper:
    """``subscriptions`` with the session that each is of; ``points``: continuation points that were given out."""

    subscriptions: dict[int, Key] = field(default_factory=dict)
    items: dict[int, Monitored] = field(default_factory=dict)
    points: set[tuple[Key, bytes]] = field(default_factory=set)
    _numbers: int = 0

    def number(self) -> int:
        self._numbers += 1
        return self._numbers

    def answer(self, request: Request) -> Response | None:
        """None for what no server of ours is asked."""
        make = _ANSWERS.get(type(request))
        header = ResponseHeader.make(request.header.request_handle)
        return None if make is None else make(self, request, header)

    def of(self, subscription: int) -> list[Monitored]:
        return [item for item in self.items.values() if item.subscription == subscription]


def _each(field: str, response: Any, result: Callable[[Any], Any]) -> Callable[[Paper, Any, ResponseHeader], Response]:
    def answer(paper: Paper, request: Any, header: ResponseHeader) -> Response:
        made: Response = response(header, tuple(result(one) for one in getattr(request, field) or ()), None)
        return made

    return answer


def _references(paper: Paper, key: Key) -> v.BrowseResult:
    point = b"p%d" % paper.number()
    paper.points.add((key, point))
    text = LocalizedText(None, "x")
    far = ExpandedNodeId(NodeId.NULL)
    found = (
        v.ReferenceDescription(NodeId.NULL, True, ExpandedNodeId(robot(name)), QualifiedName(2, name), text, 2, far)
        for name in SEEN
    )
    return v.BrowseResult(0, point, tuple(found))


def _browse(paper: Paper, request: Any, header: ResponseHeader) -> Response:
    key = request.header.authentication_token.key
    return v.BrowseResponse(header, tuple(_references(paper, key) for _ in request.nodes_to_browse or ()), None)


def _next(paper: Paper, request: Any, header: ResponseHeader) -> Response:
    key = request.header.authentication_token.key
    for point in request.continuation_points or ():
        paper.points.discard((key, point))
    results = tuple(_references(paper, key) for _ in request.continuation_points or ())
    return v.BrowseNextResponse(header, results, None)


def _translated(_: Any) -> v.BrowsePathResult:
    return v.BrowsePathResult(0, tuple(v.BrowsePathTarget(ExpandedNodeId(robot(name)), 2**32 - 1) for name in SEEN))


def _subscribe(paper: Paper, request: Any, header: ResponseHeader) -> Response:
    number = paper.number()
    paper.subscriptions[number] = request.header.authentication_token.key
    return s.CreateSubscriptionResponse(header, number, 10.0, 100, 10)


def _monitor(paper: Paper, request: Any, header: ResponseHeader) -> Response:
    results = []
    for one in request.items_to_create or ():
        number = paper.number()
        asked = one.item_to_monitor
        paper.items[number] = Monitored(
            request.subscription_id, asked.node_id, asked.attribute_id, one.requested_parameters.client_handle
        )
        results.append(mon.MonitoredItemCreateResult(0, number, 1.0, 1, NULL))
    return mon.CreateMonitoredItemsResponse(header, tuple(results), None)


def _modify(paper: Paper, request: Any, header: ResponseHeader) -> Response:
    results = []
    for one in request.items_to_modify or ():
        item = paper.items.get(one.monitored_item_id)
        if item is not None:
            item.handle = one.requested_parameters.client_handle
        results.append(mon.MonitoredItemModifyResult(0 if item else UNKNOWN, 1.0, 1, NULL))
    return mon.ModifyMonitoredItemsResponse(header, tuple(results), None)


def _forget(paper: Paper, request: Any, header: ResponseHeader) -> Response:
    codes = tuple(0 if paper.items.pop(id, None) else UNKNOWN for id in request.monitored_item_ids or ())
    return mon.DeleteMonitoredItemsResponse(header, codes, None)


def _delete(paper: Paper, request: Any, header: ResponseHeader) -> Response:
    codes = []
    for id in request.subscription_ids or ():
        codes.append(0 if paper.subscriptions.pop(id, None) else UNKNOWN)
        paper.items = {number: item for number, item in paper.items.items() if item.subscription != id}
    return s.DeleteSubscriptionsResponse(header, tuple(codes), None)


def _transfer(paper: Paper, request: Any, header: ResponseHeader) -> Response:
    for id in request.subscription_ids or ():
        paper.subscriptions[id] = request.header.authentication_token.key
    results = tuple(s.TransferResult(0, None) for _ in request.subscription_ids or ())
    return s.TransferSubscriptionsResponse(header, results, None)


def _message(paper: Paper, subscription: int) -> s.NotificationMessage:
    """A value and an event of every item."""
    handles = [item.handle for item in paper.of(subscription)]
    seven = DataValue(Variant.of_int32(7))
    data = s.DataChangeNotification(tuple(s.MonitoredItemNotification(one, seven) for one in handles), None)
    events = s.EventNotificationList(tuple(s.EventFieldList(one, (Variant.of_int32(7),)) for one in handles))
    return s.NotificationMessage(paper.number(), 1, (make_extension(data), make_extension(events)))


def _publish(paper: Paper, request: Any, header: ResponseHeader) -> Response | None:
    key = request.header.authentication_token.key
    mine = [id for id, owner in paper.subscriptions.items() if owner == key]
    if not mine:
        return None
    id = mine[paper.number() % len(mine)]
    return s.PublishResponse(header, id, None, False, _message(paper, id), None, None)


def _republish(paper: Paper, request: Any, header: ResponseHeader) -> Response:
    return s.RepublishResponse(header, _message(paper, request.subscription_id))


def _trigger(paper: Paper, request: Any, header: ResponseHeader) -> Response:
    return mon.SetTriggeringResponse(
        header, (0,) * len(request.links_to_add or ()), None, (0,) * len(request.links_to_remove or ()), None
    )


def _good(_: Any) -> int:
    return 0


_ANSWERS: dict[type[Request], Callable[[Paper, Any, ResponseHeader], Response | None]] = {
    a.ReadRequest: _each("nodes_to_read", a.ReadResponse, lambda _: DataValue(Variant.of_int32(7))),
    a.WriteRequest: _each("nodes_to_write", a.WriteResponse, _good),
    c.CallRequest: _each("methods_to_call", c.CallResponse, lambda _: c.CallMethodResult(0, None, None, None)),
    h.HistoryReadRequest: _each("nodes_to_read", h.HistoryReadResponse, lambda _: h.HistoryReadResult(0, None, NULL)),
    h.HistoryUpdateRequest: _each(
        "history_update_details", h.HistoryUpdateResponse, lambda _: h.HistoryUpdateResult(0, None, None)
    ),
    v.BrowseRequest: _browse,
    v.BrowseNextRequest: _next,
    v.TranslateBrowsePathsToNodeIdsRequest: _each("browse_paths", v.TranslateBrowsePathsToNodeIdsResponse, _translated),
    m.AddNodesRequest: _each("nodes_to_add", m.AddNodesResponse, lambda _: m.AddNodesResult(0, NodeId.NULL)),
    m.AddReferencesRequest: _each("references_to_add", m.AddReferencesResponse, _good),
    m.DeleteNodesRequest: _each("nodes_to_delete", m.DeleteNodesResponse, _good),
    m.DeleteReferencesRequest: _each("references_to_delete", m.DeleteReferencesResponse, _good),
    mon.CreateMonitoredItemsRequest: _monitor,
    mon.ModifyMonitoredItemsRequest: _modify,
    mon.DeleteMonitoredItemsRequest: _forget,
    mon.SetMonitoringModeRequest: _each("monitored_item_ids", mon.SetMonitoringModeResponse, _good),
    mon.SetTriggeringRequest: _trigger,
    s.CreateSubscriptionRequest: _subscribe,
    s.ModifySubscriptionRequest: lambda _, __, header: s.ModifySubscriptionResponse(header, 10.0, 100, 10),
    s.SetPublishingModeRequest: _each("subscription_ids", s.SetPublishingModeResponse, _good),
    s.DeleteSubscriptionsRequest: _delete,
    s.TransferSubscriptionsRequest: _transfer,
    s.PublishRequest: _publish,
    s.RepublishRequest: _republish,
    ses.CancelRequest: lambda _, __, header: ses.CancelResponse(header, 0),
    ses.CloseSessionRequest: lambda _, __, header: ses.CloseSessionResponse(header),
}
