"""One record of the log, by its id. Only reads, while the writer goes on."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
"""A ULID as `proxy.audit.ulid` writes it."""
_SEGMENT = re.compile(r"\d{8}T\d{6}Z-\d{6,12}\.jsonl", re.ASCII)
_LONGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Found:
    """``fields`` is the record, as docs/audit.md lists it."""

    file: str
    line: int
    fields: dict[str, Any]


def find(folder: Path, id: str) -> Found | None:
    """The record with this id; the newest segment is looked at first. Raises OSError if the log cannot be read."""
    needle = f'"id":"{id}"'.encode("ascii")
    for path in sorted((p for p in folder.iterdir() if _SEGMENT.fullmatch(p.name)), reverse=True):
        with path.open("rb") as file:
            number = 0
            while line := file.readline(_LONGEST):
                number += 1
                if needle in line and (fields := _fields(line)) is not None and fields.get("id") == id:
                    return Found(path.name, number, fields)
    return None


def _fields(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None  # a line that is being written, or no record: `bulkhead audit verify` tells
    return found if isinstance(found, dict) else None
