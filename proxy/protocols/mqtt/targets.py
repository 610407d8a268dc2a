"""How far an MQTT rule goes. An allow is containment, a prohibition is intersection."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

from proxy.core.globs import glob
from proxy.protocols.mqtt.actions import CONNECT, VERSION_OF, Connect, Message, Subscription, word
from proxy.protocols.mqtt.filters import DEVICE, Extent, Filter, contains, fill, glob_within, overlaps
from proxy.protocols.mqtt.ids import is_plain
from proxy.protocols.mqtt.meeting import groups_meet, names_meet, topics_meet, users_meet

if TYPE_CHECKING:
    from proxy.core.action import Action, Target
    from proxy.core.names import Names
    from proxy.core.process import Move

MOST_QOS = 2
FORBIDS = {
    "publish": frozenset(("publish", "command", "will", "clear-retained")),
    "subscribe": frozenset(("subscribe", "share", "receive")),
}
"""What else a `never` of a verb means: every way to put a message on the topic, every way to get one from it. Other
verbs stand for themselves."""


@dataclass(frozen=True, slots=True)
class Topics:
    """``verb`` on every topic that ``filter`` matches. ``qos`` and ``most`` (bytes of payload) are caps.

    ``implied``: another line of the rule brings it along (`subscribe` means `receive`); nobody wrote it.
    """

    verb: str
    filter: Filter
    qos: int = MOST_QOS
    most: int | None = None
    implied: bool = field(default=False, compare=False)

    protocol: ClassVar[str] = "mqtt"

    @property
    def extent(self) -> Extent:
        return self.filter.extent

    @property
    def changes(self) -> bool:
        return self.verb == "command"

    @property
    def values_matter(self) -> bool:
        return self.qos < MOST_QOS or self.most is not None

    def bound(self, names: Names) -> Topics:
        """Itself, and so without effect, if a name is missing."""
        one = self.filter.bound(names)
        return self if one is None or one is self.filter else replace(self, filter=one)

    def within(self, other: Target) -> bool:
        if isinstance(other, Forbidden):
            return other.forbids(self.verb) and contains(other.filter, self.filter)
        return (
            isinstance(other, Topics)
            and other.verb == self.verb
            and contains(other.filter, self.filter)
            and self.qos <= other.qos
            and (other.most is None or (self.most is not None and self.most <= other.most))
        )

    def overlaps(self, other: Target) -> bool:
        if not isinstance(other, Topics | Forbidden):
            return False
        same = other.forbids(self.verb) if isinstance(other, Forbidden) else other.verb == self.verb
        return same and topics_meet(self.filter, other.filter)

    def moves(self, action: Action) -> tuple[Move, ...]:
        return ()

    def covers(self, action: Action) -> int:
        fits = isinstance(action, Message) and action.verb == self.verb and self.filter.matches(action.topic)
        return 1 if fits else 0

    def admits(self, action: Action) -> int:
        if not isinstance(action, Message) or action.verb != self.verb or action.qos > self.qos:
            return 0
        if self.most is not None and action.size > self.most:
            return 0
        return 1 if self.filter.matches(action.topic) else 0

    def describe(self) -> str:
        most = "" if self.most is None else f" bytes <= {self.most}"
        return f"{self.verb} {word(self.filter.text)}{_qos_text(self.qos)}{most}"


@dataclass(frozen=True, slots=True)
class Filters:
    """`subscribe` or `share` of every filter that lies inside ``filter``. ``group`` is a pattern, for `share`."""

    verb: str
    filter: Filter
    group: str | None = None
    qos: int = MOST_QOS

    protocol: ClassVar[str] = "mqtt"
    changes: ClassVar[bool] = False

    @property
    def extent(self) -> Extent:
        return self.filter.extent

    @property
    def values_matter(self) -> bool:
        return self.qos < MOST_QOS

    def bound(self, names: Names) -> Filters:
        one = self.filter.bound(names)
        group = None if self.group is None else fill(self.group, names)
        if one is None or (group is None) != (self.group is None):
            return self
        return self if one is self.filter and group == self.group else replace(self, filter=one, group=group)

    def within(self, other: Target) -> bool:
        if isinstance(other, Forbidden):
            return other.forbids(self.verb) and contains(other.filter, self.filter) and self._in_group(other.group)
        return (
            isinstance(other, Filters)
            and other.verb == self.verb
            and contains(other.filter, self.filter)
            and self._in_group(other.group)
            and self.qos <= other.qos
        )

    def _in_group(self, group: str | None) -> bool:
        return group is None or (self.group is not None and glob_within(self.group, group))

    def overlaps(self, other: Target) -> bool:
        """A topic of both may be subscribed to by its name, so a topic in common is enough."""
        if not isinstance(other, Filters | Forbidden):
            return False
        same = other.forbids(self.verb) if isinstance(other, Forbidden) else other.verb == self.verb
        return same and topics_meet(self.filter, other.filter) and groups_meet(self.group, other.group)

    def moves(self, action: Action) -> tuple[Move, ...]:
        return ()

    def covers(self, action: Action) -> int:
        if not isinstance(action, Subscription) or action.verb != self.verb:
            return 0
        if self.group is not None and (action.group is None or not glob(self.group, action.group)):
            return 0
        return 1 if self.filter.holds(action.filter) else 0

    def admits(self, action: Action) -> int:
        return self.covers(action) if isinstance(action, Subscription) and action.qos <= self.qos else 0

    def describe(self) -> str:
        return f"{self.verb} {word(_with_group(self.filter.text, self.group))}{_qos_text(self.qos)}"


@dataclass(frozen=True, slots=True)
class Connects:
    """A CONNECT with one of ``ids`` (patterns) as client id, one of ``users`` as user name and one of ``levels``.

    None: any; of client ids any in the closed alphabet, and so wherever a pattern has ``*`` (T12). With ``never``
    whatever the alphabet.
    """

    ids: frozenset[str] | None = None
    users: frozenset[str] | None = None
    levels: frozenset[int] | None = None
    never: bool = False
    implied: bool = field(default=False, compare=False)

    protocol: ClassVar[str] = "mqtt"
    verb: ClassVar[str] = CONNECT
    values_matter: ClassVar[bool] = False
    changes: ClassVar[bool] = False
    extent: ClassVar[None] = None

    def bound(self, names: Names) -> Connects:
        ids, users = self._filled(self.ids, names), self._filled(self.users, names)
        return self if (ids, users) == (self.ids, self.users) else replace(self, ids=ids, users=users)

    def _filled(self, patterns: frozenset[str] | None, names: Names) -> frozenset[str] | None:
        """A pattern whose name is missing admits nothing, and forbids whatever it might mean."""
        if patterns is None:
            return None
        filled = (fill(one, names) for one in patterns)
        return frozenset(one for one in ((text or "*") if self.never else text for text in filled) if one is not None)

    def within(self, other: Target) -> bool:
        return (
            isinstance(other, Connects)
            and (other.never or not self.never)
            and _patterns_within(self.ids, frozenset("*") if other.ids is None else other.ids, other.never)
            and self._users_within(other)
            and (other.levels is None or (self.levels is not None and self.levels <= other.levels))
        )

    def _users_within(self, other: Connects) -> bool:
        """Who names any user still names one."""
        if other.users is None or self.users is None:
            return other.users is None
        return _patterns_within(self.users, other.users, other.never)

    def overlaps(self, other: Target) -> bool:
        """Of a rule with a never; between two rules nobody asks."""
        if not isinstance(other, Connects) or self.never == other.never:
            return False
        rule, never = (other, self) if self.never else (self, other)
        levels = rule.levels is None or never.levels is None or not rule.levels.isdisjoint(never.levels)
        return levels and names_meet(rule.ids, never.ids) and users_meet(rule.users, never.users)

    def moves(self, action: Action) -> tuple[Move, ...]:
        return ()

    def covers(self, action: Action) -> int:
        if not isinstance(action, Connect):
            return 0
        if self.levels is not None and action.level not in self.levels:
            return 0
        fits = self._has(self.ids, action.client_id) and (self.users is None or self._has_user(action.user))
        return 1 if fits else 0

    def _has_user(self, user: str | None) -> bool:
        return user is not None and self._has(self.users, user)

    def _has(self, patterns: frozenset[str] | None, text: str) -> bool:
        if self.never:
            return patterns is None or any(glob(one, text) for one in patterns)
        if patterns is None:
            return is_plain(text)
        if text in patterns:
            return "{" not in text and "*" not in text
        return is_plain(text) and any("{" not in one and glob(one, text) for one in patterns)

    def admits(self, action: Action) -> int:
        return self.covers(action)

    def describe(self) -> str:
        parts = ["touching"] if self.never else []
        parts += [f"as {_words(self.ids)}"] if self.ids is not None else []
        parts += [f"user {_words(self.users)}"] if self.users is not None else []
        if self.levels is not None:
            parts.append(f"version {', '.join(VERSION_OF[level] for level in sorted(self.levels))}")
        return " ".join((CONNECT, *parts))


@dataclass(frozen=True, slots=True)
class Forbidden:
    """For `never` alone: ``verb``, and what `FORBIDS` adds, on every topic that ``filter`` matches and with every
    filter that has a topic in common with it. Where a name is missing it stands for any."""

    verb: str
    filter: Filter
    group: str | None = None

    protocol: ClassVar[str] = "mqtt"
    values_matter: ClassVar[bool] = False
    changes: ClassVar[bool] = False

    @property
    def extent(self) -> Extent:
        return self.filter.extent

    def forbids(self, verb: str) -> bool:
        return verb == self.verb or verb in FORBIDS.get(self.verb, ())

    def bound(self, names: Names) -> Forbidden:
        one = self.filter.bound(names) or self.filter.widened()
        group = None if self.group is None else fill(self.group, names) or "*"
        return self if one is self.filter and group == self.group else replace(self, filter=one, group=group)

    def within(self, other: Target) -> bool:
        return (
            isinstance(other, Forbidden)
            and other.forbids(self.verb)
            and contains(other.filter, self.filter)
            and (other.group is None or (self.group is not None and glob_within(self.group, other.group)))
        )

    def overlaps(self, other: Target) -> bool:
        return isinstance(other, Topics | Filters) and other.overlaps(self)

    def moves(self, action: Action) -> tuple[Move, ...]:
        return ()

    def covers(self, action: Action) -> int:
        if isinstance(action, Message):
            return 1 if self.forbids(action.verb) and self.filter.matches(action.topic) else 0
        if not isinstance(action, Subscription) or not self.forbids(action.verb):
            return 0
        if self.group is not None and (action.group is None or not glob(self.group, action.group)):
            return 0
        return 1 if overlaps(self.filter, action.filter) else 0

    def admits(self, action: Action) -> int:
        return self.covers(action)

    def describe(self) -> str:
        return f"{self.verb} touching {word(_with_group(self.filter.text, self.group))}"


MqttTarget = Topics | Filters | Connects | Forbidden


def _with_group(text: str, group: str | None) -> str:
    return text if group is None else f"$share/{group}/{text}"


def _qos_text(qos: int) -> str:
    return "" if qos == MOST_QOS else f" qos <= {qos}"


def _words(patterns: frozenset[str]) -> str:
    return ", ".join(word(one) for one in sorted(patterns)) or "nobody"


def _patterns_within(inner: frozenset[str] | None, outer: frozenset[str], never: bool) -> bool:
    """With ``*`` a rule means names of the closed alphabet, and so does a rule without any. A never means all."""
    if inner is None:
        return "*" in outer
    return all(any(_pattern_within(one, other, never) for other in outer) for one in inner)


def _pattern_within(one: str, other: str, never: bool) -> bool:
    plain = never or one == other or "*" in one or is_plain(one.replace(DEVICE, ""))
    return plain and glob_within(one, other)
