"""Very many connections that never become clients, kept up for as long as a test wants."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from types import TracebackType

from tests.support.net import LOCAL

BATCH = 64


class Swarm:
    """``size`` connections to ``port``, spread over ``sources``; what the gateway cuts is dialled again.

    ``drip`` bytes are sent one at a time, as a slow client does; without them the connections are silent.
    ``rate`` new connections a second at most: an attacker's packets cost the attacker, too.
    """

    def __init__(
        self, port: int, size: int, sources: Sequence[str] = (LOCAL,), *, drip: bytes = b"", rate: int = 800
    ) -> None:
        self._port = port
        self._size = size
        self._sources = sources
        self._drip = drip
        self._rate = rate
        self._open: dict[socket.socket, int] = {}
        self._task: asyncio.Task[None] | None = None
        self.dialled = 0
        self.cut = 0

    async def __aenter__(self) -> Swarm:
        self._task = asyncio.create_task(self._keep_up())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        assert self._task is not None
        self._task.cancel()
        done, _ = await asyncio.wait([self._task])
        for sock in self._open:
            sock.close()
        self._open.clear()
        for task in done:
            if not task.cancelled():
                task.result()

    @property
    def open(self) -> int:
        return len(self._open)

    async def _keep_up(self) -> None:
        while True:
            for _ in range(min(BATCH, self._size - len(self._open))):
                self._dial()
            await asyncio.sleep(BATCH / self._rate)
            for sock in list(self._open)[: 4 * BATCH]:
                self._look_at(sock)

    def _dial(self) -> None:
        sock = socket.socket()
        sock.setblocking(False)
        sock.bind((self._sources[self.dialled % len(self._sources)], 0))
        sock.connect_ex((LOCAL, self._port))
        self._open[sock] = 0
        self.dialled += 1

    def _look_at(self, sock: socket.socket) -> None:
        """Moves it to the end of the queue, or drops it when it is closed."""
        at = self._open.pop(sock)
        try:
            if at < len(self._drip):
                sock.send(self._drip[at : at + 1])
                at += 1
            closed = sock.recv(100) == b""
        except BlockingIOError:
            closed = False
        except OSError:
            closed = True
        if closed:
            sock.close()
            self.cut += 1
        else:
            self._open[sock] = at
