"""Checks a log's chain from the files alone. Shares no code with the writer: it must not repeat its mistakes.

Found: any line that was changed, dropped, inserted, swapped or cut out, also across segments, and oldest segments that
are gone without a ``retired`` record. Not found without a checkpoint (number and hash of a record, kept elsewhere):
lines cut off at the very end, a change of the very last line, and a log that was rewritten as a whole.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_SEGMENT = re.compile(r"\d{8}T\d{6}Z-(\d{6,12})\.jsonl", re.ASCII)
_LONGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Finding:
    """``broken``: the chain does not hold here. Otherwise a note, e.g. on what a crash left."""

    broken: bool
    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


@dataclass(frozen=True, slots=True)
class _Line:
    file: str
    number: int
    data: bytes
    whole: bool


@dataclass(frozen=True, slots=True)
class _Record:
    n: int
    prev: str
    through: int


def verify(folder: Path, checkpoints: Mapping[int, str] | None = None) -> list[Finding]:
    """Everything wrong with the log in ``folder``, in its order; empty if nothing is.

    ``checkpoints`` maps record numbers to the SHA-256 (hex) of their lines, as `/status` shows them.
    Raises OSError if the folder or a file cannot be read.
    """
    segments = sorted((p for p in folder.iterdir() if _SEGMENT.fullmatch(p.name)), key=_sequence)
    walk = _Walk(dict(checkpoints or {}))
    for path in segments:
        for line in _lines(path):
            walk.step(line, last_segment=path == segments[-1])
    walk.finish()
    for path in sorted(folder.glob("*.torn")):
        walk.findings.append(Finding(False, path.name, 1, "an unfinished end that a crash left, set aside"))
    return walk.findings


def _sequence(path: Path) -> int:
    match = _SEGMENT.fullmatch(path.name)
    return int(match[1]) if match is not None else 0


def _lines(path: Path) -> Iterator[_Line]:
    with path.open("rb") as file:
        number = 0
        while data := file.readline(_LONGEST):
            number += 1
            yield _Line(path.name, number, data.removesuffix(b"\n"), data.endswith(b"\n"))


class _Walk:
    """Goes over the lines once; after a break it goes on from what is there."""

    def __init__(self, checkpoints: dict[int, str]) -> None:
        self.findings: list[Finding] = []
        self._checkpoints = checkpoints
        self._first: _Line | None = None
        self._before = 0
        self._retired = 0
        self._n = 0
        self._hash = ""

    def step(self, line: _Line, last_segment: bool) -> None:
        if not line.whole and last_segment:
            self._say(line, "the last line is unfinished: being written, or left by a crash", broken=False)
            return
        record = _parse(line.data)
        if not line.whole or record is None:
            self._say(line, "this is not a record")
            return
        self._link(line, record)
        self._retired = max(self._retired, record.through)
        self._n, self._hash = record.n, hashlib.sha256(line.data).hexdigest()
        if self._checkpoints.pop(record.n, self._hash) != self._hash:
            self._say(line, f"record {record.n} is not the one of the checkpoint")

    def _link(self, line: _Line, record: _Record) -> None:
        n = record.n
        if self._first is None:
            self._first, self._before = line, n - 1
            if n == 1 and record.prev != "0" * 64:
                self._say(line, "the first record claims to have a predecessor")
        elif n <= self._n:
            self._say(line, f"record {n} stands after record {self._n}")
        elif n > self._n + 1:
            self._say(line, f"records {self._n + 1} to {n - 1} are missing")
        elif record.prev != self._hash:
            self._say(line, f"record {n} was not written after this record {n - 1}: one of them was changed")

    def finish(self) -> None:
        if self._first is not None and self._before > self._retired:
            text = f"records before {self._before + 1} are missing, and no record says that they were retired"
            self._say(self._first, text)
        for n in sorted(self._checkpoints):
            if n > self._n:
                self.findings.append(
                    Finding(True, ".", 0, f"the end was cut off: record {n} of the checkpoint is missing")
                )

    def _say(self, line: _Line, text: str, broken: bool = True) -> None:
        self.findings.append(Finding(broken, line.file, line.number, text))


def _parse(data: bytes) -> _Record | None:
    """The parts that the chain consists of, or None if this is not a record."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    n, prev, through = found.get("n"), found.get("prev"), found.get("through")
    if type(n) is not int or n < 1 or not isinstance(prev, str):
        return None
    retired = through if found.get("what") == "retired" and type(through) is int else 0
    return _Record(n, prev, retired)
