"""One connection to a device: dialling, shaking hands, up, finishing. Knows bytes and time, and nothing of messages.

A connection that is *patient* belongs to one client alone. Its device may be slow, and is sent everything before the
end; what it says last is read although it takes nothing any more. A shared one is cut for either, since others wait.
"""

from __future__ import annotations

import errno
import os
import socket
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from proxy.gateway.sockets import Alarm, Wire, tune
from proxy.gateway.stall import Stall
from proxy.gateway.tls import TlsFailure, TlsSession

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from proxy.gateway.poller import Poller, Turns
    from proxy.gateway.ports import Timing
    from proxy.gateway.tls import DeviceTls

READ = 65536
PIECES = (2048, 8192)
"""Bytes of a device that a client has for itself which are handed on before the clock is looked at: at first, and at
most after some that took no time. Its inspector judges them, and what it refuses costs 30 us a message (T47)."""
NO_TIME, TURN = 0.0001, 0.0005
"""Seconds; and after how many of them the rest of a read waits until everybody else had a turn."""
UNTAKEN = 65536
"""Bytes a device has not taken, above which a shared connection is cut, and above which nothing more is read from the
client that has a connection for itself. Messages that get an answer are bounded by the upstream; those that get none
are bounded by this alone."""


class Owner(Protocol):
    """The driver. Each of these may call the connection again."""

    def connection_up(self, connection: Connection) -> None: ...
    def connection_read(self, connection: Connection, data: bytes) -> None: ...
    def connection_sent(self, count: int) -> None: ...
    def connection_drained(self) -> None: ...
    def connection_lost(self, connection: Connection, why: str) -> None:
        """It failed, or the device ended it. The owner closes it. May come late, for one that is closed already."""
        ...

    def connection_finished(self, connection: Connection) -> None:
        """After `finish`: it is closed."""
        ...


class Stage(Enum):
    DIALLING = "dialling"
    SHAKING = "shaking hands"
    UP = "up"
    FINISHING = "finishing"
    CLOSED = "closed"


