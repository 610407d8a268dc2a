"""What may stand in a rule as a topic filter, and what is wrong with what may not, for whoever wrote it."""

from __future__ import annotations

import re

from proxy.protocols.mqtt.filters import DEVICE, MOST_BYTES, MOST_LEVELS, PLACE, PLACEHOLDERS, SHARE
from proxy.protocols.mqtt.parts import nearest, quoted

Fault = tuple[str, str]
"""What is wrong, and how to mend it."""
_BRACES = re.compile(r"\{[^{}]*\}|[{}]")
_MOSQUITTO = {"%c": "client ids are not proved; write {device}", "%u": "user names are not proved; write {device}"}


def filter_fault(value: object, *, placeholders: bool = True) -> Fault | None:
    """Why ``value`` is no topic filter of a rule, or None. A shared filter is not looked at as one."""
    if value is None:
        return "the filter is empty", 'quote a filter that begins with #: "#"'
    if not isinstance(value, str):
        return f"{quoted(value)} is not text", f'quote it: "{quoted(value)[:40]}"'
    if not value:
        return "the filter is empty", 'name a topic, for example "line-2/+/state"'
    if not value.isprintable():
        return f"{quoted(value)} has a character that cannot be seen", "topics have printable characters only"
    if len(value.encode()) > MOST_BYTES:
        return f"the filter has more than {MOST_BYTES} bytes", "no client may use a topic that long"
    levels = value.split("/")
    if len(levels) > MOST_LEVELS:
        return f"the filter has more than {MOST_LEVELS} levels", "no client may use a topic that deep"
    if value.startswith(SHARE) or value == SHARE.rstrip("/"):
        return f"{quoted(value)} is a shared subscription", "write it under share, which means receive of its filter"
    return _wildcard_fault(value, levels) or _placeholder_fault(value, levels, placeholders)


def _wildcard_fault(value: str, levels: list[str]) -> Fault | None:
    for at, level in enumerate(levels):
        if level == "#" and at < len(levels) - 1:
            return f"{quoted(value)}: # stands before another level", "# is the last level; use + for one in between"
        if level not in ("+", "#") and ("+" in level or "#" in level):
            sign = "#" if "#" in level else "+"
            mend = f'"{sign}" stands for {"all levels that follow" if sign == "#" else "one level"} and stands alone'
            return f"{quoted(value)}: {sign} is part of the level {quoted(level)}", mend
    return None


def _placeholder_fault(value: str, levels: list[str], allowed: bool) -> Fault | None:
    for level in levels:
        if level in _MOSQUITTO:
            return f"{quoted(value)}: {level} is a pattern of Mosquitto", _MOSQUITTO[level]
        fault = placeholder_fault(level, PLACEHOLDERS if allowed else ())
        if fault is not None:
            return f"{quoted(value)}: {fault[0]}", fault[1]
        if PLACE in level and level != PLACE:
            return f"{quoted(value)}: {PLACE} is part of a level", "a place is whole levels: write /{place}/"
    return None


def placeholder_fault(text: str, known: tuple[str, ...]) -> Fault | None:
    """What is wrong with the braces in ``text``; only ``known`` placeholders may stand in any."""
    for found in _BRACES.findall(text):
        if found in known:
            continue
        if not known:
            return f"{found} cannot stand here", "placeholders are for rules: write it out, or use +"
        if len(found) == 1:
            return f"a {found} without the other brace", f"placeholders are {' and '.join(known)}"
        return f"unknown placeholder {found}", nearest(found, known)
    return None


def shared_fault(value: object) -> Fault | None:
    """Why ``value`` is no ``$share/GROUP/FILTER`` of a rule, or None. ``*`` in the group stands for any characters."""
    if not isinstance(value, str):
        return filter_fault(value)
    if not value.startswith(SHARE):
        mend = "a shared subscription is named whole; one of its own goes under subscribe"
        return f"{quoted(value)} has no {SHARE}GROUP/ in front", f'{mend}, for example "{SHARE}workers/{value[:60]}"'
    group, slash, inner = value.removeprefix(SHARE).partition("/")
    if not group or not slash or not inner:
        return f"{quoted(value)} lacks its group or its filter", f'for example "{SHARE}workers/line-2/#"'
    if "+" in group or "#" in group or not group.isprintable():
        return f"{quoted(value)}: the group {quoted(group)} has a wildcard of topics", "use * in the name of a group"
    if (fault := placeholder_fault(group, (DEVICE,))) is not None:
        return f"{quoted(value)}: {fault[0]}", fault[1]
    return filter_fault(inner)
