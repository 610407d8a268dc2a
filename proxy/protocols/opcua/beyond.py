"""What some OPC UA targets admit and others do not.

Nodes cannot be cut out of a pattern in the language of patterns. So a target is left over as a whole unless one other
target has all its nodes; then it is cut by users and modes, which are lists, and by numbers where each is looked at
alone. An array is judged whole: one with a number in the old window and one in the new is in neither, so windows of
arrays are not cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from proxy.protocols.opcua.actions import MODES
from proxy.protocols.opcua.claims import OTHERS
from proxy.protocols.opcua.targets import Calls, Forbidden, Nodes, OpcUaTarget
from proxy.protocols.opcua.who import ANONYMOUS, ANYBODY, Who
from proxy.protocols.opcua.window import Window
from proxy.protocols.opcua.words import VALUE

if TYPE_CHECKING:
    from proxy.core.action import Target
    from proxy.protocols.opcua.node import NodePattern

Args = tuple[Window | None, ...]


class _One(NamedTuple):
    """One of the users of a target, over a channel of one mode."""

    user: str
    mode: str

    @property
    def who(self) -> Who:
        return Who(frozenset({self.user}), frozenset({self.mode}))


def beyond(targets: Sequence[Target], others: Sequence[Target]) -> tuple[Target, ...]:
    """Errs towards too much, and never towards too little."""
    near = _Near(others)
    left: list[Target] = []
    for target in dict.fromkeys(targets):
        candidates = [] if near.has(target) else near.to(target)
        if near.has(target) or any(target.within(other) for other in candidates):
            continue
        if isinstance(target, OpcUaTarget):
            left += _cut_by_who(target, candidates)
        else:
            left.append(target)
    return _widest(left)


class _Near:
    """Those of many targets that can have all nodes of another: of single nodes there may be thousands."""

    def __init__(self, targets: Iterable[Target]) -> None:
        self._known = frozenset(targets)
        self._single: dict[NodePattern, list[Target]] = {}
        self._wide: list[Target] = []
        for target in dict.fromkeys(targets):
            pattern = _pattern(target)
            if pattern is not None and pattern.exact:
                self._single.setdefault(pattern, []).append(target)
            else:
                self._wide.append(target)

    def has(self, target: Target) -> bool:
        return target in self._known

    def to(self, target: Target) -> list[Target]:
        pattern = _pattern(target)
        return [*self._single.get(pattern, ()), *self._wide] if pattern is not None else self._wide


def _pattern(target: Target) -> NodePattern | None:
    if isinstance(target, Nodes | Forbidden):
        return target.pattern
    return target.object if isinstance(target, Calls) else None


def _widest(left: Sequence[Target]) -> tuple[Target, ...]:
    """Without those that lie inside another; of equal ones the first."""
    near = _Near(left)
    place = {target: at for at, target in reversed(list(enumerate(left)))}
    return tuple(
        target
        for target, at in sorted(place.items(), key=lambda item: item[1])
        if not any(
            target.within(other) and (place[other] < at or not other.within(target))
            for other in near.to(target)
            if other != target
        )
    )


def _cut_by_who(target: OpcUaTarget, others: Sequence[Target]) -> Iterator[OpcUaTarget]:
    """What is left for all the same is told once."""
    rest: dict[OpcUaTarget, list[_One]] = {}
    for one in _each(target.who):
        for piece in _cut(replace(target, who=one.who), others):
            rest.setdefault(replace(piece, who=ANYBODY), []).append(one)
    for piece, ones in rest.items():
        for who in _joined(ones, target.who):
            yield replace(piece, who=who)


def _each(who: Who) -> Iterable[_One]:
    """Anybody is who has a name, and who has none."""
    users = (ANONYMOUS, "*") if who.users is None else sorted(who.users)
    return [_One(*pair) for pair in product(users, MODES if who.modes is None else sorted(who.modes))]


def _joined(ones: Iterable[_One], whole: Who) -> Iterator[Who]:
    """In as few as lists can say it. What is all of ``whole`` is said as there."""
    modes_of: dict[str, set[str]] = {}
    for one in ones:
        modes_of.setdefault(one.user, set()).add(one.mode)
    users_of: dict[frozenset[str], set[str]] = {}
    for user, modes in modes_of.items():
        users_of.setdefault(frozenset(modes), set()).add(user)
    for some, users in users_of.items():
        named = None if whole.users is None and users == {ANONYMOUS, "*"} else frozenset(users)
        yield Who(named, None if whole.modes is None and some == frozenset(MODES) else some)


def _cut(target: OpcUaTarget, others: Iterable[Target]) -> list[OpcUaTarget]:
    """``target``, of one user and mode, without what ``others`` admit, in pieces."""
    pieces: list[OpcUaTarget] = [target]
    for other in others:
        pieces = [rest for piece in pieces for rest in _without(piece, other)]
    return pieces


def _without(one: OpcUaTarget, other: Target) -> list[OpcUaTarget]:
    if one.within(other):
        return []
    if isinstance(one, Nodes) and isinstance(other, Nodes):
        return [*_nodes_without(one, other)]
    if isinstance(one, Calls) and isinstance(other, Calls):
        return [*_calls_without(one, other)]
    return [one]


def _nodes_without(one: Nodes, other: Nodes) -> Iterator[Nodes]:
    if one.verb == "read" and one.attribute is None and replace(one, attribute=OTHERS).within(other):
        yield replace(one, attribute=VALUE)  # `browse` has the other attributes
        return
    window, theirs = one.window, other.window
    if window is None or theirs is None or not window.paced or not replace(one, window=theirs).within(other):
        yield one
    elif not _slower(window, theirs):
        yield one
    else:
        yield from (replace(one, window=rest) for rest in _outside(window, theirs))


def _calls_without(one: Calls, other: Calls) -> Iterator[Calls]:
    """Each argument is one number, so what is left is a box without a box: argument by argument what lies outside."""
    mine, theirs = one.args, other.args
    if mine is None or theirs is None or not replace(one, args=theirs).within(other) or not _boxes_meet(mine, theirs):
        yield one
        return
    for at, (window, limit) in enumerate(zip(mine, theirs, strict=True)):
        inside = tuple(map(_shared, mine[:at], theirs[:at]))
        if limit is None or (window is not None and window.within(limit)):
            continue
        if window is None:  # what is no number is left as well, and nothing says that
            yield replace(one, args=(*inside, None, *mine[at + 1 :]))
            return
        for rest in _outside(window, limit):
            yield replace(one, args=(*inside, rest, *mine[at + 1 :]))


def _boxes_meet(mine: Args, theirs: Args) -> bool:
    return len(mine) == len(theirs) and all(
        a is None or b is None or _meet(a, b) for a, b in zip(mine, theirs, strict=True)
    )


def _meet(one: Window, other: Window) -> bool:
    low, high = _bound(one.low, other.low, max), _bound(one.high, other.high, min)
    return low is None or high is None or low <= high


def _shared(one: Window | None, other: Window | None) -> Window | None:
    if one is None or other is None:
        return one or other
    return Window(_bound(one.low, other.low, max), _bound(one.high, other.high, min))


def _outside(one: Window, other: Window) -> Iterator[Window]:
    """What of ``one`` lies below and above ``other``. The bound itself is told again: a number next to it has many
    digits, and means nothing to a person."""
    if other.low is not None and (one.low is None or one.low < other.low):
        yield replace(one, high=_bound(one.high, other.low, min))
    if other.high is not None and (one.high is None or one.high > other.high):
        yield replace(one, low=_bound(one.low, other.high, max))


def _slower(one: Window, other: Window) -> bool:
    """``other`` lets numbers move as far as ``one`` does."""
    moves = (one.step, other.step), (one.ramp, other.ramp)
    return all(theirs is None or (own is not None and own <= theirs) for own, theirs in moves)


def _bound(one: float | None, other: float | None, choose: Callable[[float, float], float]) -> float | None:
    """The tighter of two bounds, of which None is none."""
    if one is None or other is None:
        return other if one is None else one
    return choose(one, other)
