"""Notices that the files of a site have changed: by asking the folder, which works on every file system."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from proxy.versions.tree import FOLDERS, left_alone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Looks = tuple[tuple[str, int, int, int], ...]


class Signature(NamedTuple):
    """What changes when a file does: (path, inode, size, time of change) of each. ``accepted`` is where widenings are
    acknowledged."""

    files: Looks
    accepted: Looks


def signature(config: Path, accepted: Path) -> Signature:
    """Blocks: for a thread. What cannot be looked at is left out, and its coming back is a change."""
    return Signature((*_look(str(config)), *_walk(config.absolute().parent)), tuple(_list(str(accepted))))


def _walk(folder: Path) -> Iterator[tuple[str, int, int, int]]:
    for name in FOLDERS:
        yield from _list(str(folder / name))


def _list(folder: str) -> Iterator[tuple[str, int, int, int]]:
    try:
        with os.scandir(folder) as entries:
            found = sorted((entry.path, entry.is_dir()) for entry in entries if not left_alone(entry.name))
    except OSError:
        return
    for path, is_folder in found:
        if is_folder:
            yield from _list(path)
        else:
            yield from _look(path)


def _look(path: str) -> Iterator[tuple[str, int, int, int]]:
    try:
        found = os.stat(path)
    except OSError:
        return
    yield path, found.st_ino, found.st_size, found.st_ctime_ns
