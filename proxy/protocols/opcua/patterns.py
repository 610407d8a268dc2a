"""What may stand in a rule for nodes: a node, with ``*`` in a string identifier, a whole namespace, a subtree, all.

    i=2258                               # a node of namespace 0
    nsu=urn:robot:7;s=Line1.*
    nsu=urn:robot:7                      # every node of that namespace
    under nsu=urn:robot:7;s=Cell4        # that node and everything below it
    nsu=urn:robot:7;s=Line1 @ DisplayName
    nsu=urn:robot:7;s=Robot -> nsu=urn:robot:7;s=Reset

Each function raises `node.Wrong`.
"""

from __future__ import annotations

import difflib

from proxy.protocols.opcua.node import ALL, EXAMPLE, MOST_TEXT, UA, NodePattern, Wrong, cut, parse_node, parse_uri
from proxy.protocols.opcua.words import ATTRIBUTES

ALL_WORDS = ("all", "*")
METHOD = "nsu=urn:robot:7;s=Robot -> nsu=urn:robot:7;s=Reset"
_UNDER = "under "
_ARROW = " -> "
_AT = " @ "
_MOST_ATTRIBUTE = 0xFFFFFFFF


def parse_pattern(text: str) -> NodePattern:
    if text == "all":
        return ALL
    if text == "*":
        raise Wrong("a * alone is no node", "write all")
    if not text.isprintable():
        raise Wrong(f"{cut(text)} has a character that cannot be seen", "write * in its place")
    if text.startswith(_UNDER):
        return _subtree(text.removeprefix(_UNDER).strip())
    if _is_namespace(text):
        return NodePattern(parse_uri(text.removeprefix("nsu=")))
    return _pattern(text)


def _is_namespace(text: str) -> bool:
    return text.startswith("nsu=") and ";" not in text


def _pattern(text: str) -> NodePattern:
    kind, _, identifier = text.rpartition(";")[2].partition("=")
    if kind in ("i", "g", "b") and "*" in identifier:
        mend = "name the nodes one by one, or the namespace alone: nsu=URI"
        raise Wrong(f"{cut(text)} has a *, which is for string identifiers", mend)
    node = parse_node(text)
    if node.kind in ("s", "b") and not node.identifier:
        raise Wrong(f"{cut(text)} has an empty identifier", f"write for example {EXAMPLE}")
    if node == (UA, "i", "0"):
        raise Wrong("i=0 is the null node, which none is", "write for example i=2258")
    if len(node.identifier) > MOST_TEXT:
        raise Wrong(f"the identifier has more than {MOST_TEXT} characters", "no identifier is that long")
    return NodePattern(*node)


def _subtree(text: str) -> NodePattern:
    if text in ALL_WORDS:
        raise Wrong(f"there is no node {text!r} that others lie under", "write all")
    if _is_namespace(text):
        raise Wrong(f"{cut(text)} is a namespace and no node", "write it without under, or name the node at the top")
    pattern = _pattern(text)
    if not pattern.exact:
        raise Wrong(f"under {cut(text)} may be many subtrees", "name the node at the top of each, without *")
    return pattern._replace(under=True)


def parse_attributed(text: str) -> tuple[NodePattern, int | None]:
    """A pattern and the attribute behind `` @ ``; None if there is none."""
    head, at, name = text.rpartition(_AT)
    if not at:
        return parse_pattern(text), None
    return parse_pattern(head.rstrip()), parse_attribute(name.strip())


def parse_attribute(name: str) -> int:
    """By its name, or its number."""
    if name in ATTRIBUTES:
        return ATTRIBUTES[name]
    if name.isascii() and name.isdigit() and len(name) <= 10 and int(name) <= _MOST_ATTRIBUTE:
        return int(name)
    close = difflib.get_close_matches(name, ATTRIBUTES, 1)
    mend = f"did you mean {close[0]!r}?" if close else "write its name or number, for example DisplayName or 4"
    raise Wrong(f"there is no attribute {cut(name)}", mend)


def parse_method(text: str) -> tuple[NodePattern, NodePattern]:
    """Object and method. ``*`` for either is the word all."""
    parts = text.split(_ARROW)
    if len(parts) == 1:
        raise Wrong(f"{cut(text)} does not say a method of an object", f"write for example {METHOD}")
    if len(parts) > 2:
        raise Wrong(f"{cut(text)} has more than one ->", "write * for the one that is part of an identifier")
    one, method = (ALL if part.strip() in ALL_WORDS else parse_pattern(part.strip()) for part in parts)
    if method.under:
        raise Wrong(f"{cut(text)} has a subtree for its method", "write under before the object")
    return one, method
