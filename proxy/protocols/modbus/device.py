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
QUESTIONS = 4096
"""Remembered request shapes; polling asks the same few over and over."""


class _Question:
    """What a request (all but its transaction id) asks for, worked out once and remembered.

    ``answer`` None: nothing will answer. An answer whose form is fixed is known by its length and first bytes:
    ``size`` of the whole frame and ``start`` of it behind the transaction id. Otherwise ``size`` is 0.
    """

    __slots__ = ("answer", "size", "start")

    def __init__(self, unit: int, answer: Expect | None) -> None:
        self.answer = answer
        self.start = b""
        self.size = 0
        if answer is not None and answer.length and answer.check is None:
            self.size = HEADER + 1 + answer.length
            self.start = b"%b%c%b" % ((answer.length + 1).to_bytes(4, "big"), unit, answer.prefix)


_Queued = tuple[float, bytes, _Question]
"""A request that waits: since when, the master's frame, and what it asks."""


class _Master:
    """``connection`` is the one it used last; it stays there while requests are under way. ``here`` until it leaves."""

    __slots__ = ("connection", "here", "number", "queue", "under_way")

    def __init__(self, number: int) -> None:
        self.number = number
        self.here = True
        self.queue: deque[_Queued] = deque()
        self.connection: _Connection | None = None
        self.under_way = 0


_Pending = tuple[_Master, bytes, _Question, float]
"""A request on the wire: whose, the master's frame, what it asks, when it is given up. A plain tuple, since one is
made per request. A master that has left stays in here, so that its answer is known and thrown away."""


class _Connection:
    """``pending`` is keyed by our transaction id as two bytes, oldest first. ``retired``: ids whose request timed out;
    they stay taken until the late answer came, or it would be given to somebody else's question."""

    __slots__ = ("number", "open", "pending", "rest", "retired", "tid")

    def __init__(self, number: int) -> None:
        self.number = number
        self.open = False
        self.tid = 0
        self.rest = b""
        self.pending: dict[bytes, _Pending] = {}
        self.retired: set[bytes] = set()

    def load(self) -> int:
        return len(self.pending) + len(self.retired)


