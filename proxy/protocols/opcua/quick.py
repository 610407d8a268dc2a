"""Reads that were judged before, without decoding: a look-up and a comparison (performance.md: spans on a hit).

    +------+-------+-----------+--------+-------------+-------+---------+------------+----------------------+
    | type | token | timestamp | handle | diagnostics | audit | timeout | additional | parameters           |
    | 4    | n     | 8         | 4      | 4 = 0       | 4=null| 4       | 3 = null   | age, timestamps, ids |
    +------+-------+-----------+--------+-------------+-------+---------+------------+----------------------+

What policy looks at in a Read is its parameters, the session and its user. So the parameters, byte for byte, are the
key, in a table of each session that is emptied whenever the session's user or the policy changes. A header with
anything unusual goes the long way. Properties hold both ways equal (tests/opcua).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from struct import Struct as Layout
from typing import TYPE_CHECKING

from proxy.protocols.opcua.services.attribute import ReadRequest, ReadResponse
from proxy.protocols.opcua.type_ids import prefix
from proxy.protocols.opcua.wire import Writer

if TYPE_CHECKING:
    from proxy.protocols.opcua.memory import Session

READ = prefix(ReadRequest.ID)
READ_ANSWER = prefix(ReadResponse.ID)
MOST_KEYS = 256
MOST_BYTES = 4096
"""Of the parameters of a Read that is remembered."""
_HEADER = Layout("<8xIIiI")
"""Behind the token: handle, diagnostics, the length of the audit id (null: -1), timeout."""
_REST = b"\0\0\0"
"""No additional header."""
_HEAD = _HEADER.size + len(_REST)
_NO_AUDIT = (-1, 0)
"""Lengths of a null and of an empty audit id."""
_TYPE = 4


class Known:
    """One set of parameters that may be read. ``count``: how often it went on."""

    __slots__ = ("count", "tags")

    def __init__(self, tags: list[Hashable]) -> None:
        self.tags = tags
        self.count = 0


class QuickReads:
    """Of one session on one channel. ``token``: as it comes on the wire."""

    __slots__ = ("_at", "_known", "_surveyed", "_token", "counts", "session")

    def __init__(self, session: Session) -> None:
        writer = Writer()
        session.token.write(writer)
        self.session = session
        self._surveyed = session.surveyed
        self.counts: dict[Hashable, int] = {}
        self._token = writer.bytes()
        self._at = _TYPE + len(self._token)
        self._known: dict[bytes, Known] = {}

    def holds(self, session: Session) -> bool:
        """It is of ``session``, whose indexes mean what they meant."""
        return self.session is session and self._surveyed == session.surveyed

    def handle_of(self, body: bytes) -> int | None:
        """The request handle of a Read that may go on as it is; None: the long way. ``body`` is a Read's."""
        at = self._at
        if len(body) < at + _HEAD or not body.startswith(self._token, _TYPE):
            return None
        handle, diagnostics, audit, _ = _HEADER.unpack_from(body, at)
        if diagnostics or audit not in _NO_AUDIT or body[at + _HEADER.size : at + _HEAD] != _REST:
            return None
        known = self._known.get(body[at + _HEAD :])
        if known is None:
            return None
        known.count += 1
        result: int = handle
        return result

    def learn(self, body: bytes, tags: list[Hashable]) -> None:
        """The whole of this Read is allowed, and for good until something changes. It was decoded, so that its header
        is whole; one with anything unusual is not remembered."""
        at = self._at
        _, diagnostics, audit, _ = _HEADER.unpack_from(body, at)
        usual = body.startswith(self._token, _TYPE) and not diagnostics and audit in _NO_AUDIT
        parameters = body[at + _HEAD :]
        if usual and body[at + _HEADER.size : at + _HEAD] == _REST and len(parameters) <= MOST_BYTES:
            if len(self._known) >= MOST_KEYS:
                self.forget()
            self._known[parameters] = Known(tags)

    def forget(self) -> None:
        """What was counted stays counted."""
        for tag, count in self._sums():
            self.counts[tag] = self.counts.get(tag, 0) + count
        self._known.clear()

    def tally(self) -> Mapping[Hashable, int]:
        sums = dict(self.counts)
        for tag, count in self._sums():
            sums[tag] = sums.get(tag, 0) + count
        return sums

    def _sums(self) -> Iterator[tuple[Hashable, int]]:
        for known in self._known.values():
            if known.count:
                for tag in known.tags:
                    yield tag, known.count
