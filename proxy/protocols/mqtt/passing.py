"""What a broker passes on: a message that one client may send reaches those who may receive it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from proxy.protocols.mqtt.filters import Filter, contains, overlaps
from proxy.protocols.mqtt.targets import Topics

if TYPE_CHECKING:
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


def passage(said: Target | None, heard: Target | None, service: MqttService) -> Passage | None:
    """What of ``said`` comes to one who may have ``heard``, or None. Both are bound; None stands for anything at all.

    On a command topic nothing is said without the right to command (`outright`), so only `command` counts there.
    """
    if said is None and heard is None:
        return Passage(Topics("publish", ALL), Topics(HEARD, ALL), True)
    if not _is(said, SENT) or not _is(heard, (HEARD,)):
        return None
    sent = said if isinstance(said, Topics) else None
    wanted = heard if isinstance(heard, Topics) else None
    both = meet(sent.filter if sent else ALL, wanted.filter if wanted else ALL)
    if both is None:
        return None
    commands = [Filter(text) for text in service.commands]
    possible = any(overlaps(one, both) for one in commands)
    verb = sent.verb if sent else "command" if possible else "publish"
    if (verb == "command" and not possible) or (verb != "command" and any(contains(one, both) for one in commands)):
        return None
    narrowed = replace(sent, filter=both) if sent else Topics(verb, both)
    return Passage(narrowed, Topics(HEARD, both), verb == "command")


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
