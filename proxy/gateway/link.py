"""One client connection: the only place where a client's socket, TLS, timers, inspector and journal meet.

    handshake -> identify -> may it connect? -> open: inspector <-> upstream -> goodbye -> gone

Bytes go one way: socket, TLS, inspector, effects, then upstream or socket. The link decides nothing about content:
it carries out what the inspector put into `Effects`. Whatever raises in here ends this link and no other.
"""

from __future__ import annotations

import logging
import socket
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING

from proxy.core.events import Event
from proxy.core.names import NOBODY
from proxy.core.reason import Reason
from proxy.gateway.sockets import Alarm, Wire
from proxy.gateway.stall import Stall
from proxy.gateway.tls import TlsFailure, TlsSession
from proxy.gateway.watch import Stranger, Watch
from proxy.protocols.base import Client, Effects

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from proxy.core.facts import CertificateFacts, ConnFacts
    from proxy.core.names import Names
    from proxy.core.principal import Principal
    from proxy.gateway.admission import Admission, Entry
    from proxy.gateway.links import Links
    from proxy.gateway.poller import Turns
    from proxy.gateway.ports import Entrance, Journal, ListenerCounts, Timing
    from proxy.gateway.upstream import UpstreamDriver
    from proxy.protocols.base import Inspector, Introduction, UpstreamState

READ = 16384
PIECE = 2048
"""Bytes of a client that are judged before the clock is looked at. Refusals are the dearest messages, 30 us each: all
of `READ` at once would stop the others for 50 ms (T47)."""
TURN = 0.0005
"""Seconds after which the rest of what was read waits until everybody else had a turn."""
DEAF = 0.2
"""Seconds that what piled up at a client's socket has to be read, before its deadlines count again."""
PAUSE_AT = 65536
"""Bytes a client has not taken, above which nothing more is read that would add to them: from itself, or if it has a
connection to the device for itself, from that."""
CUT_AT = 1 << 20
"""Bytes a client of a shared device has not taken, above which it is cut. Who is alone with a device is not; but when
what the inspector itself has to say adds as much to what the device said, nothing more is read from it."""
HELLO_LIMIT = 32768
"""Bytes a handshake may take; a certificate chain of three fits four times (T50)."""

_log = logging.getLogger(__name__)


class Phase(Enum):
    HANDSHAKE = "handshake"
    OPEN = "open"
    GOODBYE = "goodbye"
    GONE = "gone"


