"""What an OPC UA session tells, turned into samples: numbers, quality, and what is known to be missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from proxy.protocols.opcua import status
from proxy.protocols.opcua.wire import date_time
from proxy.uplink.sample import Sample, missed_of
from proxy.uplink.variant import told

if TYPE_CHECKING:
    from proxy.protocols.opcua.values import DataValue

OVERFLOW, DATA_INFO = 0x0480, 0x0C80
"""InfoType DataValue with the overflow bit (Part 4, 7.39.1): the server's queue of this node dropped values."""
SOME = -1
LOST = frozenset({status.BAD_USER_ACCESS_DENIED, status.BAD_NODE_ID_UNKNOWN})
"""A node that was told and is no more: what it says until it is told again, nobody hears."""


class Source:
    """``names``: all nodes. ``wall`` is time of day."""

    def __init__(self, names: Iterable[str], wall: Callable[[], float]) -> None:
        self._names = tuple(names)
        self._wall = wall
        self._number = 0
        self._owed: dict[str, int] = {}
        self._last: dict[str, Sample] = {}
        self.awaited: set[str] = set(self._names)
        """Those of which nothing is known since the subscription began."""

    def began(self) -> None:
        self.awaited = set(self._names)

    def value(self, name: str, value: DataValue) -> Sample:
        code = value.status or 0
        found = None if value.value is None else told(value.value.raw)
        if found is None and value.value is not None and value.value.kind and not status.is_bad(code):
            code = status.BAD_NOT_SUPPORTED  # a structure: it has no place on the UNS yet
        datatype, content = found or (None, None)
        if code & DATA_INFO == OVERFLOW:
            self.missing(SOME, (name,))
        times = value.source_timestamp, value.server_timestamp
        made = self._next(Sample(0, name, datatype, content, code, *times, self._ticks()))
        if code in LOST:
            self._owe(SOME, name)
        return made

    def refused(self, name: str, code: int) -> Sample | None:
        """None if that is known already."""
        last = self._last.get(name)
        self.awaited.discard(name)
        if last is not None and last.status == code and last.value is None and not last.stale:
            return None
        return self._next(Sample(0, name, None, None, code, None, None, self._ticks()))

    def lost(self) -> list[Sample]:
        """The device is gone: the last value of each node, of which nobody knows whether it still holds."""
        held = [one for one in self._last.values() if not one.stale]
        now = self._ticks()
        found = [
            self._next(
                replace(
                    one, status=status.BAD_NO_COMMUNICATION, source=None, server=None, seen=now, missed=0, stale=True
                )
            )
            for one in held
        ]
        self.missing(SOME, self._names)
        return found

    def missing(self, count: int, names: Iterable[str] | None = None) -> None:
        """Values that will never come; told by the next sample of each of these nodes (None: of all)."""
        for name in self._names if names is None else names:
            if name in self._last and self._last[name].value is not None:
                self._owe(count, name)

    def _owe(self, count: int, name: str) -> None:
        self._owed[name] = missed_of(self._owed.get(name, 0), count)

    def _next(self, sample: Sample) -> Sample:
        self._number += 1
        owed = 0 if sample.stale else self._owed.pop(sample.name, 0)
        made = replace(sample, number=self._number, missed=owed)
        self._last[sample.name] = made
        self.awaited.discard(sample.name)
        return made

    def _ticks(self) -> int:
        return date_time(self._wall())
