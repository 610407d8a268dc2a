"""What an MQTT packet asks for, in the words that rules use.

A packet may ask for several things at once: a CONNECT with a Will, a retained PUBLISH, a SUBSCRIBE of many filters.
Each is an action of its own and all of one element must be allowed (T26).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import ClassVar

from proxy.protocols.mqtt.filters import Extent, reach

CONNECT = "connect"
MESSAGES = ("publish", "command", "will", "retain", "clear-retained", "receive", "reply-to")
VERSIONS = {"3.1.1": 4, "5": 5}
"""As rules write them: the protocol level in CONNECT."""
VERSION_OF = {level: version for version, level in VERSIONS.items()}
_BARE = re.compile(r"[!#-\[\]-~]+")
_MOST_SHOWN = 76


@dataclass(frozen=True, slots=True)
class Connect:
    """``client_id`` as the client gave it: empty if it wants one from us. ``level`` 4 is MQTT 3.1.1, 5 is MQTT 5."""

    client_id: str
    user: str | None = None
    level: int = 5

    protocol: ClassVar[str] = "mqtt"
    verb: ClassVar[str] = CONNECT
    changes: ClassVar[bool] = False
    extent: ClassVar[None] = None
    atoms: ClassVar[int] = 1
    size: ClassVar[float] = 0

    @property
    def shape(self) -> tuple[object, ...]:
        return CONNECT, self.client_id, self.user, self.level

    def describe(self) -> str:
        name = f" as {shown(self.client_id, 40)}" if self.client_id else ""
        user = "" if self.user is None else f" user {shown(self.user, 40)}"
        return f"connect{name}{user} version {VERSION_OF.get(self.level, self.level)}"


@dataclass(frozen=True, slots=True)
class Message:
    """One of `MESSAGES` on ``topic``; ``size`` is that of the payload in bytes.

    `command` is a publish on a topic that the broker's service lists under `commands`. `retain` is asked besides the
    publish, command or will that carries the flag; `clear-retained` (retained, without payload) is asked alone.
    `reply-to` is asked for a Response Topic, together with a subscription to it.
    """

    verb: str
    topic: str
    qos: int = 0
    size: int = 0

    protocol: ClassVar[str] = "mqtt"
    atoms: ClassVar[int] = 1

    @property
    def shape(self) -> tuple[object, ...]:
        return self.verb, self.topic, self.qos

    @property
    def extent(self) -> Extent:
        return reach(self.topic)

    @property
    def changes(self) -> bool:
        return self.verb == "command"

    def describe(self) -> str:
        if self.verb in ("publish", "command", "will"):
            return f"{self.verb} {shown(self.topic)} qos {self.qos} bytes {self.size}"
        return f"{self.verb} {shown(self.topic)}"


@dataclass(frozen=True, slots=True)
class Subscription:
    """`subscribe` or `share` of one filter; ``filter`` is without the ``$share/GROUP/`` of a shared one."""

    verb: str
    filter: str
    qos: int = 0
    group: str | None = None

    protocol: ClassVar[str] = "mqtt"
    changes: ClassVar[bool] = False
    atoms: ClassVar[int] = 1
    size: ClassVar[float] = 0

    @property
    def shape(self) -> tuple[object, ...]:
        return self.verb, self.group, self.filter, self.qos

    @property
    def extent(self) -> Extent:
        return reach(self.filter)

    def describe(self) -> str:
        text = self.filter if self.group is None else f"$share/{self.group}/{self.filter}"
        return f"{self.verb} {shown(text)} qos {self.qos}"


MqttAction = Connect | Message | Subscription


def word(text: str) -> str:
    """As rules, questions and records write a topic or name: bare where that is clear, else quoted as in JSON, with
    everything but printable ASCII escaped."""
    if _BARE.fullmatch(text):
        return text
    return json.dumps(text).replace("\x7f", "\\u007f")


def shown(text: str, most: int = _MOST_SHOWN) -> str:
    """The word, cut if it is long: topics and names are the peer's, and records are read by people."""
    whole = word(text[: most + 1])
    return whole if len(whole) <= most else f"{whole[: most - 3]}..."
