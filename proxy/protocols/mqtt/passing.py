"""What a broker passes on: a message that one client may send reaches those who may receive it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from proxy.protocols.mqtt.filters import Filter, contains, overlaps
from proxy.protocols.mqtt.targets import Topics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.core.action import Target
    from proxy.protocols.mqtt.service import MqttService

SENT = frozenset(("publish", "command", "will", "clear-retained"))
"""Every way to put a message on a topic."""
HEARD = "receive"
ALL = Filter("#")


class Passage(NamedTuple):
    """``said`` and ``heard`` are narrowed to the topics that both have; ``changes``: it may be a command."""

    said: Topics
    heard: Topics
    changes: bool


def passages(said: Target | None, heard: Target | None, service: MqttService) -> tuple[Passage, ...]:
    """What of ``said`` comes to one who may have ``heard``. Both are bound; None stands for anything at all.

    On a command topic nothing is said without the right to command (`outright`), so only `command` counts there.
    """
    if not _is(said, SENT) or not _is(heard, (HEARD,)):
        return ()
    both = meet(said.filter if isinstance(said, Topics) else ALL, heard.filter if isinstance(heard, Topics) else ALL)
    if both is None:
        return ()
    verbs = (said.verb,) if isinstance(said, Topics) else ("publish", "command")
    return tuple(one for verb in verbs for one in _passages(verb, said, both, service))


def _passages(verb: str, said: Target | None, both: Filter, service: MqttService) -> Iterator[Passage]:
    commands = [Filter(text) for text in service.commands]
    if verb == "command":
        filters = [one for command in commands if (one := meet(both, command)) is not None]
    else:
        filters = [] if any(contains(one, both) for one in commands) else [both]
    for one in dict.fromkeys(filters):
        narrowed = replace(said, filter=one) if isinstance(said, Topics) else Topics(verb, one)
        yield Passage(narrowed, Topics(HEARD, one), verb == "command")


def _is(target: Target | None, verbs: frozenset[str] | tuple[str, ...]) -> bool:
    return target is None or (isinstance(target, Topics) and target.verb in verbs and not target.filter.unbound)


def meet(one: Filter, other: Filter) -> Filter | None:
    """The filter of exactly the topics that both match, or None. Neither has a placeholder."""
    if not overlaps(one, other):
        return None
    count = max(len(one.levels), len(other.levels))
    levels = [
        b if a == "+" else a for a, b in zip(_padded(one.levels, count), _padded(other.levels, count), strict=True)
    ]
    if one.more and other.more:
        return ALL if levels == ["+"] else Filter("/".join((*levels, "#")))
    return Filter("/".join(levels))


def _padded(levels: tuple[str, ...], count: int) -> tuple[str, ...]:
    return (*levels, *("+" for _ in range(count - len(levels))))
