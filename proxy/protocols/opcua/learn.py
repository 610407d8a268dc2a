"""Rules from what was asked: for each user the nodes by name, with ``*`` where many string identifiers begin alike.

What a client only looks at is generalised, and a note says how far. What it wrote or called is told node by node, with
the numbers that were seen. Which users and which modes of channels there were is told as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from proxy.protocols.base import Proposal
from proxy.protocols.opcua.actions import MODES, Access, Call, OpcUaAction, Session, Write
from proxy.protocols.opcua.rules import MOST_USER
from proxy.protocols.opcua.sections import LEAST, arguments, call_line, limits, line_of, node_line, user_word
from proxy.protocols.opcua.words import VALUE, attribute_text, shown

if TYPE_CHECKING:
    from proxy.core.action import Action
    from proxy.protocols.opcua.node import Node

MANY = 8
"""String identifiers that begin alike, from which a ``*`` reads better than a list."""
LOOKS = ("browse", "read", "subscribe", "history-read")
ACTS = ("history-write", "manage-nodes")
_PART = re.compile(r".*[./|:\\]", re.DOTALL)

Lines = dict[str, object]


def learn(asked: Sequence[Action]) -> Iterator[Proposal]:
    """See `proxy.protocols.base.ProtocolSpec.learn`. One proposal for all users who asked the same."""
    known = [action for action in asked if isinstance(action, OpcUaAction)]
    looks = [action for action in known if not action.changes]
    yield from _by_user(looks, acts=False)
    yield from _by_user([action for action in known if action.changes], acts=True)


def _by_user(asked: Sequence[OpcUaAction], *, acts: bool) -> Iterator[Proposal]:
    found: list[tuple[list[str | None], Lines, tuple[str, ...]]] = []
    for user in sorted({action.user for action in asked}, key=lambda user: (user is not None, user or "")):
        lines, notes = _lines([action for action in asked if action.user == user])
        for users, others, _ in found:
            if others == lines:
                users.append(user)
                break
        else:
            found.append(([user], lines, notes))
    for users, lines, notes in found:
        good, more = _users(users)
        if lines and good:
            yield Proposal({**lines, "users": good}, acts, (*notes, *more))
        elif notes or more:
            yield Proposal({}, acts, (*notes, *more))


def _users(users: Iterable[str | None]) -> tuple[list[str], list[str]]:
    good: list[str] = []
    notes: list[str] = []
    for user in users:
        word = user_word(user)
        if len(word) > MOST_USER or not word or not word.isprintable() or "{" in word:
            notes.append(f"user {shown(word, 40)} is left out: no rule can name it")
            continue
        good.append(word)
        if "*" in word:
            notes.append(f"user {shown(word, 40)} stands for any user with a name like this")
    return good, notes


def _lines(asked: Sequence[OpcUaAction]) -> tuple[Lines, tuple[str, ...]]:
    """Of one user."""
    notes: list[str] = []
    lines: Lines = {}
    accesses = [action for action in asked if isinstance(action, Access)]
    shown_nodes = {action.node for action in accesses if action.verb == "browse"}
    for verb in (*LOOKS, *ACTS):
        nodes = {(one.node, one.attribute) for one in accesses if one.verb == verb}
        if verb == "read":  # who browses a node reads what it shows
            nodes = {(node, at) for node, at in nodes if at == VALUE or node not in shown_nodes}
        if texts := _nodes(verb, nodes, notes):
            lines[verb.replace("-", "_")] = texts
    lines |= _writes([action for action in asked if isinstance(action, Write)], notes)
    lines |= _calls([action for action in asked if isinstance(action, Call)], notes)
    if "browse" in lines:  # what references lead to is not on record as asked
        notes.append("browse of a node shows what it leads to only where that may be browsed too: under NODE, or all")
    if not lines and any(isinstance(action, Session) for action in asked):
        lines |= LEAST
        notes.append("it asked for a session and nothing in it; the state of the server is the least to be read there")
    return (lines | _security(asked, notes), tuple(notes)) if lines else (lines, tuple(notes))


def _security(asked: Iterable[OpcUaAction], notes: list[str]) -> Lines:
    modes = {action.mode for action in asked}
    if "none" in modes:
        notes.append("it came over a channel without security, so any channel that the listener offers is allowed")
        return {}
    return {"security": [mode for mode in MODES if mode in modes]}


def _nodes(verb: str, asked: set[tuple[Node, int]], notes: list[str]) -> list[str]:
    key = verb.replace("-", "_")
    values = {node for node, attribute in asked if attribute == VALUE}
    alike = _alike(values) if verb in LOOKS else {}
    texts = [node_line(key, one) for one in sorted(alike)]
    for one, some in sorted(alike.items()):
        notes.append(f"{key} {shown(one.text, 60)} stands for {len(some)} nodes seen and allows any other like them")
        values -= some
    said = {node: _said(key, node, VALUE, notes) for node in sorted(values, key=_place)}
    texts += said.values()
    covered = {node for node, text in said.items() if text == node.text}.union(*alike.values())
    asked -= {(node, VALUE) for node in said}
    texts += [_said(key, *one, notes) for one in sorted(asked, key=_places) if one[0] not in covered]
    if verb in ("read", "subscribe") and covered:
        notes.append(f"{key} of a node is of all its attributes; with @ Value behind it, of its value alone")
    return [text for text in texts if text is not None]


def _said(key: str, node: Node, attribute: int, notes: list[str]) -> str | None:
    text = line_of(key, node, attribute)
    name = shown(node.text, 60)
    if text is None:
        at = "" if attribute == VALUE else f" @ {attribute_text(attribute)}"
        notes.append(f"{key} {name}{at} is left out: no line of a rule can name it")
    elif node.kind == "s" and "*" in node.identifier:
        notes.append(f"{key} {name} has a * in its name, which stands for any text there")
    return text


def _alike(nodes: Iterable[Node]) -> dict[Node, set[Node]]:
    """Pattern to those nodes that it stands for: many whose identifiers are one up to the last sign that parts
    words."""
    groups: dict[Node, set[Node]] = {}
    for node in nodes:
        match = _PART.match(node.identifier) if node.kind == "s" else None
        if match is not None and len(match[0]) > 1:
            groups.setdefault(node._replace(identifier=f"{match[0]}*"), set()).add(node)
    return {one: some for one, some in groups.items() if len(some) >= MANY and node_line("browse", one) is not None}


def _place(node: Node) -> tuple[str, str, int, str]:
    """Numbers by their size."""
    return node.uri, node.kind, int(node.identifier) if node.kind == "i" else 0, node.identifier


def _places(one: tuple[Node, int]) -> tuple[tuple[str, str, int, str], int]:
    return _place(one[0]), one[1]


def _writes(asked: Sequence[Write], notes: list[str]) -> Lines:
    lines: Lines = {}
    for node, attribute in sorted({(one.node, one.attribute) for one in asked}, key=_places):
        some = [one for one in asked if (one.node, one.attribute) == (node, attribute)]
        text = _said("write", node, attribute, notes)
        if text is not None:
            lines[text] = said = limits(some)
            if attribute == VALUE and "min" not in said:
                notes.append(
                    f"write {shown(text, 60)} is of any value: what was written there was not always plain numbers"
                )
            if "status" in said:
                notes.append(f"write {shown(text, 60)} was also of another StatusCode than Good")
    if any(one.numbers is not None and len(one.numbers) > 1 for one in asked):
        notes.append("of arrays only the writes with the smallest and the largest top value are on record")
    return {"write": lines} if lines else {}


def _calls(asked: Sequence[Call], notes: list[str]) -> Lines:
    lines: Lines = {}
    for on, method in sorted({(one.object, one.method) for one in asked}, key=lambda two: tuple(map(_place, two))):
        some = [one for one in asked if (one.object, one.method) == (on, method)]
        text = call_line(on, method)
        name = f"{shown(on.text, 40)} -> {shown(method.text, 40)}"
        if text is None:
            notes.append(f"call {name} is left out: no line of a rule can name it")
            continue
        lines[text] = said = arguments(some)
        if "*" in text:
            notes.append(f"call {name} has a * in a name, which stands for any text there")
        if not said:
            notes.append(f"call {name} is with any arguments: it was called with more and with fewer")
        elif "any" in (said["args"] if isinstance(said["args"], list) else ()):
            notes.append(f"call {name} is with any value where an argument was no single number")
    return {"call": lines} if lines else {}
