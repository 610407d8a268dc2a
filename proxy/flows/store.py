"""The flows on disk, written by a thread of their own. Whatever becomes of the disk, the data plane does not notice.

What could not be written stays in memory, in the bounds of a `Book`, and is tried again with the next flush.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.flows import schema
from proxy.flows.book import Book, Key, Seen
from proxy.flows.read import FlowsError, read_flows

if TYPE_CHECKING:
    from proxy.core.action import Action

__all__ = ["FILE", "FLUSH", "FlowStore", "FlowsError", "read_flows"]

FILE = "flows.sqlite"
"""Its name in the state folder."""
FLUSH = 10.0
"""Seconds between two flushes. *"""
MOST = 200_000
MOST_OF_ONE = 20_000
"""Flows kept in all, and of one speaker; those last seen longest ago go first. *"""
AGE = 90 * 86400.0
"""Seconds that a flow is kept after it was last seen. *"""
LOCKED = 2.0
"""Seconds to wait for somebody else who has the file to himself."""
SKIP = 5
"""Flushes that are let pass after one that failed: what is kept in memory must not be made into rows all the time. *"""
PIECE = 100
PAUSE = 0.002
"""After so many flows this thread leaves the interpreter to the data plane, seconds."""
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

Text = Callable[[str, "Sequence[Action]"], str]
"""``text(protocol, actions)``: as the protocol's `parse_actions` reads them again."""

_log = logging.getLogger(__name__)


class FlowStore:
    """``flush`` and ``close`` belong to one thread; the plain figures may be read by any.

    ``problem`` says why the last flush failed, or is empty. ``errors`` counts flushes that failed, ``dropped`` flows
    that were thrown out to stay in bounds, ``rows`` those on disk. ``untold`` is messages of flows that got no place.
    """

    def __init__(
        self,
        path: Path,
        text: Text,
        wall: Callable[[], float] = time.time,
        *,
        most: int = MOST,
        most_of_one: int = MOST_OF_ONE,
        pending: Book | None = None,
    ) -> None:
        self.path = path
        self.problem = ""
        self.errors = 0
        self.dropped = 0
        self.rows = 0
        self._text = text
        self._wall = wall
        self._most = most
        self._most_of_one = most_of_one
        self._pending = Book() if pending is None else pending
        self._front: Book | None = None
        self._db: sqlite3.Connection | None = None
        self._skip = 0
        self._jobs: queue.SimpleQueue[dict[Key, Seen] | None] = queue.SimpleQueue()
        self._idle = threading.Event()
        self._idle.set()
        self._thread = threading.Thread(target=self._run, name="bulkhead-flows", daemon=True)

    @property
    def untold(self) -> int:
        return self._pending.untold + (0 if self._front is None else self._front.untold)

    def start(self) -> None:
        self._thread.start()

    def flush(self, book: Book) -> None:
        """Hands over what ``book`` has. While the last flush is still under way it keeps it."""
        self._front = book
        if self._idle.is_set():
            self._idle.clear()
            self._jobs.put(book.take())

    def close(self, book: Book, seconds: float = 10.0) -> None:
        """The last flush. Waits for it, at most so long."""
        if self._thread.ident is None:
            return
        self._jobs.put(book.take())
        self._jobs.put(None)
        self._thread.join(seconds)

    def wait(self, seconds: float) -> bool:
        """Until the last flush is over; False if it takes longer."""
        return self._idle.wait(seconds)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                for key, seen in job.items():
                    self._pending.add(key, seen)
                self._skip = max(0, self._skip - 1)
                if not self._skip:
                    self._try()
            except Exception as error:  # a bug of ours: it must not end the record of flows unseen
                self._failed(error)
                _log.exception("recording flows failed; it is tried again")
            self._idle.set()
        if len(self._pending):
            self._try()
        self._shut()

    def _try(self) -> None:
        try:
            self._write()
        except (sqlite3.Error, OSError) as error:
            self._failed(error)
            self._shut()
            if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
                self._put_aside()
        else:
            if self.problem:
                _log.info("flows are recorded again")
            self.problem = ""

    def _failed(self, error: Exception) -> None:
        self.errors += 1
        self._skip = SKIP + 1
        text = f"{type(error).__name__}: {error}"
        if text != self.problem:
            _log.error("flows cannot be written; they are kept in memory", extra={"why": text, "file": str(self.path)})
        self.problem = text

    def _write(self) -> None:
        """One transaction: all of it is on disk, or nothing, and nothing is counted twice later."""
        db = self._db = self._db or _open(self.path)
        with db:
            for rows in self._rows():
                db.executemany(schema.MERGE, rows)
                time.sleep(PAUSE)
            dropped = self._prune(db)
        self.dropped += dropped
        self._pending.take()

    def _rows(self) -> Iterator[list[tuple[object, ...]]]:
        flows = iter(self._pending)
        while some := [_row(key, seen, self._text) for key, seen in islice(flows, PIECE)]:
            yield some

    def _prune(self, db: sqlite3.Connection) -> int:
        dropped = 0
        db.execute(schema.OLD, (self._wall() - AGE,))
        for who in self._pending.speakers:
            (rows,) = db.execute("SELECT count(*) FROM flow WHERE who = ?", (who,)).fetchone()
            if rows > self._most_of_one:
                dropped += db.execute(schema.OLDEST_OF, (who, rows - self._most_of_one)).rowcount
        (rows,) = db.execute("SELECT count(*) FROM flow").fetchone()
        if rows > self._most:
            dropped += db.execute(schema.OLDEST, (rows - self._most,)).rowcount
        self.rows = min(rows, self._most)
        return dropped

    def _put_aside(self) -> None:
        """A damaged file is of no use to anybody but an investigator; a new one is made with the next flush."""
        aside = self.path.with_name(f"{self.path.name}.damaged")
        try:
            os.replace(self.path, aside)
            for more in ("-wal", "-shm"):
                self.path.with_name(self.path.name + more).unlink(missing_ok=True)
        except OSError as error:
            _log.error("the damaged file of flows cannot be put aside", extra={"why": str(error)})
        else:
            _log.error("the file of flows is damaged; a new one is begun", extra={"old": str(aside)})

    def _shut(self) -> None:
        if self._db is not None:
            try:
                self._db.close()
            except sqlite3.Error as error:
                _log.warning("closing the file of flows failed", extra={"why": str(error)})
            self._db = None