class ModbusDevice:
    """The client side towards one device. See `proxy.protocols.base.Upstream` for the contract."""

    def __init__(self, service: ModbusService) -> None:
        self._service = service
        self._masters: dict[int, _Master] = {}
        self._waiting: deque[_Master] = deque()
        self._connections: dict[int, _Connection] = {}
        self._questions: dict[bytes, _Question] = {}
        self._failures = 0
        self._dial_after = -math.inf
        self._more_after = -math.inf
        self._idle_since: float | None = None

    def submit(self, client: int, message: bytes, now: float, out: UpstreamEffects) -> None:
        """Raises ValueError for what is no request: an inspector that forwards such has a bug."""
        key = message[2:]
        question = self._questions.get(key) or self._learn(key)
        master = self._masters.get(client)
        if master is None:
            master = self._masters[client] = _Master(client)
            self._idle_since = None
        if not master.queue:
            it = master.connection
            if it is None or not it.open or len(it.pending) + len(it.retired) >= self._service.pipeline:
                it = self._connection_for(master)
            if it is not None:
                self._send(it, master, message, question, now, out)
                return
        self._enqueue(master, (now, message, question), out)
        if len(self._connections) < self._service.connections:
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
        pending, clients = it.pending, out.clients
        while end - at >= HEADER:
            tid = data[at : at + 2]
            entry = pending.get(tid)
            if entry is not None:
                master, message, question, _ = entry
                after = at + question.size
                # The common answer, settled by length and first bytes.
                if question.size and after <= end and data.startswith(question.start, at + 2):
                    del pending[tid]
                    master.under_way -= 1
                    if master.here:
                        clients.append((master.number, message[:2] + data[at + 2 : after]))
                    at = after
                    continue
            after = at + HEADER + data[at + 5]
            # LEN of an answer is at least 3: unit, function, and one byte more.
            if data[at + 2 : at + 5] != b"\0\0\0" or not 3 <= data[at + 5] <= 254:
                self._invalid(it, header_fault(data, at) or "an answer without content", now, out)
                return
            if after > end:
                break
            if not self._answer(it, tid, data[at:after], now, out):
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
        it.open = False
        self._fail_pending(it, out)
        self._pump(now, out)

    def leave(self, client: int, now: float, out: UpstreamEffects) -> None:
        master = self._masters.pop(client, None)
        if master is not None:
            master.here = False
            if master.queue:
                master.queue.clear()
                self._waiting.remove(master)
        if not self._masters:
            self._idle_since = now
            if self._connections:
                _wake(out, now + IDLE)

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
            for connection in list(self._connections.values()):
                self._hang_up(connection, out)
        self._pump(now, out)

    def _enqueue(self, master: _Master, queued: _Queued, out: UpstreamEffects) -> None:
        if not self._connections and queued[0] < self._dial_after:
            self._turn_down(master, queued, p.NO_PATH, out)
        elif len(master.queue) >= QUEUE:
            self._turn_down(master, queued, p.SERVER_BUSY, out)
        else:
            if not master.queue:
                self._waiting.append(master)
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
        """A connection with room: the one it used last, and no other while the master has requests under way."""
        pipeline = self._service.pipeline
        used = master.connection
        if used is not None and used.open and used.load() < pipeline:
            return used
        if master.under_way:
            return None
        free = [it for it in self._connections.values() if it.open and it.load() < pipeline]
        return min(free, key=_Connection.load) if free else None

    def _pump(self, now: float, out: UpstreamEffects) -> None:
        """Round robin over the masters that wait, until none of them finds room."""
        waiting = self._waiting
        passed = 0
        room = sum(self._service.pipeline - it.load() for it in self._connections.values() if it.open)
        while room > 0 and passed < len(waiting):
            master = waiting.popleft()
            connection = self._connection_for(master)
            if connection is None:  # bound to a busy connection: that must not stop the others
                passed += 1
                waiting.append(master)
                continue
            passed = 0
            queued = master.queue.popleft()
            since, message, question = queued
            if now - since > self._service.timeout:
                self._turn_down(master, queued, p.SERVER_BUSY, out)
            else:
                self._send(connection, master, message, question, now, out)
                room -= question.answer is not None
            if master.queue:
                waiting.append(master)
        if waiting and len(self._connections) < self._service.connections:
            self._dial(now, out)

    def _send(
        self,
        it: _Connection,
        master: _Master,
        message: bytes,
        question: _Question,
        now: float,
        out: UpstreamEffects,
    ) -> None:
        number = it.tid = (it.tid + 1) & 0xFFFF
        tid = number.to_bytes(2, "big")
        while tid in it.pending or tid in it.retired:
            number = it.tid = (number + 1) & 0xFFFF
            tid = number.to_bytes(2, "big")
        if (sends := out.device.get(it.number)) is None:
            sends = out.device[it.number] = []
        sends.append(tid + message[2:])
        if question.answer is not None:
            due = now + self._service.timeout
            if not it.pending:  # else an older one is due before it
                _wake(out, due)
            it.pending[tid] = (master, message, question, due)
            master.connection = it
            master.under_way += 1

    def _learn(self, key: bytes) -> _Question:
        """Works out what was not asked lately. ``key`` is a frame without its transaction id."""
        request = p.decode(key[5:])
        if isinstance(request, p.Malformed | p.Wrong | p.Unknown):
            raise ValueError(f"an inspector forwarded what is no request: {request}")
        unit = key[4]
        question = _Question(unit, None if unit == 0 else expect(request))
        if len(self._questions) >= QUESTIONS:
            self._questions.clear()
        self._questions[key] = question
        return question

    def _answer(self, it: _Connection, tid: bytes, frame: bytes, now: float, out: UpstreamEffects) -> bool:
        """One whole answer that was not settled at a glance. False when it cost the connection."""
        pending = it.pending.get(tid)
        if pending is None:
            late = tid in it.retired
            it.retired.discard(tid)
            what = "a late answer" if late else "an answer to no question"
            out.events.append((None, Event("device", reason=Reason.UPSTREAM_INVALID, detail=f"{what} (dropped)")))
            return True
        master, message, question, _ = pending
        same_unit = frame[6] == message[6] or self._service.answers_other_unit
        fits = question.answer is not None and question.answer.fits(frame[7:])
        if not same_unit or not (fits or is_exception(frame[7:], message[7])):
            self._invalid(it, f"answer to function {message[7]} of unit {message[6]} does not fit", now, out)
            return False
        del it.pending[tid]
        master.under_way -= 1
        if master.here:
            out.clients.append((master.number, message[:2] + frame[2:6] + message[6:7] + frame[7:]))
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
            master, message, _, _ = pending
            detail = f"function {message[7]} of unit {message[6]} unanswered for {self._service.timeout:g} s"
            out.events.append((master.number, Event("device", reason=Reason.UPSTREAM_SILENT, detail=detail)))
        if expired and len(it.retired) >= self._service.pipeline:
            # Every slot waits for an answer that may never come; a new connection forgets them safely.
            self._hang_up(it, out)

    def _hang_up(self, it: _Connection, out: UpstreamEffects) -> None:
        del self._connections[it.number]
        it.open = False
        out.hang_up.append(it.number)
        self._fail_pending(it, out)

    def _fail_pending(self, it: _Connection, out: UpstreamEffects) -> None:
        for pending in it.pending.values():
            self._no_answer(pending, out)
        it.pending.clear()

    def _no_answer(self, pending: _Pending, out: UpstreamEffects) -> None:
        master, message, _, _ = pending
        master.under_way -= 1
        if master.here:
            out.clients.append((master.number, exception(message, p.NO_ANSWER)))

    def _turn_down(self, master: _Master, queued: _Queued, code: int, out: UpstreamEffects) -> None:
        """Answers a request that is not sent. What has no answer (broadcast, listen only) gets none here either: its
        transaction id may already be that of the next question. It leaves a record instead."""
        _, message, question = queued
        if question.answer is not None:
            out.clients.append((master.number, exception(message, code)))
            return
        reason = Reason.OVERLOAD if code == p.SERVER_BUSY else Reason.UPSTREAM_UNREACHABLE
        detail = f"function {message[7]} of unit {message[6]}, which has no answer, was dropped"
        out.events.append((master.number, Event("device", reason=reason, detail=detail)))

    def _dial_failed(self, now: float, out: UpstreamEffects) -> None:
        first, last = BACKOFF
        out.events.append((None, Event("device", reason=Reason.UPSTREAM_UNREACHABLE)))
        if self._connections:
            # The device takes fewer than its profile says; that must not keep the last one from being dialled again.
            self._more_after = now + last
            return
        self._dial_after = now + min(first * 2**self._failures, last)
        self._failures = min(self._failures + 1, 16)
        for master in self._waiting:
            for queued in master.queue:
                self._turn_down(master, queued, p.NO_PATH, out)
            master.queue.clear()
        self._waiting.clear()


def _wake(out: UpstreamEffects, at: float) -> None:
    if out.wake is None or at < out.wake:
        out.wake = at


def _unknown_outcome(it: _Connection) -> str:
    return f"connection lost with {len(it.pending)} requests unanswered; their outcome is unknown"
