"""Batches of records onto disk: sealed into the chain, written, fsynced, and taken back whole if that fails (T75, T77).

Runs in the writer's thread and knows nothing of threads. After any OSError nobody knows what is in the file (a failed
fsync may even drop pages that were written), so the segment is cut to the last known good place before anything else
is written, and the records since then are sealed again.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING

from proxy.audit.chain import Chain
from proxy.audit.figures import AuditStats, Gap, Retired
from proxy.audit.record import Record

if TYPE_CHECKING:
    from proxy.audit.segments import Condemned, Segments

CHUNK = 32
"""Lines formatted at a time: the thread keeps the interpreter from the event loop for no longer. *"""
SYNC_EVERY = 1.0
"""Seconds that a record which nobody waits for may be in the page cache alone. *"""

_by_id = attrgetter("id")


class Committer:
    """``stamp`` gives a record made here its id and time. ``keep`` bounds what is held while the disk fails."""

    def __init__(self, segments: Segments, stats: AuditStats, stamp: Callable[[Record], None], keep: int) -> None:
        self._segments = segments
        self._stats = stats
        self._stamp = stamp
        self._keep = keep
        self._chain = Chain()
        self._good = (0, self._chain.head, 0)  # n, head and file position that are surely on disk
        self._recovered = False
        self._damaged = False
        self._condemned: Condemned | None = None
        self._unsynced: list[Record] = []
        self._kept: list[Record] = []
        self._dirty_since: float | None = None
        self.lost = Gap()
        """Records given up; whoever calls puts them on record as a gap."""

    @property
    def head(self) -> tuple[int, str]:
        """The last record that is surely on disk: its number and the SHA-256 of its line."""
        return self._good[0], self._good[1]

    @property
    def sync_due(self) -> float | None:
        """Monotonic seconds by which `commit` must be called again, or None."""
        return None if self._dirty_since is None else self._dirty_since + SYNC_EVERY

    def open(self) -> None:
        """Takes the folder and mends it. BlockingIOError if another process has it, other OSErrors as they come."""
        self._segments.lock()
        if not self._recovered:
            self._chain = self._segments.recover()
            self._good = (self._chain.n, self._chain.head, self._segments.position)
            self._recovered = True
            self._note_torn()

    def commit(self, plain: list[Record], urgent: list[Record], now: float, sync: bool = False) -> None:
        """Writes all of it and, if anything is urgent or ``sync`` says so or it is time, flushes it to disk.

        OSError: nothing of this call counts as written. The plain records are kept and come first in the next call,
        the urgent ones are forgotten, because whoever waited for them is told that they are not on record.
        """
        try:
            self._prepare()
            fresh = [*self._kept, *plain]
            batch = [*fresh, *urgent, *self._farewell()]
            batch.sort(key=_by_id)
            self._append(batch)
            if batch and self._dirty_since is None:
                self._dirty_since = now
            if urgent or sync or self._condemned or self._is_late(now, len(fresh)):
                self._sync()
            else:
                self._unsynced += fresh
        except OSError:
            self._take_back(plain)
            raise
        self._kept = []
        self._remove()

    def close(self) -> None:
        self._segments.close()

    def _prepare(self) -> None:
        self.open()
        if self._damaged:
            self._segments.roll_back(self._good[2])
            self._chain = Chain(self._good[0], self._good[1])
            self._damaged = False
        if self._segments.full:
            self._sync()
            self._segments.turn()
            self._mark_good()
            self._condemned = self._segments.condemned()

    def _farewell(self) -> list[Record]:
        if self._condemned is None:
            return []
        names = [path.name for path in self._condemned.paths]
        record = Record("retired", figures=Retired(names, self._condemned.through))
        self._stamp(record)
        return [record]

    def _note_torn(self) -> None:
        if self._segments.torn is not None:
            record = Record("gap", detail=f"an unfinished end of the log was moved to {self._segments.torn.name}")
            self._stamp(record)
            self._kept.append(record)

    def _append(self, batch: list[Record]) -> None:
        seal = self._chain.seal
        for start in range(0, len(batch), CHUNK):
            data = b"".join([seal(record) for record in batch[start : start + CHUNK]])
            self._segments.append(data)
            self._stats.bytes += len(data)

    def _is_late(self, now: float, fresh: int) -> bool:
        due = self.sync_due
        return due is not None and (now >= due or len(self._unsynced) + fresh >= self._keep)

    def _sync(self) -> None:
        if self._dirty_since is not None:
            self._segments.sync()
            self._stats.syncs += 1
        self._unsynced = []
        self._dirty_since = None
        self._mark_good()

    def _mark_good(self) -> None:
        self._stats.written += self._chain.n - self._good[0]
        self._good = (self._chain.n, self._chain.head, self._segments.position)

    def _remove(self) -> None:
        """A failure here costs disk space and nothing else: the next full segment tries again."""
        if self._condemned is None:
            return
        condemned, self._condemned = self._condemned, None
        try:
            self._segments.remove(condemned)
        except OSError:
            self._stats.errors += 1
        else:
            self._stats.retired += len(condemned.paths)

    def _take_back(self, plain: list[Record]) -> None:
        self._damaged = self._recovered
        self._stats.errors += 1
        kept = [*self._unsynced, *self._kept, *plain]
        self._unsynced, self._dirty_since = [], None
        self._kept = kept[: self._keep]
        for record in kept[self._keep :]:
            self.lost.count(record)
