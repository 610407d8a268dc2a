"""How far an OPC UA rule goes. An allow is containment, a prohibition is intersection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from proxy.core.process import Move, Point
from proxy.protocols.opcua.actions import CALL, CHANGING, SESSION, WRITE, Access, Call, Session, Write
from proxy.protocols.opcua.claims import OTHERS, Claims, claims_meet, claims_within, fits, forbidden_by
from proxy.protocols.opcua.who import ANYBODY, Who
from proxy.protocols.opcua.words import VALUE, attribute_text, word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.core.action import Action, Target
    from proxy.core.names import Names
    from proxy.protocols.opcua.node import Extent, NodePattern
    from proxy.protocols.opcua.window import Window


@dataclass(frozen=True, slots=True)
class Nodes:
    """``verb`` on every node that ``pattern`` matches. ``attribute`` None: any; `claims.OTHERS`: any but the Value.

    ``implied``: another line of the rule brings it along (`browse` means to read what is shown); nobody wrote it.

    For `write`: ``window`` says which numbers, and then nothing but numbers and no part of an array; ``status`` that
    a StatusCode other than Good may be written along.
    """

    verb: str
    pattern: NodePattern
    attribute: int | None = None
    who: Who = ANYBODY
    window: Window | None = None
    status: bool = False
    implied: bool = field(default=False, compare=False)

    protocol: ClassVar[str] = "opcua"

    @property
    def values_matter(self) -> bool:
        """A write has its StatusCode beside its value, which `admits` looks at as well."""
        return self.verb == WRITE and not (self.window is None and self.status)

    @property
    def changes(self) -> bool:
        return self.verb in CHANGING

    @property
    def extent(self) -> Extent | None:
        return self.pattern.extent

    @property
    def root(self) -> Point | None:
        return root_of(self.pattern)

    def bound(self, names: Names) -> Nodes:
        return self

    @property
    def claims(self) -> Claims:
        return ((self.verb, self.attribute),)

    def within(self, other: Target) -> bool:
        if not isinstance(other, Nodes | Forbidden) or not claims_within(self.claims, other.claims):
            return False
        if not self.pattern.within(other.pattern) or not self.who.within(other.who):
            return False
        if isinstance(other, Forbidden) or self.verb != WRITE:
            return True
        return (other.status or not self.status) and _window_within(self.window, other.window)

    def overlaps(self, other: Target) -> bool:
        return (
            isinstance(other, Nodes | Forbidden)
            and claims_meet(self.claims, other.claims)
            and self.pattern.meets(other.pattern)
            and self.who.meets(other.who)
        )

    @property
    def paced(self) -> bool:
        """It has `moves`."""
        return self.window is not None and self.window.paced

    def moves(self, action: Action) -> tuple[Move, ...]:
        window = self.window
        if window is None or not window.paced or not isinstance(action, Write) or not self.covers(action):
            return ()
        numbers = action.numbers
        if numbers is None or len(numbers) != 1:
            return ()
        return (Move(Point("opcua", action.node.text), numbers[0], window.step, window.ramp, 1),)

    def points(self, options: object) -> Iterator[Point]:
        """Every point that `moves` can be about: a rule with pace names single nodes."""
        node = self.pattern.node
        if self.paced and self.pattern.exact and node is not None:
            yield Point("opcua", node.text)

    def covers(self, action: Action) -> int:
        if not isinstance(action, Access | Write) or action.verb != self.verb:
            return 0
        if not fits(self.attribute, action.attribute):
            return 0
        inside = self.pattern.matches(action.node, action.above) and self.who.fits(action.user, action.mode)
        return 1 if inside else 0

    def admits(self, action: Action) -> int:
        covered = self.covers(action)
        if not covered or not isinstance(action, Write):
            return covered
        if action.status and not self.status:
            return 0
        if self.window is None:
            return 1
        return 1 if not action.part and self.window.admits(action.numbers) else 0

    def describe(self) -> str:
        window = "" if self.window is None else f" in {self.window.describe()}"
        status = " with any status" if self.status else ""
        at = _attribute(self.attribute, VALUE if self.verb == WRITE else None)
        return f"{self.verb} {pattern_text(self.pattern)}{at}{window}{status}{self.who.describe()}"


@dataclass(frozen=True, slots=True)
class Forbidden:
    """For `never` alone: ``verb``, and what `claims.forbidden_by` adds, on every node that ``pattern`` matches, and
    on those of which nobody can tell whether they lie below it."""

    verb: str
    pattern: NodePattern
    attribute: int | None = None
    who: Who = ANYBODY

    protocol: ClassVar[str] = "opcua"
    values_matter: ClassVar[bool] = False

    @property
    def changes(self) -> bool:
        return any(verb in CHANGING for verb, _ in self.claims)

    @property
    def extent(self) -> Extent | None:
        return self.pattern.extent

    @property
    def root(self) -> Point | None:
        return root_of(self.pattern)

    @property
    def claims(self) -> Claims:
        return forbidden_by(self.verb, self.attribute)

    def bound(self, names: Names) -> Forbidden:
        return self

    def within(self, other: Target) -> bool:
        return (
            isinstance(other, Forbidden)
            and claims_within(self.claims, other.claims)
            and self.pattern.within(other.pattern)
            and self.who.within(other.who)
        )

    def overlaps(self, other: Target) -> bool:
        return (
            isinstance(other, Nodes | Forbidden)
            and claims_meet(self.claims, other.claims)
            and self.pattern.meets(other.pattern)
            and self.who.meets(other.who)
        )

    def moves(self, action: Action) -> tuple[Move, ...]:
        return ()

    def covers(self, action: Action) -> int:
        if not isinstance(action, Access | Write):
            return 0
        touched = (
            self.pattern.matches(action.node, action.above | action.perhaps)
            and claims_within(((action.verb, action.attribute),), self.claims)
            and self.who.fits(action.user, action.mode)
        )
        return 1 if touched else 0

    def admits(self, action: Action) -> int:
        return self.covers(action)

    def describe(self) -> str:
        at = _attribute(self.attribute, None)
        return f"{self.verb} touching {pattern_text(self.pattern)}{at}{self.who.describe()}"


@dataclass(frozen=True, slots=True)
class Calls:
    """A call of ``method`` on ``object``. ``args`` None: whatever the arguments; else as many, each a single number
    in its window, or anything where there is None. ``never``: as `Forbidden`."""

    object: NodePattern
    method: NodePattern
    args: tuple[Window | None, ...] | None = None
    who: Who = ANYBODY
    never: bool = False

    protocol: ClassVar[str] = "opcua"
    verb: ClassVar[str] = CALL
    changes: ClassVar[bool] = True

    @property
    def values_matter(self) -> bool:
        return self.args is not None

    @property
    def extent(self) -> Extent | None:
        return self.object.extent

    @property
    def root(self) -> Point | None:
        return root_of(self.object)

    def bound(self, names: Names) -> Calls:
        return self

    def within(self, other: Target) -> bool:
        return (
            isinstance(other, Calls)
            and (other.never or not self.never)
            and self.object.within(other.object)
            and self.method.within(other.method)
            and self.who.within(other.who)
            and _args_within(self.args, other.args)
        )

    def overlaps(self, other: Target) -> bool:
        return (
            isinstance(other, Calls)
            and self.object.meets(other.object)
            and self.method.meets(other.method)
            and self.who.meets(other.who)
        )

    def moves(self, action: Action) -> tuple[Move, ...]:
        return ()

    def covers(self, action: Action) -> int:
        if not isinstance(action, Call):
            return 0
        above = action.above | action.perhaps if self.never else action.above
        fits = (
            self.method.matches(action.method)
            and self.object.matches(action.object, above)
            and self.who.fits(action.user, action.mode)
        )
        return 1 if fits else 0

    def admits(self, action: Action) -> int:
        covered, args = self.covers(action), self.args
        if not covered or args is None or not isinstance(action, Call):
            return covered
        if len(args) != len(action.numbers):
            return 0
        for window, number in zip(args, action.numbers, strict=True):
            if window is not None and (number is None or not window.admits((number,))):
                return 0
        return 1

    def describe(self) -> str:
        told = [one.describe() if one else "any" for one in self.args or ()]
        args = "" if self.args is None else f" ({', '.join(told)})"
        touching = "touching " if self.never else ""
        both = f"{pattern_text(self.object)} -> {pattern_text(self.method)}"
        return f"{CALL} {touching}{both}{args}{self.who.describe()}"


@dataclass(frozen=True, slots=True)
class Sessions:
    """A session of one of the rule's users over one of its channels: nobody writes it, a rule that allows anything
    brings it along."""

    who: Who = ANYBODY
    implied: bool = field(default=True, compare=False)

    protocol: ClassVar[str] = "opcua"
    verb: ClassVar[str] = SESSION
    values_matter: ClassVar[bool] = False
    changes: ClassVar[bool] = False
    extent: ClassVar[None] = None
    root: ClassVar[None] = None

    def bound(self, names: Names) -> Sessions:
        return self

    def within(self, other: Target) -> bool:
        return isinstance(other, Sessions) and self.who.within(other.who)

    def overlaps(self, other: Target) -> bool:
        return isinstance(other, Sessions) and self.who.meets(other.who)

    def moves(self, action: Action) -> tuple[Move, ...]:
        return ()

    def covers(self, action: Action) -> int:
        return 1 if isinstance(action, Session) and self.who.fits(action.user, action.mode) else 0

    def admits(self, action: Action) -> int:
        return self.covers(action)

    def describe(self) -> str:
        return f"{SESSION}{self.who.describe()}"


OpcUaTarget = Nodes | Forbidden | Calls | Sessions


def root_of(pattern: NodePattern) -> Point | None:
    """What the gateway has to browse to know what lies below."""
    return Point("opcua", pattern.text) if pattern.under else None


def pattern_text(pattern: NodePattern) -> str:
    node = pattern.node
    return f"under {word(node.text)}" if pattern.under and node is not None else word(pattern.text)


def _attribute(number: int | None, usual: int | None) -> str:
    if number == usual:
        return ""
    if number == OTHERS:
        return " but for its Value"
    return f" @ {'any' if number is None else attribute_text(number)}"


def _window_within(one: Window | None, other: Window | None) -> bool:
    return other is None or (one is not None and one.within(other))


def _args_within(one: tuple[Window | None, ...] | None, other: tuple[Window | None, ...] | None) -> bool:
    if other is None:
        return True
    return one is not None and len(one) == len(other) and all(map(_window_within, one, other))
