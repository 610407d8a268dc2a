"""A client that is alone with its device: back pressure both ways, ends that lose nothing. The broker is the judge."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import os
import socket
import sys
import termios
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from proxy.core.reason import Reason
from proxy.gateway.connection import READ as DEVICE_READ
from proxy.gateway.connection import UNTAKEN, Connection
from proxy.gateway.link import CUT_AT, PAUSE_AT, READ, Link
from tests.support.inside import QUICK, Inside
from tests.support.net import open_files, until
from tests.support.pipe import SEGMENT, Broker, Line, PipeProtocol
from tests.support.raw import Raw

MIB = 1 << 20
END = b"the end"
SMALL, MIDDLE = 4096, 65536
"""Of socket buffers, so that the kernel hides little."""


def inside_of(broker: Broker, protocol: PipeProtocol | None = None, **more: object) -> Inside:
    return Inside(protocol or PipeProtocol(), broker.port, shared=False, **more)  # type: ignore[arg-type]


async def client_of(inside: Inside, buffer: int | None = None) -> Raw:
    return await Raw.to(inside.port, receive_buffer=buffer, segment=SEGMENT)


def pattern(size: int) -> bytes:
    """Bytes that show when some are missing, doubled or out of order."""
    return b"".join(at.to_bytes(4, "big") for at in range(size // 4))


def same(one: bytes | bytearray, other: bytes) -> bool:
    """Without a report of megabytes when they are not."""
    return bool(one == other)


async def met(
    inside: Inside, broker: Broker, client: Raw, *, up: int = 0, down: int = 0
) -> tuple[Line, Link, Connection]:
    """A client and its broker, who have exchanged a word. ``up`` and ``down``: sizes of the kernel's buffers on the way
    that the gateway sends on, which are megabytes otherwise; where it receives they are not much larger."""
    await client.send(b"hello")
    line = await broker.accept()
    assert await line.exactly(5) == b"hello"
    await until(lambda: inside.device_counts.open == 1)
    [link] = inside.links
    assert isinstance(link, Link)
    [connection] = link._upstream._connections.values()
    assert connection._wire is not None
    near, far = link._wire.sock, connection._wire.sock
    for size, sender, receiver in (
        (up and MIDDLE, client.sock, near),
        (up, far, line.sock),
        (down and MIDDLE, line.sock, far),
        (down, near, client.sock),
    ):
        if size:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
            receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    return line, link, connection


def fill(sock: socket.socket, data: bytes) -> int:
    """As many bytes as go at once."""
    try:
        return sock.send(data)
    except (BlockingIOError, ConnectionError):
        return 0


async def pour(sock: socket.socket, data: bytes, still: float = 0.15) -> int:
    """Sends until nothing has been taken for a while. Returns how many bytes were."""
    done, last = 0, time.monotonic()
    while time.monotonic() < last + still and done < len(data):
        if sent := fill(sock, data[done : done + MIB]):
            done += sent
            last = time.monotonic()
        await asyncio.sleep(0.001)
    return done


class Longest:
    """How long one and the same stall lasts. AssertionError when that comes to nothing."""

    def __init__(self) -> None:
        self._stall: object = None
        self._since = self._start = time.monotonic()

    def began(self, stall: object) -> float:
        """Seconds since this one began, as far as it was seen."""
        now = time.monotonic()
        assert now < self._start + 10, "it was not slow: nothing is tested"
        if stall is not self._stall or stall is None:
            self._stall, self._since = stall, now
        return now - self._since


class Highest:
    """The most that ever waited in the gateway, while a test runs."""

    def __init__(self, *amounts: Callable[[], int]) -> None:
        self.seen = [0] * len(amounts)
        self._amounts = amounts

    async def __aenter__(self) -> Highest:
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()

    async def _watch(self) -> None:
        while True:
            self.seen = [max(seen, amount()) for seen, amount in zip(self.seen, self._amounts, strict=True)]
            await asyncio.sleep(0)


async def take_exactly(client: Raw, size: int) -> bytes:
    data = bytearray()
    while len(data) < size and (more := await client.recv(min(size - len(data), 1 << 18))):
        data += more
    return bytes(data)


class TestLarge:
    @pytest.mark.parametrize("packet", [0, 16 * MIB], ids=["as it comes", "one packet"])
    async def test_16_mib_both_ways_at_once(self, packet: int) -> None:
        """Within seconds and within a bound: the marks, and what the inspector hands over at once."""
        data = pattern(16 * MIB)
        async with Broker() as broker, inside_of(broker, PipeProtocol(packet)) as inside:
            async with await client_of(inside) as client:
                await until(lambda: inside.links)
                [link] = inside.links
                assert isinstance(link, Link)
                connections = link._upstream._connections
                began = time.monotonic()
                async with Highest(
                    lambda: len(link._wire.waiting),
                    lambda: sum(connection.untaken for connection in connections.values()),
                    lambda: len(link._later),
                ) as highest:
                    sending = asyncio.create_task(client._loop.sock_sendall(client.sock, data))
                    line = await broker.accept()
                    saying = asyncio.create_task(line.say(data))
                    reading = asyncio.create_task(take_exactly(client, len(data)))
                    assert same(await line.exactly(len(data)), data)
                    assert same(await reading, data)
                    await asyncio.gather(sending, saying)
                print(f"{time.monotonic() - began:.2f} s, at most {highest.seen} bytes waited")
                assert time.monotonic() - began < 12
                marks = (PAUSE_AT + DEVICE_READ, UNTAKEN + READ, READ)
                assert all(seen <= mark + packet for seen, mark in zip(highest.seen, marks, strict=True))

    async def test_a_client_that_takes_nothing_before_all_is_said(self) -> None:
        """Both send first and read later: the gateway must not make a deadlock of it that was none."""
        data = pattern(4 * MIB)
        timing = replace(QUICK, write_stall=5.0)
        async with (
            Broker() as broker,
            inside_of(broker, timing=timing) as inside,
            await client_of(inside) as client,
        ):
            line, link, _ = await met(inside, broker, client, down=MIDDLE)
            said = await pour(line.sock, data)
            assert said < len(data) and 0 < len(link._wire.waiting) <= PAUSE_AT + DEVICE_READ
            sending = asyncio.create_task(client._loop.sock_sendall(client.sock, data))
            assert same(await line.exactly(len(data)), data)
            await sending
            assert same(await take_exactly(client, said), data[:said])


class TestSlowClient:
    async def test_its_broker_is_not_read_meanwhile(self) -> None:
        data = pattern(2 * MIB)
        timing = replace(QUICK, write_stall=5.0)
        async with (
            Broker() as broker,
            inside_of(broker, timing=timing) as inside,
            await client_of(inside) as client,
        ):
            line, link, _ = await met(inside, broker, client, down=MIDDLE)
            said = await pour(line.sock, data)
            assert said < MIB, "the kernel takes some, the gateway little"
            assert 0 < len(link._wire.waiting) <= PAUSE_AT + DEVICE_READ
            taken = inside.device_counts.bytes_in
            await asyncio.sleep(0.1)
            assert inside.device_counts.bytes_in == taken
            finishing = asyncio.create_task(line.say(data[said:]))
            assert same(await take_exactly(client, len(data)), data)
            await finishing

    async def test_slow_is_not_cut(self) -> None:
        """It takes a little now and then, for much longer than a stall may last."""
        data = pattern(MIB // 2)
        timing = replace(QUICK, write_stall=1.0)
        async with (
            Broker() as broker,
            inside_of(broker, timing=timing) as inside,
            await client_of(inside) as client,
        ):
            line, link, _ = await met(inside, broker, client, down=SMALL)
            saying = asyncio.create_task(line.say(data))
            received, stalled = bytearray(), Longest()
            while stalled.began(link._stall) < 1.5 * timing.write_stall:
                received += await client.recv(2048)
                await asyncio.sleep(0.05)
            assert data.startswith(received) and not inside.journal.ends
            saying.cancel()

    async def test_who_takes_nothing_at_all_is_cut(self) -> None:
        async with (
            Broker() as broker,
            inside_of(broker) as inside,
            await client_of(inside) as client,
        ):
            line, _, _ = await met(inside, broker, client, down=SMALL)
            await pour(line.sock, pattern(2 * MIB))
            began = time.monotonic()
            await until(lambda: inside.journal.ends)
            assert time.monotonic() - began < QUICK.write_stall + 0.2
            assert [end.why for end in inside.journal.ends] == [Reason.TOO_SLOW]
            await until(lambda: not inside.gateway.links.everyone())

    async def test_answers_of_the_inspector_are_bounded_too(self) -> None:
        """They come from no device that could be held back: then nothing more is read from the client."""
        timing = replace(QUICK, write_stall=3.0)
        async with Broker() as broker, inside_of(broker, PipeProtocol(echo=True), timing=timing) as inside:
            async with await client_of(inside, MIDDLE) as client:
                await until(lambda: inside.links)
                [link] = inside.links
                assert isinstance(link, Link)
                link._wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MIDDLE)
                data = pattern(16 * MIB)
                sent = await pour(client.sock, data)
                assert sent < len(data)
                assert CUT_AT < len(link._wire.waiting) <= CUT_AT + PAUSE_AT + 2 * READ
                sending = asyncio.create_task(client._loop.sock_sendall(client.sock, data[sent:]))
                assert same(await take_exactly(client, len(data)), data)
                await sending


class TestSlowBroker:
    async def test_its_client_is_not_read_meanwhile(self) -> None:
        data = pattern(2 * MIB)
        timing = replace(QUICK, write_stall=5.0)
        async with (
            Broker() as broker,
            inside_of(broker, timing=timing) as inside,
            await client_of(inside) as client,
        ):
            line, link, connection = await met(inside, broker, client, up=MIDDLE)
            sent = await pour(client.sock, data)
            assert sent < MIB
            assert 0 < connection.untaken <= UNTAKEN + READ
            taken = link.bytes_in
            await asyncio.sleep(0.1)
            assert link.bytes_in == taken
            sending = asyncio.create_task(client._loop.sock_sendall(client.sock, data[sent:]))
            assert same(await line.exactly(len(data)), data)
            await sending

    async def test_slow_is_not_cut(self) -> None:
        data = pattern(MIB // 2)
        timing = replace(QUICK, write_stall=1.0)
        async with (
            Broker() as broker,
            inside_of(broker, timing=timing) as inside,
            await client_of(inside) as client,
        ):
            line, _, connection = await met(inside, broker, client, up=SMALL)
            sending = asyncio.create_task(client._loop.sock_sendall(client.sock, data))
            received, stalled = bytearray(), Longest()
            while stalled.began(connection._stall) < 1.5 * timing.write_stall:
                received += await line.take(2048)
                await asyncio.sleep(0.05)
            assert data.startswith(received) and not inside.journal.events
            sending.cancel()

    async def test_who_takes_nothing_at_all_is_cut(self) -> None:
        async with (
            Broker() as broker,
            inside_of(broker) as inside,
            await client_of(inside) as client,
        ):
            await met(inside, broker, client, up=SMALL)
            await pour(client.sock, pattern(2 * MIB))
            assert await client.to_the_end() == b""
            [(_, event)] = inside.journal.events
            assert "takes nothing" in event.detail
            await until(lambda: not inside.gateway.links.everyone())
            assert inside.device_counts.open == 0

    async def test_one_that_does_not_come_up(self) -> None:
        """What is sent before the connection is there is bounded like everything else."""
        async with Broker(backlog=0) as broker:
            others = [await _knock(broker) for _ in range(4)]
            async with inside_of(broker) as inside, await client_of(inside) as client:
                client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MIDDLE)
                data = pattern(16 * MIB)
                sent = await pour(client.sock, data, still=0.1)
                [link] = inside.links
                assert sent < len(data)
                assert UNTAKEN < link.bytes_in <= UNTAKEN + 2 * READ
                assert await client.to_the_end() == b""
                assert inside.journal.reasons("device") == [Reason.UPSTREAM_UNREACHABLE]
            for other in others:
                other.close()


async def _knock(broker: Broker) -> socket.socket:
    """Takes a place in the queue of a broker that accepts nobody."""
    sock = socket.socket()
    sock.setblocking(False)
    sock.connect_ex((broker.host, broker.port))
    await asyncio.sleep(0.01)
    return sock


async def _word(line: Line) -> bytes:
    try:
        return await line.take(seconds=0.5)
    except TimeoutError:
        return b""


class TestTheClientEnds:
    @pytest.mark.parametrize("chatty", [False, True], ids=["quiet", "it goes on talking"])
    async def test_all_it_sent_reaches_a_broker_that_reads_slowly(self, chatty: bool) -> None:
        """Much longer than any goodbye. A broker that talks meanwhile must not be answered with a reset."""
        data = pattern(MIB // 4)
        async with (
            Broker() as broker,
            inside_of(broker) as inside,
            await client_of(inside) as client,
        ):
            line, _, _ = await met(inside, broker, client, up=SMALL)
            sending = asyncio.create_task(client._loop.sock_sendall(client.sock, data))
            sending.add_done_callback(lambda _: client.finish())
            received, began = bytearray(), time.monotonic()
            while more := await line.take(4096):
                received += more
                if chatty:
                    await line.say(b"taken")
                if len(received) > len(data) - 4 * SMALL:
                    await asyncio.sleep(0.15)
            assert time.monotonic() - began > 2 * QUICK.goodbye
            assert same(received, data + END)
            line.finish()
            await until(lambda: not inside.gateway.links.everyone())
            assert inside.device_counts.open == 0
            assert [end.why for end in inside.journal.ends] == [None]

    async def test_a_broker_that_has_said_all_may_still_listen(self) -> None:
        data = pattern(MIB)
        async with Broker() as broker, inside_of(broker) as inside, await client_of(inside) as client:
            line, _, connection = await met(inside, broker, client, up=MIDDLE)
            sent = await pour(client.sock, data)
            inside.links[0].end(Reason.POLICY_CHANGED)
            line.finish()
            await asyncio.sleep(0.1)
            assert connection.untaken
            received = await line.to_the_end()
            assert same(received, data[: len(received) - len(END)] + END) and len(received) <= sent + len(END)
            await until(lambda: not inside.gateway.links.everyone())

    async def test_what_the_kernel_holds_is_waited_for_too(self) -> None:
        """All was sent, not all was taken: a connection that is closed now would be reset by the broker's next word."""
        data = pattern(MIB // 8)
        async with Broker() as broker, inside_of(broker) as inside, await client_of(inside) as client:
            line, _, connection = await met(inside, broker, client)
            line.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
            assert connection._wire is not None
            connection._wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MIB)
            await client.send(data)
            client.finish()
            await asyncio.sleep(QUICK.goodbye + 0.1)
            assert not connection.untaken and connection._wire.unacknowledged() > 1, "nothing is tested"
            await line.say(b"taken")
            await asyncio.sleep(0.05)
            assert same(await line.to_the_end(), data + END)

    async def test_a_client_that_breaks_off(self) -> None:
        """What was taken from it was judged and submitted: it arrives, though the client is gone with a reset."""
        data = pattern(MIB)
        async with (
            Broker() as broker,
            inside_of(broker) as inside,
            await client_of(inside) as client,
        ):
            line, link, connection = await met(inside, broker, client, up=MIDDLE)
            await pour(client.sock, data)
            assert connection.untaken
            client.reset()
            # The gateway does not read while the broker takes nothing, so it learns of the reset when it does.
            received = await line.to_the_end()
            assert len(received) == link.bytes_in - 5 and same(received, data[: len(received)])
            line.sock.close()
            await until(lambda: not inside.gateway.links.everyone())

    async def test_before_the_broker_is_there(self) -> None:
        """A client may say its word and go: the dial is finished for it."""
        async with Broker(backlog=0) as broker:
            others = [await _knock(broker) for _ in range(2)]
            async with inside_of(broker, timing=replace(QUICK, dial=5.0)) as inside:
                async with await client_of(inside) as client:
                    await client.send(b"one word")
                    client.finish()
                    assert await client.to_the_end() == b""
                await until(lambda: inside.journal.ends)
                assert inside.device_counts.open == 0 and len(inside.gateway.links) == 1
                said = []
                while b"one word" + END not in said:
                    line = await broker.accept()
                    said.append(await _word(line))
                    line.sock.close()
                await until(lambda: not inside.gateway.links.everyone())
            for other in others:
                other.close()

    async def test_nobody_is_there_to_be_told(self) -> None:
        async with Broker() as broker:
            port = broker.port
        async with Inside(PipeProtocol(), port, shared=False) as inside:
            async with await client_of(inside) as client:
                await client.send(b"one word")
                client.finish()
                assert await client.to_the_end() == b""
            await until(lambda: not inside.gateway.links.everyone())

    async def test_a_broker_that_takes_nothing_is_given_up(self) -> None:
        async with (
            Broker() as broker,
            inside_of(broker) as inside,
            await client_of(inside) as client,
        ):
            await met(inside, broker, client, up=SMALL)
            await pour(client.sock, pattern(MIB))
            inside.links[0].end(Reason.POLICY_CHANGED)
            assert await client.to_the_end() == b""
            began = time.monotonic()
            await until(lambda: not inside.gateway.links.everyone())
            assert time.monotonic() - began < QUICK.write_stall + 0.4
            assert inside.device_counts.open == 0

    async def test_a_broker_that_says_nothing_is_not_waited_for(self) -> None:
        async with (
            Broker() as broker,
            inside_of(broker) as inside,
            await client_of(inside) as client,
        ):
            line, _, _ = await met(inside, broker, client)
            client.finish()
            assert await line.exactly(len(END)) == END
            began = time.monotonic()
            await until(lambda: not inside.gateway.links.everyone())
            assert QUICK.goodbye / 2 < time.monotonic() - began < QUICK.goodbye + 0.3

    async def test_a_broker_that_never_stops_talking_is_not_listened_to_for_ever(self) -> None:
        timing = replace(QUICK, linger=1.0)
        async with Broker() as broker, inside_of(broker, timing=timing) as inside:
            async with await client_of(inside) as client:
                line, _, _ = await met(inside, broker, client)
                client.finish()
                began = time.monotonic()
                with pytest.raises(ConnectionError):
                    while time.monotonic() - began < 5:
                        await line.say(b"and another thing")
                        await asyncio.sleep(0.02)
                assert 0.8 < time.monotonic() - began < 1.5

    async def test_draining_waits_for_what_is_on_its_way(self) -> None:
        data = pattern(MIB // 2)
        timing = replace(QUICK, write_stall=4.0)
        async with (
            Broker() as broker,
            inside_of(broker, timing=timing) as inside,
            await client_of(inside) as client,
        ):
            line, _, _ = await met(inside, broker, client, up=MIDDLE)
            await pour(client.sock, data)
            draining = asyncio.create_task(inside.gateway.drain())
            await asyncio.sleep(3 * QUICK.goodbye)
            received = await line.to_the_end()
            assert received[-len(END) :] == END and data.startswith(received[: -len(END)])
            assert len(received) > UNTAKEN
            line.finish()
            await draining

    async def test_draining_does_not_wait_for_ever(self) -> None:
        async with (
            Broker() as broker,
            inside_of(broker) as inside,
            await client_of(inside) as client,
        ):
            await met(inside, broker, client, up=MIDDLE)
            await pour(client.sock, pattern(MIB))
            began = time.monotonic()
            await inside.gateway.drain()
            assert time.monotonic() - began < QUICK.drain + QUICK.write_stall + 0.5
            assert inside.device_counts.open == 0

    async def test_nothing_is_left_of_those_that_left(self) -> None:
        async with Broker() as broker, inside_of(broker) as inside:
            before = _connections(), open_files(os.getpid())
            for _ in range(20):
                async with await client_of(inside) as client:
                    await client.send(b"word")
                    line = await broker.accept()
                    client.finish()
                    assert await line.to_the_end() == b"word" + END
                    line.sock.close()
            await until(lambda: not inside.gateway.links.everyone())
            assert (_connections(), open_files(os.getpid())) == before


def _connections() -> int:
    gc.collect()
    return sum(isinstance(it, Connection) for it in gc.get_objects())


class TestTheBrokerEnds:
    async def test_all_it_said_reaches_a_client_that_reads_slowly(self) -> None:
        data = pattern(MIB // 4)
        async with (
            Broker() as broker,
            inside_of(broker) as inside,
            await client_of(inside) as client,
        ):
            line, _, _ = await met(inside, broker, client, down=SMALL)
            saying = asyncio.create_task(line.say(data))
            saying.add_done_callback(lambda _: line.sock.close())
            received, began = bytearray(), time.monotonic()
            while more := await client.recv(4096):
                received += more
                if len(received) > len(data) - 4 * SMALL:
                    await asyncio.sleep(0.2)
            assert time.monotonic() - began > QUICK.write_stall
            assert same(received, data)
            await until(lambda: not inside.gateway.links.everyone())
            assert [end.why for end in inside.journal.ends] == [None]

    async def test_though_the_client_is_still_sending(self) -> None:
        """The broker's kernel answers that with a reset. What it said before lies in ours, unread while the client is
        slow: it must not be thrown away with the connection."""
        data = pattern(160 * 1024)
        timing = replace(QUICK, write_stall=4.0)
        async with (
            Broker() as broker,
            inside_of(broker, timing=timing) as inside,
            await client_of(inside) as client,
        ):
            line, link, connection = await met(inside, broker, client)
            for sock, option in ((link._wire.sock, socket.SO_SNDBUF), (client.sock, socket.SO_RCVBUF)):
                sock.setsockopt(socket.SOL_SOCKET, option, SMALL)
            assert connection._wire is not None
            connection._wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MIB)
            await line.say(data)
            await until(lambda: not _unacknowledged(line.sock))
            assert inside.device_counts.bytes_in < len(data), "all was read before: nothing is tested"
            line.sock.close()
            for _ in range(5):
                await client.send(b"x" * 100)
                await asyncio.sleep(0.02)
            assert connection._deaf
            assert same(await take_exactly(client, len(data)), data)
            assert await client.recv() == b""


def _unacknowledged(sock: socket.socket) -> int:
    return int.from_bytes(fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
