"""What a client may see of the address space: references and browse paths are cut to the nodes that it may browse.

To learn that a node is there is a read of a kind, so answers are judged as well as questions (protocols.md 4.7).
RegisterNodes never reaches the server: its aliases would be names that policy does not know (T26). The client gets back
the ids that it gave, which Part 4 5.9.5 allows.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from proxy.core.reason import Reason
from proxy.protocols.opcua import elements, status
from proxy.protocols.opcua.conversation import ACCESS_DENIED, Then
from proxy.protocols.opcua.decode import decode, encode
from proxy.protocols.opcua.itemwise import MOST_ITEMS, Found, Service, handle
from proxy.protocols.opcua.services.history import HistoryReadRequest
from proxy.protocols.opcua.services.view import (
    BrowseNextResponse,
    BrowsePathResult,
    BrowseRequest,
    BrowseResponse,
    BrowseResult,
    RegisterNodesRequest,
    RegisterNodesResponse,
    TranslateBrowsePathsToNodeIdsRequest,
    TranslateBrowsePathsToNodeIdsResponse,
    UnregisterNodesRequest,
    UnregisterNodesResponse,
)
from proxy.protocols.opcua.spans import split_results
from proxy.protocols.opcua.wire import Malformed, Reader
from proxy.protocols.opcua.words import VALUE

if TYPE_CHECKING:
    from proxy.protocols.opcua.conversation import Ask, Conversation
    from proxy.protocols.opcua.node_id import ExpandedNodeId
    from proxy.protocols.opcua.services.history import HistoryReadValueId

_STATUS = 4
"""Bytes of a result before its continuation point."""


def browse(talk: Conversation, ask: Ask, service: Service) -> None:
    request = ask.request
    if not isinstance(request, BrowseRequest):
        raise TypeError("not a Browse")
    view = request.view.view_id
    if not view.is_null and elements.access(talk, ask, "browse", view).refused_by is not None:
        talk.fault(ask, ACCESS_DENIED)
        return
    handle(talk, ask, service, lambda allowed: _cut(talk, ask))


def browse_next(talk: Conversation, ask: Ask, service: Service) -> None:
    handle(talk, ask, service, lambda allowed: _cut(talk, ask))


def continued(talk: Conversation, ask: Ask, point: bytes | None) -> Found:
    """The judge of BrowseNext: a page of something that this session was allowed to browse. It is good once."""
    _, north = ask.held_by
    if north.take_point(point):
        return Found()
    return Found(wrong="a continuation point that this session was not given")


def _cut(talk: Conversation, ask: Ask) -> Then:
    """References to what the client may not see are left out; the page is shorter then, its continuation the same."""
    _, north = ask.held_by

    def cut(body: bytes) -> bytes | None:
        response = decode(body)
        if not isinstance(response, BrowseResponse | BrowseNextResponse):
            talk.fault(ask, status.BAD_UNKNOWN_RESPONSE)
            return None
        for result in response.results or ():
            if result.continuation_point:
                north.keep_point(result.continuation_point)
        results = tuple([_visible(talk, ask, result) for result in response.results or ()])
        same = all(one is other for one, other in zip(results, response.results or (), strict=True))
        return body if same else encode(replace(response, results=results))

    return Then(cut)


def _visible(talk: Conversation, ask: Ask, result: BrowseResult) -> BrowseResult:
    references = result.references or ()
    seen = tuple([one for one in references if may_see(talk, ask, one.node_id)])
    return result if len(seen) == len(references) else replace(result, references=seen)


def may_see(talk: Conversation, ask: Ask, id: ExpandedNodeId) -> bool:
    """Of one node that an answer names. Nothing of it is put on record: nobody asked for it."""
    if id.namespace_uri is None and not id.server_index:
        verdict, _ = talk.judge_access(ask, "browse", id.node, VALUE)
        return verdict is not None and verdict.allowed
    node = elements.expanded(talk, ask, id)
    return node is not None and talk.judge(ask, talk.access(ask, "browse", node, VALUE)).allowed


def history(talk: Conversation, ask: Ask, service: Service) -> None:
    """HistoryRead, page by page: what is not read yet stays with the node that it is of."""
    request = ask.request
    if not isinstance(request, HistoryReadRequest):
        raise TypeError("not a HistoryRead")
    if wrong := elements.details_fault(request.history_read_details):
        talk.refused(Reason.DEFAULT_DENY, "HistoryRead", wrong)
        talk.fault(ask, ACCESS_DENIED)
        return
    _, north = ask.held_by

    def going(allowed: list[HistoryReadValueId]) -> Then:
        nodes = [one.node_id.key for one in allowed]

        def paged(body: bytes) -> bytes | None:
            found = split_results(body, MOST_ITEMS)
            if isinstance(found, Malformed):
                talk.fault(ask, status.BAD_UNKNOWN_RESPONSE)
                return None
            for result, node in zip(found.results or (), nodes, strict=False):
                if point := Reader(result, _STATUS).byte_string():
                    north.keep_page(point, node)
            return body

        return Then(paged)

    handle(talk, ask, service, going)


def translate(talk: Conversation, ask: Ask, service: Service) -> None:
    request = ask.request
    if not isinstance(request, TranslateBrowsePathsToNodeIdsRequest):
        raise TypeError("not a TranslateBrowsePathsToNodeIds")

    def cut(body: bytes) -> bytes | None:
        response = decode(body)
        if not isinstance(response, TranslateBrowsePathsToNodeIdsResponse):
            talk.fault(ask, status.BAD_UNKNOWN_RESPONSE)
            return None
        return encode(replace(response, results=tuple([_reachable(talk, ask, one) for one in response.results or ()])))

    handle(talk, ask, service, lambda allowed: Then(cut))


def _reachable(talk: Conversation, ask: Ask, result: BrowsePathResult) -> BrowsePathResult:
    targets = result.targets or ()
    seen = tuple([one for one in targets if may_see(talk, ask, one.target_id)])
    if len(seen) == len(targets):
        return result
    return replace(result, targets=seen) if seen else BrowsePathResult(status.BAD_NO_MATCH, ())  # as if not there (T52)


def register(talk: Conversation, ask: Ask) -> None:
    request = ask.request
    if isinstance(request, RegisterNodesRequest):
        if _fits(talk, ask, len(request.nodes_to_register or ())):
            talk.answer(ask, RegisterNodesResponse(talk.header(ask), request.nodes_to_register))
    elif isinstance(request, UnregisterNodesRequest) and _fits(talk, ask, len(request.nodes_to_unregister or ())):
        talk.answer(ask, UnregisterNodesResponse(talk.header(ask)))


def _fits(talk: Conversation, ask: Ask, count: int) -> bool:
    if 0 < count <= MOST_ITEMS:
        return True
    talk.fault(ask, status.BAD_TOO_MANY_OPERATIONS if count else status.BAD_NOTHING_TO_DO)
    return False
