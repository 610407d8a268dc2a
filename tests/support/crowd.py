"""Many masters that poll all the time over links of their own, and remember what became of each question."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.support.master import Master, read


@dataclass
class Poller:
    """One link. ``source`` is the address that it comes from, which is who it is. ``ended``: when its link did, wall
    seconds, or None; ``wrong`` is what an answer should not have been."""

    source: str
    address: int
    asked: int = 0
    answered: int = 0
    ended: float | None = None
    wrong: list[str] = field(default_factory=list)
    seconds: list[tuple[float, float]] = field(default_factory=list)
    """(when, how long) of each answer, monotonic seconds."""
    served: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, port: int, pause: float, stop: asyncio.Event) -> None:
        """Polls until ``stop``, or until the gateway ends the link."""
        async with await Master.open(port, source=self.source) as master:
            while not stop.is_set():
                began = time.monotonic()
                self.asked += 1
                try:
                    answer = await master.ask(read(self.address), seconds=20.0)
                except (ConnectionError, EOFError, asyncio.IncompleteReadError):
                    self.ended = time.time()
                    self.over.set()
                    return
                self.seconds.append((began, time.monotonic() - began))
                self.answered += 1
                self.served.set()
                if answer[0] != 3:
                    self.wrong.append(answer.hex())
                await asyncio.sleep(pause)


@dataclass
class Crowd:
    """``keep`` go on whatever happens. ``visit`` is one link after the other: connect, ask once, leave."""

    port: int
    keep: list[Poller] = field(default_factory=list)
    visits: int = 0
    failed: list[str] = field(default_factory=list)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def gather(self, pollers: Sequence[Poller], pause: float) -> None:
        """They come one after the other, so that none is turned away."""
        self.keep += pollers
        for poller in pollers:
            self._tasks.append(asyncio.create_task(poller.run(self.port, pause, self.stop)))
            await asyncio.sleep(0.002)

    def visit(self, sources: Sequence[str], rate: float, address: int) -> None:
        """New connections, ``rate`` a second, as long as the crowd is there."""
        self._tasks.append(asyncio.create_task(self._visit(sources, rate, address)))

    async def go(self) -> None:
        """Everybody finishes the question that is under way, and leaves."""
        self.stop.set()
        for result in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def _visit(self, sources: Sequence[str], rate: float, address: int) -> None:
        under_way: set[asyncio.Task[None]] = set()
        due = time.monotonic()
        while not self.stop.is_set():
            task = asyncio.create_task(self._once(sources[self.visits % len(sources)], address))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            self.visits += 1
            due += 1 / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        await asyncio.gather(*under_way)

    async def _once(self, source: str, address: int) -> None:
        try:
            async with await Master.open(self.port, source=source) as master:
                answer = await master.ask(read(address), seconds=20.0)
            if answer[0] != 3:
                self.failed.append(answer.hex())
        except (OSError, EOFError, TimeoutError) as fault:
            self.failed.append(repr(fault))


def sources(count: int, block: int) -> list[str]:
    """Loopback addresses of their own: 127.0.BLOCK.1 and so on."""
    return [f"127.0.{block}.{at}" for at in range(1, count + 1)]
