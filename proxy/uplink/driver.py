"""A publisher on its two sockets: readiness callbacks, one timer, nothing that waits.

Its sockets are the client's ends of links of this very process (`Gateway.attach`). It dials them when the publisher
wants to, and is told by the publisher's own deadlines when to look again.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from proxy.gateway.sockets import Alarm, Wire
from proxy.telemetry.logs import printable

if TYPE_CHECKING:
    import asyncio

    from proxy.uplink.publisher import Publisher, Side

READ = 65_536
CLOSED = "the gateway ended the link; the audit records say why"
STOPPED = "a bug in Bulkhead stopped it; the log has the traceback"

_log = logging.getLogger(__name__)


class Driver:
    """``attach`` gives a connected, non-blocking socket for a side, or raises OSError or KeyError. ``clock`` is
    monotonic seconds."""

    def __init__(
        self,
        name: str,
        publisher: Publisher,
        attach: Callable[[Side], socket.socket],
        *,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float],
    ) -> None:
        self._name = name
        self._publisher = publisher
        self._attach = attach
        self._loop = loop
        self._clock = clock
        self._wires: dict[Side, Wire] = {}
        self._alarm = Alarm(loop, self._rang)
        self._stopped = False
        self._soon = False

    def start(self) -> None:
        self._guarded(lambda now: self._publisher.start())

    def stop(self) -> None:
        """Says goodbye on both sides; what the links do not take at once is lost."""
        self._guarded(self._publisher.stop)
        self._close()

    def _rang(self) -> None:
        self._guarded(self._publisher.tick)

    def _guarded(self, step: Callable[[float], None]) -> None:
        if self._stopped:
            return
        try:
            step(self._clock())
            self._carry_out()
        except Exception:  # one publisher's bug is no other's, and no link's
            _log.exception("publisher %s failed; it stops", self._name)
            for side in (self._publisher.figures.device, self._publisher.figures.broker):
                side.state, side.why = "down", STOPPED
            self._close()

    def _carry_out(self) -> None:
        publisher = self._publisher
        for note in publisher.notes:
            level = logging.WARNING if note.bad else logging.INFO
            _log.log(level, "publisher %s: %s", self._name, printable(note.text), extra={"publisher": self._name})
        publisher.notes.clear()
        while publisher.hang_up or publisher.dial:
            while publisher.hang_up:
                self._hang_up(publisher.hang_up.pop())
            while publisher.dial:
                self._dial(publisher.dial.pop())
        if self._send() and not self._soon:
            self._soon = True
            self._loop.call_soon(self._next_turn)
        if not self._stopped:
            self._alarm.by(publisher.deadline(), self._clock())

    def _next_turn(self) -> None:
        self._soon = False
        self._guarded(lambda now: None)

    def _send(self) -> bool:
        """Whether there may be more, once everybody else had a turn."""
        more = False
        for side, wire in list(self._wires.items()):
            out = self._publisher.out(side)
            if out and not wire.waiting:
                data = bytes(out)
                out.clear()
                wire.send(data)
                if not wire.waiting:
                    self._publisher.sent(side, self._clock())
                    more = True
        return more

    def _dial(self, side: Side) -> None:
        now = self._clock()
        try:
            sock = self._attach(side)
        except (OSError, KeyError) as error:
            self._publisher.lost(side, f"no way in: {printable(str(error), 100)}", now)
            return
        wire = Wire(self._loop, sock, on_error=partial(self._lost, side), drained=partial(self._drained, side))
        self._wires[side] = wire
        wire.read_with(partial(self._readable, side, sock))
        self._publisher.dialled(side, now)

    def _hang_up(self, side: Side) -> None:
        wire = self._wires.pop(side, None)
        if wire is not None:
            wire.close()

    def _readable(self, side: Side, sock: socket.socket) -> None:
        try:
            data = sock.recv(READ)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if data:
            self._guarded(lambda now: self._publisher.received(side, data, now))
        else:
            self._lost(side)

    def _lost(self, side: Side) -> None:
        self._hang_up(side)
        self._guarded(lambda now: self._publisher.lost(side, CLOSED, now))

    def _drained(self, side: Side) -> None:
        self._guarded(lambda now: self._publisher.sent(side, now))

    def _close(self) -> None:
        self._stopped = True
        self._alarm.end()
        for side in list(self._wires):
            self._hang_up(side)
