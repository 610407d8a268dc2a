"""The audit writer: the event loop hands over records, one thread puts them on disk.

`AuditWriter.record` is for what happened anyway; `AuditWriter.durable` is for acts that must be on record before they
go on (threats.md 5.3): it calls back once the record is fsynced, many at a time in one fsync. Neither of them waits.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from proxy.audit.commit import Committer
from proxy.audit.figures import AuditLimits, AuditStats, Gap
from proxy.audit.file import Opener, OsSegment
from proxy.audit.merge import Merger
from proxy.audit.record import Record
from proxy.audit.segments import Segments
from proxy.audit.ulid import Ulids

Done = Callable[[bool], None]
CallSoon = Callable[[Callable[[], None]], object]
"""`loop.call_soon_threadsafe`, or a fake. RuntimeError from it means that nobody listens any more."""


class AuditBusyError(Exception):
    """Another process writes to this folder. Operator's fault: two gateways share one state folder."""


class AuditWriter:
    """One folder, one thread. `record` and `durable` may be called from any thread.

    `healthy` is False from the first failed write until one succeeds again: then the records that were kept are on
    disk, with a ``gap`` record that counts what was lost.
    """

    def __init__(
        self,
        folder: Path,
        *,
        wall: Callable[[], float],
        monotonic: Callable[[], float],
        call_soon: CallSoon,
        randomness: Callable[[int], bytes] = os.urandom,
        limits: AuditLimits | None = None,
        opener: Opener = OsSegment,
        log: logging.Logger | None = None,
    ) -> None:
        self.folder = folder
        self.stats = AuditStats()
        self._wall = wall
        self._monotonic = monotonic
        self._call_soon = call_soon
        self._limits = limits if limits is not None else AuditLimits()
        self._log = log if log is not None else logging.getLogger("bulkhead.audit")
        segments = Segments(folder, wall, opener, self._limits.segment_bytes, self._limits.total_bytes)
        self._disk = Committer(segments, self.stats, self._stamp, self._limits.queue)
        self._lock = threading.Lock()
        self._ids = Ulids(randomness)
        self._merger = Merger()
        self._queue: list[Record] = []
        self._acts: list[tuple[Record, Done]] = []
        self._in_hand: list[tuple[Record, Done]] = []  # taken by the thread and not answered yet
        self._gap = Gap()
        self._wake = threading.Event()  # something to do
        self._hurry = threading.Event()  # somebody waits for it
        self._closing = False
        self._closed = False
        self._failed_at: float | None = None
        self._busy_since: float | None = None
        self._thread = threading.Thread(target=self._run, name="bulkhead-audit", daemon=True)

    def start(self) -> None:
        """Takes and mends the folder and starts the thread. A disk that fails does not stop the start: see `healthy`.

        Raises AuditBusyError if another process writes to the folder.
        """
        try:
            self._disk.open()
        except BlockingIOError:
            raise AuditBusyError(f"{self.folder}: another process writes this audit log") from None
        except OSError as error:
            self._fail(error, [])
        self._thread.start()

    @property
    def healthy(self) -> bool:
        """The last write succeeded, and none is stuck in the disk."""
        busy = self._busy_since
        return self._failed_at is None and (busy is None or self._monotonic() - busy < self._limits.stall)

    @property
    def head(self) -> tuple[int, str]:
        """Number and SHA-256 of the last record on disk: a checkpoint, if it is kept somewhere else."""
        return self._disk.head

    @property
    def queued(self) -> int:
        return len(self._queue) + len(self._acts)

    def record(self, record: Record) -> None:
        """Takes a record that nobody waits for: it is written within about a second, merged or counted in a flood."""
        record.time = self._wall()
        with self._lock:
            if not self._merger.offer(record, self._monotonic()):
                return
            self._put(record)

    def durable(self, record: Record, done: Done) -> None:
        """Takes the record of an act. ``done(True)``: it is on disk. ``done(False)``: it is not, the act must not be.

        ``done`` is called through ``call_soon``, never from inside this call.
        """
        with self._lock:
            if not self._closing and self.healthy:
                record.time = self._wall()
                record.id = self._ids.next(record.time)
                self._acts.append((record, done))
                self._hurry.set()
                self._wake.set()
                return
        self._refuse([(record, done)])

    def close(self, timeout: float = 5.0) -> bool:
        """Writes everything taken so far. True if all of it is on disk. The writer takes nothing afterwards."""
        with self._lock:
            self._closing = True
            self._hurry.set()
            self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return self._closed and self.healthy

    # The lock is held in the next two.

    def _put(self, record: Record) -> None:
        if len(self._queue) >= self._limits.queue or self._closing:
            self._gap.count(record)
            self.stats.dropped += 1
            return
        record.id = self._ids.next(record.time)
        self._queue.append(record)
        if len(self._queue) == 1:
            self._wake.set()

    def _take(self, last: bool) -> list[Record]:
        now = self._monotonic()
        for record in self._merger.flush() if last else self._merger.due(now):
            record.id = self._ids.next(record.time)
            self._queue.append(record)
        plain, self._queue = self._queue, []
        self.stats.merged = self._merger.merged
        return plain

    # The rest runs in the thread.

    def _stamp(self, record: Record) -> None:
        record.time = self._wall()
        with self._lock:
            record.id = self._ids.next(record.time)

    def _run(self) -> None:
        try:
            while not self._closing:
                self._wake.wait(self._pause())
                self._hurry.wait(self._limits.linger)
                self._round()
            self._round(last=True)
            self._closed = True
        finally:
            self._end()

    def _pause(self) -> float | None:
        """Seconds until something is due by itself, None if nothing is."""
        if self._failed_at is not None:
            return max(0.0, self._failed_at + self._limits.retry - self._monotonic())
        with self._lock:
            times = [self._merger.deadline(), self._disk.sync_due]
        due = [time for time in times if time is not None]
        return max(0.0, min(due) - self._monotonic()) if due else None

    def _round(self, last: bool = False) -> None:
        now = self._monotonic()
        failed = self._failed_at is not None
        resting = self._failed_at is not None and not last and now < self._failed_at + self._limits.retry
        with self._lock:
            self._wake.clear()
            self._hurry.clear()
            acts = self._in_hand = self._acts
            self._acts = []
            plain = [] if resting else self._take(last)
        if resting:
            self._refuse(acts)
            return
        gap = self._take_gap(failed)
        try:
            self._busy_since = now
            self._disk.commit(plain, [*gap, *(record for record, _ in acts)], now, sync=last)
        except OSError as error:
            self._fail(error, gap)
            self._refuse(acts)
        else:
            self._recover()
            self._tell(acts, True)
        finally:
            self._busy_since = None

    def _take_gap(self, failed: bool) -> list[Record]:
        """What was lost since the last one. After a failure there is always one: it proves that the disk is back."""
        with self._lock:
            lost, self._gap = self._gap, Gap()
        lost.add(self._disk.lost)
        self._disk.lost = Gap()
        if not lost.lost and not failed:
            return []
        detail = "the audit log could not be written; acts were refused meanwhile" if failed else ""
        record = Record("gap", detail=detail, figures=lost)
        self._stamp(record)
        return [record]

    def _fail(self, error: OSError, gap: list[Record]) -> None:
        first = self._failed_at is None
        self._failed_at = self._monotonic()
        with self._lock:
            for record in gap:
                self._gap.count(record)
        if first:
            self._log.error(
                "audit log cannot be written: acts are refused until it can",
                extra={"folder": str(self.folder), "error": str(error)},
            )

    def _recover(self) -> None:
        if self._failed_at is not None:
            self._failed_at = None
            self._log.warning("audit log can be written again", extra={"folder": str(self.folder)})

    def _refuse(self, acts: list[tuple[Record, Done]]) -> None:
        self.stats.refused_acts += len(acts)
        self._tell(acts, False)

    def _tell(self, acts: list[tuple[Record, Done]], on_disk: bool) -> None:
        if acts is self._in_hand:
            self._in_hand = []
        with contextlib.suppress(RuntimeError):  # the loop is closed
            for _, done in acts:
                self._call_soon(partial(done, on_disk))

    def _end(self) -> None:
        """Also after a bug in this thread: whoever waits is told, and nothing is taken any more."""
        if not self._closed:
            self._failed_at = self._monotonic()
            self._log.critical("audit writer ended early", extra={"folder": str(self.folder)})
        with self._lock:
            self._closing = True
            acts, self._acts = [*self._in_hand, *self._acts], []
        self._refuse(acts)
        with contextlib.suppress(OSError):
            self._disk.close()
