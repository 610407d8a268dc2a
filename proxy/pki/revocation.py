"""The serial numbers that the gateways of a site refuse: `certs/revoked.yaml`.

    ---
    revoked:
      - { serial: "1f0a", name: "scada", when: "2026-03-02T07:14:09Z", reason: "laptop stolen" }
    ...

A deny list, not an allow list, so losing a line of it lets somebody back in. Therefore the file is replaced as a
whole, its end is marked (a file cut short is no list), and a gateway that cannot read it keeps the last list it read.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from proxy.pki.files import PUBLIC, write_file
from proxy.pki.revoked import MAX_BYTES, Revocation, RevocationError, parse

Signature = tuple[int, int, int, int] | None

_HEAD = "# Serial numbers (hexadecimal) that the gateways of this site refuse. Written by: bulkhead certs revoke\n---\n"


class RevocationList:
    """What a gateway asks: ``serial in revoked``. It polls `changed` (one `stat`) and calls `reload` when that is true.

    A missing file when the gateway starts is an empty list: a site that never revoked anything has none. A file that
    is there but cannot be read is an error at the start. Later on neither changes anything: the last list that was
    read stays in force, and `problem` says why, until the file is readable again.
    """

    def __init__(self, path: Path) -> None:
        """Raises RevocationError if there is a file and it is not a list."""
        self._path = path
        self._serials: frozenset[int] = frozenset()
        self._entries: tuple[Revocation, ...] = ()
        self.problem: RevocationError | None = None
        text, self._seen = _read(path)
        self._take(text)

    def __contains__(self, serial: int) -> bool:
        return serial in self._serials

    def __len__(self) -> int:
        return len(self._serials)

    @property
    def entries(self) -> tuple[Revocation, ...]:
        return self._entries

    def changed(self) -> bool:
        """The file is not the one that was looked at last. Never raises."""
        return _signature(self._path) != self._seen

    def reload(self) -> RevocationError | None:
        """Takes the file's list, or keeps the old one and returns what is wrong (also in `problem`). Never raises.

        Takes 20 us an entry (measured), so it may run in a thread of its own: readers see the old list or the new one.
        """
        seen = _signature(self._path)  # before reading: a change in between is seen by the next `changed`
        try:
            text, seen = _read(self._path)
            self._take(text)
            self.problem = None
        except RevocationError as problem:
            self.problem = problem
        self._seen = seen
        return self.problem

    def _take(self, text: str | None) -> None:
        if text is None:
            if self._serials:
                raise RevocationError(f"{self._path.name} is gone; what it revoked stays revoked")
            return
        self._entries = parse(text, self._path.name)
        self._serials = frozenset(entry.serial for entry in self._entries)


def revoke(path: Path, new: Iterable[Revocation]) -> tuple[Revocation, ...]:
    """Adds to the list at ``path``, on disk when this returns. Serial numbers that are in it stay as they are.

    Returns what was added. Raises RevocationError if the file is there and is no list (it is left untouched), or
    grows too long. Several may call this at once: each addition is kept.
    """
    with _only_writer(path.parent):
        text, _ = _read(path)
        old = () if text is None else parse(text, path.name)
        known = {entry.serial for entry in old}
        added = tuple({entry.serial: entry for entry in new if entry.serial not in known}.values())
        if added:
            data = _render((*old, *added))
            # Never write what no gateway would read, or read otherwise (YAML takes U+0085 for the end of a line).
            if parse(data.decode(), path.name) != (*old, *added):
                raise RevocationError(f"{path.name}: a name or reason does not print")
            write_file(path, data, PUBLIC, replace=True)
    return added


def _render(entries: tuple[Revocation, ...]) -> bytes:
    lines = [_HEAD, "revoked:\n" if entries else "revoked: []\n"]
    for entry in entries:
        name, when, reason = (json.dumps(text, ensure_ascii=False) for text in entry[1:])
        lines.append(f'  - {{ serial: "{entry.serial:x}", name: {name}, when: {when}, reason: {reason} }}\n')
    return ("".join(lines) + "...\n").encode()


@contextmanager
def _only_writer(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _read(path: Path) -> tuple[str | None, Signature]:
    """The text and the signature of the very file it came from; (None, None) if there is none."""
    try:
        # Without O_NONBLOCK a FIFO of that name would stop the gateway for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None, None
    except OSError as fault:
        raise RevocationError(f"{path.name} cannot be read: {fault.strerror}") from fault
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise RevocationError(f"{path.name} is not a regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(MAX_BYTES + 1).decode("utf-8"), _of(status)
    except OSError as fault:
        raise RevocationError(f"{path.name} cannot be read: {fault.strerror}") from fault
    except UnicodeDecodeError as fault:
        raise RevocationError(f"{path.name} is not UTF-8") from fault
    finally:
        os.close(descriptor)


def _signature(path: Path) -> Signature:
    try:
        return _of(path.stat())
    except OSError:
        return None


def _of(status: os.stat_result) -> Signature:
    return status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size
