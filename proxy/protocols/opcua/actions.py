"""What an OPC UA request asks for, in the words that rules use.

A request asks for many things at once (a Write of ten nodes); each element is an action of its own, and each is
judged (T26). ``user`` is the name that the session was activated with, None for an anonymous one; ``mode`` that of
the channel which the session is on; ``above`` are nodes, of those that policy names, which lie above the node;
``perhaps`` such that may, because nobody could tell: for a `never` they count too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from proxy.protocols.opcua.words import VALUE, attribute_text, exact, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.protocols.opcua.node import Extent, Node

ACCESS = ("browse", "read", "subscribe", "history-read", "history-write", "manage-nodes")
WRITE, CALL, SESSION = "write", "call", "session"
CHANGING = frozenset((WRITE, CALL, "history-write", "manage-nodes"))
MODES = ("none", "sign", "sign_and_encrypt")
POLICIES = ("None", "Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss")
TOKENS = ("anonymous", "username", "x509")
Shape = tuple[object, ...]
NOWHERE: frozenset[Node] = frozenset()
_MOST = 120
_MOST_USER = 24
_MOST_NUMBERS = 30


@dataclass(frozen=True, slots=True)
class Access:
    """One of `ACCESS`. ``attribute`` matters for `read` and `subscribe`; else it is 13, the Value.

    `subscribe` is a monitored item. `manage-nodes` is asked for each node that is added to, deleted or linked.
    """

    verb: str
    node: Node
    attribute: int = VALUE
    user: str | None = None
    above: frozenset[Node] = NOWHERE
    perhaps: frozenset[Node] = NOWHERE
    mode: str = "none"

    protocol: ClassVar[str] = "opcua"
    atoms: ClassVar[int] = 1
    size: ClassVar[float] = 0

    @property
    def changes(self) -> bool:
        return self.verb in CHANGING

    @property
    def extent(self) -> Extent:
        return self.node.extent

    @property
    def shape(self) -> Shape:
        return self.verb, self.node, self.attribute, self.user, self.mode, _sorted(self.above, self.perhaps)

    def describe(self) -> str:
        return _described(f"{self.verb} ", (self.node,), _at(self.attribute), self.user)


@dataclass(frozen=True, slots=True)
class Write:
    """A value, or what else a DataValue has, for one attribute. ``numbers``: a number or an array of them as floats,
    a Boolean as 0 or 1; None: not numbers. ``part``: an IndexRange is given, so the rest of an array stays as it is.
    ``status``: a StatusCode other than Good is written."""

    node: Node
    attribute: int = VALUE
    numbers: tuple[float, ...] | None = None
    part: bool = False
    status: bool = False
    user: str | None = None
    above: frozenset[Node] = NOWHERE
    perhaps: frozenset[Node] = NOWHERE
    mode: str = "none"

    protocol: ClassVar[str] = "opcua"
    verb: ClassVar[str] = WRITE
    changes: ClassVar[bool] = True
    atoms: ClassVar[int] = 1

    @property
    def extent(self) -> Extent:
        return self.node.extent

    @property
    def shape(self) -> Shape:
        numbers = self.numbers
        count = None if numbers is None else len(numbers)
        finite = numbers is None or all(map(math.isfinite, numbers))
        what = WRITE, self.node, self.attribute, count, finite, self.part, self.status
        return *what, self.user, self.mode, _sorted(self.above, self.perhaps)

    @property
    def size(self) -> float:
        """The largest of the numbers."""
        numbers = self.numbers or (0.0,)
        return max(numbers) if all(map(math.isfinite, numbers)) else 0.0

    def describe(self) -> str:
        part = "[part]" if self.part else ""
        status = " with status" if self.status else ""
        numbers = self.numbers
        if numbers is None:
            what = "?"
        elif len(numbers) == 1:
            what = exact(numbers[0])
        else:
            what = f"[{_listed(numbers)}]"
        return _described("write ", (self.node,), f"{part}{_at(self.attribute)} = {what}{status}", self.user)


@dataclass(frozen=True, slots=True)
class Call:
    """``numbers``: of each argument, None where it is no single number. ``above`` is of the object."""

    object: Node
    method: Node
    numbers: tuple[float | None, ...] = ()
    user: str | None = None
    above: frozenset[Node] = NOWHERE
    perhaps: frozenset[Node] = NOWHERE
    mode: str = "none"

    protocol: ClassVar[str] = "opcua"
    verb: ClassVar[str] = CALL
    changes: ClassVar[bool] = True
    atoms: ClassVar[int] = 1

    @property
    def extent(self) -> Extent:
        return self.object.extent

    @property
    def shape(self) -> Shape:
        """Of several arguments each is its own matter, so only a single number is a `size`."""
        told = tuple(None if one is None else exact(one) for one in self.numbers)
        what: object = len(told) if self._lone is not None else told
        return CALL, self.object, self.method, what, self.user, self.mode, _sorted(self.above, self.perhaps)

    @property
    def size(self) -> float:
        return 0.0 if self._lone is None else self._lone

    @property
    def _lone(self) -> float | None:
        """The only argument, if it is a number."""
        one = self.numbers[0] if len(self.numbers) == 1 else None
        return one if one is not None and math.isfinite(one) else None

    def describe(self) -> str:
        told = f" ({_listed(self.numbers)})" if self.numbers else ""
        return _described("call ", (self.object, self.method), told, self.user)


@dataclass(frozen=True, slots=True)
class Session:
    """A session is activated. ``policy`` one of `POLICIES`, ``mode`` of `MODES`, ``token`` of `TOKENS`."""

    policy: str = "None"
    mode: str = "none"
    token: str = "anonymous"  # noqa: S105 - a kind of token
    user: str | None = None

    protocol: ClassVar[str] = "opcua"
    verb: ClassVar[str] = SESSION
    changes: ClassVar[bool] = False
    extent: ClassVar[None] = None
    atoms: ClassVar[int] = 1
    size: ClassVar[float] = 0

    @property
    def shape(self) -> Shape:
        return SESSION, self.policy, self.mode, self.token, self.user

    def describe(self) -> str:
        user = "" if self.user is None else f" as {shown(self.user, 40)}"
        token = "" if self.token == usual_token(self.user) else f" by {self.token}"
        return f"session{user} with {self.policy} {self.mode}{token}"[:_MOST]


OpcUaAction = Access | Write | Call | Session


def usual_token(user: str | None) -> str:
    """What is meant where a text does not say."""
    return "anonymous" if user is None else "username"


def _at(attribute: int) -> str:
    return "" if attribute == VALUE else f" @ {attribute_text(attribute)}"


def _listed(numbers: Iterable[float | None]) -> str:
    text = ""
    for one in numbers:
        text += (", " if text else "") + ("?" if one is None else exact(one))
        if len(text) > _MOST_NUMBERS:
            return f"{text[: _MOST_NUMBERS - 3]}..."
    return text


def _described(verb: str, nodes: tuple[Node, ...], rest: str, user: str | None) -> str:
    """The nodes have the room that is left."""
    if user is not None:
        rest += f" as {shown(user, _MOST_USER)}"
    room = (_MOST - len(verb) - len(rest) - 4 * (len(nodes) - 1)) // len(nodes)
    return verb + " -> ".join(shown(node.text, room) for node in nodes) + rest


def _sorted(*above: frozenset[Node]) -> tuple[tuple[Node, ...], ...]:
    return tuple(tuple(sorted(one)) for one in above)
