"""Versions on disk: `STATE/policy/`.

    versions/ID.tar.gz     one version, whole; ID is the first 16 digits of its tree's SHA-256
    current                the ID in force, and the whole SHA-256 of its tree
    history.jsonl          one line each time that a version came into force
    accepted/TOKEN         somebody acknowledged this widening; whoever may write here may write the policy files too

A version is written, flushed and renamed before it is taken into use, and `current` is written after (threats.md 5.1):
a crash in between leaves the version before in force.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from proxy.versions.tree import Tree

if TYPE_CHECKING:
    from pathlib import Path

KEPT = 100
"""Versions on disk; those longest out of force go first. *"""
SCRATCH = "judging-"
"""How folders begin in which a candidate is laid out to be read."""
_ID = re.compile(r"[0-9a-f]{16}")
_TOKEN = re.compile(r"[0-9a-f]{32}")


class VersionError(Exception):
    """A version is not there, or not what it was. The text says which, and how to mend it."""


@dataclass(frozen=True, slots=True)
class Version:
    """One line of the history. ``policy`` is the policy's digest, ``time`` wall seconds, ``how`` `start`
    or `reload`; ``widenings`` are those that were acknowledged, in words."""

    id: str
    policy: str
    time: float
    how: str
    widenings: tuple[str, ...] = ()


class Versions:
    """One writer, the gateway; `bulkhead policy` reads, and adds acknowledgements."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def history(self) -> list[Version]:
        """The newest first. Lines that cannot be read are left out: the history explains, it decides nothing."""
        try:
            lines = (self.folder / "history.jsonl").read_text("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return []
        except OSError as fault:
            raise VersionError(f"{self.folder}/history.jsonl cannot be read: {fault}") from None
        found = []
        for line in reversed(lines):
            with suppress(ValueError, TypeError, KeyError):
                row = json.loads(line)
                found.append(Version(**{**row, "widenings": tuple(row["widenings"])}))
        return found

    def current(self) -> Version | None:
        """What is in force, or was when the gateway stopped. None: nothing ever was. Raises VersionError."""
        line = self._current_line()
        if line is None:
            return None
        id, _, _ = line.partition(" ")
        known = None
        with suppress(VersionError):
            known = next((one for one in self.history() if one.id == id), None)
        return known or Version(id, "", 0.0, "start")

    def find(self, prefix: str) -> Version:
        """By the first digits of its id or of its policy's digest, or ``current``. Raises VersionError."""
        if prefix == "current":
            current = self.current()
            if current is None:
                raise VersionError("no version was in force yet; start the gateway once")
            return current
        found = {one.id: one for one in reversed(self.history()) if one.id.startswith(prefix)}
        if not found:
            found = {one.id: one for one in reversed(self.history()) if one.policy.startswith(prefix)}
        if len(prefix) < 4 or not found:
            raise VersionError(f"no version begins with {prefix!r}; bulkhead policy history lists them")
        if len(found) > 1:
            raise VersionError(f"{len(found)} versions begin with {prefix!r}; give more digits")
        return next(iter(found.values()))

    def read(self, id: str) -> Tree:
        """Raises VersionError if it is not there, or is not what was kept."""
        path = self._path(id)
        try:
            tree = Tree.unpacked(path.read_bytes())
        except FileNotFoundError:
            raise VersionError(f"version {id} is not kept any more ({path.name})") from None
        except (OSError, ValueError) as fault:
            raise VersionError(f"version {id} is damaged: {fault}") from None
        if tree.id[:16] != id:
            raise VersionError(f"version {id} is damaged: its files have another digest")
        line = self._current_line()
        if line is not None and line.startswith(id) and line != f"{id} {tree.id}":
            raise VersionError(f"version {id} is damaged: its files have another digest")
        return tree

    def keep(self, tree: Tree) -> str:
        """Writes a version to disk, flushed; its id. It is not in force by that. Raises OSError: nothing changed."""
        id = tree.id[:16]
        path = self._path(id)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(VersionError):
            if self.read(id) == tree:
                os.utime(path)
                return id
        _write(path, tree.packed())
        return id

    def mark(self, version: Version, tree_id: str) -> None:
        """From here on this one is the last good one. Raises OSError."""
        _write(self.folder / "current", f"{version.id} {tree_id}\n".encode())
        line = json.dumps(asdict(version), separators=(",", ":"), ensure_ascii=True) + "\n"
        handle = os.open(self.folder / "history.jsonl", os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "r+b") as file:
            if file.seek(0, os.SEEK_END) and os.pread(handle, 1, file.tell() - 1) != b"\n":
                line = f"\n{line}"  # a crash cut the line before
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
        self._forget(version.id)

    def accept(self, token: str) -> None:
        """Somebody saw this widening and wants it. Raises ValueError, OSError."""
        if not _TOKEN.fullmatch(token):
            raise ValueError("an acknowledgement has 32 hex digits")
        folder = self.folder / "accepted"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(folder / token, b"")

    def accepted(self) -> frozenset[str]:
        with suppress(OSError):
            return frozenset(name for name in os.listdir(self.folder / "accepted") if _TOKEN.fullmatch(name))
        return frozenset()

    def used(self, token: str) -> None:
        """An acknowledgement counts once: whoever takes the same step later is asked again."""
        with suppress(OSError):
            (self.folder / "accepted" / token).unlink()

    @property
    def scratch(self) -> Path | None:
        """Where a candidate is laid out to be read: a hardened service has no other place to write. None: nor this."""
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            return self.folder if os.access(self.folder, os.W_OK) else None
        return None

    def sweep(self) -> None:
        """Removes what a process that was killed while it judged has left behind."""
        for left in self.folder.glob(f"{SCRATCH}*"):
            shutil.rmtree(left, ignore_errors=True)

    def _current_line(self) -> str | None:
        try:
            line = (self.folder / "current").read_text("ascii").strip()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as fault:
            raise VersionError(f"{self.folder}/current cannot be read: {fault}") from None
        if not re.fullmatch(r"[0-9a-f]{16} [0-9a-f]{64}", line):
            raise VersionError(f"{self.folder}/current is damaged; delete it to start from the files as they are")
        return line

    def _path(self, id: str) -> Path:
        if not _ID.fullmatch(id):
            raise VersionError(f"{id!r} is no id of a version")
        return self.folder / "versions" / f"{id}.tar.gz"

    def _forget(self, current: str) -> None:
        """Those that were kept longest ago make room; the history keeps their lines. The history itself is not asked:
        it may be lost, and what a rollback set aside is not in it."""
        with suppress(OSError):
            found = sorted((self.folder / "versions").glob("*.tar.gz"), key=lambda path: path.stat().st_mtime_ns)
            for path in found[:-KEPT]:
                if path != self._path(current):
                    path.unlink()


def _write(path: Path, data: bytes) -> None:
    """All or nothing, and on disk when it returns (T71)."""
    temporary = path.with_name(f".{path.name}.new")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
