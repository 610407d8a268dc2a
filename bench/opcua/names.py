"""What is in the device: numbers that are read, numbers that each session writes, numbers that each session watches."""

from __future__ import annotations

from bench.opcua.plan import NODES, SESSIONS
from proxy.protocols.opcua.node_id import NodeId

URI = "urn:bench:plant"
NAMESPACES = ("http://opcfoundation.org/UA/", "urn:bench:device", URI)
INDEX = 2
"""The same in asyncua's server, whose own namespace is 1: so nobody has to translate."""
READ_NAMES = tuple(f"Read.V{number}" for number in range(NODES))
WRITE_NAMES = tuple(f"Write.W{number}" for number in range(max(SESSIONS)))
TARGETS = 7
WATCH_NAMES = tuple(f"Watch.S{number}" for number in range(TARGETS * max(SESSIONS)))
"""As many for each target as it may have sessions."""
FORBIDDEN = "Secret.F0"
ALL_NAMES = (*READ_NAMES, *WRITE_NAMES, *WATCH_NAMES, FORBIDDEN)
FIRST_CHANGE = 1_000_000
"""Values of changes count from here, so that their bytes are nowhere else in a message."""


def node(name: str) -> NodeId:
    return NodeId.string(INDEX, name)


def first_value(name: str) -> float:
    return float(ALL_NAMES.index(name)) + 0.5
