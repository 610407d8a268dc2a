"""One value of one node at one time, in no protocol's words: what is between the subscription and the broker."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from proxy.protocols.opcua.wire import EPOCH

if TYPE_CHECKING:
    from proxy.uplink.datatypes import DataType, Value


class Quality(Enum):
    """``value`` is the number that Sparkplug B has for it (property `Quality`, 6.4.14)."""

    BAD = 0
    GOOD = 192
    STALE = 500

    @classmethod
    def of(cls, status: int) -> Quality:
        """Of an OPC UA StatusCode (Part 4, 7.39). Uncertain is not good: what needs good values must not take it."""
        return cls.GOOD if not status & 0xC0000000 else cls.BAD


@dataclass(frozen=True, slots=True)
class Sample:
    """``number`` counts the samples of a publisher from 1, without a hole where none was dropped.

    ``name`` is the operator's. ``datatype`` and ``value`` are None if there is no value that could be told; ``special``
    then says what it was instead of one (``NaN``, ``Infinity``, ``-Infinity``) or is empty. Times are 100 ns since
    1601-01-01 UTC; ``source`` is the device's clock, ``server`` that of its OPC UA server, ``seen`` ours.
    ``status`` is an OPC UA StatusCode. ``stale``: nobody can tell any more whether it still holds. ``missed``: values
    of this node that are known to be lost between the one before and this one; -1: some, nobody knows how many.
    """

    number: int
    name: str
    datatype: DataType | None
    value: Value | None
    status: int
    source: int | None
    server: int | None
    seen: int
    missed: int = 0
    stale: bool = False

    @property
    def quality(self) -> Quality:
        return Quality.STALE if self.stale else Quality.of(self.status)

    @property
    def time(self) -> tuple[int, str]:
        """The best time there is, and whose clock it is from."""
        if self.source is not None:
            return self.source, "source"
        return (self.server, "server") if self.server is not None else (self.seen, "gateway")


def milliseconds(ticks: int) -> int:
    """Since 1970, not below 0: protobuf has no earlier time for it."""
    return max(0, (ticks - EPOCH) // 10_000)


def missed_of(one: int, other: int) -> int:
    """Both together; -1 (some) stays -1."""
    return -1 if one < 0 or other < 0 else one + other
