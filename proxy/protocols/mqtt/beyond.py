"""What some MQTT targets admit and others do not.

Topics cannot be cut out of a filter in the language of filters, so a target is left over as a whole unless it lies
inside one other. Client ids, user names and versions are lists, and what is new in a list is told alone.
"""

from __future__ import annotations

from itertools import product, starmap
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from proxy.protocols.mqtt.targets import Connects

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from proxy.core.action import Target


T = TypeVar("T")


class _One(NamedTuple):
    """One way to connect; None: any."""

    id: str | None
    user: str | None
    level: int | None


def beyond(targets: Sequence[Target], others: Sequence[Target]) -> tuple[Target, ...]:
    """Errs towards too much, and never towards too little."""
    left: list[Target] = []
    for target in dict.fromkeys(targets):
        if any(target.within(other) for other in others):
            continue
        if isinstance(target, Connects):
            left += _connects(target, [other for other in others if isinstance(other, Connects)])
        else:
            left.append(target)
    return tuple(
        target
        for at, target in enumerate(left)
        if not any(
            target.within(other) and (n < at or not other.within(target)) for n, other in enumerate(left) if n != at
        )
    )


def _connects(target: Connects, others: Iterable[Connects]) -> Iterator[Connects]:
    ways = list(starmap(_One, product(_each(target.ids), _each(target.users), _each(target.levels))))
    if not ways:
        yield target
        return
    kept = [way for way in ways if not any(_made(target, [way]).within(other) for other in others)]
    if len(kept) == len(ways):
        yield target
        return
    by_ids: dict[tuple[str | None, int | None], list[_One]] = {}
    for way in kept:
        by_ids.setdefault((way.user, way.level), []).append(way)
    alike: dict[tuple[frozenset[str | None], str | None], list[_One]] = {}
    for (user, _), some in by_ids.items():
        alike.setdefault((frozenset(way.id for way in some), user), []).extend(some)
    yield from (_made(target, some) for some in alike.values())


def _each(values: frozenset[T] | None) -> Sequence[T | None]:
    return (None,) if values is None else sorted(values, key=str)


def _made(target: Connects, ways: Sequence[_One]) -> Connects:
    return Connects(
        None if target.ids is None else frozenset(way.id for way in ways if way.id is not None),
        None if target.users is None else frozenset(way.user for way in ways if way.user is not None),
        None if target.levels is None else frozenset(way.level for way in ways if way.level is not None),
        target.never,
        target.implied,
    )
