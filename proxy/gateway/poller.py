"""Readiness of many sockets in one callback of the event loop.

All sockets of the data plane stand in an epoll set of our own, and that set is the one thing the event loop watches.
When anything is ready, one callback handles everything that is, and only then do the upstream drivers send what was
gathered: one `send` per side and wake-up, which is where a proxy saves most (performance.md). Beside that it spares
the loop's handling per event. The same on uvloop and on the stock loop.
"""

from __future__ import annotations

import logging
import select
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

Callback = Callable[[], None]

PATIENCE = 40e-6
"""Seconds of asking again in vain before the thread goes to sleep. A device in the same cell answers within that time,
and to be woken costs more than to have waited: with one master the median went from 1.25 times HAProxy's to 0.94, at
less CPU per request. A gateway without traffic does not come here at all."""
SLICE = 0.002
"""Seconds after which timers and signals get their turn."""
QUESTIONS = 4096
"""How often one slice may ask, whatever the clock says."""
_READ = select.EPOLLIN
_WRITE = select.EPOLLOUT
_log = logging.getLogger(__name__)


class Poller:
    """`add_reader` and the like mean what they mean on an event loop; level triggered."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], float]) -> None:
        self._loop = loop
        self._clock = clock
        self._epoll = select.epoll()
        self._readers: dict[int, Callback] = {}
        self._writers: dict[int, Callback] = {}
        self._after: list[Callback] = []
        self._inside = False
        loop.add_reader(self._epoll.fileno(), self._round)

    def add_reader(self, fd: int, callback: Callback) -> None:
        known = fd in self._readers
        self._readers[fd] = callback
        if not known:
            self._change(fd, known_before=fd in self._writers)

    def remove_reader(self, fd: int) -> None:
        if self._readers.pop(fd, None) is not None:
            self._change(fd, known_before=True)

    def add_writer(self, fd: int, callback: Callback) -> None:
        known = fd in self._writers
        self._writers[fd] = callback
        if not known:
            self._change(fd, known_before=fd in self._readers)

    def remove_writer(self, fd: int) -> None:
        if self._writers.pop(fd, None) is not None:
            self._change(fd, known_before=True)

    def after_round(self, callback: Callback) -> None:
        """Calls back when everything that is ready now was handled; soon, if nothing is being handled."""
        if self._inside:
            self._after.append(callback)
        else:
            self._loop.call_soon(callback)

    def close(self) -> None:
        if not self._epoll.closed:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()

    def _change(self, fd: int, *, known_before: bool) -> None:
        if self._epoll.closed:  # the last links say goodbye after the gateway has stopped
            return
        mask = (_READ if fd in self._readers else 0) | (_WRITE if fd in self._writers else 0)
        if not mask:
            self._epoll.unregister(fd)
        elif known_before:
            self._epoll.modify(fd, mask)
        else:
            self._epoll.register(fd, mask)

    def _round(self) -> None:
        """Handles what is ready until nothing was for a moment."""
        now = self._clock()
        end, patience_ends = now + SLICE, now + PATIENCE
        self._inside = True
        for _ in range(QUESTIONS):
            busy = self._handle_ready()
            while self._after:
                self._finish_round()
            now = self._clock()
            if busy:
                patience_ends = now + PATIENCE
            if now >= patience_ends or now >= end:
                break
        self._inside = False

    def _handle_ready(self) -> bool:
        readers, writers = self._readers, self._writers
        ready = self._epoll.poll(0)
        for fd, events in ready:
            # A callback may have closed a socket whose event is still in this list: then there is no callback.
            # An error or a hang-up comes with neither flag; reading or writing finds out what it is.
            try:
                if events != _WRITE and fd in readers:
                    readers[fd]()
                if events != _READ and fd in writers:
                    writers[fd]()
            except Exception:
                _log.exception("a socket callback failed")
        return bool(ready)

    def _finish_round(self) -> None:
        after, self._after = self._after, []
        for callback in after:
            try:
                callback()
            except Exception:
                _log.exception("sending what was gathered failed")
