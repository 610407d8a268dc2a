"""Questions in one line, for `tests:` and `explain`: ``write nsu=urn:robot:7;s=Override = 80 as operator``; and that
line made of what an inspector asked (`text_of`), whole, while `describe` is short. Several acts have ``;`` between.

    read i=2258 @ DisplayName
    write nsu=urn:robot:7;s=Recipe[part] = [1, 2] with status      # = ? : not a number
    call nsu=urn:robot:7;s=Robot -> nsu=urn:robot:7;s=Reset (1, ?, 3.5)
    session as operator with Basic256Sha256 sign by x509

Behind each may stand ``as USER``, ``with sign`` (the mode of its channel), ``below NODE, NODE`` (nodes known to lie
above it) and ``perhaps below NODE``, in any order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from proxy.core.process import Point
from proxy.protocols.opcua.actions import (
    ACCESS,
    CALL,
    MODES,
    POLICIES,
    SESSION,
    TOKENS,
    WRITE,
    Access,
    Call,
    OpcUaAction,
    Session,
    Write,
    usual_token,
)
from proxy.protocols.opcua.line import Line
from proxy.protocols.opcua.node import Node, parse_node
from proxy.protocols.opcua.patterns import parse_attribute
from proxy.protocols.opcua.reading import nearest
from proxy.protocols.opcua.words import VALUE, attribute_text, exact, word

EXAMPLES = (
    "read nsu=urn:robot:7;s=Speed; write nsu=urn:robot:7;s=Override = 80 as operator; "
    "call nsu=urn:robot:7;s=Robot -> nsu=urn:robot:7;s=Reset (1); session as operator with Basic256Sha256 sign"
)
VERBS = (*ACCESS, WRITE, CALL, SESSION)
Options = dict[str, Any]


def parse_actions(text: str) -> tuple[OpcUaAction, ...]:
    """Raises ValueError with what is wrong and an example. Words with blanks stand in quotes, escaped as in JSON."""
    line = Line(text)
    found = [_one(line)]
    while not line.ended:
        line.want(";", "several acts have '; ' between them")
        found.append(_one(line))
    return tuple(found)


def parse_point(text: str) -> Point:
    """The value of one node: ``nsu=urn:robot:7;s=Speed``, in quotes or not."""
    if not text.startswith('"'):
        return Point("opcua", parse_node(text).text)
    line = Line(text)
    point = Point("opcua", parse_node(line.word("a node")).text)
    if not line.ended:
        raise ValueError(f"{line.rest} stands behind the point; a point is one node")
    return point


def text_of(asked: Sequence[OpcUaAction]) -> str:
    """The line that `parse_actions` reads as exactly these."""
    return "; ".join(map(_told, asked))


def _one(line: Line) -> OpcUaAction:
    verb = line.word("a verb")
    if verb == SESSION:
        return _session(line)
    if verb == CALL:
        return _call(line)
    if verb == WRITE:
        return _write(line)
    if verb not in ACCESS:
        raise ValueError(f"unknown verb {verb[:40]!r}: {nearest(verb, VERBS)}; for example: {EXAMPLES}")
    node = _node(line)
    attribute = parse_attribute(line.word("an attribute")) if line.takes("@") else VALUE
    return Access(verb, node, attribute, **_options(line))


def _write(line: Line) -> Write:
    node = _node(line)
    part = line.takes("[part]")
    attribute = parse_attribute(line.word("an attribute")) if line.takes("@") else VALUE
    line.want("=", "a write needs its value, for example: write nsu=urn:robot:7;s=Override = 80, or = ? for no number")
    numbers: tuple[float, ...] | None = None
    if line.takes("["):
        numbers = tuple(one for one in line.numbers("]") if one is not None)
    elif not line.takes("?"):
        numbers = (line.number(),)
    options = _options(line, status=True)
    return Write(node, attribute, numbers, part, options.pop("status", False), **options)


def _call(line: Line) -> Call:
    one = _node(line)
    line.want("->", "a call is OBJECT -> METHOD")
    method = _node(line)
    return Call(one, method, line.numbers(")", unknown=True) if line.takes("(") else (), **_options(line))


def _session(line: Line) -> Session:
    user = line.word("a user") if line.takes("as") else None
    policy, mode, token = "None", "none", usual_token(user)
    if line.takes("with"):
        policy, mode = _known(line, "security policy", POLICIES), _known(line, "security mode", MODES)
    if line.takes("by"):
        token = _known(line, "kind of token", TOKENS)
    return Session(policy, mode, token, user)


def _known(line: Line, what: str, known: Sequence[str]) -> str:
    found = line.word(f"a {what}")
    if found not in known:
        raise ValueError(f"{found[:40]!r} is no {what}; {nearest(found, known)}")
    return found


def _node(line: Line) -> Node:
    return parse_node(line.word("a node"))


def _options(line: Line, *, status: bool = False) -> Options:
    """What may stand behind every act, as its fields; each once."""
    found: Options = {}

    def put(name: str, value: object) -> None:
        if name in found:
            raise ValueError(f"{name} is said twice; say it once")
        found[name] = value

    while True:
        if line.takes("as"):
            put("user", line.word("a user"))
        elif line.takes("below"):
            put("above", _nodes(line))
        elif line.takes("perhaps"):
            line.want("below", "perhaps stands before below")
            put("perhaps", _nodes(line))
        elif not line.takes("with"):
            return found
        elif status and line.takes("status"):
            put("status", True)
        else:
            put("mode", _known(line, "security mode", MODES))


def _nodes(line: Line) -> frozenset[Node]:
    nodes = [_node(line)]
    while line.takes(","):
        nodes.append(_node(line))
    return frozenset(nodes)


def _told(action: OpcUaAction) -> str:
    if isinstance(action, Session):
        user = "" if action.user is None else f" as {word(action.user)}"
        token = "" if action.token == usual_token(action.user) else f" by {action.token}"
        return f"session{user} with {action.policy} {action.mode}{token}"
    return f"{action.verb} {_told_what(action)}{_told_options(action)}"


def _told_what(action: Access | Write | Call) -> str:
    if isinstance(action, Call):
        told = ", ".join("?" if one is None else exact(one) for one in action.numbers)
        args = f" ({told})" if action.numbers else ""
        return f"{word(action.object.text)} -> {word(action.method.text)}{args}"
    at = "" if action.attribute == VALUE else f" @ {attribute_text(action.attribute)}"
    if isinstance(action, Access):
        return f"{word(action.node.text)}{at}"
    part = "[part]" if action.part else ""
    status = " with status" if action.status else ""
    return f"{word(action.node.text)}{part}{at} = {_told_numbers(action.numbers)}{status}"


def _told_numbers(numbers: tuple[float, ...] | None) -> str:
    if numbers is None:
        return "?"
    return exact(numbers[0]) if len(numbers) == 1 else f"[{', '.join(map(exact, numbers))}]"


def _told_options(action: Access | Write | Call) -> str:
    user = "" if action.user is None else f" as {word(action.user)}"
    mode = "" if action.mode == "none" else f" with {action.mode}"
    return f"{user}{mode}{_told_nodes('below', action.above)}{_told_nodes('perhaps below', action.perhaps)}"


def _told_nodes(what: str, nodes: Iterable[Node]) -> str:
    told = ", ".join(word(node.text) for node in sorted(nodes))
    return f" {what} {told}" if told else ""
