"""`Wire` over sockets that take little at a time, `Alarm` on a loop whose time is told, `Poller` and fds used again."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from proxy.gateway.poller import Poller
from proxy.gateway.sockets import Alarm, Wire


class FakeReadiness:
    def __init__(self) -> None:
        self.readers: dict[int, Callable[[], None]] = {}
        self.writers: dict[int, Callable[[], None]] = {}

    def add_reader(self, fd: int, callback: Callable[[], None]) -> None:
        self.readers[fd] = callback

    def remove_reader(self, fd: int) -> None:
        self.readers.pop(fd, None)

    def add_writer(self, fd: int, callback: Callable[[], None]) -> None:
        self.writers[fd] = callback

    def remove_writer(self, fd: int) -> None:
        self.writers.pop(fd, None)


class FakeSocket:
    """Takes at most ``room`` bytes a call; 0 is "would block", None is broken."""

    def __init__(self) -> None:
        self.room: int | None = 1 << 20
        self.taken = b""
        self.keep = True
        self.closed = False

    def fileno(self) -> int:
        return 7

    def send(self, data: bytes) -> int:
        if self.room is None:
            raise BrokenPipeError
        if self.room == 0:
            raise BlockingIOError
        if self.keep:
            self.taken += data[: self.room]
        return min(self.room, len(data))

    def close(self) -> None:
        self.closed = True


class Bench:
    def __init__(self) -> None:
        self.readiness, self.sock = FakeReadiness(), FakeSocket()
        self.errors = self.drains = 0
        sock: Any = self.sock
        self.wire = Wire(self.readiness, sock, on_error=self._error, drained=self._drained)

    def _error(self) -> None:
        self.errors += 1

    def _drained(self) -> None:
        self.drains += 1


class TestWire:
    def test_what_goes_at_once_waits_for_nothing(self) -> None:
        bench = Bench()
        bench.wire.send(b"hello")
        assert bench.sock.taken == b"hello" and not bench.wire.waiting
        assert not bench.readiness.writers and bench.drains == 0

    @pytest.mark.parametrize("room", [0, 1, 3])
    def test_short_writes_keep_the_order(self, room: int) -> None:
        bench = Bench()
        bench.sock.room = room
        for number in range(20):
            bench.wire.send(b"%04d" % number)
        assert len(bench.wire.waiting) + len(bench.sock.taken) == 80
        bench.sock.room = max(room, 1)
        while bench.readiness.writers:
            bench.readiness.writers[7]()
        assert bench.sock.taken == b"".join(b"%04d" % number for number in range(20))
        assert bench.drains == 1 and not bench.wire.waiting

    def test_would_block_again_keeps_waiting(self) -> None:
        bench = Bench()
        bench.sock.room = 0
        bench.wire.send(b"abc")
        bench.readiness.writers[7]()
        assert bench.wire.waiting == b"abc" and bench.drains == 0

    def test_16_mib_in_small_bites_and_appended_to(self) -> None:
        """Each byte is moved once or twice, not once for every bite: 4,096 times 16 MiB would take a minute."""
        bench = Bench()
        bench.sock.room, bench.sock.keep = 4096, False
        began = time.monotonic()
        bench.wire.send(bytes(16 << 20))
        bites = 0
        while bench.readiness.writers:
            bench.readiness.writers[7]()
            bites += 1
            if bites < 1000:
                bench.wire.send(b"0123456789")
        assert time.monotonic() - began < 2
        assert bites == 4098 and bench.drains == 1

    def test_an_error_is_told(self) -> None:
        bench = Bench()
        bench.sock.room = None
        bench.wire.send(b"abc")
        assert bench.errors == 1 and not bench.wire.waiting

    def test_an_error_while_it_waits_is_told_once(self) -> None:
        bench = Bench()
        bench.sock.room = 1
        bench.wire.send(b"abc")
        bench.sock.room = None
        bench.readiness.writers[7]()
        assert bench.errors == 1 and bench.drains == 0 and not bench.readiness.writers

    def test_closed_it_leaves_nothing_behind(self) -> None:
        bench = Bench()
        bench.wire.read_with(lambda: None)
        bench.sock.room = 1
        bench.wire.send(b"abc")
        bench.wire.close()
        assert bench.sock.closed and not bench.readiness.readers and not bench.readiness.writers
        bench.sock.room = None
        bench.wire.send(b"more")
        assert bench.errors == 0, "whoever closed it is not told of errors any more"


class FakeLoop:
    """`call_later` on a clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: list[tuple[float, Callable[[], None]]] = []
        self.armed = 0

    def call_later(self, delay: float, callback: Callable[[], None]) -> FakeLoop.Handle:
        entry = (self.now + delay, callback)
        self.due.append(entry)
        self.armed += 1
        return FakeLoop.Handle(self, entry)

    class Handle:
        def __init__(self, loop: FakeLoop, entry: tuple[float, Callable[[], None]]) -> None:
            self._loop, self._entry = loop, entry

        def cancel(self) -> None:
            if self._entry in self._loop.due:
                self._loop.due.remove(self._entry)

    def move_to(self, now: float) -> None:
        self.now = now
        for entry in [entry for entry in self.due if entry[0] <= now]:
            self.due.remove(entry)
            entry[1]()


