"""The files of a site as they were at one moment: what is judged, kept and loaded is exactly the same bytes."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
import tarfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

FOLDERS = ("policies", "fingerprints")
MAX_BYTES = 1 << 20
"""Of one file. The loader takes no larger one."""
MAX_FILES = 30_000
MAX_TOTAL = 1 << 28
"""Bytes of all files together. A site of 100,000 rules has 30 MiB."""
_SHORT = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class UnfitError(Exception):
    """Something in the folder cannot be kept: not a file, not readable, too large. The loader says the same, better."""


@dataclass(frozen=True)
class Tree:
    """``config`` is the name of the site's `bulkhead.yaml`; ``files`` maps paths relative to its folder to content."""

    config: str
    files: Mapping[str, bytes]

    @cached_property
    def id(self) -> str:
        """SHA-256 over names and content, in hex. Unlike the policy's digest it changes with every byte."""
        digest = hashlib.sha256(self.config.encode())
        for name in sorted(self.files):
            digest.update(b"\0" + name.encode() + b"\0" + hashlib.sha256(self.files[name]).digest())
        return digest.hexdigest()

    def write_to(self, folder: Path) -> Path:
        """Lays the files out in an empty ``folder``; the path of the config. Nothing is flushed: it is for reading."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder / self.config

    def packed(self) -> bytes:
        """As a gzipped tar, which any operator can look into. The same tree gives the same names in the same order."""
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:gz", compresslevel=6) as tar:
            for name in (self.config, *sorted(self.files.keys() - {self.config})):
                info = tarfile.TarInfo(name)
                info.size = len(self.files[name])
                info.mode = 0o600
                tar.addfile(info, io.BytesIO(self.files[name]))
        return out.getvalue()

    @classmethod
    def unpacked(cls, data: bytes) -> Tree:
        """The first member is the config. Raises ValueError."""
        files: dict[str, bytes] = {}
        try:
            with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
                for member in tar:
                    content = tar.extractfile(member)
                    if content is None or not _is_ours(member.name):
                        raise ValueError(f"{member.name!r} does not belong here")
                    files[member.name] = content.read(MAX_BYTES + 1)
        except (tarfile.TarError, zlib.error, OSError, EOFError) as fault:
            raise ValueError(f"it is no whole archive: {fault}") from None
        if not files:
            raise ValueError("it is empty")
        return cls(next(iter(files)), files)


def read_tree(config: Path) -> Tree:
    """Every file once. What is hidden, a back-up or a note is left alone, as the loader does. Raises UnfitError,
    and OSError where this process has no room to read them."""
    folder = config.absolute().parent
    files = {config.name: _read(config)}
    total = 0
    for name in FOLDERS:
        for path, content in _walk(folder / name, name):
            files[path] = content
            total += len(content)
            if len(files) > MAX_FILES:
                raise UnfitError(f"more than {MAX_FILES} files")
            if total > MAX_TOTAL:
                raise UnfitError(f"more than {MAX_TOTAL >> 20} MiB in all files together")
    return Tree(config.name, files)


def left_alone(name: str) -> bool:
    return name.startswith(".") or name.endswith(("~", ".md"))


def _walk(folder: Path, under: str) -> Iterator[tuple[str, bytes]]:
    try:
        with os.scandir(folder) as entries:
            found = sorted((entry.name, entry.is_dir()) for entry in entries if not left_alone(entry.name))
    except FileNotFoundError:
        return
    except OSError as fault:
        raise _told(under, fault) from None
    for name, is_folder in found:
        if not name.isprintable():
            raise UnfitError(f"{under}/{_shown(name)} is no name of a file here: rename it, or take it away")
        if is_folder:
            if under.count("/") >= 3:
                raise UnfitError(f"{under}/{name}: too deep")
            yield from _walk(folder / name, f"{under}/{name}")
        else:
            yield f"{under}/{name}", _read(folder / name)


def _read(path: Path) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UnfitError(f"{path.name} is not a regular file")
            data = file.read(MAX_BYTES + 1)
    except OSError as fault:
        raise _told(path.name, fault) from None
    if len(data) > MAX_BYTES:
        raise UnfitError(f"{path.name} is larger than {MAX_BYTES >> 20} MiB")
    return data


def _told(name: str, fault: OSError) -> Exception:
    """No descriptors and no memory say nothing about the files."""
    return fault if fault.errno in _SHORT else UnfitError(f"{name}: {fault.strerror}")


def _shown(name: str) -> str:
    """For people: a name may have control characters, and bytes that are no text."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in name)


def _is_ours(name: str) -> bool:
    parts = name.split("/")
    return not name.startswith("/") and ".." not in parts and "" not in parts
