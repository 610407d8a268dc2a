"""One open segment file: the only place of the log that calls the operating system to write."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol


class SegmentFile(Protocol):
    """One open segment. Every method raises OSError; `write` writes all or raises."""

    def write(self, data: bytes) -> None: ...
    def sync(self) -> None: ...
    def truncate(self, size: int) -> None: ...
    def close(self) -> None: ...


Opener = Callable[[Path, bool], SegmentFile]
"""Opens for appending; True: the file must be new, and its name is on disk on return."""


class OsSegment:
    """A `SegmentFile` of the operating system."""

    def __init__(self, path: Path, create: bool) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(path, flags | (os.O_CREAT | os.O_EXCL if create else 0), 0o600)
        if create:
            self._keep_name(path)

    def _keep_name(self, path: Path) -> None:
        try:
            sync_folder(path.parent)
        except OSError:
            os.close(self._fd)
            path.unlink()
            raise

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]

    def sync(self) -> None:
        os.fdatasync(self._fd)  # the size is metadata that fdatasync does flush, open(2)

    def truncate(self, size: int) -> None:
        os.ftruncate(self._fd, size)

    def close(self) -> None:
        os.close(self._fd)


def sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
