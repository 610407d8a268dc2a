"""``services: mqtt:`` of a broker: what it is told, and how it wants to be spoken to."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from proxy.core.options import access, no_access
from proxy.protocols.mqtt.filters import Filter, Matches, any_of
from proxy.protocols.mqtt.parts import nearest, quoted, seconds, size
from proxy.protocols.mqtt.words import filter_fault

if TYPE_CHECKING:
    from proxy.protocols.base import Path, Report

COMMANDS = ("spBv1.0/+/NCMD/#", "spBv1.0/+/DCMD/#")
"""Where Sparkplug B has its commands (Sparkplug 3.0.0, 4.1)."""
LOGIN_OF_CLIENT = "client"
WILL = ("refuse", "strip")
ON_LOST_SUBSCRIPTION = ("filter", "disconnect")
_FILE = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class MqttService:
    """``commands``: filters of topics where a publish is a command. ``max_packet`` bytes of a whole packet, either
    way. ``keep_alive``, ``session_expiry``, ``will_delay``: the most a client gets, in seconds; ``receive_maximum``
    the most messages in flight. ``login``: the file in ``certs/`` with user name and password for the broker, None
    for none; ``login_of_client``: the client's own are passed on. ``strip_will``: a refused Will is taken out of its
    CONNECT, which otherwise is refused. ``disconnect_lost``: who loses a subscription is disconnected, and otherwise
    just gets no more of it."""

    commands: tuple[str, ...] = COMMANDS
    max_packet: int = field(default=256 * 1024, metadata=access(operator.gt))
    keep_alive: int = field(default=300, metadata=access(no_access))
    session_expiry: int = field(default=24 * 3600, metadata=access(operator.gt))
    will_delay: int = field(default=0, metadata=access(operator.gt))
    receive_maximum: int = field(default=32, metadata=access(no_access))
    login: str | None = None
    login_of_client: bool = False
    strip_will: bool = field(default=False, metadata=access(operator.gt))
    disconnect_lost: bool = field(default=False, metadata=access(operator.lt))
    is_command: Matches = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_command", any_of(map(Filter, self.commands)))

    def __reduce__(self) -> tuple[type[MqttService], tuple[object, ...]]:
        """As `Filter`: the test is made again where it arrives."""
        return MqttService, tuple(getattr(self, one.name) for one in fields(self) if one.init)


def parse_service(value: object, report: Report) -> MqttService | None:
    """``value`` is the mapping without `port`, `shared` and `tls`. None after a report."""
    if not isinstance(value, Mapping):
        report((), "is not a section", "write mqtt: { port: 1883 }")
        return None
    reader = _Reader(value, report)
    for key in value:
        if key not in _KEYS:
            reader.wrong(str(key), f"unknown key {quoted(key)}", nearest(key, (*_KEYS, "port", "tls")))
    login = reader.login()
    service = MqttService(
        commands=reader.commands(),
        max_packet=reader.size("max_packet", 256 * 1024, 1024, 16 * 1024 * 1024, "1KiB to 16MiB"),
        keep_alive=reader.time("keep_alive", 300, 10, 18 * 3600, "10s to 18h"),
        session_expiry=reader.time("session_expiry", 24 * 3600, 0, 365 * 24 * 3600, "0s to 8760h"),
        will_delay=reader.time("will_delay", 0, 0, 24 * 3600, "0s to 24h"),
        receive_maximum=reader.number("receive_maximum", 32, 1, 65535),
        login=None if login == LOGIN_OF_CLIENT else login,
        login_of_client=login == LOGIN_OF_CLIENT,
        strip_will=reader.choice("will", WILL) == "strip",
        disconnect_lost=reader.choice("on_lost_subscription", ON_LOST_SUBSCRIPTION) == "disconnect",
    )
    return service if reader.good else None


_KEYS = (
    "commands",
    "max_packet",
    "keep_alive",
    "session_expiry",
    "will_delay",
    "receive_maximum",
    "login",
    "will",
    "on_lost_subscription",
)


class _Reader:
    """Reads one key each; after a mistake it returns the default and ``good`` is False."""

    def __init__(self, value: Mapping[object, object], report: Report) -> None:
        self._value = value
        self._report = report
        self.good = True

    def wrong(self, key: str, what: str, mend: str, at: Path = ()) -> None:
        self.good = False
        self._report((key, *at), what, mend)

    def commands(self) -> tuple[str, ...]:
        given = self._value.get("commands", list(COMMANDS))
        items = given if isinstance(given, list) else [given]
        for at, item in enumerate(items):
            fault = filter_fault(item, placeholders=False)
            if fault is not None:
                self.wrong("commands", *fault, at=(at,) if isinstance(given, list) else ())
        return tuple(dict.fromkeys(item for item in items if isinstance(item, str))) if self.good else COMMANDS

    def size(self, key: str, default: int, low: int, high: int, span: str) -> int:
        return self._bounded(key, size, default, low, high, f"a size from {span}", "256KiB")

    def time(self, key: str, default: int, low: int, high: int, span: str) -> int:
        return self._bounded(key, seconds, default, low, high, f"a time from {span}", "300s or 24h")

    def _bounded(
        self,
        key: str,
        read: Callable[[object], float | None],
        default: int,
        low: int,
        high: int,
        what: str,
        example: str,
    ) -> int:
        if key not in self._value:
            return default
        number = read(self._value[key])
        if number is None or not low <= number <= high or number != int(number):
            self.wrong(key, f"{quoted(self._value[key])} is not {what}", f"write for example {example}")
            return default
        return int(number)

    def number(self, key: str, default: int, low: int, high: int) -> int:
        number = self._value.get(key, default)
        if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
            self.wrong(key, f"{quoted(number)} is not a number {low}..{high}", "write a plain number")
            return default
        return number

    def choice(self, key: str, known: tuple[str, ...]) -> str:
        """The first one is the default."""
        given = self._value.get(key, known[0])
        if given not in known:
            self.wrong(key, f"{quoted(given)} is not known here", nearest(given, known))
        return str(given)

    def login(self) -> str | None:
        given = self._value.get("login")
        if given is None and "login" not in self._value:
            return None
        if not isinstance(given, str) or not _FILE.fullmatch(given):
            mend = "name a file in certs/ (first line user name, second line password), or write client"
            self.wrong("login", f"{quoted(given)} is not the name of a file", mend)
            return None
        return given
