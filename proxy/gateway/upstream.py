"""The driver of one `Upstream`: its sockets to the device, and the way between it and the links.

Messages of one wake-up are gathered and sent with one `send` per connection: that, and sharing the connection, is
where the gateway saves the system calls that a one-to-one proxy pays (performance.md).
"""

from __future__ import annotations

import errno
import logging
import os
import socket
from typing import TYPE_CHECKING

from proxy.core.events import Event
from proxy.core.reason import Reason
from proxy.gateway.sockets import Alarm, Wire, tune
from proxy.protocols.base import UpstreamEffects

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from proxy.core.inventory import Device, Service
    from proxy.gateway.poller import Poller
    from proxy.gateway.ports import ClientLink, DeviceCounts, Journal, Timing
    from proxy.protocols.base import Upstream

READ = 65536
UNTAKEN = 65536
"""Bytes a device has not taken, above which its connection is cut. Messages that get an answer are bounded by the
upstream; those that get none (a broadcast) are bounded by this alone."""

_log = logging.getLogger(__name__)


class UpstreamDriver:
    """For one device and service; ``upstream`` holds all protocol state. Lives on one event loop."""

    def __init__(
        self,
        make: Callable[[], Upstream],
        device: Device,
        service: Service,
        *,
        loop: asyncio.AbstractEventLoop,
        poller: Poller,
        clock: Callable[[], float],
        timing: Timing,
        journal: Journal,
        counts: DeviceCounts,
        single: bool,
    ) -> None:
        """``make`` builds the upstream, and another one if it fails. ``single``: for one link alone, gone with it."""
        self.device = device
        self._single = single
        self._make = make
        self._upstream = make()
        self._service = service
        self._loop = loop
        self._poller = poller
        self._clock = clock
        self._timing = timing
        self._journal = journal
        self._counts = counts
        self._out = UpstreamEffects()
        self._links: dict[int, ClientLink] = {}
        self._touched: dict[int, ClientLink] = {}
        self._connections: dict[int, _Connection] = {}
        self._gathering = False
        self._alarm = Alarm(loop, self._rang)

    @property
    def connected(self) -> int:
        return sum(connection.up for connection in self._connections.values())

    def submit(self, link: ClientLink, messages: list[bytes], now: float) -> None:
        """Takes the messages; they are sent when all that is ready now was handled."""
        number = link.number
        if number not in self._links:
            self._links[number] = link
        for message in messages:
            self._upstream.submit(number, message, now, self._out)
        if not self._gathering:
            self._gathering = True
            self._poller.after_round(self._gathered)

    def leave(self, link: ClientLink, now: float) -> None:
        if self._links.pop(link.number, None) is not None:
            self._guarded(lambda: self._upstream.leave(link.number, now, self._out), now)
        if self._single:
            self.close()

    def close(self) -> None:
        self._alarm.cancel()
        for number in list(self._connections):
            self._close_connection(number)

    def _gathered(self) -> None:
        self._gathering = False
        self._carry(self._clock())

    def _guarded(self, step: Callable[[], None], now: float) -> None:
        try:
            step()
        except Exception:
            self._failed()
            return
        self._carry(now)

    def _failed(self) -> None:
        """An upstream that raises has a bug: its links end, its connections close, the other devices go on. Its state
        is worth nothing any more, so links that come later get a new one."""
        _log.exception("device %s: the upstream failed; its links are closed", self.device.id)
        self.close()
        links, self._links = self._links, {}
        self._upstream, self._out = self._make(), UpstreamEffects()
        for link in links.values():
            link.end(Reason.INSPECTOR_ERROR)

    def _carry(self, now: float) -> None:
        """Carries out what the upstream wants. Links may submit again while their answers are flushed; that is
        gathered for the next turn, so this ends."""
        out = self._out
        if out.device:
            for number, chunks in out.device.items():
                connection = self._connections.get(number)
                if connection is not None:
                    connection.send(chunks[0] if len(chunks) == 1 else b"".join(chunks))
            out.device.clear()
        if out.hang_up:
            for number in out.hang_up:
                self._close_connection(number)
            out.hang_up.clear()
        if out.dial:
            dials, out.dial = out.dial, []
            for number in dials:
                self._dial(number, now)
        if out.events:
            events, out.events = out.events, []
            for client, event in events:
                self._journal.event(self._links.get(client) if client is not None else None, self.device.id, event)
        if out.clients or out.states:
            self._deliver(now)
        if out.wake is not None:
            self._alarm.by(out.wake, now)
            out.wake = None

    def _deliver(self, now: float) -> None:
        """Hands out all answers; the links send theirs when everything that is ready now was handled. So there is one
        `send` per link however many answers it gets, and one waking of the other side for all that is sent."""
        out = self._out
        answers, out.clients = out.clients, []
        states, out.states = out.states, []
        links, touched = self._links, self._touched
        if not touched:
            self._poller.after_round(self._flush_links)
        for number, state in states:
            if (link := links.get(number)) is not None:
                touched[number] = link
                try:
                    link.upstream_is(state, now)
                except Exception:
                    link.failed("news of the device")
        for number, message in answers:
            if (link := links.get(number)) is not None:
                touched[number] = link
                try:
                    link.deliver(message, now)
                except Exception:
                    link.failed("an answer")

    def _flush_links(self) -> None:
        touched, self._touched = self._touched, {}
        now = self._clock()
        for link in touched.values():
            try:
                link.flush(now)
            except Exception:
                link.failed("delivering answers")

    def _rang(self) -> None:
        now = self._clock()
        self._guarded(lambda: self._on_time(now), now)

    def _on_time(self, now: float) -> None:
        """When the alarm has rung: the only time that the upstream is asked. In between it tells."""
        wanted = self._upstream.deadline()
        if wanted is not None and now >= wanted:
            self._upstream.tick(now, self._out)
            wanted = self._upstream.deadline()
        if wanted is not None:
            self._alarm.by(wanted, now)

    # Connections to the device.

    def _dial(self, number: int, now: float) -> None:
        """The address comes from the inventory and from nowhere else (T60)."""
        self._counts.dials += 1
        connection = _Connection(self, number)
        self._connections[number] = connection
        try:
            connection.connect(self.device.address or "", self._service.port, self._timing.dial, now)
        except OSError as error:
            self._loop.call_soon(self.connection_lost, connection, os.strerror(error.errno or errno.EIO))

    def connection_up(self, connection: _Connection) -> None:
        now = self._clock()
        self._counts.open += 1
        self._guarded(lambda: self._upstream.opened(connection.number, now, self._out), now)

    def connection_read(self, connection: _Connection, data: bytes) -> None:
        now = self._clock()
        self._counts.bytes_in += len(data)
        try:
            self._upstream.from_device(connection.number, data, now, self._out)
        except Exception:
            self._failed()
            return
        self._carry(now)

    def connection_lost(self, connection: _Connection, why: str) -> None:
        if self._connections.get(connection.number) is not connection:
            return
        now = self._clock()
        if connection.up:
            self._counts.lost += 1
        else:
            self._counts.dial_failures += 1
        self._close_connection(connection.number)
        detail = f"{self.device.id}:{self._service.port} {why}"
        self._journal.event(None, self.device.id, Event("device", reason=Reason.UPSTREAM_UNREACHABLE, detail=detail))
        self._guarded(lambda: self._upstream.lost(connection.number, now, self._out), now)

    def connection_sent(self, count: int) -> None:
        self._counts.bytes_out += count

    def _close_connection(self, number: int) -> None:
        connection = self._connections.pop(number, None)
        if connection is not None:
            if connection.up:
                self._counts.open -= 1
            connection.close()


