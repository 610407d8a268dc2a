"""Files of a large site, parsed by other processes while this one judges what they say.

Parsing is two thirds of the time of loading, and needs nothing but the text. What comes back is plain data, complaints
included, so the result is the same as without. A process that cannot be had, or ends early, only costs its help.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import marshal
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from proxy.site.files import Unusable, read_text
from proxy.site.yaml import Document, parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MANY = 400
"""Files from which help is called: to start a process takes as long as to parse a hundred."""
MOST = 3
"""Processes at most; the one that judges keeps up with no more."""
ROOM = 1 << 20
"""Bytes that a pipe holds: a dozen files ahead."""
HEAD = 4

Told = tuple[tuple[int, int], tuple[str | int, ...], str, str]
"""What `yaml.Report` is called with."""


class Parsed(NamedTuple):
    """``hashed`` is the SHA-256 of the text."""

    hashed: bytes
    document: Document | None
    told: list[Told]


def parsed(path: Path) -> Parsed:
    """Raises Unusable."""
    text = read_text(path)
    told: list[Told] = []
    document = parse(text, lambda *one: told.append(one))
    return Parsed(hashlib.sha256(text.encode()).digest(), document, told)


def parsed_ahead(folder: Path, names: Sequence[str]) -> Iterator[Parsed | None]:
    """For each of ``names`` in ``folder``, in order; None: nobody has parsed it, or it is not usable."""
    count = min(MOST, len(os.sched_getaffinity(0)))
    helpers: list[_Helper] = []
    try:
        if len(names) >= MANY and count > 1 and sys.executable:
            with contextlib.suppress(OSError):
                helpers = [_Helper(folder, names[at::count]) for at in range(count)]
        for at in range(len(names)):
            yield helpers[at % count].next() if len(helpers) == count else None
    finally:
        for helper in helpers:
            helper.close()


class _Helper:
    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter, our own module
            [sys.executable, "-P", "-m", "proxy.site.readers", str(folder)],  # -P: see `proxy.change.judging`
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._dead = False
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._out, fcntl.F_SETPIPE_SZ, ROOM)
        with contextlib.suppress(OSError), self._in as pipe:
            pipe.write(marshal.dumps(list(names)))

    @property
    def _in(self) -> BinaryIO:
        pipe = self._process.stdin
        if pipe is None:
            raise OSError("no pipe")
        return pipe  # type: ignore[return-value]

    @property
    def _out(self) -> BinaryIO:
        pipe = self._process.stdout
        if pipe is None:
            raise OSError("no pipe")
        return pipe  # type: ignore[return-value]

    def next(self) -> Parsed | None:
        """None once it is dead."""
        if not self._dead:
            try:
                return _unpacked(self._out)
            except (OSError, EOFError, ValueError, TypeError):
                self._dead = True
        return None

    def close(self) -> None:
        self._process.kill()
        self._out.close()
        self._process.wait()


def _unpacked(pipe: BinaryIO) -> Parsed | None:
    head = pipe.read(HEAD)
    if len(head) < HEAD:
        raise EOFError
    found = marshal.loads(pipe.read(int.from_bytes(head, "big")))  # noqa: S302 - from our own child
    if found is None:
        return None
    hashed, document, told = found
    return Parsed(hashed, None if document is None else Document(*document), told)


def _packed(path: Path) -> bytes:
    try:
        hashed, document, told = parsed(path)
    except Unusable:
        return marshal.dumps(None)
    plain = None if document is None else (document.value, document.marks, document.closed)
    return marshal.dumps((hashed, plain, told))


def main() -> None:
    folder = Path(sys.argv[1])
    for name in marshal.loads(sys.stdin.buffer.read()):  # noqa: S302 - from our own parent
        data = _packed(folder / name)
        sys.stdout.buffer.write(len(data).to_bytes(HEAD, "big") + data)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main()
