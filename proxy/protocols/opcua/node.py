"""Nodes as policy names them: by namespace URI and identifier, never by an index, which each server numbers anew.

The text is that of OPC 10000-6, 5.3.1.11: ``i=2258`` in namespace 0, else ``nsu=URI;s=Line1.Speed`` with ``;`` and
``%`` of the URI written ``%3B`` and ``%25``. String identifiers are compared as they are: no case folding, trimming or
normalisation.
"""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from typing import TYPE_CHECKING, NamedTuple

from proxy.core.globs import glob, glob_within, globs_meet

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

UA = "http://opcfoundation.org/UA/"
"""Namespace 0."""
MOST_TEXT = 4096
"""Characters of a URI, and of an identifier in a rule; OPC 10000-3, 8.2.4 has the same bound."""
EXAMPLE = "nsu=urn:robot:7;s=Line1.Speed"
Key = tuple[int, str, int | str | bytes]
"""What the codec makes of a NodeId (`node_id.NodeId.key`): index, kind, identifier; a GUID as its 16 bytes."""
Extent = tuple[str, int, int]
_INDEXED = 96
_FULL = re.compile(r"(?:nsu=(?P<uri>[^;]*);)?(?P<kind>[isgb])=(?P<identifier>.*)", re.DOTALL)
_INDEX = re.compile(r"ns=(?P<index>[0-9]+);(?P<rest>.*)", re.DOTALL)
_NUMBER = re.compile(r"0|[1-9][0-9]{0,9}")
_GUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_ESCAPED = re.compile(r"%(3[Bb]|25)?")


