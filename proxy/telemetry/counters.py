"""Counts by reason, kept by whoever writes the journal. Plain integers: nothing here knows of Prometheus or locks.

The data plane keeps its own per listener and per device (`DataPlane`); nothing is counted twice. Everything is written
by the event loop and read by the admin thread: a reader may see two numbers a moment apart, never a broken one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from proxy.core.reason import Reason


class ListenerFigures(Protocol):
    """What the data plane counts for one listener; `proxy.gateway.ports.ListenerCounts` is one."""

    accepted: int
    live: int
    handshakes: int
    handshake_failures: int
    limited: int
    too_slow: int
    messages: int
    answers: int
    bytes_in: int
    bytes_out: int


class DeviceFigures(Protocol):
    """What the data plane counts for one device; `proxy.gateway.ports.DeviceCounts` is one."""

    dials: int
    dial_failures: int
    lost: int
    open: int
    bytes_in: int
    bytes_out: int


class DataPlane(Protocol):
    """Where the figures are found; `proxy.gateway.gateway.Gateway` is one. Names and ids come from the site files."""

    @property
    def listener_counts(self) -> Mapping[str, ListenerFigures]: ...
    @property
    def device_counts(self) -> Mapping[str, DeviceFigures]: ...


class ByReason:
    """One number per reason."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[Reason, int] = {}

    def add(self, reason: Reason) -> None:
        self._counts[reason] = self._counts.get(reason, 0) + 1

    def get(self, reason: Reason) -> int:
        return self._counts.get(reason, 0)

    def snapshot(self) -> dict[Reason, int]:
        """A copy, safe to walk in another thread."""
        return self._counts.copy()


class ListenerReasons:
    """Refused messages, refused connections and ended links of one listener by reason; malformed input; acts."""

    __slots__ = ("acts", "connections_refused", "links_ended", "malformed", "messages_refused")

    def __init__(self) -> None:
        self.messages_refused = ByReason()
        self.connections_refused = ByReason()
        self.links_ended = ByReason()
        self.malformed = 0
        self.acts = 0


class Counters:
    """All counts by reason. One object, handed to whoever counts and to the metrics."""

    __slots__ = ("_devices", "_listeners")

    def __init__(self) -> None:
        self._listeners: dict[str, ListenerReasons] = {}
        self._devices: dict[str, ByReason] = {}

    def listener(self, name: str) -> ListenerReasons:
        """``name`` is a listener of the site: it becomes a label."""
        found = self._listeners.get(name)
        if found is None:
            found = self._listeners[name] = ListenerReasons()
        return found

    def device(self, device_id: str) -> ByReason:
        """Faults of one device of the inventory: unreachable, silent, invalid answers."""
        found = self._devices.get(device_id)
        if found is None:
            found = self._devices[device_id] = ByReason()
        return found

    def count(self, what: str, reason: Reason | None, listener: str | None, device: str) -> None:
        """Counts one record of the journal where it belongs; kinds without a count are passed over."""
        if what == "device":
            if reason is not None:
                self.device(device).add(reason)
            return
        if listener is None:
            return
        of = self.listener(listener)
        if what == "malformed":
            of.malformed += 1
        elif what == "act":
            of.acts += 1
        elif reason is None:
            return
        elif what == "refuse":
            of.messages_refused.add(reason)
        elif what == "connect":
            of.connections_refused.add(reason)
        elif what == "close":
            of.links_ended.add(reason)

    def listeners(self) -> dict[str, ListenerReasons]:
        return self._listeners.copy()

    def devices(self) -> dict[str, ByReason]:
        return self._devices.copy()