class _Connection:
    """One TCP connection to the device: dialling, then up."""

    def __init__(self, driver: UpstreamDriver, number: int) -> None:
        self.number = number
        self.up = False
        self._driver = driver
        self._loop = driver._loop
        self._poller = driver._poller
        self._sock: socket.socket | None = None
        self._wire: Wire | None = None
        self._alarm = Alarm(self._loop, self._too_long)
        self._until = 0.0

    def connect(self, host: str, port: int, seconds: float, now: float) -> None:
        """Raises OSError when it fails at once. ``host`` is a literal address."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        tune(self._sock)
        self._until = now + seconds
        self._alarm.by(self._until, now)
        code = self._sock.connect_ex((host, port))
        if code not in (0, errno.EINPROGRESS):
            raise OSError(code, os.strerror(code))
        self._poller.add_writer(self._sock.fileno(), self._connected)

    def send(self, data: bytes) -> None:
        if self._wire is not None:
            self._driver.connection_sent(len(data))
            self._wire.send(data)
            if len(self._wire.waiting) > UNTAKEN:
                self._broken("does not take what it is sent")

    def close(self) -> None:
        self._alarm.cancel()
        if self._wire is not None:
            self._wire.close()
        elif self._sock is not None:
            self._poller.remove_writer(self._sock.fileno())
            self._sock.close()
        self._sock = self._wire = None

    def _connected(self) -> None:
        assert self._sock is not None  # noqa: S101 - only registered while there is one
        if code := self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._driver.connection_lost(self, os.strerror(code))
            return
        try:
            self._sock.getpeername()
        except OSError as error:
            if error.errno == errno.ENOTCONN:
                return  # still dialling: the event was for a socket that had this number before, in the same round
        self._poller.remove_writer(self._sock.fileno())
        self._alarm.cancel()
        self.up = True
        self._wire = Wire(self._poller, self._sock, on_error=self._broken, drained=_nothing)
        self._wire.read_with(self._readable)
        self._driver.connection_up(self)

    def _readable(self) -> None:
        assert self._sock is not None  # noqa: S101
        try:
            data = self._sock.recv(READ)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._driver.connection_lost(self, os.strerror(error.errno or errno.EIO))
            return
        if data:
            self._driver.connection_read(self, data)
        else:
            self._driver.connection_lost(self, "closed the connection")

    def _broken(self, why: str = "broke the connection") -> None:
        # Told in the next turn: the driver may be in the middle of sending to this very connection.
        self._loop.call_soon(self._driver.connection_lost, self, why)

    def _too_long(self) -> None:
        if not self.up and self._sock is not None:
            self._driver.connection_lost(self, "did not accept the connection in time")


def _nothing() -> None:
    pass
