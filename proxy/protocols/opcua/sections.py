"""Rules that would allow what was asked, narrowest first: what `explain` proposes. And single lines of rules, for
`learn` as well."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from proxy.protocols.opcua.actions import MODES, Access, Call, OpcUaAction, Session, Write
from proxy.protocols.opcua.node import NodePattern
from proxy.protocols.opcua.patterns import parse_attributed, parse_method
from proxy.protocols.opcua.rules import ATTRIBUTED
from proxy.protocols.opcua.who import ANONYMOUS
from proxy.protocols.opcua.words import VALUE, attribute_text

if TYPE_CHECKING:
    from proxy.core.action import Action
    from proxy.protocols.opcua.node import Node

LEAST = {"read": ["i=2259"]}
"""The state of the server, which clients read to see whether it lives: the least that a rule with a session can say."""
MOST_NUMBER = 1e300
"""What `windows` takes."""


def sections(asked: Sequence[Action]) -> Iterator[dict[str, object]]:
    """Values for `opcua:` of a rule: what was asked, for its users, and then for anybody."""
    known = [action for action in asked if isinstance(action, OpcUaAction)]
    lines: dict[str, object] = {}
    for key, some in _by_key(known).items():
        lines[key] = _writes(some) if key == "write" else _calls(some) if key == "call" else _nodes(key, some)
    lines = {key: line for key, line in lines.items() if line} or dict(LEAST)
    caps = _caps(known)
    if caps:
        yield {**lines, **caps}
    yield lines


def _by_key(asked: Iterable[OpcUaAction]) -> dict[str, list[OpcUaAction]]:
    found: dict[str, list[OpcUaAction]] = {}
    for action in asked:
        if not isinstance(action, Session):
            found.setdefault(action.verb.replace("-", "_"), []).append(action)
    return found


def _caps(asked: Iterable[OpcUaAction]) -> dict[str, object]:
    """Where the question names a user or a secured channel. One that says neither does not mean nobody else."""
    users = sorted({user_word(action.user) for action in asked if action.user is not None})
    anonymous = any(action.user is None for action in asked)
    modes = [MODES.index(action.mode) for action in asked]
    security = list(MODES[min(modes, default=0) :])
    caps: dict[str, object] = {"users": users} if users and not anonymous else {}
    return caps if len(security) == len(MODES) else {**caps, "security": security}


def _nodes(key: str, asked: Iterable[OpcUaAction]) -> list[str]:
    texts = (line_of(key, a.node, a.attribute) for a in asked if isinstance(a, Access))
    return list(dict.fromkeys(text for text in texts if text is not None))


def _writes(asked: Sequence[OpcUaAction]) -> dict[str, object]:
    found: dict[tuple[Node, int], list[Write]] = {}
    for action in asked:
        if isinstance(action, Write):
            found.setdefault((action.node, action.attribute), []).append(action)
    lines = ((line_of("write", node, attribute), limits(some)) for (node, attribute), some in found.items())
    return {text: said for text, said in lines if text is not None}


def _calls(asked: Sequence[OpcUaAction]) -> dict[str, object]:
    found: dict[tuple[Node, Node], list[Call]] = {}
    for action in asked:
        if isinstance(action, Call):
            found.setdefault((action.object, action.method), []).append(action)
    lines = ((call_line(*pair), arguments(some)) for pair, some in found.items())
    return {text: said for text, said in lines if text is not None}


def user_word(user: str | None) -> str:
    """As `users:` says it. A user who is called anonymous is not the one without a name."""
    if user is None:
        return ANONYMOUS
    return f"{user}*" if user == ANONYMOUS else user


def node_line(key: str, node: Node, attribute: int | None = None) -> str | None:
    """What a rule says for this node under ``key``; None if it cannot be said, as with a character nobody sees."""
    text = node.text if attribute is None else f"{node.text} @ {attribute_text(attribute)}"
    try:
        said = parse_attributed(text)
    except ValueError:
        return None
    fits = attribute is None or key in ATTRIBUTED
    return text if fits and said == (NodePattern(*node), attribute) else None


def line_of(key: str, node: Node, attribute: int = VALUE) -> str | None:
    """The Value is said without a word where that is clear."""
    plain_text = node_line(key, node) if attribute == VALUE or key not in ATTRIBUTED else None
    return plain_text or node_line(key, node, attribute)


def call_line(on: Node, method: Node) -> str | None:
    text = f"{on.text} -> {method.text}"
    try:
        return text if parse_method(text) == (NodePattern(*on), NodePattern(*method)) else None
    except ValueError:
        return None


def limits(writes: Sequence[Write]) -> dict[str, object]:
    """What a line of `write` has to say for these, all of one attribute of one node."""
    status: dict[str, object] = {"status": "any"} if any(one.status for one in writes) else {}
    numbers = [number for one in writes for number in one.numbers or (math.nan,)]
    if any(one.part or one.attribute != VALUE for one in writes) or not all(map(_fits, numbers)):
        return status
    return {**_span(numbers), **status}


def arguments(calls: Sequence[Call]) -> dict[str, object]:
    """The same for calls of one method."""
    if len({len(one.numbers) for one in calls}) != 1:
        return {}
    return {"args": [_argument(numbers) for numbers in zip(*(one.numbers for one in calls), strict=True)]}


def _argument(numbers: Iterable[float | None]) -> object:
    known = [math.nan if one is None else one for one in numbers]
    return _span(known) if all(map(_fits, known)) else "any"


def _span(numbers: Sequence[float]) -> dict[str, object]:
    return {"min": plain(min(numbers)), "max": plain(max(numbers))}


def _fits(number: float) -> bool:
    """A window has floats, and there are whole numbers of 64 bits that are none."""
    return abs(number) <= MOST_NUMBER and float(number) == number


def plain(number: float) -> float:
    """As a person writes it: 80, not 80.0."""
    return int(number) if number == int(number) and abs(number) <= 2**53 else number
