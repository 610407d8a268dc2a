"""Which nodes lie below the roots that policy names with ``under``, found by browsing (protocols.md 4.5).

A breadth-first walk along forward hierarchical references (Part 3 7.3), one Browse or BrowseNext at a time. It is
bounded in nodes and levels, and its owner bounds it in time. What was not found for such a reason leaves the roots
above it *partial*: then nobody may take a node for one that lies elsewhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from proxy.protocols.opcua import status
from proxy.protocols.opcua.node import node_of
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.services.view import (
    BrowseDescription,
    BrowseNextRequest,
    BrowseRequest,
    BrowseResult,
    ReferenceDescription,
    ViewDescription,
)

if TYPE_CHECKING:
    from proxy.protocols.opcua.node import Node
    from proxy.protocols.opcua.services.messages import RequestHeader

NODES = 10_000
LEVELS = 16
BATCH = 64
"""Nodes in one Browse. A server that takes fewer says so, and is asked again in halves."""
REFERENCES = 100
"""References in one answer per node, so that an answer is decoded in a few milliseconds; the rest comes by BrowseNext.
"""
_HIERARCHICAL = NodeId.numeric(0, 33)
_SMALLER = frozenset(
    (
        status.BAD_TOO_MANY_OPERATIONS,
        status.BAD_RESPONSE_TOO_LARGE,
        status.BAD_ENCODING_LIMITS_EXCEEDED,
        status.BAD_NO_CONTINUATION_POINTS,
    )
)


class _Place(NamedTuple):
    node: Node
    id: NodeId
    level: int


class Subtree:
    """``ask`` gives the next request, ``answered`` or ``refused`` takes what came of it; then ``found`` has it all."""

    def __init__(self, roots: Mapping[Node, NodeId], namespaces: tuple[str, ...]) -> None:
        self._roots = roots
        self._namespaces = namespaces
        self._known = set(roots)
        self._queue = deque(_Place(node, node_id, 0) for node, node_id in roots.items())
        self._below: dict[Node, list[Node]] = {}
        self._open: set[Node] = set()
        self._asked: list[_Place] = []
        self._more: list[tuple[_Place, bytes]] = []
        self._batch = BATCH
        self._over = False

    def ask(self, header: RequestHeader) -> BrowseRequest | BrowseNextRequest | None:
        """None when there is nothing left to ask. After `stop` only what the server still keeps is given back."""
        if self._more:
            more, self._more = self._more[: self._batch], self._more[self._batch :]
            self._asked = [place for place, _ in more]
            return BrowseNextRequest(header, self._over, tuple(point for _, point in more))
        self._asked = []
        while self._queue and len(self._asked) < self._batch:
            place = self._queue.popleft()
            if self._over or place.level >= LEVELS:
                self._open.add(place.node)
            else:
                self._asked.append(place)
        if not self._asked:
            return None
        wanted = tuple(BrowseDescription(place.id, 0, _HIERARCHICAL, True, 0, 0) for place in self._asked)
        return BrowseRequest(header, ViewDescription(NodeId.NULL, 0, 0), REFERENCES, wanted)

    def answered(self, results: tuple[BrowseResult, ...] | None) -> None:
        """The answer to what was asked last. A wrong number of results leaves those nodes unknown."""
        if self._over:
            return
        if results is None or len(results) != len(self._asked):
            self._open.update(place.node for place in self._asked)
            return
        for place, result in zip(self._asked, results, strict=True):
            self._one(place, result)

    def refused(self, code: int) -> None:
        """The whole request was refused: asked again in smaller parts if that may help, else given up."""
        if code in _SMALLER and len(self._asked) > 1 and not self._over:
            self._batch = len(self._asked) // 2
            self._queue.extendleft(reversed(self._asked))
        else:
            self._open.update(place.node for place in self._asked)
            self.stop()

    def stop(self) -> None:
        """No time is left, or no sense in going on."""
        self._over = True
        self._open.update(place.node for place in self._asked)
        self._open.update(place.node for place, _ in self._more)

    def found(self) -> tuple[dict[Node, frozenset[Node]], frozenset[Node]]:
        """Node to the roots above it, and the roots below which something may have been missed."""
        self._open.update(place.node for place in self._queue)
        above: dict[Node, list[Node]] = {}
        partial = set()
        for root in self._roots:
            below = self._reach(root)
            if not self._open.isdisjoint(below):
                partial.add(root)
            for node in below:
                if node != root:
                    above.setdefault(node, []).append(root)
        shared: dict[frozenset[Node], frozenset[Node]] = {}
        return {
            node: shared.setdefault(these, these) for node, roots in above.items() for these in (frozenset(roots),)
        }, frozenset(partial)

    def _reach(self, root: Node) -> set[Node]:
        seen = {root}
        ahead = [root]
        while ahead:
            for node in self._below.get(ahead.pop(), ()):
                if node not in seen:
                    seen.add(node)
                    ahead.append(node)
        return seen

    def _one(self, place: _Place, result: BrowseResult) -> None:
        code = result.status_code
        if code == status.BAD_NO_CONTINUATION_POINTS and len(self._asked) > 1:
            self._batch = len(self._asked) // 2
            self._queue.append(place)
            return
        if code & 0x80000000:
            if code != status.BAD_NODE_ID_UNKNOWN:  # what does not exist has nothing below it
                self._open.add(place.node)
            return
        for reference in result.references or ():
            self._reference(place, reference)
        if result.continuation_point:
            self._more.append((place, result.continuation_point))

    def _reference(self, place: _Place, reference: ReferenceDescription) -> None:
        target = reference.node_id
        if target.server_index:
            return  # a node of another server: nobody reaches it here
        uri = target.namespace_uri
        node_id = target.node if uri is None else self._in_uri(target.node, uri)
        node = None if node_id is None else node_of(node_id.key, self._namespaces)
        if node is None or node_id is None:
            self._open.add(place.node)
            return
        if node not in self._known:
            if len(self._known) >= NODES:
                self._open.add(place.node)
                self.stop()
                return
            self._known.add(node)
            self._queue.append(_Place(node, node_id, place.level + 1))
        self._below.setdefault(place.node, []).append(node)

    def _in_uri(self, node_id: NodeId, uri: str) -> NodeId | None:
        try:
            index = self._namespaces.index(uri)
        except ValueError:
            return None
        if isinstance(node_id.identifier, int):
            return NodeId.numeric(index, node_id.identifier)
        return NodeId(index, node_id.identifier, node_id.form)
