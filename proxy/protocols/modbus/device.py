"""One Modbus device for many masters (protocols.md 5.4).

A transaction id is unique only on its connection, so every request gets a new one towards the device and its answer
goes back under the master's own. An answer must fit its question: id, unit, function, and length or echo. An answer
to no question is dropped; a wrong answer closes the connection, because somebody may be injecting.

Requests wait in one bounded queue per master and are taken round robin, so a busy master cannot starve another. A
master keeps one connection while it has requests under way: two connections would let its write overtake its read.

A request is sent once. When its outcome is unknown (timeout, connection lost) the master gets 0x0B and decides itself.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from proxy.core.events import Event
from proxy.core.reason import Reason
from proxy.protocols.modbus import pdu as p
from proxy.protocols.modbus.answer import Expect, expect, is_exception
from proxy.protocols.modbus.mbap import HEADER, exception, header_fault

if TYPE_CHECKING:
    from proxy.protocols.base import UpstreamEffects
    from proxy.protocols.modbus.service import ModbusService

QUEUE = 16
"""Requests that may wait per master."""
IDLE = 30.0
"""Seconds an unused connection is kept when no master is left: PLC sockets are few."""
BACKOFF = (0.25, 5.0)
"""Seconds between dials of an unreachable device, doubled from the first to the last."""
EXPECTATIONS = 4096
"""Remembered request shapes; polling asks the same few over and over."""


_Queued = tuple[float, bytes, Expect | None]
"""A request that waits: since when, the master's frame, the answer it must get (None: none will come)."""


class _Master:
    __slots__ = ("connection", "queue", "under_way")

    def __init__(self) -> None:
        self.queue: deque[_Queued] = deque()
        self.connection: _Connection | None = None
        self.under_way = 0


_Pending = tuple[int, bytes, Expect, float]
"""A request on the wire: master, its frame up to the function code, the answer it must get, when it is given up.
A plain tuple: one is made and unpacked per request."""


class _Connection:
    """``retired``: ids whose request timed out; they stay taken until the late answer came, or it would be given to
    somebody else's question."""

    __slots__ = ("number", "open", "pending", "rest", "retired", "tid")

    def __init__(self, number: int) -> None:
        self.number = number
        self.open = False
        self.tid = 0
        self.rest = b""
        self.pending: dict[int, _Pending] = {}
        self.retired: set[int] = set()

    def load(self) -> int:
        return len(self.pending) + len(self.retired)


