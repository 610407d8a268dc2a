"""The only place where the site touches the disk: a file is opened once, checked, and read whole (threats.md 5.1)."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from proxy.site.problem import Finding

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 1 << 20
"""Of one file."""
MAX_FILES = 10_000
"""In one folder."""

_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


class Unusable(Exception):
    """A file or folder that cannot be taken."""

    def __init__(self, finding: Finding, wrong: str, mend: str, line: int = 1) -> None:
        super().__init__(wrong)
        self.finding = finding
        self.wrong = wrong
        self.mend = mend
        self.line = line


def read_text(path: Path) -> str:
    """The text of a regular file of at most `MAX_BYTES`, UTF-8 without byte order mark. Raises Unusable.

    Type and size are asked of the opened file, so that swapping a link in between changes nothing (T70).
    """
    try:
        # Without O_NONBLOCK a FIFO left in the folder would stop the start for ever.
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as fault:
        raise _unreadable(fault) from fault
    try:
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Unusable(Finding.UNFIT, "is not a regular file", "put a file of text here")
            data = file.read(MAX_BYTES + 1)
    except OSError as fault:
        raise _unreadable(fault) from fault
    return _decode(data)


def _decode(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise Unusable(
            Finding.UNFIT, f"is larger than {MAX_BYTES >> 20} MiB", "split it: many small files, one idea each"
        )
    if data.startswith(_BOMS):
        raise Unusable(Finding.NOT_STRICT, "starts with a byte order mark", "save it as UTF-8 without BOM")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        raise Unusable(Finding.NOT_STRICT, "is not UTF-8 text", "save it as UTF-8", line) from fault


def list_yaml(folder: Path, folders: tuple[str, ...] = ()) -> tuple[list[str], list[tuple[str, str]]]:
    """The ``*.yaml`` files of a folder in name order, and (name, why) of entries that nobody would read.

    What is hidden (``.name``) or a back-up (``name~``), notes (``*.md``) and the known `folders` are left alone.
    Raises Unusable.
    """
    try:
        with os.scandir(folder) as entries:
            names = sorted((entry.name, entry.is_dir()) for entry in entries)
    except OSError as fault:
        raise _unreadable(fault) from fault
    if len(names) > MAX_FILES:
        raise Unusable(Finding.UNFIT, f"holds more than {MAX_FILES} files", "split the site")
    found, unread = [], []
    for name, is_folder in names:
        if name.startswith(".") or name.endswith(("~", ".md")) or (is_folder and name in folders):
            continue
        if is_folder:
            unread.append((name, "this folder is not read"))
        elif name.endswith(".yaml"):
            found.append(name)
        else:
            unread.append((name, "only files that end in .yaml are read"))
    return found, unread


def _unreadable(fault: OSError) -> Unusable:
    missing = isinstance(fault, FileNotFoundError | NotADirectoryError)
    finding = Finding.MISSING if missing else Finding.UNREADABLE
    text = "does not exist" if missing else f"cannot be read: {(fault.strerror or str(fault)).lower()}"
    return Unusable(finding, text, "create it" if missing else "let the user that runs Bulkhead read it")
