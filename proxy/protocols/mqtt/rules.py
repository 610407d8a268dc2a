"""The MQTT vocabulary of policy files: parsing, with every mistake reported where it stands.

    mqtt:
      connect: { client_id: ["{device}", "{device}-*"], user: line-2, versions: ["5"] }     # or: all
      will: "{place}/{device}/state"
      publish: ["{place}/{device}/#"]
      command: ["spBv1.0/line-2/NCMD/+"]       # a publish on a command topic of the broker
      retain: ["{place}/{device}/state"]       # besides publish, command or will
      clear-retained: ["{place}/{device}/state"]
      subscribe: ["{place}/#"]                 # whatever lies inside; means receive of the same
      share: ["$share/workers/{place}/#"]
      receive: [alarms/all]
      reply-to: ["{place}/{device}/replies/#"]
      qos: 1                                   # cap for will, publish, command, subscribe, share
      max_bytes: 64KiB                         # cap for the payload of will, publish, command

A rule with any of these means `connect`, with any plain client id, unless it says which. `never` takes the same verbs
without caps; there `publish` means whatever puts a message on the topic, and `subscribe` and `share` every filter that
has a topic in common.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from proxy.protocols.mqtt.actions import CONNECT, VERSIONS
from proxy.protocols.mqtt.filters import DEVICE, SHARE, Filter
from proxy.protocols.mqtt.ids import MOST_ID, PLAIN_WORDS, is_plain
from proxy.protocols.mqtt.parts import nearest, quoted, size
from proxy.protocols.mqtt.targets import MOST_QOS, Connects, Filters, Forbidden, MqttTarget, Topics
from proxy.protocols.mqtt.words import Fault, filter_fault, placeholder_fault, shared_fault

if TYPE_CHECKING:
    from proxy.protocols.base import Path, Report

OF_TOPICS = ("will", "publish", "command", "retain", "clear-retained", "receive", "reply-to")
WITH_QOS = ("will", "publish", "command", "subscribe", "share")
WITH_BYTES = ("will", "publish", "command")
VERBS = (CONNECT, *OF_TOPICS, "subscribe", "share")
CAPS = ("qos", "max_bytes")
CONNECT_KEYS = ("client_id", "user", "versions")
ALL = "all"
MOST_PAYLOAD = 16 * 1024 * 1024
_SLIPS = {
    "client-id": "client_id",
    "deliver": "receive",
    "lwt": "will",
    "pub": "publish",
    "response": "reply-to",
    "size": "max_bytes",
    "sub": "subscribe",
    "write": "publish",
    "read": "subscribe",
}
"""Words of other products and protocols, too far from ours to be taken for a slip of the hand."""


def parse_rule(value: object, report: Report) -> tuple[MqttTarget, ...]:
    return _Section(report, never=False).parse(value)


def parse_never(value: object, report: Report) -> tuple[MqttTarget, ...]:
    return _Section(report, never=True).parse(value)


class _Section:
    """One `mqtt:` section. ``_report`` is told of every mistake; what is right is parsed all the same."""

    def __init__(self, report: Report, *, never: bool) -> None:
        self._report = report
        self._never = never

    def parse(self, value: object) -> tuple[MqttTarget, ...]:
        if not isinstance(value, Mapping) or not value:
            mend = 'write for example mqtt: { publish: ["{place}/{device}/#"] }'
            self._report((), "is not a section with verbs", mend)
            return ()
        targets: list[MqttTarget] = []
        for key, part in value.items():
            if key == CONNECT:
                targets += self._connect(part)
            elif key in VERBS:
                targets += self._filters(str(key), part)
            elif self._never and key in CAPS:
                self._report((key,), f"never looks at no {key}", "it forbids the topic, whatever the message")
            elif key not in CAPS:
                known = VERBS if self._never else (*VERBS, *CAPS)
                self._report((str(key),), f"unknown verb {quoted(key)}", _meant(str(key), known))
        if self._never:
            return tuple(targets)
        targets = self._capped(targets, value)
        return (*targets, *_implied(targets)) if any(key in VERBS for key in value) else ()

    def _filters(self, verb: str, value: object) -> Iterator[MqttTarget]:
        for path, item in self._items(value, (verb,)):
            if item == ALL:
                self._report(path, f"{verb} takes topic filters, and no {ALL}", 'the filter of all topics is "#"')
                continue
            fault = shared_fault(item) if verb == "share" else filter_fault(item)
            if fault is not None:
                self._report(path, *fault)
            elif isinstance(item, str):
                yield self._target(verb, item)

    def _target(self, verb: str, text: str) -> MqttTarget:
        group = None
        if verb == "share":
            group, _, text = text.removeprefix(SHARE).partition("/")
        if self._never:
            return Forbidden(verb, Filter(text), group)
        if verb in ("subscribe", "share"):
            return Filters(verb, Filter(text), group)
        return Topics(verb, Filter(text))

    def _connect(self, value: object) -> Iterator[Connects]:
        if value == ALL:
            yield Connects(never=self._never)
            return
        if not isinstance(value, Mapping) or not value:
            mend = f'write connect: {{ client_id: "{DEVICE}" }}, or connect: {ALL}'
            self._report((CONNECT,), f"is neither a section nor {ALL}", mend)
            return
        for key in value:
            if key not in CONNECT_KEYS:
                self._report((CONNECT, str(key)), f"unknown key {quoted(key)}", _meant(str(key), CONNECT_KEYS))
        ids = self._names("client_id", value)
        users = self._names("user", value)
        levels = self._levels(value)
        if any(key in CONNECT_KEYS for key in value):
            yield Connects(ids, users, levels, never=self._never)

    def _names(self, key: str, value: Mapping[object, object]) -> frozenset[str] | None:
        if key not in value:
            return None
        good = []
        for path, item in self._items(value[key], (CONNECT, key)):
            fault = self._name_fault(item, key.replace("_", " "))
            if fault is not None:
                self._report(path, *fault)
            elif isinstance(item, str):
                good.append(item)
        return frozenset(good)

    def _name_fault(self, value: object, what: str) -> Fault | None:
        if not isinstance(value, str):
            return f"{quoted(value)} is not text", f'write for example "{DEVICE}" or "{DEVICE}-*", quoted'
        if not value or len(value.encode()) > MOST_ID or not value.isprintable():
            return f"{quoted(value)} is no {what}", f"1 to {MOST_ID} bytes of visible characters"
        if (fault := placeholder_fault(value, (DEVICE,))) is not None:
            return f"{quoted(value)}: {fault[0]}", fault[1]
        if "*" in value and not is_plain(value.replace("*", "").replace(DEVICE, "")) and not self._never:
            return f"{quoted(value)} can match nothing", f"a {what} that fits a pattern with * has {PLAIN_WORDS}"
        return None

    def _levels(self, value: Mapping[object, object]) -> frozenset[int] | None:
        if "versions" not in value:
            return None
        good = []
        for path, item in self._items(value["versions"], (CONNECT, "versions")):
            if isinstance(item, str) and item in VERSIONS:
                good.append(VERSIONS[item])
            else:
                known = " and ".join(f'"{name}"' for name in VERSIONS)
                self._report(path, f"{quoted(item)} is not a version of MQTT", f"write {known}, quoted")
        return frozenset(good)

    def _capped(self, targets: list[MqttTarget], value: Mapping[object, object]) -> list[MqttTarget]:
        qos, most = self._qos(value), self._most(value)
        found: list[MqttTarget] = []
        for target in targets:
            if isinstance(target, Topics) and target.verb in WITH_BYTES:
                target = replace(target, qos=qos, most=most)
            elif isinstance(target, Filters):
                target = replace(target, qos=qos)
            found.append(target)
        return found

    def _qos(self, value: Mapping[object, object]) -> int:
        given = value.get("qos", MOST_QOS)
        if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given <= MOST_QOS:
            self._report(
                ("qos",), f"{quoted(given)} is not a quality of service", "write 0, 1 or 2: the most it may be"
            )
            return 0
        self._check_use("qos", value, WITH_QOS)
        return given

    def _most(self, value: Mapping[object, object]) -> int | None:
        if "max_bytes" not in value:
            return None
        most = size(value["max_bytes"])
        if most is None or most > MOST_PAYLOAD:
            wrong = f"{quoted(value['max_bytes'])} is not a size up to 16MiB"
            self._report(("max_bytes",), wrong, "write bytes, or KiB or MiB: 512, 64KiB, 1MiB")
            return 0
        self._check_use("max_bytes", value, WITH_BYTES)
        return most

    def _check_use(self, cap: str, value: Mapping[object, object], verbs: tuple[str, ...]) -> None:
        if cap in value and not any(verb in value for verb in verbs):
            self._report((cap,), f"{cap} caps nothing in this rule", f"it is for {', '.join(verbs)}")

    def _items(self, value: object, path: Path) -> Iterator[tuple[Path, object]]:
        if isinstance(value, list):
            if not value:
                self._report(path, "is empty", "name at least one, or leave the line out")
            yield from (((*path, at), item) for at, item in enumerate(value))
        else:
            yield path, value


def _implied(targets: list[MqttTarget]) -> Iterator[MqttTarget]:
    """What the lines of a rule bring along: who subscribes receives, and whoever does anything connects."""
    received: list[Filter] = []
    for target in targets:
        if isinstance(target, Filters) and target.filter not in received:
            received.append(target.filter)
            yield Topics("receive", target.filter, implied=True)
    if not any(isinstance(target, Connects) for target in targets):
        yield Connects(implied=True)


def _meant(key: str, known: tuple[str, ...]) -> str:
    slip = _SLIPS.get(key.lower())
    return f"did you mean {slip!r}?" if slip in known else nearest(key, known)
