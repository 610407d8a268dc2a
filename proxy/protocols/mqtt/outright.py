"""What no rule can allow, because of the broker it is for; and which rules therefore come to nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.reason import Reason
from proxy.protocols.mqtt.actions import Message, word
from proxy.protocols.mqtt.filters import Filter, contains, overlaps
from proxy.protocols.mqtt.targets import Topics

if TYPE_CHECKING:
    from proxy.core.action import Target
    from proxy.protocols.mqtt.actions import MqttAction
    from proxy.protocols.mqtt.service import MqttService

MOST_CONNECT = 16 * 1024
"""Bytes of a CONNECT, Will and all (CVE-2017-7651, CVE-2023-0809)."""
_SENT = frozenset(("publish", "will", "clear-retained"))


def outright(asked: tuple[MqttAction, ...], service: MqttService) -> tuple[Reason, str] | None:
    """Why a packet is refused before policy is asked, or None."""
    commanded = {a.topic for a in asked if isinstance(a, Message) and a.verb == "command"}
    for action in asked:
        if not isinstance(action, Message):
            continue
        if (fault := _verb_fault(action, commanded, service)) is not None:
            return Reason.DEFAULT_DENY, fault
        most = MOST_CONNECT if action.verb == "will" else service.max_packet
        if action.verb in ("publish", "command", "will") and _least(action) > most:
            return Reason.DEFAULT_DENY, f"{action.size} bytes do not fit into a packet of at most {most}"
    return None


def _verb_fault(action: Message, commanded: set[str], service: MqttService) -> str | None:
    """On a command topic nothing is sent that is not judged as a command as well, with the proof that it needs."""
    topic = word(action.topic[:60])
    if action.verb in _SENT and action.topic not in commanded and service.is_command(action.topic):
        needed = "the verb is command" if action.verb == "publish" else f"{action.verb} ... command is what is asked"
        return f"{topic} is a command topic of the broker: {needed}"
    if action.verb == "command" and not service.is_command(action.topic):
        return f"{topic} is no command topic of the broker: the verb is publish"
    return None


def _least(action: Message) -> int:
    """Bytes of the smallest packet that carries the message: a fixed header of two, the topic with its length."""
    return 2 + 2 + len(action.topic.encode("utf-8", "surrogatepass")) + action.size


def pointless(target: Target, service: MqttService) -> tuple[str, str] | None:
    """Why a rule's target can never come to anything at such a broker, and how to mend it; else None."""
    if not isinstance(target, Topics):
        return None
    commands = [Filter(text) for text in service.commands]
    wide = target.filter.widened()
    if target.verb == "publish" and any(contains(one, wide) for one in commands):
        return f"{target.describe()} is about command topics alone, and there the verb is command", "write command"
    if target.verb == "command" and not any(overlaps(one, wide) for one in commands):
        mend = "write publish, or list the topic under services: mqtt: commands of the broker"
        return f"{target.describe()} is about no command topic of the broker", mend
    return None
