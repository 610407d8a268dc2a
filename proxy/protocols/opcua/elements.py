"""What each element of a compound request asks for, in the words of policy (protocols.md 4.4).

One judge for each service. All it looks at is what the server will look at; what it cannot tell is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.protocols.opcua.actions import Call, Write
from proxy.protocols.opcua.decode import decode_inner
from proxy.protocols.opcua.itemwise import Found
from proxy.protocols.opcua.node import node_of
from proxy.protocols.opcua.services.filters import (
    AggregateFilter,
    DataChangeFilter,
    ElementOperand,
    EventFilter,
    LiteralOperand,
    SimpleAttributeOperand,
)
from proxy.protocols.opcua.services.history import (
    DeleteAtTimeDetails,
    DeleteEventDetails,
    DeleteRawModifiedDetails,
    ReadAnnotationDataDetails,
    ReadAtTimeDetails,
    ReadEventDetails,
    ReadEventDetails2,
    ReadProcessedDetails,
    ReadRawModifiedDetails,
    UpdateDataDetails,
    UpdateEventDetails,
    UpdateStructureDataDetails,
)
from proxy.protocols.opcua.status import GOOD
from proxy.protocols.opcua.words import VALUE

if TYPE_CHECKING:
    from proxy.core.action import Action
    from proxy.core.verdict import Verdict
    from proxy.protocols.opcua.conversation import Ask, Conversation
    from proxy.protocols.opcua.node import Node
    from proxy.protocols.opcua.node_id import ExpandedNodeId, NodeId
    from proxy.protocols.opcua.services.attribute import ReadValueId, WriteValue
    from proxy.protocols.opcua.services.history import HistoryReadValueId
    from proxy.protocols.opcua.services.manage import (
        AddNodesItem,
        AddReferencesItem,
        DeleteNodesItem,
        DeleteReferencesItem,
    )
    from proxy.protocols.opcua.services.method import CallMethodRequest
    from proxy.protocols.opcua.services.monitor import MonitoredItemCreateRequest
    from proxy.protocols.opcua.services.view import BrowseDescription, BrowsePath
    from proxy.protocols.opcua.values import ExtensionObject

UPDATES = (
    UpdateDataDetails | UpdateStructureDataDetails | UpdateEventDetails
    | DeleteRawModifiedDetails | DeleteAtTimeDetails | DeleteEventDetails
)  # fmt: skip
READS = ReadRawModifiedDetails | ReadProcessedDetails | ReadAtTimeDetails | ReadAnnotationDataDetails
NO_INDEX = "a namespace index that is not in the server's NamespaceArray"
ELSEWHERE = "a node of another server, or of a namespace that this one does not have"


def access(talk: Conversation, ask: Ask, verb: str, node_id: NodeId, attribute: int = VALUE) -> Found:
    verdict, node = talk.judge_access(ask, verb, node_id, attribute)
    if verdict is None or node is None:
        return Found(wrong=NO_INDEX)
    return Found(((talk.access(ask, verb, node, attribute), verdict),))


def read(talk: Conversation, ask: Ask, item: ReadValueId) -> Found:
    return access(talk, ask, "read", item.node_id, item.attribute_id)


def write(talk: Conversation, ask: Ask, item: WriteValue) -> Found:
    session, north = ask.held_by
    node = talk.node(session, item.node_id)
    if node is None:
        return Found(wrong=NO_INDEX)
    value = item.value
    above, perhaps = talk.around(session, node)
    action = Write(
        node,
        item.attribute_id,
        None if value.value is None else value.value.numbers(),
        bool(item.index_range),
        value.status is not None and value.status != GOOD,
        north.user,
        above,
        perhaps,
        talk.mode,
    )
    return Found(((action, talk.judge(ask, action)),))


def call(talk: Conversation, ask: Ask, item: CallMethodRequest) -> Found:
    session, north = ask.held_by
    on, method = talk.node(session, item.object_id), talk.node(session, item.method_id)
    if on is None or method is None:
        return Found(wrong=NO_INDEX)
    numbers = tuple([_one(argument.numbers()) for argument in item.input_arguments or ()])
    above, perhaps = talk.around(session, on)
    action = Call(on, method, numbers, north.user, above, perhaps, talk.mode)
    return Found(((action, talk.judge(ask, action)),))


def _one(numbers: tuple[float, ...] | None) -> float | None:
    return numbers[0] if numbers is not None and len(numbers) == 1 else None


def monitor(talk: Conversation, ask: Ask, item: MonitoredItemCreateRequest) -> Found:
    if wrong := filter_fault(item.requested_parameters.filter):
        return Found(wrong=wrong)
    return access(talk, ask, "subscribe", item.item_to_monitor.node_id, item.item_to_monitor.attribute_id)


def filter_fault(holder: ExtensionObject) -> str:
    """A filter may only look at the item itself: an AttributeOperand reads any node of the server (4.7)."""
    if holder.type_id.is_null and holder.body is None:
        return ""
    inner = decode_inner(holder)
    if isinstance(inner, DataChangeFilter | AggregateFilter):
        return ""
    if not isinstance(inner, EventFilter):
        return "a filter of a type that cannot be inspected"
    return _events_fault(inner)


def _events_fault(filter: EventFilter) -> str:
    for element in filter.where_clause.elements or ():
        for operand in element.filter_operands or ():
            if not isinstance(decode_inner(operand), ElementOperand | LiteralOperand | SimpleAttributeOperand):
                return "a filter that looks at other nodes"
    return ""


def browse(talk: Conversation, ask: Ask, item: BrowseDescription) -> Found:
    return access(talk, ask, "browse", item.node_id)


def translate(talk: Conversation, ask: Ask, item: BrowsePath) -> Found:
    return access(talk, ask, "browse", item.starting_node)


def history_read(talk: Conversation, ask: Ask, item: HistoryReadValueId) -> Found:
    """A continuation point is judged by the node that it was given for: the server goes by nothing else."""
    _, north = ask.held_by
    if item.continuation_point and not north.has_page(item.continuation_point, item.node_id.key):
        return Found(wrong="a continuation point that this session was not given for this node")
    return access(talk, ask, "history-read", item.node_id)


def details_fault(holder: ExtensionObject) -> str:
    """Of HistoryRead, as `filter_fault`."""
    inner = decode_inner(holder)
    if isinstance(inner, ReadEventDetails | ReadEventDetails2):
        return _events_fault(inner.filter)
    return "" if isinstance(inner, READS) else "details of a type that cannot be inspected"


def history_update(talk: Conversation, ask: Ask, item: ExtensionObject) -> Found:
    inner = decode_inner(item)
    if not isinstance(inner, UPDATES):
        return Found(wrong="details of a type that cannot be inspected")
    return access(talk, ask, "history-write", inner.node_id)


def delete_node(talk: Conversation, ask: Ask, item: DeleteNodesItem) -> Found:
    return access(talk, ask, "manage-nodes", item.node_id)


def add_node(talk: Conversation, ask: Ask, item: AddNodesItem) -> Found:
    """The parent is changed, and so is what the new node is to be called, if it says so."""
    told = [item.parent_node_id]
    if not item.requested_new_node_id.node.is_null:
        told.append(item.requested_new_node_id)
    return _expanded(talk, ask, told)


def add_reference(talk: Conversation, ask: Ask, item: AddReferencesItem) -> Found:
    if item.target_server_uri:
        return Found(wrong=ELSEWHERE)
    found = access(talk, ask, "manage-nodes", item.source_node_id)
    return _and(found, _expanded(talk, ask, [item.target_node_id]))


def delete_reference(talk: Conversation, ask: Ask, item: DeleteReferencesItem) -> Found:
    found = access(talk, ask, "manage-nodes", item.source_node_id)
    return _and(found, _expanded(talk, ask, [item.target_node_id]))


def _and(one: Found, other: Found) -> Found:
    return Found((*one.asked, *other.asked), one.wrong or other.wrong)


def _expanded(talk: Conversation, ask: Ask, ids: list[ExpandedNodeId]) -> Found:
    asked: list[tuple[Action, Verdict]] = []
    for one in ids:
        node = expanded(talk, ask, one)
        if node is None:
            return Found(wrong=ELSEWHERE)
        action = talk.access(ask, "manage-nodes", node, VALUE)
        asked.append((action, talk.judge(ask, action)))
    return Found(asked)


def expanded(talk: Conversation, ask: Ask, id: ExpandedNodeId) -> Node | None:
    """The node of this server that an ExpandedNodeId means; its namespace may be told by URI (Part 6, 5.2.2.10)."""
    session, _ = ask.held_by
    if id.server_index:
        return None
    if id.namespace_uri is None:
        return talk.node(session, id.node)
    if id.namespace_uri not in session.namespaces:
        return None
    _, kind, identifier = id.node.key
    return node_of((session.namespaces.index(id.namespace_uri), kind, identifier), session.namespaces)