class Connection:
    def __init__(
        self,
        owner: Owner,
        number: int,
        *,
        loop: asyncio.AbstractEventLoop,
        poller: Poller | Turns,
        clock: Callable[[], float],
        timing: Timing,
        tls: DeviceTls | None,
        patient: bool,
    ) -> None:
        self.number = number
        self.stage = Stage.DIALLING
        self._owner = owner
        self._loop = loop
        self._poller = poller
        self._clock = clock
        self._timing = timing
        self._device_tls = tls
        self._tls: TlsSession | None = None
        self._patient = patient
        self._sock: socket.socket | None = None
        self._wire: Wire | None = None
        self._alarm = Alarm(loop, self._rang)
        self._until = self._last = 0.0
        self._stall: Stall | None = None
        self._reading = False
        self._throttled = False
        self._later = b""
        self._deaf = False
        self._half_closed = False

    @property
    def up(self) -> bool:
        return self.stage is Stage.UP

    @property
    def untaken(self) -> int:
        return len(self._wire.waiting) if self._wire is not None else 0

    def connect(self, host: str, port: int, now: float) -> None:
        """Raises OSError when it fails at once. ``host`` is a literal address."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        tune(self._sock)
        self._until = now + self._timing.dial
        self._alarm.by(self._until, now)
        code = self._sock.connect_ex((host, port))
        if code not in (0, errno.EINPROGRESS):
            raise OSError(code, os.strerror(code))
        self._poller.add_writer(self._sock.fileno(), self._connected)

    def send(self, data: bytes) -> bool:
        """True when the device leaves some of it, or of what came before. What is sent too early or late is dropped."""
        wire = self._wire
        if wire is None or self.stage is not Stage.UP or self._deaf:
            return False
        if self._tls is not None:
            data = self._tls.seal(data)
        self._owner.connection_sent(len(data))
        wire.send(data)
        if not wire.waiting:
            return False
        if self._patient:
            self._watch()
        elif len(wire.waiting) > UNTAKEN:
            self._broken("does not take what it is sent")
        return True

    def throttle(self, on: bool) -> None:
        """Whether to leave unread what the device says."""
        self._throttled = on
        self._read_if_wanted()

    def finish(self) -> None:
        """Sends what waits, then says goodbye, then reads until the device has closed or fallen silent: to close with
        something unread resets the connection, and may destroy what the device has not read yet."""
        assert self._wire is not None  # noqa: S101 - only one that is up has something to finish
        now = self._clock()
        self.stage = Stage.FINISHING
        self._until = self._last = now + self._timing.linger
        if self._tls is not None and not self._deaf:
            self._tls.goodbye()
            self._wire.send(self._tls.outgoing())
        self._read(True)
        if self._wire.waiting:
            self._watch()
            self._alarm.by(self._until, now)
        else:
            self._half_close(now)

    def close(self) -> None:
        self.stage = Stage.CLOSED
        self._alarm.cancel()
        if self._wire is not None:
            self._wire.close()
        elif self._sock is not None:
            self._poller.remove_writer(self._sock.fileno())
            self._sock.close()
        self._sock = self._wire = None

    # The way in.

    def _connected(self) -> None:
        assert self._sock is not None  # noqa: S101 - only registered while there is one
        if code := self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._owner.connection_lost(self, os.strerror(code))
            return
        try:
            self._sock.getpeername()
        except OSError as error:
            if error.errno == errno.ENOTCONN:
                return  # still dialling: the event was for a socket that had this number before, in the same round
        self._poller.remove_writer(self._sock.fileno())
        self._wire = Wire(self._poller, self._sock, on_error=self._send_failed, drained=self._drained)
        self._read(True)
        if self._device_tls is None:
            self._go_up()
            return
        self.stage = Stage.SHAKING
        self._tls = self._device_tls.session()
        self._shake(b"")

    def _shake(self, data: bytes) -> None:
        """`opened` is told when the device has proved its name, not before."""
        assert self._tls is not None and self._wire is not None  # noqa: S101 - while shaking hands
        try:
            self._tls.handshake(data)
        except TlsFailure as failure:
            self._wire.send(self._tls.outgoing())  # the alert
            self._owner.connection_lost(self, f"TLS: {failure}")
            return
        self._wire.send(self._tls.outgoing())
        if self._tls.ready and self.stage is Stage.SHAKING:
            self._go_up()
            if self.up:
                self._open(b"")  # what the device sent right behind its handshake

    def _go_up(self) -> None:
        self._alarm.cancel()
        self.stage = Stage.UP
        self._owner.connection_up(self)

    # What the device says.

    def _readable(self) -> None:
        assert self._sock is not None  # noqa: S101 - as above
        try:
            data = self._sock.recv(READ)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._ended(os.strerror(error.errno or errno.EIO))
            return
        if self.stage is Stage.FINISHING:
            self._discard(data)
        elif not data:
            self._ended("closed the connection")
        elif self.stage is Stage.SHAKING:
            self._shake(data)
        elif self._tls is not None:
            self._open(data)
        else:
            self._hand_on(data)

    def _open(self, data: bytes) -> None:
        assert self._tls is not None  # noqa: S101 - as above
        try:
            plain = self._tls.receive(data)
        except TlsFailure as failure:
            self._owner.connection_lost(self, f"TLS: {failure}")
            return
        if self._wire is not None and (own := self._tls.outgoing()):
            self._wire.send(own)
        if plain:
            self._hand_on(plain)
        self._look_at_end()

    def _hand_on(self, data: bytes) -> None:
        least, most = PIECES
        if not self._patient or len(data) <= least:
            self._owner.connection_read(self, data)
            return
        began = now = self._clock()
        at, size, ends = 0, least, now + TURN
        while self.up and at < len(data):
            if now >= ends:
                self._later = data[at:]
                self._read_if_wanted()
                self._loop.call_soon(self._next_turn)
                return
            self._owner.connection_read(self, data[at : at + size])
            at += size
            now = self._clock()
            size = min(2 * size, most) if now < began + NO_TIME else least
            began = now

    def _next_turn(self) -> None:
        later, self._later = self._later, b""
        if not self.up:
            return
        self._hand_on(later)
        if not self._later:
            self._look_at_end()
            self._read_if_wanted()

    def _look_at_end(self) -> None:
        if self._tls is not None and self._tls.ended and self.up and not self._later:
            self._ended("closed the connection")

    def _ended(self, why: str) -> None:
        if self.stage is Stage.FINISHING:
            self._finished()
        elif self.stage is Stage.SHAKING:
            self._owner.connection_lost(self, f"TLS: {why} during the handshake")
        else:
            self._owner.connection_lost(self, why)

    # What the device takes.

    def _watch(self) -> None:
        if self._stall is None and self._wire is not None:
            now = self._clock()
            self._stall = Stall(self._wire, self._timing.write_stall, now, forgiving=True)
            self._alarm.by(self._stall.due, now)

    def _drained(self) -> None:
        self._stall = None
        if self.stage is Stage.UP:
            self._owner.connection_drained()
        elif self.stage is Stage.FINISHING:
            self._half_close(self._clock())

    def _send_failed(self) -> None:
        if self.stage is Stage.FINISHING:
            self._loop.call_soon(self._finished)
        elif self._patient and self.stage is Stage.UP:
            # The device has closed, and reset the connection because of what was sent since. What it said before that
            # lies here still: it is read to its end, which is when the connection is lost.
            self._deaf = True
            self._stall = None
            if self._wire is not None:
                self._wire.forget()
            self._loop.call_soon(self._owner.connection_drained)
        else:
            self._broken("broke the connection")

    def _broken(self, why: str) -> None:
        # Told in the next turn: the driver may be in the middle of sending to this very connection.
        self._loop.call_soon(self._owner.connection_lost, self, why)

    # The way out.

    def _half_close(self, now: float) -> None:
        self._half_closed = True
        try:
            if self._sock is not None:
                self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._finished()
            return
        if not self._reading:  # the device has closed its half already
            self._finished()
            return
        self._wait_longer(now)

    def _wait_longer(self, now: float) -> None:
        self._until = min(self._last, now + self._timing.goodbye)
        self._alarm.by(self._until, now)

    def _discard(self, data: bytes) -> None:
        if data:
            if self._half_closed:  # it still works on what it got, and is not to be disturbed by a reset
                self._wait_longer(self._clock())
        elif self.untaken:
            self._read(False)
        else:
            self._finished()

    def _finished(self) -> None:
        if self.stage is not Stage.CLOSED:
            self.close()
            self._owner.connection_finished(self)

    def _read_if_wanted(self) -> None:
        if self.up:
            self._read(not (self._throttled or self._later))

    def _read(self, on: bool) -> None:
        if on != self._reading and self._wire is not None:
            self._reading = on
            if on:
                self._wire.read_with(self._readable)
            else:
                self._wire.stop_reading()

    # Time.

    def _rang(self) -> None:
        now = self._clock()
        if self.stage in (Stage.DIALLING, Stage.SHAKING):
            if now >= self._until:
                what = "did not accept the connection in time" if self._wire is None else "TLS: no handshake in time"
                self._owner.connection_lost(self, what)
                return
            self._alarm.by(self._until, now)
        if self._stall is not None:
            if self._stall.too_long(now):
                self._ended(f"takes nothing for {self._timing.write_stall:g} s")
                return
            self._alarm.by(self._stall.due, now)
        if self.stage is Stage.FINISHING:
            self._on_time_to_finish(now)

    def _on_time_to_finish(self, now: float) -> None:
        if now < self._until:
            self._alarm.by(self._until, now)
        elif now < self._last and self._wire is not None and self._wire.unacknowledged():
            self._watch()
            self._wait_longer(now)
        else:
            self._finished()
