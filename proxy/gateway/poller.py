"""Readiness of many sockets in one callback of the event loop.

All sockets of the data plane stand in an epoll set of our own, and that set is the one thing the event loop watches.
When anything is ready, one callback handles everything that is, and only then do the upstream drivers send what was
gathered: one `send` per side and wake-up, which is where a proxy saves most (performance.md). Beside that it spares
the loop's handling per event. The same on uvloop and on the stock loop.

When much is ready at once, whoever took least time lately comes first, and after a slice the rest is asked for again.
So one source that floods, through however many connections, waits for itself and not the others for it (T43, T47).
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
FEW = 8
"""Ready sockets of one question that are handled as they come: their order is not worth its cost."""
ASK_AGAIN = 0.0005
"""Seconds of turns after which it is asked anew who is ready: somebody quiet may be."""
HALVED = 0.25
"""Seconds in which the time that somebody took counts half as much."""
QUESTIONS = 4096
"""How often one slice may ask, whatever the clock says."""
_READ = select.EPOLLIN
_WRITE = select.EPOLLOUT
_log = logging.getLogger(__name__)
_Turn = tuple[str, int, Callback | tuple[int, int]]
"""Whose it is, since when it waits, and what is to be done: a callback, or a socket and its events."""


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
        self._owners: dict[int, str] = {}
        self._spent: dict[str, float] = {}
        self._halve_at = 0.0
        self._again: list[_Turn] = []
        self._served: dict[int, int] = {}
        """When each socket had its last turn, counted in turns: of one owner's the one that waits longest is next."""
        self._turns = 0
        loop.add_reader(self._epoll.fileno(), self._round)

    def of(self, owner: str) -> Turns:
        """What its sockets do is done in ``owner``'s turn."""
        return Turns(self, owner)

    def again(self, callback: Callback, owner: str = "") -> None:
        """Calls back once, in a turn of ``owner``'s."""
        self._again.append((owner, self._turns, callback))
        if not self._inside:
            self._loop.call_soon(self._round)

    def add_reader(self, fd: int, callback: Callback, owner: str = "") -> None:
        known = fd in self._readers
        self._owners[fd] = owner
        self._readers[fd] = callback
        if not known:
            self._change(fd, known_before=fd in self._writers)

    def remove_reader(self, fd: int) -> None:
        if self._readers.pop(fd, None) is not None:
            self._change(fd, known_before=True)

    def add_writer(self, fd: int, callback: Callback, owner: str = "") -> None:
        known = fd in self._writers
        self._owners[fd] = owner
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
            self._owners.pop(fd, None)
            self._served.pop(fd, None)
            self._epoll.unregister(fd)
        elif known_before:
            self._epoll.modify(fd, mask)
        else:
            self._epoll.register(fd, mask)

    def _round(self) -> None:
        """Handles what is ready until nothing was for a moment."""
        if self._epoll.closed:
            return
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
        if self._again:
            self._loop.call_soon(self._round)

    def _handle_ready(self) -> bool:
        ready = self._epoll.poll(0)
        if len(ready) > FEW or self._again:
            self._in_turns(ready)
            return True
        for fd, events in ready:
            self._handle(fd, events)
        return bool(ready)

    def _handle(self, fd: int, events: int) -> None:
        # A callback may have closed a socket whose event is still in a list: then there is no callback.
        # An error or a hang-up comes with neither flag; reading or writing finds out what it is.
        readers, writers = self._readers, self._writers
        try:
            if events != _WRITE and fd in readers:
                readers[fd]()
            if events != _READ and fd in writers:
                writers[fd]()
        except Exception:
            _log.exception("a socket callback failed")

    def _in_turns(self, ready: list[tuple[int, int]]) -> None:
        """Who took least comes first. What is not reached in time is ready still, when that is asked again."""
        owners, spent, served, clock = self._owners, self._spent, self._served, self._clock
        again, self._again = self._again, []
        began = clock()
        end = began + ASK_AGAIN
        if began >= self._halve_at:
            self._halve_at = began + HALVED
            self._spent = spent = {owner: cost / 2 for owner, cost in spent.items() if cost > SLICE / 100}
        todo = [*again, *((owners.get(one[0], ""), served.get(one[0], 0), one) for one in ready)]
        todo.sort(key=lambda turn: (spent.get(turn[0], 0.0), turn[1]))
        for place, (owner, _, what) in enumerate(todo):
            self._turns += 1
            if isinstance(what, tuple):
                served[what[0]] = self._turns
                self._handle(*what)
            else:
                self._call(what)
            now = clock()
            if owner:
                spent[owner] = spent.get(owner, 0.0) + now - began
            began = now
            if now >= end:
                self._again += [turn for turn in todo[place + 1 :] if not isinstance(turn[2], tuple)]
                break

    def _call(self, callback: Callback) -> None:
        try:
            callback()
        except Exception:
            _log.exception("a turn failed")

    def _finish_round(self) -> None:
        after, self._after = self._after, []
        for callback in after:
            try:
                callback()
            except Exception:
                _log.exception("sending what was gathered failed")


class Turns:
    """A `Poller` for one owner: a client's address, for all its connections and those to devices for it alone."""

    __slots__ = ("_owner", "_poller")

    def __init__(self, poller: Poller, owner: str) -> None:
        self._poller = poller
        self._owner = owner

    def add_reader(self, fd: int, callback: Callback) -> None:
        self._poller.add_reader(fd, callback, self._owner)

    def remove_reader(self, fd: int) -> None:
        self._poller.remove_reader(fd)

    def add_writer(self, fd: int, callback: Callback) -> None:
        self._poller.add_writer(fd, callback, self._owner)

    def remove_writer(self, fd: int) -> None:
        self._poller.remove_writer(fd)

    def after_round(self, callback: Callback) -> None:
        self._poller.after_round(callback)

    def again(self, callback: Callback) -> None:
        self._poller.again(callback, self._owner)
