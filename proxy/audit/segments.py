"""The log's folder: numbered segment files, appended to by one process, mended after a crash, the oldest removed.

    audit/20261121T143100Z-000001.jsonl     0600, whole lines
    audit/20261121T143100Z-000001.torn      what a crash left after the last whole line of that segment
    audit/lock                              held by the one process that writes

An order that must not change: a new segment's name is on disk (folder fsynced) before a record in it is acknowledged,
the old segment is fsynced before the new one exists, and the record of a removal is on disk before the removal.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.audit.chain import LINE, Chain, digest
from proxy.audit.file import OsSegment, sync_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.audit.file import Opener, SegmentFile

SEGMENT_BYTES = 16 * 1024 * 1024
"""A segment is full at this size; the batch that fills it may go over. *"""
TOTAL_BYTES = 256 * 1024 * 1024
"""All segments together; the oldest are removed. *"""

NAME = re.compile(r"[0-9]{8}T[0-9]{6}Z-([0-9]{6,12})\.jsonl")


@dataclass(frozen=True, slots=True)
class Condemned:
    """Segments to be removed once their removal is on record. ``through`` is the last record they hold."""

    paths: tuple[Path, ...]
    through: int


class Segments:
    """The folder as its one writer sees it. Every method may raise OSError and may then be called again."""

    def __init__(
        self,
        folder: Path,
        wall: Callable[[], float],
        opener: Opener = OsSegment,
        segment_bytes: int = SEGMENT_BYTES,
        total_bytes: int = TOTAL_BYTES,
    ) -> None:
        self._folder = folder
        self._wall = wall
        self._opener = opener
        self._segment_bytes = segment_bytes
        self._total_bytes = total_bytes
        self._lock: int | None = None
        self._file: SegmentFile | None = None
        self._size = 0
        self._seq = 0
        self.torn: Path | None = None
        """The file with what the last crash left unfinished, if it did."""

    def lock(self) -> None:
        """Makes the folder and takes it. BlockingIOError: another process writes here."""
        if self._lock is not None:
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(self._folder / "lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise
        self._lock = fd

    def recover(self) -> Chain:
        """Finds the last record on disk; what follows it in the last segment goes to a ``.torn`` file."""
        paths = self._paths()
        self._seq = _seq(paths[-1]) if paths else 0
        for path in reversed(paths):
            data = path.read_bytes()
            good, chain = _last_record(data)
            if path == paths[-1]:
                if good < len(data):
                    self._set_aside(path, data[good:])
                self._size = good
                if self._file is not None:
                    self._file.close()
                self._file = self._opener(path, False)
                self._file.truncate(good)
                self._file.sync()
            if chain is not None:
                return chain
        return Chain()

    def _set_aside(self, path: Path, tail: bytes) -> None:
        """Kept apart, for people: it was never acknowledged. Written before the segment is cut."""
        torn = path.with_suffix(".torn")
        fd = os.open(torn, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.write(fd, tail + b"\n")
            os.fsync(fd)
        finally:
            os.close(fd)
        sync_folder(self._folder)
        self.torn = torn

    @property
    def position(self) -> int:
        """Bytes in the current segment."""
        return self._size

    @property
    def full(self) -> bool:
        return self._file is None or self._size >= self._segment_bytes

    def turn(self) -> None:
        """Ends the current segment, which must be synced, and begins the next."""
        self._seq += 1
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._wall()))
        new = self._opener(self._folder / f"{stamp}-{self._seq:06d}.jsonl", True)
        old, self._file, self._size = self._file, new, 0
        if old is not None:
            with contextlib.suppress(OSError):  # it is synced: nothing more can be lost
                old.close()

    def append(self, data: bytes) -> None:
        self._current().write(data)
        self._size += len(data)

    def sync(self) -> None:
        self._current().sync()

    def roll_back(self, position: int) -> None:
        """Cuts the current segment to `position`: after a failed write nobody knows what follows it."""
        if self._file is None:
            return
        self._file.truncate(position)
        self._file.sync()
        self._size = position

    def condemned(self) -> Condemned | None:
        """The oldest segments beyond the total size, never the current one."""
        paths = self._paths()
        excess = sum(path.stat().st_size for path in paths) - self._total_bytes
        oldest: list[Path] = []
        through = 0
        for path, following in zip(paths, paths[1:], strict=False):
            first = _first_number(following)
            if excess <= 0 or first is None:
                break
            excess -= path.stat().st_size
            oldest.append(path)
            through = first - 1
        return Condemned(tuple(oldest), through) if oldest else None

    def remove(self, condemned: Condemned) -> None:
        for path in condemned.paths:
            path.unlink(missing_ok=True)
            path.with_suffix(".torn").unlink(missing_ok=True)
        sync_folder(self._folder)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _current(self) -> SegmentFile:
        if self._file is None:
            raise OSError(errno.EBADF, "no segment is open")
        return self._file

    def _paths(self) -> list[Path]:
        found = [path for path in self._folder.iterdir() if NAME.fullmatch(path.name)]
        return sorted(found, key=_seq)


def _seq(path: Path) -> int:
    match = NAME.fullmatch(path.name)
    return int(match[1]) if match is not None else 0


def _last_record(data: bytes) -> tuple[int, Chain | None]:
    """The length of the whole records at the start of a segment, and where the chain stands after them.

    Only the form of a line is looked at: a line that was changed is the verifier's business, and evidence.
    """
    good = 0
    last: bytes | None = None
    while (end := data.find(b"\n", good)) >= 0:
        line = data[good:end]
        if LINE.fullmatch(line) is None:
            break
        last, good = line, end + 1
    if last is None:
        return good, None
    match = LINE.fullmatch(last)
    return good, Chain(int(match[2]) if match is not None else 0, digest(last))


def _first_number(path: Path) -> int | None:
    with path.open("rb") as file:
        match = LINE.match(file.readline(1 << 20).rstrip(b"\n"))
    return int(match[2]) if match is not None else None
