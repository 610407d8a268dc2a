"""Reads what the tap in front of the PLC wrote down (`proxy.demo.relay`): the frames that came through the gateway."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proxy.demo.frames import cut

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(slots=True)
class Arrived:
    """What the PLC received in some time. ``frames`` counts `frames.content`s; ``rest`` are bytes that are no frame,
    which a strict gateway never lets through."""

    frames: Counter[bytes] = field(default_factory=Counter)
    rest: bytes = b""


class Recording:
    """One reader of the file. Nothing is read twice: `take` gives what came since the last time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        self._streams: dict[int, bytes] = {}

    def take(self) -> Arrived:
        """Raises OSError if the file is gone, ValueError for a line that the tap did not write."""
        with self._path.open("rb") as file:
            file.seek(self._at)
            data = file.read()
        whole = data.rfind(b"\n") + 1
        self._at += whole
        for line in data[:whole].splitlines():
            entry = json.loads(line)
            link = entry["link"]
            self._streams[link] = self._streams.get(link, b"") + bytes.fromhex(entry["bytes"])
        return self._cut()

    def _cut(self) -> Arrived:
        arrived = Arrived()
        for link, stream in self._streams.items():
            contents, rest = cut(stream)
            arrived.frames.update(contents)
            arrived.rest += rest
            self._streams[link] = rest
        return arrived
