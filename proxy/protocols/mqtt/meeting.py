"""Whether two patterns have a text in common: where a rule and a `never` really meet."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.core.globs import glob
from proxy.protocols.mqtt.filters import Filter, overlaps
from proxy.protocols.mqtt.ids import MOST_ID, is_plain

Names = frozenset[str] | None
"""Patterns of client ids or user names; None: any."""


def topics_meet(one: Filter, other: Filter) -> bool:
    """A filter whose placeholders are not filled in matches nothing."""
    return not one.unbound and not other.unbound and overlaps(one, other)


def groups_meet(one: str | None, other: str | None) -> bool:
    if one is None or other is None:
        return other is None
    return "{" not in one + other and shortest(one, other) is not None


def names_meet(allowed: Names, forbidden: Names) -> bool:
    """Some name is one of ``allowed``, of a rule, and of ``forbidden``, of a never. A rule's patterns, and "any" as
    well, stand for names of the closed alphabet (T12)."""
    if allowed is None:
        return forbidden is None or any(is_plain(one.replace("*", "")) for one in forbidden)
    return any(_meets(one, ("*",) if forbidden is None else forbidden) for one in allowed)


def users_meet(allowed: Names, forbidden: Names) -> bool:
    """A rule that names no user takes any, whatever its alphabet."""
    return names_meet(allowed, forbidden) if allowed is not None else forbidden is None or bool(forbidden)


def _meets(allowed: str, forbidden: Iterable[str]) -> bool:
    if "{" in allowed:
        return False
    if "*" not in allowed:
        return any(glob(one, allowed) for one in forbidden)
    return is_plain(allowed.replace("*", "")) and any(
        is_plain(one.replace("*", "")) and (length := shortest(allowed, one)) is not None and length <= MOST_ID
        for one in forbidden
    )


def shortest(one: str, other: str) -> int | None:
    """The length of the shortest text that fits both patterns (``*``: any characters); None if there is none."""
    # costs[j]: the fewest characters with which the pattern up to here and other[:j] are used up.
    costs = _without_text(other)
    for sign in one:
        rows = [costs[0] if sign == "*" else None]
        for j, theirs in enumerate(other, 1):
            if sign == "*" and theirs == "*":
                rows.append(_least(costs[j], rows[j - 1]))
            elif sign == "*":
                rows.append(_least(costs[j], _more(rows[j - 1])))
            elif theirs == "*":
                rows.append(_least(_more(costs[j]), rows[j - 1]))
            else:
                rows.append(_more(costs[j - 1]) if sign == theirs else None)
        costs = rows
    return costs[-1]


def _without_text(pattern: str) -> list[int | None]:
    stars = len(pattern) - len(pattern.lstrip("*"))
    return [0 if at <= stars else None for at in range(len(pattern) + 1)]


def _more(cost: int | None) -> int | None:
    return None if cost is None else cost + 1


def _least(*costs: int | None) -> int | None:
    return min((cost for cost in costs if cost is not None), default=None)
