"""The driver of one `Upstream`: its sockets to the device, and the way between it and the links.

Messages of one wake-up are gathered and sent with one `send` per connection: that, and sharing the connection, is
where the gateway saves the system calls that a one-to-one proxy pays (performance.md).
"""

from __future__ import annotations

import errno
import logging
import os
from typing import TYPE_CHECKING

from proxy.core.events import Event
from proxy.core.reason import Reason
from proxy.gateway.connection import UNTAKEN, Connection
from proxy.gateway.sockets import Alarm
from proxy.protocols.base import UpstreamEffects, UpstreamState

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from proxy.core.inventory import Device, Service
    from proxy.gateway.poller import Poller, Turns
    from proxy.gateway.ports import ClientLink, DeviceCounts, Entrance, Journal, Timing
    from proxy.gateway.tls import DeviceTls
    from proxy.protocols.base import Upstream

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
        poller: Poller | Turns,
        clock: Callable[[], float],
        timing: Timing,
        journal: Journal,
        counts: DeviceCounts,
        single: bool,
        tls: DeviceTls | None = None,
    ) -> None:
        """``make`` builds the upstream, and another one if it fails. ``single``: for one link alone. Then neither side
        is sent more than it takes, and what the link sent is delivered though it has left (`when_done`)."""
        self.device = device
        self._tls = tls
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
        self._connections: dict[int, Connection] = {}
        self._finishing: set[Connection] = set()
        self._done: Callable[[], None] | None = None
        self._leaving = False
        self._up = 0
        self._unsent = 0
        self._choked = False
        self._throttled = False
        self._gathering = False
        self._alarm = Alarm(loop, self._rang)

    @property
    def connected(self) -> int:
        return self._up

    def submit(self, link: ClientLink, messages: list[bytes], now: float) -> None:
        """Takes the messages; they are sent when all that is ready now was handled."""
        number = link.number
        if number not in self._links:
            self._links[number] = link
        for message in messages:
            self._upstream.submit(number, message, now, self._out)
        if self._single and not self._up:
            self._unsent += sum(map(len, messages))
        if not self._gathering:
            self._gathering = True
            self._poller.after_round(self._gathered)

    def leave(self, link: ClientLink, now: float) -> None:
        if self._links.pop(link.number, None) is not None:
            self._guarded(lambda: self._upstream.leave(link.number, now, self._out), now)
        if self._single:
            self._leaving = True
            self._alarm.cancel()
            self._finish()

    def when_done(self, done: Callable[[], None]) -> None:
        """Calls back when nothing of a link that has left is on its way any more, or at once."""
        if self._single:
            self._done = done
            self._look_if_done()
        else:
            done()

    def throttle(self, on: bool) -> None:
        """Whether the link takes less than the device says, so that nothing more is to be read from it."""
        if self._single and on != self._throttled:
            self._throttled = on
            for connection in self._connections.values():
                connection.throttle(on)

    def serves(self, entrance: Entrance) -> bool:
        """The device behind this entrance is the one that is spoken to here, in the same way."""
        service = entrance.service
        return self.device.address == entrance.device.address and self._service.as_if_at(service.origin) == service

    def renew(self, tls: DeviceTls | None) -> None:
        """For connections to come: another certificate, another authority."""
        self._tls = tls

    def close(self) -> None:
        """All connections, here and now."""
        self._alarm.cancel()
        for number in list(self._connections):
            self._close_connection(number)
        finishing, self._finishing = self._finishing, set()
        for connection in finishing:
            connection.close()
            self._counts.open -= 1
        self._look_if_done()

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
                    if connection.send(chunks[0] if len(chunks) == 1 else b"".join(chunks)) and self._single:
                        self._balance()
            out.device.clear()
        if out.hang_up:
            numbers, out.hang_up = out.hang_up, []
            for number in numbers:
                self._hang_up(number)
        if out.dial:
            dials, out.dial = out.dial, []
            for number in dials:
                self._dial(number, now)
        if self._unsent:
            self._balance()
        if out.events:
            events, out.events = out.events, []
            for client, event in events:
                self._journal.event(self._links.get(client) if client is not None else None, self.device.id, event)
        if out.clients or out.states:
            self._deliver(now)
        if out.wake is not None:
            if not self._leaving:
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
        if states:
            self._tell([news for news in states if news[1] is UpstreamState.OPEN], now)
        for number, message in answers:
            if (link := links.get(number)) is not None:
                touched[number] = link
                try:
                    link.deliver(message, now)
                except Exception:
                    link.failed("an answer")
        if states:  # that it is lost comes behind what it said before
            self._tell([news for news in states if news[1] is not UpstreamState.OPEN], now)

    def _tell(self, states: list[tuple[int, UpstreamState]], now: float) -> None:
        for number, state in states:
            if (link := self._links.get(number)) is not None:
                self._touched[number] = link
                try:
                    link.upstream_is(state, now)
                except Exception:
                    link.failed("news of the device")

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

    def _balance(self) -> None:
        """For one link: nothing more is read from it while too much of what it sent waits, for the device or for the
        connection to it. Once it is held back, that lasts until nothing waits."""
        if not self._connections:
            self._unsent = 0
        waiting = self._unsent + sum(connection.untaken for connection in self._connections.values())
        choked = waiting > UNTAKEN or (self._choked and waiting > 0)
        if choked != self._choked:
            self._choked = choked
            for link in self._links.values():
                link.throttle(choked)

    # Connections to the device.

    def _dial(self, number: int, now: float) -> None:
        """The address comes from the inventory and from nowhere else (T60)."""
        self._counts.dials += 1
        connection = Connection(
            self,
            number,
            loop=self._loop,
            poller=self._poller,
            clock=self._clock,
            timing=self._timing,
            tls=self._tls,
            patient=self._single,
        )
        self._connections[number] = connection
        try:
            connection.connect(self.device.address or "", self._service.port, now)
        except OSError as error:
            self._loop.call_soon(self.connection_lost, connection, os.strerror(error.errno or errno.EIO))

    def connection_up(self, connection: Connection) -> None:
        now = self._clock()
        self._counts.open += 1
        self._up += 1
        self._unsent = 0
        connection.throttle(self._throttled)
        self._guarded(lambda: self._upstream.opened(connection.number, now, self._out), now)
        if self._single:
            self._balance()
        if self._leaving:
            self._finish()

    def connection_read(self, connection: Connection, data: bytes) -> None:
        now = self._clock()
        self._counts.bytes_in += len(data)
        try:
            self._upstream.from_device(connection.number, data, now, self._out)
        except Exception:
            self._failed()
            return
        self._carry(now)

    def connection_lost(self, connection: Connection, why: str) -> None:
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
        if self._single:
            self._balance()
            self._look_if_done()

    def connection_drained(self) -> None:
        if self._single:
            self._balance()

    def connection_sent(self, count: int) -> None:
        self._counts.bytes_out += count

    def connection_finished(self, connection: Connection) -> None:
        if connection in self._finishing:
            self._finishing.discard(connection)
            self._counts.open -= 1
        self._look_if_done()

    def _hang_up(self, number: int) -> None:
        connection = self._connections.get(number)
        if connection is None or not self._single or not connection.up:
            self._close_connection(number)
            return
        del self._connections[number]
        self._up -= 1
        self._finishing.add(connection)
        connection.finish()

    def _finish(self) -> None:
        """The link has left. A connection that is still dialled for what the link sent is waited for."""
        for number, connection in list(self._connections.items()):
            if connection.up or not self._unsent:
                self._hang_up(number)
        self._look_if_done()

    def _look_if_done(self) -> None:
        if self._done is not None and not self._connections and not self._finishing:
            done, self._done = self._done, None
            done()

    def _close_connection(self, number: int) -> None:
        connection = self._connections.pop(number, None)
        if connection is not None:
            if connection.up:
                self._counts.open -= 1
                self._up -= 1
            connection.close()
