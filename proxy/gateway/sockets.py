"""A non-blocking socket with one outgoing buffer: what client links and device connections share.

Readiness callbacks of the loop instead of its transports: one `recv` and one `send` per wake-up, nothing queued
behind our back, the same code on uvloop and on the stock loop.
"""

from __future__ import annotations

import fcntl
import socket
import sys
import termios
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio

KEEPALIVE = ((socket.TCP_KEEPIDLE, 10), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))
"""A dead peer is found within 25 s (T49)."""

TICK = 0.001
"""Resolution of loop timers: ringing later than due by this much is never early."""


def tune(sock: socket.socket) -> None:
    """Non-blocking, no Nagle, keep-alive. On a listener: accepted sockets inherit all but the first."""
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEPALIVE:
        sock.setsockopt(socket.IPPROTO_TCP, option, value)


class Readiness(Protocol):
    """Who tells when a socket is ready: `proxy.gateway.poller.Poller`, or an event loop."""

    def add_reader(self, fd: int, callback: Callable[[], None]) -> object: ...
    def remove_reader(self, fd: int) -> object: ...
    def add_writer(self, fd: int, callback: Callable[[], None]) -> object: ...
    def remove_writer(self, fd: int) -> object: ...


class Wire:
    """Sends now what the kernel takes and keeps the rest. ``on_error`` is called when sending fails."""

    __slots__ = ("_drained", "_fd", "_on_error", "_readiness", "_send", "_sent_late", "sock", "waiting")

    def __init__(
        self,
        readiness: Readiness,
        sock: socket.socket,
        *,
        on_error: Callable[[], None],
        drained: Callable[[], None],
    ) -> None:
        self._readiness = readiness
        self.sock = sock
        self._fd = sock.fileno()
        self._send = sock.send
        self.waiting = bytearray()
        """What the kernel has not taken yet. Both to append and to take from the front cost what is moved, and not what
        waits: a packet of 16 MiB is as cheap a byte as a small one."""
        self._sent_late = 0
        self._on_error = on_error
        self._drained = drained

    def send(self, data: bytes) -> None:
        if self.waiting:
            self.waiting += data
            return
        try:
            sent = self._send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self._on_error()
            return
        if sent < len(data):
            self.waiting += memoryview(data)[sent:]
            self._readiness.add_writer(self._fd, self._writable)

    def forget(self) -> None:
        """What waits is not sent any more."""
        self.waiting.clear()
        self._readiness.remove_writer(self._fd)

    def unacknowledged(self) -> int:
        """Bytes in the kernel that the peer's kernel has not taken."""
        return int.from_bytes(fcntl.ioctl(self._fd, termios.TIOCOUTQ, bytes(4)), sys.byteorder)

    def progress(self) -> int:
        """Grows with each byte that the peer's kernel takes while something waits: the one sign of a peer that is slow
        but there, since ours tells nothing until a third of its buffer is free."""
        return self._sent_late - self.unacknowledged()

    def read_with(self, callback: Callable[[], None]) -> None:
        self._readiness.add_reader(self._fd, callback)

    def stop_reading(self) -> None:
        self._readiness.remove_reader(self._fd)

    def close(self) -> None:
        self._readiness.remove_reader(self._fd)
        self._readiness.remove_writer(self._fd)
        self.waiting.clear()
        self._on_error = self._drained = _nothing
        self.sock.close()

    def _writable(self) -> None:
        try:
            sent = self._send(self.waiting)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._readiness.remove_writer(self._fd)
            self._on_error()
            return
        del self.waiting[:sent]
        self._sent_late += sent
        if not self.waiting:
            self._readiness.remove_writer(self._fd)
            self._drained()


def _nothing() -> None:
    pass


class Alarm:
    """One timer that is set often and rings seldom: an earlier time re-arms it, a later one lets it ring and look
    again. So the hot path only compares two floats."""

    __slots__ = ("_at", "_callback", "_handle", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        self._loop = loop
        self._callback = callback
        self._at = float("inf")
        self._handle: asyncio.TimerHandle | None = None

    def by(self, at: float, now: float) -> None:
        """Rings at ``at`` (monotonic seconds) or earlier."""
        if at >= self._at:
            return
        if self._handle is not None:
            self._handle.cancel()
        self._at = at
        self._handle = self._loop.call_later(max(0.0, at - now) + TICK, self._ring)

    def cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle = None
        self._at = float("inf")

    def end(self) -> None:
        """Never rings again. It lets go of its owner, who else would wait for the garbage collector."""
        self.cancel()
        self._callback = _nothing

    def _ring(self) -> None:
        self._handle = None
        self._at = float("inf")
        self._callback()
