"""A server's own NamespaceArray (Part 5 6.3.2): what its namespace indexes mean (protocols.md 4.5).

An index means something only in one session of one server: policy knows URIs. A server that has one URI twice, or
another one at index 0, could show one node under two names, and is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.protocols.opcua.node import UA, Node, key_of
from proxy.protocols.opcua.node_id import Guid, NodeId

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMESPACE_ARRAY = NodeId.numeric(0, 2255)
MOST = 4096
LONGEST = 1024
"""Namespaces of one server, and characters of each. With all companion specifications there are a few dozen."""


def read_array(values: Sequence[str | None] | None) -> tuple[str, ...] | str:
    """The array that policy may be judged by, or why there is none. An empty entry stays empty and names nothing."""
    if not values:
        return "the NamespaceArray is not an array of strings, or empty"
    if len(values) > MOST:
        return f"the NamespaceArray has {len(values)} entries, more than {MOST}"
    uris = tuple(value or "" for value in values)
    if any(len(uri) > LONGEST for uri in uris):
        return f"the NamespaceArray has a URI of more than {LONGEST} characters"
    if uris[0] != UA:
        return "index 0 of the NamespaceArray is not the OPC UA namespace"
    seen: set[str] = set()
    for index, uri in enumerate(uris):
        if uri in seen:
            return f"the NamespaceArray has one URI twice, the second time at index {index}"
        if uri:
            seen.add(uri)
    return uris


def id_of(node: Node, namespaces: Sequence[str]) -> NodeId | None:
    """The NodeId of a node in the server with these ``namespaces``, or None if it has no such namespace."""
    key = key_of(node, namespaces)
    if key is None:
        return None
    index, kind, identifier = key
    if isinstance(identifier, int):
        return NodeId.numeric(index, identifier)
    if isinstance(identifier, bytes):
        return NodeId(index, Guid(identifier), 0x04) if kind == "g" else NodeId(index, identifier, 0x05)
    return NodeId(index, identifier, 0x03)