class ModbusDevice:
    """The client side towards one device. See `proxy.protocols.base.Upstream` for the contract."""

    def __init__(self, service: ModbusService) -> None:
        self._service = service
        self._masters: dict[int, _Master] = {}
        self._waiting: deque[int] = deque()
        self._connections: dict[int, _Connection] = {}
        self._expectations: dict[bytes, Expect] = {}
        self._failures = 0
        self._dial_after = -math.inf
        self._more_after = -math.inf
        self._idle_since: float | None = None

    def submit(self, client: int, message: bytes, now: float, out: UpstreamEffects) -> None:
        """Raises ValueError for what is no request: an inspector that forwards such has a bug."""
        key = message[HEADER:]
        expected = self._expectations.get(key) or self._expectation(key)
        master = self._masters.get(client)
        if master is None:
            master = self._masters[client] = _Master()
            self._idle_since = None
        if not master.queue:
            connection = self._connection_for(master)
            if connection is not None:
                self._send(connection, client, master, message, expected, now, out)
                return
        self._enqueue(client, master, (now, message, expected), out)
        if len(self._connections) == self._service.connections:
            return
        self._dial(now, out)

    def opened(self, connection: int, now: float, out: UpstreamEffects) -> None:
        if (it := self._connections.get(connection)) is not None:
            it.open = True
            self._failures = 0
            self._pump(now, out)

    def from_device(self, connection: int, data: bytes, now: float, out: UpstreamEffects) -> None:
        it = self._connections.get(connection)
        if it is None:
            return
        if it.rest:
            data = it.rest + data
        at, end = 0, len(data)
        while end - at >= HEADER:
            after = at + HEADER + data[at + 5]
            # LEN of an answer is at least 3: unit, function, and one byte more.
            if data[at + 2 : at + 5] != b"\0\0\0" or not 3 <= data[at + 5] <= 254:
                self._invalid(it, header_fault(data, at) or "an answer without content", now, out)
                return
            if after > end:
                break
            if not self._answer(it, data[at:after], now, out):
                return
            at = after
        it.rest = data[at:]
        if self._waiting:
            self._pump(now, out)

    def lost(self, connection: int, now: float, out: UpstreamEffects) -> None:
        it = self._connections.pop(connection, None)
        if it is None:
            return
        if not it.open:
            self._dial_failed(now, out)
        elif it.pending:
            out.events.append((None, Event("device", reason=Reason.UPSTREAM_SILENT, detail=_unknown_outcome(it))))
        self._fail_pending(it, out)
        self._pump(now, out)

    def leave(self, client: int, now: float, out: UpstreamEffects) -> None:
        self._masters.pop(client, None)
        if client in self._waiting:
            self._waiting.remove(client)
        if not self._masters:
            self._idle_since = now

    def deadline(self) -> float | None:
        earliest = math.inf
        for connection in self._connections.values():
            for _, _, _, due in connection.pending.values():  # the first is the oldest: one timeout for all
                earliest = min(earliest, due)
                break
        if self._idle_since is not None and self._connections:
            earliest = min(earliest, self._idle_since + IDLE)
        return None if earliest == math.inf else earliest

    def tick(self, now: float, out: UpstreamEffects) -> None:
        for connection in list(self._connections.values()):
            self._expire(connection, now, out)
        if self._idle_since is not None and now >= self._idle_since + IDLE:
            for number in list(self._connections):
                del self._connections[number]
                out.hang_up.append(number)
        self._pump(now, out)

    def _enqueue(self, client: int, master: _Master, queued: _Queued, out: UpstreamEffects) -> None:
        if not self._connections and queued[0] < self._dial_after:
            self._turn_down(client, queued, p.NO_PATH, out)
        elif len(master.queue) >= QUEUE:
            self._turn_down(client, queued, p.SERVER_BUSY, out)
        else:
            if not master.queue:
                self._waiting.append(client)
            master.queue.append(queued)

    def _dial(self, now: float, out: UpstreamEffects) -> None:
        """One more connection, if there is none to wait for and the device takes another."""
        if any(not connection.open for connection in self._connections.values()):
            return
        if now < (self._more_after if self._connections else self._dial_after):
            return
        for number in range(self._service.connections):
            if number not in self._connections:
                self._connections[number] = _Connection(number)
                out.dial.append(number)
                return

    def _connection_for(self, master: _Master) -> _Connection | None:
        """A connection with room. The one in use, while the master has requests under way."""
        pipeline = self._service.pipeline
        if master.under_way:
            used = master.connection
            return used if used is not None and len(used.pending) + len(used.retired) < pipeline else None
        best: _Connection | None = None
        for it in self._connections.values():
            if it.open and it.load() < pipeline and (best is None or it.load() < best.load()):
                best = it
        return best

    def _pump(self, now: float, out: UpstreamEffects) -> None:
        """Round robin over the masters that wait, until none of them finds room."""
        waiting = self._waiting
        passed = 0
        room = sum(self._service.pipeline - it.load() for it in self._connections.values() if it.open)
        while room > 0 and passed < len(waiting):
            client = waiting.popleft()
            master = self._masters[client]
            connection = self._connection_for(master)
            if connection is None:  # bound to a busy connection: that must not stop the others
                passed += 1
                waiting.append(client)
                continue
            passed = 0
            queued = master.queue.popleft()
            since, message, expected = queued
            if now - since > self._service.timeout:
                self._turn_down(client, queued, p.SERVER_BUSY, out)
            else:
                self._send(connection, client, master, message, expected, now, out)
                room -= expected is not None
            if master.queue:
                waiting.append(client)
        if waiting and len(self._connections) < self._service.connections:
            self._dial(now, out)

    def _send(
        self,
        it: _Connection,
        client: int,
        master: _Master,
        message: bytes,
        expected: Expect | None,
        now: float,
        out: UpstreamEffects,
    ) -> None:
        tid = (it.tid + 1) & 0xFFFF
        while tid in it.pending or tid in it.retired:
            tid = (tid + 1) & 0xFFFF
        it.tid = tid
        frame = tid.to_bytes(2, "big") + message[2:]
        if (sends := out.device.get(it.number)) is None:
            out.device[it.number] = [frame]
        else:
            sends.append(frame)
        if expected is not None:
            it.pending[tid] = (client, message[:8], expected, now + self._service.timeout)
            master.connection = it
            master.under_way += 1

    def _expectation(self, key: bytes) -> Expect | None:
        """For a unit and PDU that were not asked lately."""
        request = p.decode(key[1:])
        if isinstance(request, p.Malformed | p.Wrong | p.Unknown):
            raise ValueError(f"an inspector forwarded what is no request: {request}")
        expected = None if key[0] == 0 else expect(request)
        if expected is not None:
            if len(self._expectations) >= EXPECTATIONS:
                self._expectations.clear()
            self._expectations[key] = expected
        return expected

    def _answer(self, it: _Connection, frame: bytes, now: float, out: UpstreamEffects) -> bool:
        """One whole answer. False when it cost the connection."""
        tid = frame[0] << 8 | frame[1]
        pending = it.pending.get(tid)
        if pending is None:
            late = tid in it.retired
            it.retired.discard(tid)
            what = "a late answer" if late else "an answer to no question"
            out.events.append((None, Event("device", reason=Reason.UPSTREAM_INVALID, detail=f"{what} (dropped)")))
            return True
        client, head, expected, _ = pending
        length = expected.length
        # An answer of fixed shape is settled by its length and first bytes, which is nearly every answer.
        quick = len(frame) == 7 + length and length and expected.check is None and frame.startswith(expected.prefix, 7)
        same_unit = frame[6] == head[6] or self._service.answers_other_unit
        if not same_unit or not (quick or expected.fits(frame[7:]) or is_exception(frame[7:], head[7])):
            self._invalid(it, f"answer to function {head[7]} of unit {head[6]} does not fit", now, out)
            return False
        del it.pending[tid]
        master = self._masters.get(client)
        if master is not None:
            master.under_way -= 1
            out.clients.append((client, head[:2] + frame[2:6] + head[6:7] + frame[7:]))
        return True

    def _invalid(self, it: _Connection, what: str, now: float, out: UpstreamEffects) -> None:
        out.events.append((None, Event("device", reason=Reason.UPSTREAM_INVALID, detail=what)))
        self._hang_up(it, out)
        self._pump(now, out)

    def _expire(self, it: _Connection, now: float, out: UpstreamEffects) -> None:
        expired = []
        for tid, (_, _, _, deadline) in it.pending.items():  # oldest first: one timeout for all
            if deadline > now:
                break
            expired.append(tid)
        for tid in expired:
            pending = it.pending.pop(tid)
            it.retired.add(tid)
            self._no_answer(pending, out)
            client, head, _, _ = pending
            detail = f"function {head[7]} of unit {head[6]} unanswered for {self._service.timeout:g} s"
            out.events.append((client, Event("device", reason=Reason.UPSTREAM_SILENT, detail=detail)))
        if expired and len(it.retired) >= self._service.pipeline:
            # Every slot waits for an answer that may never come; a new connection forgets them safely.
            self._hang_up(it, out)

    def _hang_up(self, it: _Connection, out: UpstreamEffects) -> None:
        del self._connections[it.number]
        out.hang_up.append(it.number)
        self._fail_pending(it, out)

    def _fail_pending(self, it: _Connection, out: UpstreamEffects) -> None:
        for pending in it.pending.values():
            self._no_answer(pending, out)
        it.pending.clear()

    def _no_answer(self, pending: _Pending, out: UpstreamEffects) -> None:
        client, head, _, _ = pending
        master = self._masters.get(client)
        if master is not None:
            master.under_way -= 1
            out.clients.append((client, exception(head, p.NO_ANSWER)))

    def _turn_down(self, client: int, queued: _Queued, code: int, out: UpstreamEffects) -> None:
        """Answers a request that is not sent. What has no answer (broadcast, listen only) gets none here either: its
        transaction id may already be that of the next question. It leaves a record instead."""
        _, message, expected = queued
        if expected is not None:
            out.clients.append((client, exception(message, code)))
            return
        reason = Reason.OVERLOAD if code == p.SERVER_BUSY else Reason.UPSTREAM_UNREACHABLE
        detail = f"function {message[7]} of unit {message[6]}, which has no answer, was dropped"
        out.events.append((client, Event("device", reason=reason, detail=detail)))

    def _dial_failed(self, now: float, out: UpstreamEffects) -> None:
        first, last = BACKOFF
        out.events.append((None, Event("device", reason=Reason.UPSTREAM_UNREACHABLE)))
        if self._connections:
            # The device takes fewer than its profile says; that must not keep the last one from being dialled again.
            self._more_after = now + last
            return
        self._dial_after = now + min(first * 2**self._failures, last)
        self._failures = min(self._failures + 1, 16)
        for client in self._waiting:
            master = self._masters[client]
            for queued in master.queue:
                self._turn_down(client, queued, p.NO_PATH, out)
            master.queue.clear()
        self._waiting.clear()


def _unknown_outcome(it: _Connection) -> str:
    return f"connection lost with {len(it.pending)} requests unanswered; their outcome is unknown"