class TestAlarm:
    def alarm(self) -> tuple[FakeLoop, list[float], Alarm]:
        loop, rang = FakeLoop(), list[float]()
        on: Any = loop
        return loop, rang, Alarm(on, lambda: rang.append(loop.now))

    def test_never_early(self) -> None:
        loop, rang, alarm = self.alarm()
        alarm.by(5.0, 0.0)
        loop.move_to(4.999)
        assert not rang
        loop.move_to(5.01)
        assert rang == [5.01]

    def test_an_earlier_time_moves_it_a_later_one_does_not(self) -> None:
        loop, rang, alarm = self.alarm()
        alarm.by(5.0, 0.0)
        for later in range(6, 100):
            alarm.by(later, 0.0)
        assert loop.armed == 1
        alarm.by(2.0, 0.0)
        assert len(loop.due) == 1
        loop.move_to(2.01)
        assert rang == [2.01] and not loop.due

    def test_it_can_be_set_again_when_it_rings(self) -> None:
        loop, rang, alarm = self.alarm()
        alarm.by(1.0, 0.0)
        loop.move_to(1.01)
        alarm.by(3.0, 1.01)
        loop.move_to(3.02)
        assert rang == [1.01, 3.02]

    def test_overdue_rings_soon(self) -> None:
        loop, rang, alarm = self.alarm()
        alarm.by(-5.0, 0.0)
        loop.move_to(0.01)
        assert rang == [0.01]

    def test_cancelled_it_can_be_set_again_ended_it_never_rings(self) -> None:
        loop, rang, alarm = self.alarm()
        alarm.by(1.0, 0.0)
        alarm.cancel()
        loop.move_to(2.0)
        assert not rang
        alarm.by(3.0, 2.0)
        loop.move_to(3.01)
        assert rang == [3.01]
        alarm.by(4.0, 3.01)
        alarm.end()
        alarm.by(5.0, 3.01)
        loop.move_to(9.0)
        assert rang == [3.01]


class TestPoller:
    @pytest.fixture
    def pair(self) -> Iterator[tuple[socket.socket, socket.socket]]:
        one, other = socket.socketpair()
        with one, other:
            one.setblocking(False)
            other.setblocking(False)
            yield one, other

    async def poller(self) -> Poller:
        return Poller(asyncio.get_running_loop(), time.monotonic)

    async def test_readable_and_writable(self, pair: tuple[socket.socket, socket.socket]) -> None:
        poller, (one, other) = await self.poller(), pair
        seen: list[str] = []
        poller.add_reader(one.fileno(), lambda: seen.append("read " + one.recv(10).decode()))
        await asyncio.sleep(0.02)
        assert seen == []
        other.send(b"x")
        await asyncio.sleep(0.02)
        assert seen == ["read x"]

        def write() -> None:
            seen.append("write")
            poller.remove_writer(one.fileno())

        poller.add_writer(one.fileno(), write)
        await asyncio.sleep(0.02)
        assert seen == ["read x", "write"]
        poller.remove_reader(one.fileno())
        other.send(b"y")
        await asyncio.sleep(0.02)
        assert seen == ["read x", "write"]
        poller.close()

    async def test_a_hang_up_is_seen_by_the_reader_and_does_not_spin_without_one(
        self, pair: tuple[socket.socket, socket.socket]
    ) -> None:
        poller, (one, other) = await self.poller(), pair
        seen: list[bytes] = []

        def read() -> None:
            seen.append(one.recv(10))
            poller.remove_reader(one.fileno())

        poller.add_reader(one.fileno(), read)
        other.close()
        await asyncio.sleep(0.02)
        assert seen == [b""]
        began = time.thread_time()
        await asyncio.sleep(0.2)
        assert time.thread_time() - began < 0.1
        poller.close()

    async def test_a_callback_that_raises_disturbs_no_other(self) -> None:
        poller = await self.poller()
        pairs = [socket.socketpair() for _ in range(3)]
        seen = []

        def read(at: int) -> None:
            pairs[at][0].recv(10)
            if at == 1:
                raise ZeroDivisionError("a bug")
            seen.append(at)

        for at, (one, other) in enumerate(pairs):
            poller.add_reader(one.fileno(), lambda at=at: read(at))  # type: ignore[misc]
            other.send(b"x")
        await asyncio.sleep(0.05)
        assert sorted(seen) == [0, 2]
        for one, other in pairs:
            poller.remove_reader(one.fileno())
            one.close()
            other.close()
        poller.close()

    async def test_a_socket_closed_by_another_in_the_same_round(self) -> None:
        """Its event is in the list already; nobody is to be called for it, nor for who gets its number."""
        poller = await self.poller()
        pairs = [socket.socketpair() for _ in range(2)]
        seen = []

        def read(at: int) -> None:
            seen.append(at)
            for one, _ in pairs:
                poller.remove_reader(one.fileno())
                one.close()

        for at, (one, other) in enumerate(pairs):
            poller.add_reader(one.fileno(), lambda at=at: read(at))  # type: ignore[misc]
            other.send(b"x")
        await asyncio.sleep(0.05)
        assert len(seen) == 1
        for _, other in pairs:
            other.close()
        poller.close()

    async def test_after_the_round_comes_after_everything_that_was_ready(self) -> None:
        poller = await self.poller()
        pairs = [socket.socketpair() for _ in range(4)]
        order: list[str] = []

        def read(at: int) -> None:
            pairs[at][0].recv(10)
            order.append("read")
            poller.after_round(lambda: order.append("after"))

        for at, (one, other) in enumerate(pairs):
            poller.add_reader(one.fileno(), lambda at=at: read(at))  # type: ignore[misc]
            other.send(b"x")
        await asyncio.sleep(0.05)
        assert order == ["read"] * 4 + ["after"] * 4
        for one, other in pairs:
            poller.remove_reader(one.fileno())
            one.close()
            other.close()
        poller.close()