def _open(path: Path) -> sqlite3.Connection:
    """Raises sqlite3.Error, OSError."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    db = sqlite3.connect(path, timeout=LOCKED)
    try:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version not in (0, schema.VERSION):
            raise OSError(f"{path} has version {version}, this Bulkhead writes {schema.VERSION}: move it away")
        db.execute("PRAGMA journal_mode = WAL")
        # What the last seconds held is lost with the power, the file is not.
        db.execute("PRAGMA synchronous = NORMAL")
        db.executescript(schema.CREATE)
        db.execute(f"PRAGMA user_version = {schema.VERSION}")
    except BaseException:
        db.close()
        raise
    return db


def _row(key: Key, seen: Seen, text: Text) -> tuple[object, ...]:
    parties, answer = key.parties, key.answer
    low = text(parties.protocol, seen.low)
    high = low if seen.high is seen.low else text(parties.protocol, seen.high)
    lists = json.dumps(parties.attributes), json.dumps(parties.evidence)
    return (
        identity(key),
        parties.who,
        *lists,
        parties.to,
        parties.protocol,
        low,
        high,
        answer.allowed,
        answer.code,
        answer.rule,
        seen.at,
        answer.would,
        answer.would_code,
        answer.would_rule,
        seen.policy,
        seen.count,
        seen.first,
        seen.last,
        seen.smallest,
        seen.largest,
    )


def identity(key: Key) -> str:
    """The same for the same flow in every run of the gateway: shapes are made of texts and numbers (`Action.shape`)."""
    told = (tuple(key.parties), key.shape, tuple(key.answer))
    return hashlib.sha256(repr(told).encode("utf-8", "surrogatepass")).hexdigest()[:32]