class Wrong(ValueError):
    """What is wrong with a text, and how to mend it. As text ``what; mend``."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(what, mend)
        self.what = what
        self.mend = mend

    def __str__(self) -> str:
        return f"{self.what}; {self.mend}"


class Node(NamedTuple):
    """``kind`` i (number), s (string), g (GUID), b (bytes). ``identifier`` is text in one form: a number in decimal,
    a GUID in lower case, bytes in base64."""

    uri: str
    kind: str
    identifier: str

    @property
    def text(self) -> str:
        """What `parse_node` reads as this node."""
        if self.uri == UA and self.kind == "i":
            return f"i={self.identifier}"
        return f"nsu={escaped(self.uri)};{self.kind}={self.identifier}"

    @property
    def extent(self) -> Extent:
        """See `core.action.Action.extent`."""
        number = int(self.identifier) if self.kind == "i" else _number(self.identifier, b"\0")
        return f"{self.kind} {self.uri}", number, number


class NodePattern(NamedTuple):
    """Nodes that a rule means. ``uri`` None: all. ``kind`` None: every node of that namespace. ``identifier`` of a
    string may have ``*``. ``under``: the node that the other fields name, and everything below it."""

    uri: str | None
    kind: str | None = None
    identifier: str = "*"
    under: bool = False

    @property
    def exact(self) -> bool:
        """It means one node."""
        return self.kind is not None and not self.under and not (self.kind == "s" and "*" in self.identifier)

    @property
    def node(self) -> Node | None:
        """The one node that it means, or whose subtree it means."""
        return Node(self.uri or "", self.kind or "", self.identifier) if self.under or self.exact else None

    def matches(self, node: Node, above: Container[Node] = ()) -> bool:
        """``above``: nodes that are known to lie above ``node``."""
        uri, kind, identifier, under = self
        if uri is None:
            return True
        if under:
            root = Node(uri, kind or "", identifier)
            return node == root or root in above
        if uri != node.uri:
            return False
        if kind != node.kind:
            return kind is None
        return identifier == node.identifier or (
            "*" in identifier and kind == "s" and glob(identifier, node.identifier)
        )

    def within(self, other: NodePattern) -> bool:
        """Every node that this matches, wherever it lies, ``other`` matches too. Exact."""
        if other.uri is None or self == other:
            return True
        if self.under or self.uri is None:
            return False
        if other.under:
            return self.exact and self[:3] == other[:3]
        if self.uri != other.uri or other.kind is None:
            return self.uri == other.uri
        if self.kind != other.kind:
            return False
        return glob_within(self.identifier, other.identifier) if self.kind == "s" else self[2] == other[2]

    def meets(self, other: NodePattern) -> bool:
        """Some node is surely matched by both. What lies below a node nobody knows here, so of two subtrees it is the
        same root that counts, and of a subtree and something else its root."""
        if self.uri is None or other.uri is None:
            return True
        if self.under or other.under:
            root, rest = (self, other) if self.under else (other, self)
            return self[:3] == other[:3] or (not rest.under and root.node is not None and rest.matches(root.node))
        if self.uri != other.uri or self.kind is None or other.kind is None:
            return self.uri == other.uri
        if self.kind != other.kind:
            return False
        return globs_meet(self.identifier, other.identifier) if self.kind == "s" else self[2] == other[2]

    @property
    def extent(self) -> Extent | None:
        """None where nodes of it may lie anywhere."""
        if self.uri is None or self.kind is None or self.under:
            return None
        if self.kind == "i":
            number = int(self.identifier)
            return f"i {self.uri}", number, number
        first, star, _ = self.identifier.partition("*") if self.kind == "s" else (self.identifier, "", "")
        return f"{self.kind} {self.uri}", _number(first, b"\0"), _number(first, b"\xff" if star else b"\0")

    @property
    def text(self) -> str:
        """What a rule says: ``all``, ``nsu=URI``, a node with or without ``*``, ``under`` one."""
        if self.uri is None:
            return "all"
        if self.kind is None:
            return f"nsu={escaped(self.uri)}"
        return f"{'under ' if self.under else ''}{Node(self.uri, self.kind, self.identifier).text}"


ALL = NodePattern(None)


def parse_node(text: str) -> Node:
    """One node. Raises `Wrong`."""
    if match := _INDEX.fullmatch(text):
        rest = cut(match["rest"], raw=True)
        if match["index"] == "0":
            raise Wrong(f"{cut(text)} names namespace 0 by its index", f"leave the index out: {rest}")
        what = f"{cut(text)} has a namespace index, which each server numbers anew"
        raise Wrong(what, f"write the namespace's URI: nsu=URI;{rest}")
    match = _FULL.fullmatch(text)
    if match is None:
        raise Wrong(f"{cut(text)} is no node", f"write for example i=2258 or {EXAMPLE}")
    uri, kind = match["uri"], match["kind"]
    if uri is None and kind != "i":
        raise Wrong(
            f"{cut(text)} does not say its namespace, and namespace 0 has numbers only",
            f"write nsu=URI;{cut(text, raw=True)}",
        )
    return Node(UA if uri is None else parse_uri(uri), kind, _identifier(kind, match["identifier"]))


def parse_uri(text: str) -> str:
    """The URI behind ``nsu=``, its escapes undone. Raises `Wrong`."""
    if not text or len(text) > MOST_TEXT:
        raise Wrong(f"a namespace URI has 1 to {MOST_TEXT} characters", f"write for example {EXAMPLE}")
    if any(match[1] is None for match in _ESCAPED.finditer(text)):
        raise Wrong(
            f"the URI {cut(text)} has a % that is neither %25 nor %3B", "write % as %25 (and a semicolon as %3B)"
        )
    return _ESCAPED.sub(lambda match: "%" if match[1] == "25" else ";", text)


def escaped(uri: str) -> str:
    return uri.replace("%", "%25").replace(";", "%3B")


def _identifier(kind: str, text: str) -> str:
    told = f"{kind}={cut(text, raw=True)}"
    if kind == "i":
        if not _NUMBER.fullmatch(text) or int(text) > 0xFFFFFFFF:
            raise Wrong(f"{told} is no number 0..4294967295", "write it in decimal, as i=2258")
        return text
    if kind == "g":
        if not _GUID.fullmatch(text):
            raise Wrong(f"{told} is no GUID", "write for example g=09087e75-8e5e-499b-954f-f2a9603db28a")
        return text.lower()
    if kind == "s":
        return text
    try:
        return base64.b64encode(base64.b64decode(text, validate=True)).decode()
    except (binascii.Error, ValueError):  # not ASCII is a ValueError of its own
        raise Wrong(f"{told} is no base64", "write for example b=M/RbKBsRVkePCePcx24oRA==") from None


def node_of(key: Key, namespaces: Sequence[str]) -> Node | None:
    """The node of a NodeId (`node_id.NodeId.key`) in a server with these ``namespaces``, its NamespaceArray; None if
    the index is not in it, or has no URI there. Namespace 0 is known without (protocols.md 4.5)."""
    index, kind, identifier = key
    if index == 0:
        uri = UA
    elif index < len(namespaces) and 0 < len(namespaces[index]) <= MOST_TEXT:
        uri = namespaces[index]
    else:
        return None
    if isinstance(identifier, bytes):
        told = str(uuid.UUID(bytes_le=identifier)) if kind == "g" else base64.b64encode(identifier).decode()
        return Node(uri, kind, told)
    return Node(uri, kind, str(identifier))


def key_of(node: Node, namespaces: Sequence[str]) -> Key | None:
    """The way back: what the server with these ``namespaces`` calls ``node``; None if it has no such namespace."""
    uri, kind, text = node
    if uri == UA:
        index = 0
    elif uri in namespaces:
        index = namespaces.index(uri)
    else:
        return None
    if kind == "i":
        return index, kind, int(text)
    if kind == "s":
        return index, kind, text
    return index, kind, uuid.UUID(text).bytes_le if kind == "g" else base64.b64decode(text)


def cut(text: str, most: int = 60, *, raw: bool = False) -> str:
    """As a report shows a value: printable, and never long."""
    told = ascii(text[: most + 1]) if not raw else ascii(text[: most + 1])[1:-1]
    return told if len(told) <= most else told[: most - 3] + "..."


def _number(text: str, fill: bytes) -> int:
    return int.from_bytes(text[:_INDEXED].encode("utf-8", "surrogatepass")[:_INDEXED].ljust(_INDEXED, fill), "big")
