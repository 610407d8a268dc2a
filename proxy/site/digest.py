"""One number for everything a verdict depends on. Made from values, not from text: comments, the order of files and
of keys, quotes and indentation do not count, and neither do `tests:`, limits and the state folder."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_POLICY_OF_SITE = ("site", "listeners")


class Digest:
    """Takes one file's values at a time, in any order, and keeps only their hashes."""

    def __init__(self) -> None:
        self._parts: list[tuple[str, str, str]] = []

    def add(self, kind: str, name: str, value: Mapping[str, Any]) -> None:
        if kind == "site":
            value = {key: value[key] for key in _POLICY_OF_SITE if key in value}
        kept = {key: part for key, part in value.items() if key != "tests"}
        self._parts.append((kind, name, hashlib.sha256(_canonical(kept)).hexdigest()))

    def hex(self) -> str:
        return hashlib.sha256(_canonical(sorted(self._parts))).hexdigest()


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
