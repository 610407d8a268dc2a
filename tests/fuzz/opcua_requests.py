"""Requests that are well formed: of every service, with any mixture of what policy admits and what it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from proxy.protocols.opcua.decode import make_extension
from proxy.protocols.opcua.node_id import ExpandedNodeId, Guid, NodeId
from proxy.protocols.opcua.services import attribute as a
from proxy.protocols.opcua.services import discovery as d
from proxy.protocols.opcua.services import filters as f
from proxy.protocols.opcua.services import history as h
from proxy.protocols.opcua.services import manage as m
from proxy.protocols.opcua.services import method as c
from proxy.protocols.opcua.services import monitor as mon
from proxy.protocols.opcua.services import query as q
from proxy.protocols.opcua.services import session as ses
from proxy.protocols.opcua.services import subscription as s
from proxy.protocols.opcua.services import view as v
from proxy.protocols.opcua.services.messages import Request, RequestHeader
from proxy.protocols.opcua.values import DataValue, ExtensionObject, LocalizedText, QualifiedName, Variant
from tests.opcua.inspector_world import robot

if TYPE_CHECKING:
    from random import Random

NULL = ExtensionObject.NULL
PLAIN = QualifiedName.NULL
NODES = (
    *(robot("ok.a"),) * 6, *(robot("ok.b"),) * 3, robot("ok.w"), robot("ok.w"), robot("no.a"), robot("no.b"),
    robot("ok.never"), robot("Cell"), NodeId.numeric(0, 2255), NodeId.numeric(0, 85), NodeId(0, 2255, 2),
    NodeId.string(1, "ok.a"), NodeId.string(7, "ok.a"), NodeId(2, Guid(bytes(16)), 4), NodeId(2, b"ok.a", 5),
    NodeId(2, None, 3), NodeId.NULL,
)  # fmt: skip
VALUES = (
    Variant.of_double(1.0), Variant.of_double(10.0), Variant.of_double(10.5), Variant.of_int32(-1),
    Variant.of_bool(True), Variant.of_string("1"), Variant(b"\0"), Variant(b"\x86\2\0\0\0\1\0\0\0\x0b\0\0\0"),
    Variant(b"\x86\0\0\0\0"), Variant(b"\x98\1\0\0\0\x06\1\0\0\0"), Variant(b"\x0b\0\0\0\0\0\0\xf8\x7f"),
)  # fmt: skip
FILTERS = (
    *(NULL,) * 8, make_extension(f.DataChangeFilter(1, 0, 0.0)), ExtensionObject(NodeId.numeric(0, 999), 1, b"x"),
    *(
        make_extension(f.EventFilter((), f.ContentFilter((f.ContentFilterElement(0, (make_extension(operand),)),))))
        for operand in (
            f.LiteralOperand(Variant.of_int32(1)), f.AttributeOperand(robot("no.a"), None, v.RelativePath(()), 13, None)
        )
    ),
)  # fmt: skip


class Maker:
    """``tokens``: of the sessions that are there; the first asks mostly."""

    def __init__(self, random: Random, tokens: tuple[NodeId, ...]) -> None:
        self.random = random
        self.tokens = tokens

    def one(self) -> Request:
        make = self.random.choice(_MAKES)
        return make(self)

    def header(self) -> RequestHeader:
        odd = (NodeId.NULL, NodeId.numeric(1, 999), *self.tokens)
        token = self.tokens[0] if self.random.random() < 0.9 else self.random.choice(odd)
        return RequestHeader.make(token, self.random.randrange(1000))

    def some(self, item: Callable[[], Any]) -> tuple[Any, ...]:
        return tuple(item() for _ in range(self.random.choice((0, 1, 1, 2, 3, 5, 9))))

    def node(self) -> NodeId:
        return self.random.choice(NODES)

    def far(self) -> ExpandedNodeId:
        kind = self.random.randrange(8)
        uri = ("urn:robot:7", "urn:other", "")[kind] if kind < 3 else None
        return ExpandedNodeId(self.node(), uri, 1 if kind == 3 else None)

    def id(self) -> int:
        return self.random.randrange(1, 7)

    def subscription(self) -> int:
        return self.random.choice((1, 1, 1, 1, 2, 5))

    def ids(self) -> tuple[int, ...]:
        return self.some(self.id)[:3]

    def attribute(self) -> int:
        return self.random.choice((13, 13, 13, 1, 4, 17, 22))

    def value(self) -> DataValue:
        told = self.random.choice((None, None, None, 0, 0x80000000))
        return DataValue(self.random.choice((*VALUES, None)), told, None, None, None, None)

    def read_item(self) -> a.ReadValueId:
        return a.ReadValueId(self.node(), self.attribute(), self.random.choice((None, None, "0:1")), PLAIN)

    def parameters(self) -> mon.MonitoringParameters:
        return mon.MonitoringParameters(self.id() % 4, 1.0, self.random.choice(FILTERS), 1, True)

    def details(self) -> ExtensionObject:
        node = self.node()
        return self.random.choice((
            make_extension(h.DeleteRawModifiedDetails(node, False, 1, 2)),
            make_extension(h.UpdateDataDetails(node, 1, (self.value(),))),
            make_extension(h.DeleteAtTimeDetails(node, (1,))),
            make_extension(h.ReadAtTimeDetails((1,), False)),
            ExtensionObject(NodeId.numeric(2, 682), 1, b"x"),
            NULL,
        ))  # fmt: skip


def _read(make: Maker) -> Request:
    return a.ReadRequest(make.header(), 0.0, 2, make.some(make.read_item))


def _write(make: Maker) -> Request:
    def item() -> a.WriteValue:
        return a.WriteValue(make.node(), make.attribute(), make.random.choice((None, None, "1")), make.value())

    return a.WriteRequest(make.header(), make.some(item))


def _call(make: Maker) -> Request:
    def item() -> c.CallMethodRequest:
        return c.CallMethodRequest(make.node(), make.node(), make.some(lambda: make.random.choice(VALUES))[:3])

    return c.CallRequest(make.header(), make.some(item))


def _browse(make: Maker) -> Request:
    view = v.ViewDescription(make.node() if make.random.random() < 0.1 else NodeId.NULL, 0, 0)
    items = make.some(lambda: v.BrowseDescription(make.node(), 0, NodeId.NULL, True, 0, 63))
    return v.BrowseRequest(make.header(), view, 0, items)


def _next(make: Maker) -> Request:
    points = make.some(lambda: b"p%d" % make.id())
    return v.BrowseNextRequest(make.header(), make.random.random() < 0.3, points)


def _translate(make: Maker) -> Request:
    return v.TranslateBrowsePathsToNodeIdsRequest(
        make.header(), make.some(lambda: v.BrowsePath(make.node(), v.RelativePath(())))
    )


def _history_read(make: Maker) -> Request:
    details = make_extension(h.ReadRawModifiedDetails(False, 1, 2, 3, False))
    items = make.some(lambda: h.HistoryReadValueId(make.node(), None, PLAIN, None))
    return h.HistoryReadRequest(make.header(), details, 2, make.random.random() < 0.2, items)


def _manage(make: Maker) -> Request:
    kind = make.random.randrange(4)
    if kind == 0:
        nodes = make.some(lambda: m.AddNodesItem(make.far(), make.node(), make.far(), PLAIN, 2, NULL, make.far()))
        return m.AddNodesRequest(make.header(), nodes)
    if kind == 1:
        return m.DeleteNodesRequest(make.header(), make.some(lambda: m.DeleteNodesItem(make.node(), True)))
    if kind == 2:
        uri = make.random.choice((None, None, "", "urn:x"))
        told = make.some(lambda: m.AddReferencesItem(make.node(), make.node(), True, uri, make.far(), 2))
        return m.AddReferencesRequest(make.header(), told)
    gone = make.some(lambda: m.DeleteReferencesItem(make.node(), make.node(), True, make.far(), True))
    return m.DeleteReferencesRequest(make.header(), gone)


def _monitor(make: Maker) -> Request:
    items = make.some(lambda: mon.MonitoredItemCreateRequest(make.read_item(), 2, make.parameters()))
    return mon.CreateMonitoredItemsRequest(make.header(), make.subscription(), 2, items)


def _items(make: Maker) -> Request:
    kind, subscription = make.random.randrange(4), make.subscription()
    if kind == 0:
        items = make.some(lambda: mon.MonitoredItemModifyRequest(make.id(), make.parameters()))
        return mon.ModifyMonitoredItemsRequest(make.header(), subscription, 2, items)
    if kind == 1:
        return mon.SetMonitoringModeRequest(make.header(), subscription, make.random.randrange(3), make.ids())
    if kind == 2:
        return mon.SetTriggeringRequest(make.header(), subscription, make.id(), make.ids(), make.ids())
    return mon.DeleteMonitoredItemsRequest(make.header(), subscription, make.ids())


def _subscription(make: Maker) -> Request:
    header, kind = make.header(), make.random.randrange(6)
    made: tuple[Request, ...] = (
        s.CreateSubscriptionRequest(header, 1.0, 1, 1, 0, True, 0),
        s.ModifySubscriptionRequest(header, make.subscription(), 1.0, 1, 1, 0, 0),
        s.SetPublishingModeRequest(header, True, make.ids()),
        s.TransferSubscriptionsRequest(header, make.ids(), True),
        s.DeleteSubscriptionsRequest(header, make.ids()[:1]),
        s.RepublishRequest(header, make.subscription(), 1),
    )
    return made[kind]


def _publish(make: Maker) -> Request:
    return s.PublishRequest(make.header(), None)


def _session(make: Maker) -> Request:
    kind = make.random.randrange(6)
    if kind == 0:
        text = LocalizedText(None, "x")
        application = d.ApplicationDescription("urn:x", None, text, 1, None, None, None)
        return ses.CreateSessionRequest(make.header(), application, None, None, "s", bytes(32), b"c", 1.0, 0)
    if kind < 4:
        user = make.random.choice((
            ses.AnonymousIdentityToken("anonymous"),
            ses.UserNameIdentityToken("username", make.random.choice(("operator", "guest", "")), b"x", None),
            ses.X509IdentityToken("x", b"x"),
        ))  # fmt: skip
        unsigned = ses.SignatureData(None, None)
        return ses.ActivateSessionRequest(make.header(), unsigned, None, None, make_extension(user), unsigned)
    return ses.CloseSessionRequest(make.header(), True) if kind == 4 else ses.CancelRequest(make.header(), 1)


def _other(make: Maker) -> Request:
    header, kind = make.header(), make.random.randrange(5)
    view = v.ViewDescription(NodeId.NULL, 0, 0)
    made: tuple[Request, ...] = (
        v.RegisterNodesRequest(header, make.some(make.node)),
        v.UnregisterNodesRequest(header, make.some(make.node)),
        q.QueryFirstRequest(header, view, (), f.ContentFilter(()), 0, 0),
        q.QueryNextRequest(header, False, b"p1"),
        d.GetEndpointsRequest(header, "opc.tcp://x:4840", None, None),
    )
    return made[kind]


_MAKES: tuple[Callable[[Maker], Request], ...] = (
    _read, _read, _write, _write, _call, _browse, _next, _translate, _history_read,
    lambda make: h.HistoryUpdateRequest(make.header(), make.some(make.details)),
    _manage, _monitor, _monitor, _items, _items, _subscription, _subscription, _publish, _publish, _session, _other,
)  # fmt: skip
