"""The log's own numbers: its limits, what it did, and the figures of the records it makes itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proxy.audit.merge import Repeats
from proxy.audit.segments import SEGMENT_BYTES, TOTAL_BYTES

if TYPE_CHECKING:
    from proxy.audit.record import Fields, Record


@dataclass(frozen=True, slots=True)
class AuditLimits:
    """Sizes in bytes, times in seconds. All of them are conservative guesses. *

    ``queue``: records waiting for the disk; beyond it they are counted and a ``gap`` record tells how many.
    ``linger``: how long the thread gathers records that nobody waits for. ``retry``: pause after a failed write.
    ``stall``: a write that takes longer counts as a failing disk.
    """

    segment_bytes: int = SEGMENT_BYTES
    total_bytes: int = TOTAL_BYTES
    queue: int = 8192
    linger: float = 0.03
    retry: float = 1.0
    stall: float = 5.0


class AuditStats:
    """What the log did since the start, for metrics. Plain integers; one thread writes each."""

    __slots__ = ("bytes", "dropped", "errors", "merged", "refused_acts", "retired", "syncs", "written")

    def __init__(self) -> None:
        self.written = 0
        self.bytes = 0
        self.syncs = 0
        self.merged = 0
        self.dropped = 0
        self.errors = 0
        self.retired = 0
        self.refused_acts = 0


@dataclass(slots=True)
class Retired:
    """Figures of a ``retired`` record: segments that the size limit removes, the last record in them."""

    segments: list[str]
    through: int

    def fields(self) -> Fields:
        return {"segments": self.segments[:64], "through": self.through}


@dataclass(slots=True)
class Gap:
    """Figures of a ``gap`` record: events that have no record of their own, by kind."""

    lost: dict[str, int] = field(default_factory=dict)

    def count(self, record: Record) -> None:
        figures = record.figures
        if isinstance(figures, Gap):
            self.add(figures)
            return
        n = figures.count if isinstance(figures, Repeats) else 1
        self.lost[record.what] = self.lost.get(record.what, 0) + n

    def add(self, other: Gap) -> None:
        for what, n in other.lost.items():
            self.lost[what] = self.lost.get(what, 0) + n

    def fields(self) -> Fields:
        return {"count": sum(self.lost.values()), "lost": dict(self.lost)}
