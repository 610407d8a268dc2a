"""Judges one master's Modbus/TCP stream, message by message.

The stream is cut by MBAP length alone. A frame whose unit and PDU were judged before in this epoch, with a verdict
that may be used again, is one dictionary look-up: its key is every byte that policy can look at, so the same bytes
were already proved canonical (style.md 3: spans on a hit, objects on a miss). Everything else is decoded, checked to
re-encode to the same bytes, and put to `decide`.

A refusal is a Modbus exception with the master's own transaction id, and the master goes on polling.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING

from proxy.core.events import Event
from proxy.core.reason import Reason
from proxy.protocols.base import Watched
from proxy.protocols.modbus import pdu as p
from proxy.protocols.modbus.actions import actions
from proxy.protocols.modbus.answer import expect
from proxy.protocols.modbus.mbap import HEADER, exception, header_fault
from proxy.protocols.modbus.outright import outright
from proxy.protocols.modbus.refuse import code_for
from proxy.protocols.modbus.sightings import Sightings

if TYPE_CHECKING:
    from proxy.core.names import Names
    from proxy.core.verdict import Verdict
    from proxy.protocols.base import Decide, Effects, Setting, UpstreamState
    from proxy.protocols.modbus.actions import ModbusAction
    from proxy.protocols.modbus.service import ModbusService

IN_FLIGHT = 16
"""Requests one master may have unanswered; the next is answered 06 (protocols.md 5.4)."""
CACHED = 1024
"""Verdicts kept per link. A master polls a few dozen spans; a scanner must not fill memory."""
PARTIAL = 10.0
"""Seconds a frame may take to arrive whole (T45: the deadline covers the frame, not each byte)."""


class _Counter:
    """How many messages went on under one tag. Cached verdicts point at it, so a hit is one addition."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class ModbusInspector:
    """The server side towards one master. See `proxy.protocols.base.Inspector` for the contract."""

    def __init__(
        self, decide: Decide, setting: Setting, service: ModbusService, watched: Watched | None = None
    ) -> None:
        self._decide = decide
        self._watched = watched or Watched()
        self._sightings = Sightings(frozenset())
        self._like_a_device = setting.deny_style == "device" and not setting.secured
        self._service = service
        self._rest = b""
        self._partial_until: float | None = None
        self._cache: dict[bytes, _Counter] = {}
        self._counters: dict[Hashable, _Counter] = {}
        self._unanswered: dict[bytes, bytes] = {}
        self._parked: deque[bytes] = deque()
        self._held: dict[int, bytes] = {}
        self._tokens = 0
        self._eof = False
        self._over = False

    def identified(self, names: Names, now: float, out: Effects) -> None:
        """Never called: who speaks is known before the first byte."""

    def from_client(self, data: bytes, now: float, out: Effects) -> None:
        if self._over:
            return
        unanswered = self._unanswered
        if self._rest:
            data = self._rest + data
        elif (
            (counter := self._cache.get(data[2:])) is not None
            and (tid := data[:2]) not in unanswered
            and len(unanswered) < IN_FLIGHT
            and not self._parked
            and not self._held
        ):
            # The common read: one whole request, judged before. `_free` is spelled out, this is the hottest place.
            counter.count += 1
            unanswered[tid] = data
            out.upstream.append(data)
            return
        at, end = 0, len(data)
        while end - at >= HEADER:
            if fault := header_fault(data, at):
                self._malformed(fault, out)
                return
            after = at + HEADER + data[at + 5]
            if after > end:
                break
            frame = data[at:after]
            at = after
            if (counter := self._cache.get(frame[2:])) is not None and self._free(frame[:2]):
                counter.count += 1
                self._unanswered[frame[:2]] = frame
                out.upstream.append(frame)
            elif not self._take(frame, now, out):
                return
        self._rest = data[at:]
        if not self._rest:
            self._partial_until = None
        elif at or self._partial_until is None:
            self._partial_until = out.wake = now + PARTIAL

    def _free(self, tid: bytes) -> bool:
        """Whether a request with this transaction id can go on at once."""
        unanswered = self._unanswered
        return tid not in unanswered and len(unanswered) < IN_FLIGHT and not self._parked and not self._held

    def from_upstream(self, message: bytes, now: float, out: Effects) -> None:
        """The upstream matched it to a request of ours already; here it only has to be still wanted."""
        request = self._unanswered.pop(message[:2], None)
        if request is None or self._over:
            return
        out.client.append(message)
        if self._watched.points:
            self._see(request, message, out)
        if self._parked:
            self._unpark(now, out)
        if self._eof:
            self._finish(out)

    def upstream_is(self, state: UpstreamState, now: float, out: Effects) -> None:
        """Nothing: a Modbus master learns of the far side from the answers to its requests (0x0A, 0x0B)."""

    def eof(self, now: float, out: Effects) -> None:
        if self._over:
            return
        self._eof = True
        if self._rest:
            self._malformed(f"the stream ends {len(self._rest)} bytes into a frame", out)
        else:
            self._finish(out)

    def decide_again(self, now: float, out: Effects) -> None:
        """Each message is judged by itself, so forgetting the verdicts is all."""
        self._cache.clear()

    def resume(self, token: int, recorded: bool, now: float, out: Effects) -> None:
        frame = self._held.pop(token, None)
        if frame is None or self._over:
            return
        if not recorded:
            self._refuse_state(frame, Reason.AUDIT_NOT_WRITABLE, out)
        else:
            self._judge(frame, now, out, recorded=True)
        self._unpark(now, out)
        if self._eof:
            self._finish(out)

    def end(self, reason: Reason, now: float, out: Effects) -> None:
        """Requests under way are answered 0x0B, their outcome is unknown; then those that wait are refused with 01.

        In this order: a waiting one may have the transaction id of one under way, and the first answer belongs to it.
        """
        if self._over:
            return
        for head in self._unanswered.values():
            out.client.append(exception(head, p.NO_ANSWER))
        for frame in (*self._held.values(), *self._parked):
            out.client.append(exception(frame, p.ILLEGAL_FUNCTION))
        self._over = True
        out.close(reason)

    def deadline(self) -> float | None:
        return None if self._over else self._partial_until

    def tick(self, now: float, out: Effects) -> None:
        if self._partial_until is not None and now >= self._partial_until and not self._over:
            self._over = True
            out.events.append(Event("malformed", reason=Reason.TOO_SLOW, detail=f"frame incomplete for {PARTIAL:g} s"))
            out.close(Reason.TOO_SLOW)

    def tally(self) -> Mapping[Hashable, int]:
        return {tag: counter.count for tag, counter in self._counters.items() if counter.count}

    def _see(self, request: bytes, answer: bytes, out: Effects) -> None:
        if self._sightings.points is not self._watched.points:
            self._sightings = Sightings(self._watched.points)
        out.seen.extend(self._sightings.of(request, answer))

    def _take(self, frame: bytes, now: float, out: Effects) -> bool:
        """One whole frame that the cache did not settle. False when it ends the link."""
        busy = len(self._unanswered) + len(self._parked) + len(self._held) >= IN_FLIGHT
        if not busy and not self._parked and not self._held and frame[:2] not in self._unanswered:
            self._judge(frame, now, out)
        elif isinstance(request := p.decode(frame[7:]), p.Malformed):
            self._malformed(request.what, out)  # now, whatever else is under way
        elif busy:
            self._refuse_state(frame, Reason.OVERLOAD, out)
        else:
            # The same transaction id twice in flight could not be told apart, and order is kept (protocols.md 5.4).
            self._parked.append(frame)
        return not self._over

    def _unpark(self, now: float, out: Effects) -> None:
        while self._parked and not self._held and not self._over and self._parked[0][:2] not in self._unanswered:
            self._judge(self._parked.popleft(), now, out)

    def _judge(self, frame: bytes, now: float, out: Effects, *, recorded: bool = False) -> None:
        request = p.decode(frame[7:])
        if isinstance(request, p.Malformed):
            self._malformed(request.what, out)
        elif isinstance(request, p.Unknown):
            event = Event("refuse", reason=Reason.UNKNOWN_FUNCTION, action=f"{request.what} (unit {frame[6]})")
            self._refuse(frame, p.ILLEGAL_FUNCTION, event, out)
        elif isinstance(request, p.Wrong):
            event = Event("refuse", reason=Reason.MALFORMED, action=f"function {frame[7]}", detail=request.what)
            self._refuse(frame, request.code, event, out)
        elif request.encode() != frame[7:]:
            # Cannot happen while the codec's properties hold; if they ever do not, nothing unaccounted for goes on.
            self._malformed(f"function {frame[7]} does not encode to the bytes it came from", out)
        else:
            self._decide_request(frame, request, now, out, recorded)

    def _decide_request(self, frame: bytes, request: p.Request, now: float, out: Effects, recorded: bool) -> None:
        unit = frame[6]
        asked = actions(unit, request)
        if fault := outright(asked, self._service):
            event = Event("refuse", reason=fault[0], action=_text(asked), detail=fault[1])
            self._refuse(frame, p.ILLEGAL_FUNCTION, event, out)
            return
        verdict = self._decide(asked, now, True) if recorded else self._decide(asked, now)
        if not verdict.allowed:
            reason = Reason.BROADCAST if unit == 0 and verdict.reason is Reason.DEFAULT_DENY else verdict.reason
            event = Event("refuse", reason=reason, action=_text(asked), detail=verdict.detail, verdict=verdict)
            self._refuse(frame, code_for(verdict, asked, like_a_device=self._like_a_device), event, out)
        elif verdict.record_first and not recorded:
            self._hold(frame, asked, verdict, out)
        else:
            self._forward(frame, request, asked, verdict, out)

    def _forward(
        self,
        frame: bytes,
        request: p.Request,
        asked: tuple[ModbusAction, ...],
        verdict: Verdict,
        out: Effects,
    ) -> None:
        counter = self._counters.setdefault(verdict.tag, _Counter())
        counter.count += 1
        if frame[6] != 0 and expect(request) is not None:
            self._unanswered[frame[:2]] = frame
            if verdict.reusable and not verdict.record_first and len(self._cache) < CACHED:
                self._cache[frame[2:]] = counter
        out.upstream.append(frame)

    def _hold(self, frame: bytes, asked: tuple[ModbusAction, ...], verdict: Verdict, out: Effects) -> None:
        self._tokens += 1
        self._held[self._tokens] = frame
        out.held.append((self._tokens, Event("act", action=_text(asked), verdict=verdict)))

    def _refuse(self, frame: bytes, code: int, event: Event, out: Effects) -> None:
        out.events.append(event)
        out.client.append(exception(frame, code))

    def _refuse_state(self, frame: bytes, reason: Reason, out: Effects) -> None:
        self._refuse(frame, p.SERVER_BUSY, Event("refuse", reason=reason, action=f"function {frame[7]}"), out)

    def _malformed(self, what: str, out: Effects) -> None:
        self._over = True
        self._rest = b""
        out.events.append(Event("malformed", reason=Reason.MALFORMED, detail=what))
        out.close(Reason.MALFORMED)

    def _finish(self, out: Effects) -> None:
        if not self._unanswered and not self._parked and not self._held:
            self._over = True
            out.close()


def _text(asked: tuple[ModbusAction, ...]) -> str:
    return "; ".join(action.describe() for action in asked[:4]) + ("; ..." if len(asked) > 4 else "")
