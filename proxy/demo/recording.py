"""Reads what the taps behind the gateway wrote down (`proxy.demo.relay`): what came through."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proxy.demo.frames import cut

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(slots=True)
class Arrived:
    """What came through in some time. ``frames`` counts contents (`frames.content`, `packets.content`); ``rest`` are
    bytes that are no frame, which a strict gateway never lets through. At the broker's: ``heard`` are the topics that
    the MES was told of besides the sensors' own words, ``left_open`` connections that outlived their client."""

    frames: Counter[bytes] = field(default_factory=Counter)
    rest: bytes = b""
    heard: tuple[str, ...] = ()
    left_open: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """``data`` is empty at the end of a connection."""

    link: int
    data: bytes


class Lines:
    """One reader of a tap's record; nothing is given twice, and a line only once it is whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0

    def fresh(self) -> Iterator[Line]:
        """Raises OSError if the file is gone, ValueError for a line that the tap did not write."""
        with self._path.open("rb") as file:
            file.seek(self._at)
            data = file.read()
        whole = data.rfind(b"\n") + 1
        self._at += whole
        for line in data[:whole].splitlines():
            entry = json.loads(line)
            yield Line(entry["link"], bytes.fromhex(entry.get("bytes", "")))


class Recording:
    """What the PLC received: `take` gives what came since the last time. Raises as `Lines` does."""

    def __init__(self, path: Path) -> None:
        self._lines = Lines(path)
        self._streams: dict[int, bytes] = {}

    def take(self) -> Arrived:
        for line in self._lines.fresh():
            self._streams[line.link] = self._streams.get(line.link, b"") + line.data
        arrived = Arrived()
        for link, stream in self._streams.items():
            contents, rest = cut(stream)
            arrived.frames.update(contents)
            arrived.rest += rest
            self._streams[link] = rest
        return arrived
