"""Follows the gateway's audit log: verdict, reason and rule in the demo's table are the gateway's own records."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

Fields = dict[str, Any]

PATIENCE = 3.0
"""Seconds to wait for a record: the gateway writes within a second what it sums up, else within about 30 ms."""
LOOK = 0.01
KEPT = 2000
UNKNOWN = "BH-1001"


class AuditLog:
    """``folder`` holds the segments, oldest first by name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, int] = {}
        self._records: list[Fields] = []
        self._fresh: list[Fields] = []

    def of(self, peers: Collection[str]) -> list[Fields]:
        """The records about these connections (``address:port``), once each of them has its last one or it took too
        long. The last record of a connection is its ``close``, or its ``connect`` that came to nothing."""
        until = time.monotonic() + PATIENCE
        while True:
            self._follow()
            found = [record for record in self._records if record.get("peer") in peers]
            ended = {record["peer"] for record in found if _is_last(record)}
            if ended >= set(peers) or time.monotonic() > until:
                return found
            time.sleep(LOOK)

    def forget(self) -> None:
        """`of` looks at nothing written so far. The kernel may give a new connection the port of an old one."""
        self._follow()
        self._records = []

    def refresh(self) -> list[Fields]:
        """What is new since the last call, whatever `of` has looked at meanwhile."""
        self._follow()
        fresh, self._fresh = self._fresh, []
        return fresh

    def _follow(self) -> None:
        fresh: list[Fields] = []
        for path in sorted(self._folder.glob("*.jsonl")):
            with path.open("rb") as file:
                file.seek(self._read.get(path.name, 0))
                data = file.read()
            whole = data.rfind(b"\n") + 1
            self._read[path.name] = self._read.get(path.name, 0) + whole
            fresh += [json.loads(line) for line in data[:whole].splitlines()]
        self._records = [*self._records, *fresh][-KEPT:]
        self._fresh = [*self._fresh, *fresh][-KEPT:]


def _is_last(record: Fields) -> bool:
    if record["what"] == "refuse" and record.get("protocol") == "opcua" and "who" not in record:
        return True  # an OPC UA client that never said who it is: its link ends without a word
    if record["what"] != "connect" or record.get("verdict") == "allow":
        return bool(record["what"] == "close")
    # On mbaps a certificate that nobody knows is answered, message by message, and its link ends later.
    return not (record.get("protocol") == "modbus" and record.get("reason") == UNKNOWN and record.get("evidence"))
