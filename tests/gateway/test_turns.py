"""T43, T47: one source that floods waits for itself, through however many connections; nobody else waits for it."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager

from proxy.gateway.poller import FEW, SLICE, Poller
from tests.support.net import until

CROWD = 60
SAID = 21
WORK = 0.001
"""Seconds that each socket of the flood takes whenever it is ready, and it always is."""


@contextmanager
def ready(poller: Poller, owner: str, count: int, what: Callable[[], None]) -> Iterator[None]:
    """``count`` sockets that are always readable, and what is done about it."""
    with ExitStack() as stack:
        for _ in range(count):
            here, there = socket.socketpair()
            stack.enter_context(closing(here))
            stack.enter_context(closing(there))
            there.send(b"x")
            poller.of(owner).add_reader(here.fileno(), what)
            stack.callback(poller.remove_reader, here.fileno())
        yield


def burn() -> None:
    until_ = time.perf_counter() + WORK
    while time.perf_counter() < until_:
        pass


def now_and_then(sock: socket.socket) -> None:
    """From a thread, as a peer would: from the loop it would always come between two rounds."""
    for _ in range(SAID):
        time.sleep(0.023)
        sock.send(b"%.9f" % time.perf_counter())


async def test_a_quiet_one_does_not_wait_for_a_crowd() -> None:
    """Of 60 sockets that are always ready each takes 1 ms: in their order that were 60 ms for whoever comes last."""
    poller = Poller(asyncio.get_running_loop(), time.monotonic)
    here, there = socket.socketpair()
    heard: list[float] = []

    def listen() -> None:
        heard.append(time.perf_counter() - float(here.recv(64)))

    with closing(here), closing(there), ready(poller, "crowd", CROWD, burn):
        poller.of("quiet").add_reader(here.fileno(), listen)
        await asyncio.sleep(0.1)
        said = asyncio.create_task(asyncio.to_thread(now_and_then, there))
        await until(lambda: len(heard) == SAID)
        await said
        poller.remove_reader(here.fileno())
        assert sorted(heard)[len(heard) // 2] < SLICE + 5 * WORK
    poller.close()


async def test_all_of_a_crowd_have_their_turn() -> None:
    poller = Poller(asyncio.get_running_loop(), time.monotonic)
    counts = [0] * CROWD

    def counting(place: int) -> Callable[[], None]:
        def count() -> None:
            counts[place] += 1
            burn()

        return count

    with ExitStack() as stack:
        for place in range(CROWD):
            stack.enter_context(ready(poller, f"one of {CROWD}", 1, counting(place)))
        await until(lambda: min(counts) > 0)
    poller.close()


async def test_a_later_turn_comes_among_the_others() -> None:
    """What a link could not do in its turn is done in one of its own later, in order, and not before the quiet."""
    poller = Poller(asyncio.get_running_loop(), time.monotonic)
    done: list[str] = []
    turns = poller.of("crowd")
    for number in range(3):
        turns.again(lambda number=number: done.append(f"crowd {number}"))  # type: ignore[misc]
    await until(lambda: len(done) == 3)
    assert done == ["crowd 0", "crowd 1", "crowd 2"]

    def broken() -> None:
        raise RuntimeError("a bug of a link")

    turns.again(broken)
    turns.again(lambda: done.append("after it"))
    await until(lambda: done[-1] == "after it")
    with ready(poller, "crowd", FEW + 4, burn):
        await asyncio.sleep(0.05)
        turns.again(lambda: done.append("crowd"))
        poller.of("quiet").again(lambda: done.append("quiet"))
        await until(lambda: len(done) == 6)
    assert done[-2:] == ["quiet", "crowd"]
    poller.close()
