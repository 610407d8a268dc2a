"""The chain: each line carries the SHA-256 of the line before it, so that no line can change alone (T79)."""

from __future__ import annotations

import hashlib
import json
import re

from proxy.audit.record import Fields, Record, cap

FIRST = "0" * 64
"""``prev`` of the very first record."""

# `prev` and `n` stand first in every line, so that a reader finds them without parsing JSON.
LINE = re.compile(rb'\{"prev":"([0-9a-f]{64})","n":([1-9][0-9]{0,17}),"[^\0]*\}', re.DOTALL)

# ASCII only: every control character, DEL and direction mark becomes an escape (T80).
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode


class Chain:
    """Where the chain stands: ``n`` records so far, ``head`` is the SHA-256 of the last line without its newline."""

    __slots__ = ("head", "n")

    def __init__(self, n: int = 0, head: str = FIRST) -> None:
        self.n = n
        self.head = head

    def seal(self, record: Record) -> bytes:
        """The record's line, with its newline; it is the head from now on."""
        body = self._body(record)
        self.n += 1
        line = f'{{"prev":"{self.head}","n":{self.n},{body[1:]}'.encode("ascii")
        self.head = hashlib.sha256(line).hexdigest()
        return line + b"\n"

    def _body(self, record: Record) -> str:
        try:
            return _encode(record.fields())
        except Exception as error:  # a bug in whoever made the record must not stop the log
            return _encode(self._broken(record, error))

    def _broken(self, record: Record, error: Exception) -> Fields:
        plain = Record(str(record.what), detail=cap(f"this record could not be written: {error!r}"))
        plain.id, plain.time = record.id, record.time
        return plain.fields()


def digest(line: bytes) -> str:
    """``line`` without its newline."""
    return hashlib.sha256(line).hexdigest()