class Link:
    """Built for an accepted socket; `start` takes over from there. Read-only facts are plain attributes."""

    # More attributes than a compact instance holds, and every one of them is on the path of each message.
    __slots__ = (
        "_admission",
        "_alarm",
        "_choked",
        "_clock",
        "_clogged",
        "_counts",
        "_entropy",
        "_holds",
        "_input_over",
        "_journal",
        "_later",
        "_links",
        "_memory",
        "_more_at",
        "_open",
        "_out",
        "_phase",
        "_phase_until",
        "_read_since",
        "_reading",
        "_recheck_at",
        "_recv",
        "_single",
        "_soon",
        "_stall",
        "_timing",
        "_tls",
        "_unknown",
        "_upstream",
        "_wire",
        "bytes_in",
        "bytes_out",
        "detail",
        "entrance",
        "facts",
        "inspector",
        "number",
        "opened_at",
        "principal",
        "watch",
        "why",
    )

    def __init__(
        self,
        number: int,
        sock: socket.socket,
        facts: ConnFacts,
        entrance: Entrance,
        *,
        loop: asyncio.AbstractEventLoop,
        readiness: Turns,
        clock: Callable[[], float],
        admission: Admission,
        timing: Timing,
        links: Links,
        upstream: UpstreamDriver,
        journal: Journal,
        counts: ListenerCounts,
        entropy: Callable[[int], bytes],
        memory: object = None,
    ) -> None:
        self.number = number
        self.facts = facts
        self.entrance = entrance
        self.principal: Principal | None = None
        self.watch: Watch | None = None
        self.opened_at = clock()
        self.bytes_in = 0
        self.bytes_out = 0
        self.why: Reason | None = None
        self.detail = ""
        self.inspector: Inspector | None = None
        self._open: Inspector | None = None
        self._clock = clock
        self._admission = admission
        self._timing = timing
        self._links = links
        self._upstream = upstream
        self._journal = journal
        self._counts = counts
        self._entropy = entropy
        self._memory = memory
        self._phase = Phase.HANDSHAKE
        self._out = Effects()
        self._holds: dict[int, float] = {}
        self._single = not entrance.service.shared
        self._stall: Stall | None = None
        self._read_since = 0.0
        self._clogged = False
        self._choked = False
        self._more_at: int | None = None
        self._recheck_at = 0.0
        self._reading = True
        self._input_over = False
        self._later = b""
        self._soon = readiness.again
        self._phase_until = self.opened_at + timing.handshake
        self._alarm = Alarm(loop, self._rang)
        self._wire = Wire(readiness, sock, on_error=self._broken, drained=self._drained)
        self._recv = sock.recv
        self._tls: TlsSession | None = None
        self._unknown: Watch | None = None
        """What the inspector of a client asks that has not introduced itself yet."""

    @property
    def phase(self) -> Phase:
        return self._phase

    def start(self) -> None:
        self._wire.read_with(self._readable)
        if self.entrance.secured:
            self._alarm.by(self._phase_until, self.opened_at)
        elif self.entrance.protocol.introduces(self.entrance.options):
            self._alarm.by(self._phase_until, self.opened_at)
            self._unknown = Watch(Stranger())
            self._open = self.inspector = self._inspector(self._unknown, NOBODY, self.opened_at)
        else:
            self._admit(None, self.opened_at)

    # What the upstream and the gateway call.

    def deliver(self, message: bytes, now: float) -> None:
        """An answer for this link; `flush` sends what it makes. May raise: the caller then calls `failed`."""
        if self._open is not None:
            self._open.from_upstream(message, now, self._out)

    def upstream_is(self, state: UpstreamState, now: float) -> None:
        """As `deliver`."""
        if self._open is not None:
            self._open.upstream_is(state, now, self._out)

    def flush(self, now: float) -> None:
        """Carries out what the inspector wants, and looks at the clock. May raise, as `deliver`."""
        if self._open is None:
            return
        out = self._out
        if out.upstream:
            # First: the answers may find that the client is gone, and what it was allowed to say is still said.
            self._counts.messages += len(out.upstream)
            self._upstream.submit(self, out.upstream, now)
            out.upstream.clear()
        if out.client:
            answers = out.client
            self._counts.answers += len(answers)
            data = answers[0] if len(answers) == 1 else b"".join(answers)
            answers.clear()
            if self._tls is not None:
                data = self._tls.seal(data)
            self.bytes_out += len(data)
            self._wire.send(data)
            if self._wire.waiting:
                self._stalled(now)
        if out.wake is not None:
            self._alarm.by(out.wake, now)
            out.wake = None
        if out.events or out.held or out.closing or out.seen or out.introduced:
            self._flush_rest(now)

    def failed(self, where: str) -> None:
        """An exception that no input may cause, being handled now. This link ends, loudly; no other notices."""
        _log.exception("link %d: %s failed; the link is closed", self.number, where)
        self._finish(Reason.INSPECTOR_ERROR, where)

    def end(self, reason: Reason, detail: str = "") -> None:
        """Ends this link in the peer's language: revoked, drained, evicted, no longer allowed."""
        now = self._clock()
        self.detail = detail
        if self._phase is Phase.OPEN and self.inspector is not None:
            self._guarded("the goodbye", now, lambda it: it.end(reason, now, self._out))
        elif self._phase is not Phase.GONE:
            self._goodbye(reason, detail, now)

    def pause(self) -> None:
        """Takes no more from the client; answers under way are still delivered."""
        self._input_over = True
        self._read(False)

    def decide_again(self) -> None:
        now = self._clock()
        if self._phase is not Phase.OPEN or self.principal is None or self.watch is None or not self._still_good(now):
            return
        entry = self._admission.again(self.facts, self.principal, self.watch.let_in)
        if entry.refusal is not None or entry.authority is None:
            self.end(entry.refusal or Reason.NO_CONNECT_RULE, entry.detail)
            return
        self._journal.flows(self)
        self.principal = entry.principal
        self.watch.is_now(entry.authority)
        self._journal.decided_again(self)
        self._guarded("deciding again", now, lambda it: it.decide_again(now, self._out))

    def throttle(self, on: bool) -> None:
        self._choked = on
        self._read_if_wanted()

    def cut(self) -> None:
        self._finish(Reason.DRAINING, "cut at the end of the gateway")
        if self._single:
            self._upstream.close()

    @property
    def delivering(self) -> bool:
        return self._phase is Phase.GONE

    def evict(self) -> None:
        """Makes room for another; it had not proved who it is."""
        self._counts.limited += 1
        self._finish(Reason.CONNECTION_LIMIT, "made room during the handshake")

    # The client's socket.

    def _readable(self) -> None:
        try:
            data = self._recv(READ)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._broken()
            return
        now = self._clock()
        self.bytes_in += len(data)
        try:
            if self._open is None or not data:
                self._at_the_edge(data, now)
            elif self._tls is None:
                self._inspect(data, now)
            elif plain := self._tls.receive(data):
                self._inspect(plain, now)
                if self._tls.ended and not self._later:
                    self._ended(now)
            else:
                self._tls_alone(self._tls, now)
        except TlsFailure as failure:
            self._tls_failed(failure, now)
        except Exception:
            self.failed("input")

    def _inspect(self, data: bytes, now: float) -> None:
        if self._open is None:
            return
        if len(data) <= PIECE:
            self._open.from_client(data, now, self._out)
            self.flush(now)
        else:
            self._take_turn(self._open, data, now)

    def _take_turn(self, inspector: Inspector, data: bytes, now: float) -> None:
        out, ends = self._out, now + TURN
        for at in range(0, len(data), PIECE):
            if at and (self._clock() >= ends or out.held):
                self._later = data[at:]
                self._read(False)
                self._soon(self._next_turn)
                break
            inspector.from_client(data[at : at + PIECE], now, out)
            if out.closing:
                break
        self.flush(now)

    def _next_turn(self) -> None:
        later, self._later = self._later, b""
        if self._open is None or self._input_over:
            return
        now = self._clock()
        try:
            self._inspect(later, now)
            if self._later:
                return
            if self._tls is not None and self._tls.ended:
                self._ended(now)
            else:
                self._read_if_wanted()
        except Exception:
            self.failed("input")

    def _tls_alone(self, tls: TlsSession, now: float) -> None:
        """No byte for the inspector, but TLS may have something to say: that it does not renegotiate, for one."""
        self._say(tls.outgoing(), now)
        if tls.ended:
            self._ended(now)

    def _at_the_edge(self, data: bytes, now: float) -> None:
        """Before and after the open phase."""
        if self._phase is Phase.OPEN:
            self._ended(now)
        elif self._phase is Phase.HANDSHAKE and self._open is not None:
            self._counts.handshake_failures += 1
            self._finish(None, "the client left before it had said who it is")
        elif self._phase is Phase.HANDSHAKE:
            self._handshake(data, now)
        elif not data:  # the goodbye is answered; anything else in this phase is thrown away
            if self._wire.waiting:
                self._read(False)  # the client finished first, and is still owed something
            else:
                self._gone()

    def _guarded(self, where: str, now: float, step: Callable[[Inspector], None]) -> None:
        """For what does not come from the socket: timers, revocation, records that are on disk."""
        if self.inspector is None:
            return
        try:
            step(self.inspector)
            self.flush(now)
        except Exception:
            self.failed(where)

    def _ended(self, now: float) -> None:
        """The client's half is over; ours lasts until its answers are out."""
        if self.inspector is not None and self._phase is Phase.OPEN:
            self._input_over = True
            self._read(False)
            self.inspector.eof(now, self._out)
            self.flush(now)

    # The way in.

    def _handshake(self, data: bytes, now: float) -> None:
        if not data:
            self._finish(Reason.TLS_FAILED, "the client left during the handshake")
            self._counts.handshake_failures += 1
            return
        if self.bytes_in > HELLO_LIMIT:
            raise TlsFailure("the handshake is too large")
        tls, contexts = self._tls, self.entrance.contexts
        assert contexts is not None  # noqa: S101 - only a secured entrance shakes hands
        if tls is None:  # not before the first byte: a silent connection costs a socket and no more (T45)
            tls = self._tls = contexts.session()
        tls.handshake(data)
        self._say(tls.outgoing(), now)
        if tls.ready:
            contexts.agreed(tls)
        if not tls.ready or self.phase is not Phase.HANDSHAKE:
            return
        self._counts.handshakes += 1
        certificate, fault = self._admission.certificate(tls)
        if fault is not None:
            self._refuse(fault, "", now)
            return
        self._admit(certificate, now)
        self._first_bytes(now)

    def _first_bytes(self, now: float) -> None:
        """What the client sent right behind its handshake."""
        if self._phase is not Phase.OPEN or self._tls is None:
            return
        if plain := self._tls.receive(b""):
            self._inspect(plain, now)
        if self._tls.ended and not self._later:
            self._ended(now)

    def _admit(self, certificate: CertificateFacts | None, now: float) -> None:
        """Judged, then open. The device is not dialled here: only an allowed message does that."""
        entry = self._admission.judge(self.facts, certificate, self._tls.version if self._tls is not None else None)
        self.facts, self.principal = entry.facts, entry.principal
        self.watch = None if entry.authority is None else Watch(entry.authority)
        refusal = self._refusal(entry)
        if refusal is not None or self.watch is None:
            self._refuse(refusal or Reason.NO_CONNECT_RULE, entry.detail, now)
            return
        self.inspector = self._inspector(self.watch, entry.principal.names, now)
        self._opens(now)

    def _introduced(self, introduction: Introduction, now: float) -> None:
        """As `_admit`, in a protocol with a handshake of its own, that has just said who it is."""
        inspector, watch = self.inspector, self._unknown
        if self._phase is not Phase.HANDSHAKE or inspector is None or watch is None:
            raise RuntimeError("an introduction that nobody waits for")
        entry = self._admission.introduced(self.facts, introduction)
        self.facts, self.principal = entry.facts, entry.principal
        refusal = self._refusal(entry)
        if entry.authority is not None:
            watch.is_now(entry.authority)
            self.watch = watch
        if refusal is not None or entry.authority is None:
            self._counts.refused_links += 1
            self.detail = entry.detail
            inspector.end(refusal or Reason.NO_CONNECT_RULE, now, self._out)
            return
        self._counts.handshakes += 1
        self._opens(now)
        inspector.identified(entry.principal.names, now, self._out)

    def _refusal(self, entry: Entry) -> Reason | None:
        if entry.refusal is None and (full := self._links.admit(self)) is not None:
            self._counts.limited += 1
            return full
        return entry.refusal

    def _inspector(self, watch: Watch, names: Names, now: float) -> Inspector:
        entrance, admission = self.entrance, self._admission
        client = Client(names, self._entropy, now, admission.watched, self._memory, admission.wall)
        return entrance.protocol.inspector(watch.decide, entrance, entrance.service.options, client)

    def _opens(self, now: float) -> None:
        self._phase = Phase.OPEN
        self._open = self.inspector
        self._phase_until = float("inf")
        self._recheck_at = self._next_look(now)
        self._counts.live += 1
        self._journal.opened(self)
        self._alarm.by(self._recheck_at, now)
        self._arm(now)
        self.flush(now)

    def _refuse(self, reason: Reason, detail: str, now: float) -> None:
        self._counts.refused_links += 1
        self._goodbye(reason, detail, now)

    def _tls_failed(self, failure: TlsFailure, now: float) -> None:
        if self._phase is Phase.HANDSHAKE:
            self._counts.handshake_failures += 1
            if self._tls is not None:
                self._say(self._tls.outgoing(), now)  # the alert
        reason = Reason.CERTIFICATE_ENDED if failure.out_of_date else Reason.TLS_FAILED
        self._goodbye(reason, str(failure), now)

    # Carrying out.

    def _flush_rest(self, now: float) -> None:
        out = self._out
        if out.introduced is not None:
            introduction, out.introduced = out.introduced, None
            self._introduced(introduction, now)
            self.flush(now)
            return
        for point, value in out.seen:
            self._admission.observe(point, value, now)
        out.seen.clear()
        for event in out.events:
            self._journal.event(self, self.entrance.device.id, event)
        out.events.clear()
        if out.held:
            self._hold(now)
        if out.closing:
            self._goodbye(out.why, self.detail, now)

    def _say(self, data: bytes, now: float) -> None:
        """Bytes of the transport itself: handshake, alert, close_notify."""
        if data:
            self.bytes_out += len(data)
            self._wire.send(data)
            if self._wire.waiting:
                self._stalled(now)

    def _stalled(self, now: float) -> None:
        waiting = len(self._wire.waiting)
        if self._stall is None:
            self._stall = Stall(self._wire, self._timing.write_stall, now, forgiving=self._single)
            self._alarm.by(self._stall.due, now)
        if self._single:
            if waiting > PAUSE_AT:
                self._clog_device(waiting)
        elif waiting > CUT_AT:
            self._finish(Reason.TOO_SLOW, "the client does not take its answers")
        elif waiting > PAUSE_AT:
            self._clogged = True
            self._read(False)

    def _clog_device(self, waiting: int) -> None:
        """The device is not read while its client has enough. The client still is: it may be one that takes nothing
        before it has said everything. What grows from here on is what the inspector answers by itself."""
        if self._more_at is None:
            self._more_at = waiting
            self._upstream.throttle(True)
        self._more_at = min(self._more_at, waiting)
        if waiting > self._more_at + CUT_AT:
            self._clogged = True
            self._read(False)

    def _drained(self) -> None:
        self._stall = None
        self._clogged = False
        if self._more_at is not None:
            self._more_at = None
            self._upstream.throttle(False)
        if self._phase is Phase.GOODBYE:
            self._half_close(self._clock())
        else:
            self._read_if_wanted()

    def _hold(self, now: float) -> None:
        """Acts wait for their record; meanwhile nothing more is read (threats.md 5.3). A disk that hangs and says
        neither yes nor no is a no after a while, or clients that gave up would never be noticed."""
        held, self._out.held = self._out.held, []
        until = now + self._timing.hold
        for token, event in held:
            self._holds[token] = until
            self._alarm.by(until, now)
            self._read(False)
            self._journal.before(self, event, partial(self._resumed, token))

    def _resumed(self, token: int, recorded: bool) -> None:
        if self._holds.pop(token, None) is None or self._phase is not Phase.OPEN:
            return
        now = self._clock()
        if self._still_good(now):
            self._guarded("resuming a held act", now, lambda it: it.resume(token, recorded, now, self._out))
        self._read_if_wanted()

    def _read_if_wanted(self) -> None:
        """While the link is open, or has an inspector to say who it is to: not what nobody could take, and nothing
        behind a held act."""
        if self._phase is Phase.OPEN or (self._phase is Phase.HANDSHAKE and self._open is not None):
            self._read(not (self._input_over or self._later or self._holds or self._clogged or self._choked))

    def _read(self, on: bool) -> None:
        if on == self._reading or self._phase is Phase.GONE:
            return
        self._reading = on
        if on:
            self._read_since = self._clock()
            self._wire.read_with(self._readable)
        else:
            self._wire.stop_reading()

    # Time.

    def _rang(self) -> None:
        now = self._clock()
        try:
            self._on_time(now)
        except Exception:
            self.failed("a timer")

    def _on_time(self, now: float) -> None:
        if self._phase is Phase.GONE:
            return
        if now >= self._phase_until:
            if self._phase is Phase.HANDSHAKE:
                self._counts.too_slow += 1
                self._finish(Reason.TOO_SLOW, f"no handshake within {self._timing.handshake:g} s")
            else:
                self._gone()
            return
        if self._stall is not None:
            if self._stall.too_long(now):
                self._finish(Reason.TOO_SLOW, f"answers not taken for {self._timing.write_stall:g} s")
                return
            self._alarm.by(self._stall.due, now)
        if self._phase is not Phase.OPEN or self.inspector is None:
            self._alarm.by(self._phase_until, now)
            return
        if now >= self._recheck_at:
            if not self._still_good(now):
                return
            self._journal.flows(self)
            self._recheck_at = self._next_look(now)
        self._alarm.by(self._recheck_at, now)
        for token, until in list(self._holds.items()):
            if now >= until:
                self._resumed(token, False)
            else:
                self._alarm.by(until, now)
        if self.phase is not Phase.OPEN:
            return
        if self._deaf(now):
            self._alarm.by(now + DEAF, now)
            return
        wanted = self.inspector.deadline()
        if wanted is not None and now >= wanted:
            self.inspector.tick(now, self._out)
        self.flush(now)
        self._arm(now)

    def _deaf(self, now: float) -> bool:
        """The client is not read, or was not until a moment ago, because somebody else is slow: it cannot be late with
        what it may have said long since. Whoever is slow has a deadline of its own (`write_stall`)."""
        if not self._reading:
            return not self._input_over and not self._holds
        return now < self._read_since + DEAF

    def _arm(self, now: float) -> None:
        """Asks the inspector when it wants to be looked at: when it is new, and when the alarm has rung. In between it
        tells (`Effects.wake`); to ask after every message costs more than many a message."""
        if self._open is not None and (due := self._open.deadline()) is not None:
            self._alarm.by(due, now)

    def _still_good(self, now: float) -> bool:
        """The certificate, looked at again: on each epoch, every minute, and before a held act goes on."""
        certificate = self.facts.certificate
        if certificate is None or not self._admission.ended(certificate):
            return True
        if self.inspector is not None:
            self._guarded("the goodbye", now, lambda it: it.end(Reason.CERTIFICATE_ENDED, now, self._out))
        return False

    def _next_look(self, now: float) -> float:
        """When the certificate has to be looked at again: now and then, and the moment it ends."""
        certificate = self.facts.certificate
        wait = self._timing.recheck
        if certificate is not None:
            wait = min(wait, self._admission.remaining(certificate))
        return now + wait

    # The way out.

    def _goodbye(self, why: Reason | None, detail: str, now: float) -> None:
        """An orderly end: what is owed goes out, then close_notify and FIN; the socket stays until the peer answers
        or a second has passed, so that no reset destroys the last bytes. A peer that is slow to take what it is owed
        has as long as at any other time."""
        if self._phase in (Phase.GOODBYE, Phase.GONE):
            return
        was_open = self._phase is Phase.OPEN
        self._phase = Phase.GOODBYE
        self._open = None
        self._say_why(why, detail)
        if was_open:
            self._upstream.leave(self, now)
        if self._tls is not None and self._tls.ready:
            self._tls.goodbye()
            self._say(self._tls.outgoing(), now)
        if self._phase is not Phase.GOODBYE:
            return
        self._phase_until = now + (self._timing.linger if self._single else self._timing.write_stall)
        self._alarm.by(self._phase_until, now)
        self._report_end(was_open)
        if self._wire.waiting:
            self._read(True)
        else:
            self._half_close(now)

    def _half_close(self, now: float) -> None:
        self._phase_until = now + self._timing.goodbye
        self._alarm.by(self._phase_until, now)
        try:
            self._wire.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._gone()
        self._read(True)

    def _broken(self) -> None:
        """The transport failed: nothing can be said any more."""
        self._finish(None, "the connection broke")

    def _finish(self, why: Reason | None, detail: str) -> None:
        """Ends without a goodbye."""
        try:
            if self._phase in (Phase.HANDSHAKE, Phase.OPEN):
                was_open = self._phase is Phase.OPEN
                self._phase = Phase.GOODBYE
                self._open = None
                self._say_why(why, detail)
                if was_open:
                    self._upstream.leave(self, self._clock())
                self._report_end(was_open)
        finally:
            self._gone()

    def _say_why(self, why: Reason | None, detail: str) -> None:
        self.why = why
        self.detail = detail

    def _report_end(self, was_open: bool) -> None:
        if was_open:
            self._counts.live -= 1
        self._counts.bytes_in += self.bytes_in
        self._counts.bytes_out += self.bytes_out
        if was_open:
            self._journal.closed(self)
        elif self.why is not None or self._unknown is None:  # else it came to discover, and left
            connect = self.watch.authority.connect if self.watch is not None else None
            verdict = connect if connect is not None and not connect.allowed else None
            event = Event("connect", reason=self.why, detail=self.detail, verdict=verdict)
            self._journal.event(self, self.entrance.device.id, event)

    def _gone(self) -> None:
        if self._phase is Phase.GONE:
            return
        self._phase = Phase.GONE
        self._alarm.end()
        self._wire.close()
        # What it sent may still be on its way: until that is over it counts as one of its owner's connections.
        self._upstream.when_done(partial(self._links.gone, self))
