"""What a message that reached the server asks for, read again and by other means than the inspector's own.

Every element becomes an action in the words of policy, and is put to the targets one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from proxy.protocols.opcua.actions import Access, Call, Session, Write
from proxy.protocols.opcua.decode import decode_inner
from proxy.protocols.opcua.node import node_of
from proxy.protocols.opcua.services import attribute as a
from proxy.protocols.opcua.services import filters as f
from proxy.protocols.opcua.services import history as h
from proxy.protocols.opcua.services import manage as m
from proxy.protocols.opcua.services import method as c
from proxy.protocols.opcua.services import monitor as mon
from proxy.protocols.opcua.services import session as ses
from proxy.protocols.opcua.services import subscription as s
from proxy.protocols.opcua.services import view as v
from tests.opcua.inspector_world import NAMESPACES

if TYPE_CHECKING:
    from proxy.core.action import Action
    from proxy.protocols.opcua.node import Node
    from proxy.protocols.opcua.node_id import ExpandedNodeId, NodeId
    from proxy.protocols.opcua.services.messages import Request
    from tests.fuzz.opcua_server import Paper
    from tests.opcua.inspector_world import Policy

VALUE = 13
OFF = 0
HISTORY = (
    h.UpdateDataDetails | h.UpdateStructureDataDetails | h.UpdateEventDetails
    | h.DeleteRawModifiedDetails | h.DeleteAtTimeDetails | h.DeleteEventDetails
)  # fmt: skip


def allowed(policy: Policy, action: Action) -> bool:
    """Some target admits, and none forbids."""
    if any(one.covers(action) for one in policy.nevers):
        return False
    return any(one.admits(action) for one in policy.targets)


class Asked:
    """Of one session: ``above`` as its own, ``user`` as the server has it. ``numbers``: of subscriptions, mean what the
    server said; not when it has lied."""

    def __init__(self, paper: Paper, user: str | None, above: dict[Node, frozenset[Node]]) -> None:
        self.paper = paper
        self.user = user
        self.numbers = True
        self._above = above

    def node(self, id: NodeId) -> Node:
        found = node_of(id.key, NAMESPACES)
        assert id.namespace < len(NAMESPACES) and found is not None, f"{id}: an index that the server does not have"
        return found

    def around(self, node: Node) -> frozenset[Node]:
        return self._above.get(node, frozenset())

    def access(self, verb: str, id: NodeId, attribute: int = VALUE) -> Access:
        node = self.node(id)
        return Access(verb, node, attribute, self.user, self.around(node))

    def far(self, id: ExpandedNodeId) -> Access:
        assert not id.server_index
        assert id.namespace_uri is None or id.namespace_uri in NAMESPACES
        node_id = id.node
        if id.namespace_uri is not None:
            _, kind, identifier = node_id.key
            node = node_of((NAMESPACES.index(id.namespace_uri), kind, identifier), NAMESPACES)
            assert node is not None
            return Access("manage-nodes", node, VALUE, self.user, self.around(node))
        return self.access("manage-nodes", node_id)

    def item(self, id: int, subscription: int) -> Access:
        item = self.paper.items[id]
        assert item.subscription == subscription
        return self.access("subscribe", item.node, item.attribute)

    def subscription(self, id: int, request: Request) -> None:
        assert not self.numbers or self.paper.subscriptions[id] == request.header.authentication_token.key

    def of(self, request: Request) -> list[Action]:
        """All that the request asks for. AssertionError, KeyError: something that it may not even name."""
        return list(_ASKED[type(request)](self, request))


def _write(asked: Asked, request: a.WriteRequest) -> Iterator[Action]:
    for item in request.nodes_to_write or ():
        node, value = asked.node(item.node_id), item.value
        numbers = None if value.value is None else value.value.numbers()
        told = value.status not in (None, 0)
        above = asked.around(node)
        yield Write(node, item.attribute_id, numbers, bool(item.index_range), told, asked.user, above)


def _call(asked: Asked, request: c.CallRequest) -> Iterator[Action]:
    for item in request.methods_to_call or ():
        on, method = asked.node(item.object_id), asked.node(item.method_id)
        each = [argument.numbers() for argument in item.input_arguments or ()]
        numbers = tuple([one[0] if one is not None and len(one) == 1 else None for one in each])
        yield Call(on, method, numbers, asked.user, asked.around(on))


def _browse(asked: Asked, request: v.BrowseRequest) -> Iterator[Action]:
    if not request.view.view_id.is_null:
        yield asked.access("browse", request.view.view_id)
    for item in request.nodes_to_browse or ():
        yield asked.access("browse", item.node_id)


def _next(asked: Asked, request: v.BrowseNextRequest) -> Iterator[Action]:
    for point in request.continuation_points or ():
        assert (request.header.authentication_token.key, point) in asked.paper.points, "not given, or twice"
    yield from ()


def _history_update(asked: Asked, request: h.HistoryUpdateRequest) -> Iterator[Action]:
    for one in request.history_update_details or ():
        inner = decode_inner(one)
        assert isinstance(inner, HISTORY)
        yield asked.access("history-write", inner.node_id)


def plain_filter(holder: Any) -> None:
    if holder.type_id.is_null and holder.body is None:
        return
    inner = decode_inner(holder)
    if isinstance(inner, f.EventFilter):
        for element in inner.where_clause.elements or ():
            for operand in element.filter_operands or ():
                taken = decode_inner(operand)
                assert isinstance(taken, f.ElementOperand | f.LiteralOperand | f.SimpleAttributeOperand)
    else:
        assert isinstance(inner, f.DataChangeFilter | f.AggregateFilter)


def _monitor(asked: Asked, request: mon.CreateMonitoredItemsRequest) -> Iterator[Action]:
    asked.subscription(request.subscription_id, request)
    for item in request.items_to_create or ():
        plain_filter(item.requested_parameters.filter)
        yield asked.access("subscribe", item.item_to_monitor.node_id, item.item_to_monitor.attribute_id)


def _modify(asked: Asked, request: mon.ModifyMonitoredItemsRequest) -> Iterator[Action]:
    asked.subscription(request.subscription_id, request)
    for item in request.items_to_modify or ():
        plain_filter(item.requested_parameters.filter)
        yield asked.item(item.monitored_item_id, request.subscription_id)


def _mode(asked: Asked, request: mon.SetMonitoringModeRequest) -> Iterator[Action]:
    asked.subscription(request.subscription_id, request)
    for id in request.monitored_item_ids or ():
        item = asked.item(id, request.subscription_id)
        if request.monitoring_mode != OFF:
            yield item


def _forget(asked: Asked, request: mon.DeleteMonitoredItemsRequest) -> Iterator[Action]:
    asked.subscription(request.subscription_id, request)
    items = [asked.item(id, request.subscription_id) for id in dict.fromkeys(request.monitored_item_ids or ())]
    assert len(items) > 0
    yield from ()


def _trigger(asked: Asked, request: mon.SetTriggeringRequest) -> Iterator[Action]:
    asked.subscription(request.subscription_id, request)
    for id in (request.triggering_item_id, *(request.links_to_add or ())):
        yield asked.item(id, request.subscription_id)


def _subscriptions(asked: Asked, request: Any) -> Iterator[Action]:
    for id in request.subscription_ids or ():
        asked.subscription(id, request)
    yield from ()


def _one_subscription(asked: Asked, request: Any) -> Iterator[Action]:
    asked.subscription(request.subscription_id, request)
    yield from ()


def _transfer(asked: Asked, request: s.TransferSubscriptionsRequest) -> Iterator[Action]:
    for id in request.subscription_ids or ():
        assert id in asked.paper.subscriptions
        for item in asked.paper.of(id):
            yield asked.access("subscribe", item.node, item.attribute)


def _add(asked: Asked, request: m.AddNodesRequest) -> Iterator[Action]:
    for one in request.nodes_to_add or ():
        yield asked.far(one.parent_node_id)
        if not one.requested_new_node_id.node.is_null:
            yield asked.far(one.requested_new_node_id)


def _add_references(asked: Asked, request: m.AddReferencesRequest) -> Iterator[Action]:
    for one in request.references_to_add or ():
        assert not one.target_server_uri
        yield asked.access("manage-nodes", one.source_node_id)
        yield asked.far(one.target_node_id)


def _delete_references(asked: Asked, request: m.DeleteReferencesRequest) -> Iterator[Action]:
    for one in request.references_to_delete or ():
        yield asked.access("manage-nodes", one.source_node_id)
        yield asked.far(one.target_node_id)


def _create(asked: Asked, request: ses.CreateSessionRequest) -> Iterator[Action]:
    assert request.client_nonce is None
    assert request.client_certificate is None
    yield from ()


def user_of(request: ses.ActivateSessionRequest) -> str | None:
    token = decode_inner(request.user_identity_token)
    if isinstance(token, ses.AnonymousIdentityToken):
        assert token.policy_id == ""
        return None
    assert isinstance(token, ses.UserNameIdentityToken)
    assert (token.policy_id, token.encryption_algorithm) == ("", None)
    assert token.user_name
    return token.user_name


def _activate(asked: Asked, request: ses.ActivateSessionRequest) -> Iterator[Action]:
    user = user_of(request)
    assert request.client_signature.signature is None
    assert request.user_token_signature.signature is None
    yield Session("None", "none", "anonymous" if user is None else "username", user)


def _nothing(asked: Asked, request: Any) -> Iterator[Action]:
    yield from ()


_ASKED: dict[type[Request], Callable[[Asked, Any], Iterator[Action]]] = {
    a.ReadRequest: lambda asked, request: (
        asked.access("read", one.node_id, one.attribute_id) for one in request.nodes_to_read or ()
    ),
    a.WriteRequest: _write,
    c.CallRequest: _call,
    h.HistoryReadRequest: lambda asked, request: (
        asked.access("history-read", one.node_id) for one in request.nodes_to_read or ()
    ),
    h.HistoryUpdateRequest: _history_update,
    v.BrowseRequest: _browse,
    v.BrowseNextRequest: _next,
    v.TranslateBrowsePathsToNodeIdsRequest: lambda asked, request: (
        asked.access("browse", one.starting_node) for one in request.browse_paths or ()
    ),
    m.AddNodesRequest: _add,
    m.AddReferencesRequest: _add_references,
    m.DeleteNodesRequest: lambda asked, request: (
        asked.access("manage-nodes", one.node_id) for one in request.nodes_to_delete or ()
    ),
    m.DeleteReferencesRequest: _delete_references,
    mon.CreateMonitoredItemsRequest: _monitor,
    mon.ModifyMonitoredItemsRequest: _modify,
    mon.SetMonitoringModeRequest: _mode,
    mon.SetTriggeringRequest: _trigger,
    mon.DeleteMonitoredItemsRequest: _forget,
    s.CreateSubscriptionRequest: _nothing,
    s.ModifySubscriptionRequest: _one_subscription,
    s.SetPublishingModeRequest: _subscriptions,
    s.DeleteSubscriptionsRequest: _subscriptions,
    s.TransferSubscriptionsRequest: _transfer,
    s.PublishRequest: _nothing,
    s.RepublishRequest: _one_subscription,
    ses.CreateSessionRequest: _create,
    ses.ActivateSessionRequest: _activate,
    ses.CloseSessionRequest: _nothing,
    ses.CancelRequest: _nothing,
}
"""Services that are not here never reach a server: Register, Query, discovery, the channel's own."""
