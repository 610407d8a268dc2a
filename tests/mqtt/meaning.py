"""What an `mqtt:` section means, by brute force: topics are enumerated, filters matched level by level.

Written from docs/mqtt.md without the code under test, slow and short.
"""

from __future__ import annotations

import fnmatch
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Any

from proxy.protocols.mqtt.actions import Connect, Message, MqttAction, Subscription

if TYPE_CHECKING:
    from proxy.core.names import Names

ALPHABET = ("a", "b", "$s", "d1", "other")
TOPICS = ["/".join(levels) for depth in range(1, 5) for levels in product(ALPHABET, repeat=depth)]
CLOSED = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:@|=~,;!?&'()<>[]^-")


def matches(filter: str, topic: str) -> bool:
    levels, parts = filter.split("/"), topic.split("/")
    if filter[0] in "+#" and topic.startswith("$"):
        return False
    for at, level in enumerate(levels):
        if level == "#":
            return True
        if at == len(parts) or level not in ("+", parts[at]):
            return levels[at:] == ["#"]
    return len(levels) == len(parts)


@cache
def topics(filter: str) -> frozenset[str]:
    return frozenset(topic for topic in TOPICS if matches(filter, topic))


def filled(text: str, names: Names) -> str | None:
    for mark, name in (("{device}", names.device), ("{place}", names.place)):
        if mark in text and name is None:
            return None
        text = text.replace(mark, name or "")
    return text


def listed(section: dict[str, Any], key: str, names: Names) -> list[str]:
    value = section.get(key, [])
    texts = [filled(text, names) for text in (value if isinstance(value, list) else [value])]
    return [text for text in texts if text is not None]


def allows(section: dict[str, Any], names: Names, action: MqttAction) -> bool:
    if isinstance(action, Connect):
        return _connects(section.get("connect", "all"), names, action)
    if isinstance(action, Subscription):
        if action.qos > section.get("qos", 2):
            return False
        asked = topics(action.filter)
        if action.group is None:
            return any(asked <= topics(one) for one in listed(section, "subscribe", names))
        shares = [one.split("/", 2)[1:] for one in listed(section, "share", names)]
        return any(fnmatch.fnmatchcase(action.group, group) and asked <= topics(one) for group, one in shares)
    if action.verb in ("will", "publish", "command") and (
        action.qos > section.get("qos", 2) or action.size > section.get("max_bytes", action.size)
    ):
        return False
    filters = listed(section, action.verb, names)
    if action.verb == "receive":
        filters += listed(section, "subscribe", names)
        filters += [one.split("/", 2)[2] for one in listed(section, "share", names)]
    return any(matches(one, action.topic) for one in filters)


def _connects(wanted: Any, names: Names, action: Connect) -> bool:
    if wanted == "all":
        wanted = {}
    if "versions" in wanted and {4: "3.1.1", 5: "5"}.get(action.level) not in wanted["versions"]:
        return False
    if "user" in wanted and (action.user is None or not _fits(listed(wanted, "user", names), action.user)):
        return False
    if "client_id" not in wanted:
        return set(action.client_id) <= CLOSED
    return _fits(listed(wanted, "client_id", names), action.client_id)


def _fits(patterns: list[str], text: str) -> bool:
    return any(
        one == text if "*" not in one else fnmatch.fnmatchcase(text, one) and set(text) <= CLOSED for one in patterns
    )


def forbids(section: dict[str, Any], names: Names, action: MqttAction) -> bool:
    """For speakers with all names."""
    if isinstance(action, Connect):
        return False
    if isinstance(action, Message):
        verbs = {
            "publish": ("publish",), "command": ("command", "publish"), "will": ("will", "publish"),
            "clear-retained": ("clear-retained", "publish"), "receive": ("receive", "subscribe"),
        }.get(action.verb, (action.verb,))  # fmt: skip
        return any(matches(one, action.topic) for verb in verbs for one in listed(section, verb, names))
    asked = topics(action.filter)
    if any(asked & topics(one) for one in listed(section, "subscribe", names)):
        return True
    shares = [one.split("/", 2)[1:] for one in listed(section, "share", names)]
    return action.group is not None and any(
        fnmatch.fnmatchcase(action.group, group) and asked & topics(one) for group, one in shares
    )
