"""A recording tap between the gateway and its broker: every byte of both directions is written down.

What got through the gateway is judged here, behind it, and never by what the gateway says of itself.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tests.support.mqtt import CONNECT, DISCONNECT, PUBLISH, Packet, read_stream
from tests.support.net import LOCAL, free_port

HOST = "127.0.0.9"
T = TypeVar("T")


@dataclass
class Flow:
    """One connection: what went up to the broker and down to the gateway, and whether the gateway ended it."""

    up: bytearray = field(default_factory=bytearray)
    down: bytearray = field(default_factory=bytearray)
    ended_by_gateway: bool = False
    over: bool = False

    @property
    def asked(self) -> list[Packet]:
        return read_stream(bytes(self.up))

    @property
    def answered(self) -> list[Packet]:
        connects = [one for one in self.asked if one.kind == CONNECT]
        return read_stream(bytes(self.down), connects[0].level if connects else 0)

    @property
    def client_id(self) -> str:
        return next((one.client_id for one in self.asked if one.kind == CONNECT), "")

    @property
    def said_goodbye(self) -> bool:
        """A DISCONNECT with code 0 went up: the broker throws the Will away."""
        return any(one.kind == DISCONNECT and one.code == 0 for one in self.asked)


class BrokerTap:
    """Listens at ``host``; each connection is relayed to a fresh one to the broker at ``broker_port``."""

    def __init__(self, broker_port: int, host: str = HOST) -> None:
        self.host, self.port = host, free_port(host)
        self.broker_port = broker_port
        self.flows: list[Flow] = []
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()

    def forget(self) -> None:
        """Connections that are over are forgotten, of the others what they carried."""
        self.flows = [flow for flow in self.flows if not flow.over]
        for flow in self.flows:
            del flow.up[:], flow.down[:]

    @property
    def up(self) -> bytes:
        """Every byte that reached the broker, for "this was not among them"."""
        return b"\0".join(bytes(flow.up) for flow in self.flows)

    def asked(self, kind: int | None = None) -> list[Packet]:
        """What all connections sent to the broker."""
        return [one for flow in self.flows for one in flow.asked if kind is None or one.kind == kind]

    def topics(self) -> list[str]:
        return [one.topic for one in self.asked(PUBLISH)]

    def flow(self, client_id: str) -> Flow:
        """The last connection that called itself ``client_id`` at the broker."""
        found = [flow for flow in self.flows if flow.client_id == client_id]
        assert found, f"{client_id} is none of {[flow.client_id for flow in self.flows]}"
        return found[-1]

    def cut(self) -> None:
        """Resets every connection, as a broker that dies does."""
        self._call(self._cut)

    def close(self) -> None:
        """Listens no more, and cuts: the broker is down."""
        self._call(self._close)

    def open(self) -> None:
        self._run(self._open())

    def start(self) -> None:
        self._thread = threading.Thread(target=self._loop.run_forever, name="broker tap", daemon=True)
        self._thread.start()
        self.open()

    def stop(self) -> None:
        self.close()
        self._run(self._ended())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._serve, self.host, self.port, backlog=512)

    def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self._cut()

    def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _ended(self) -> None:
        for _ in range(500):
            if not self._writers:
                return
            await asyncio.sleep(0.01)
        raise AssertionError("connections of the tap did not end")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        flow = Flow()
        self.flows.append(flow)
        self._writers.add(writer)
        try:
            broker_reader, broker = await asyncio.open_connection(LOCAL, self.broker_port)
        except OSError:
            writer.transport.abort()
            self._writers.discard(writer)
            return
        self._writers.add(broker)

        async def up() -> None:
            await self._pump(reader, broker, flow.up)
            flow.ended_by_gateway = not flow.over
            flow.over = True

        async def down() -> None:
            await self._pump(broker_reader, writer, flow.down)
            flow.over = True

        await asyncio.gather(up(), down())
        for one in (writer, broker):
            self._writers.discard(one)
            with suppress(ConnectionError):
                await one.wait_closed()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, record: bytearray) -> None:
        """A reset of one side becomes a reset of the other: what a broker makes of the two is not the same."""
        try:
            while data := await reader.read(65536):
                record += data
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            writer.transport.abort()
        writer.close()

    def _call(self, action: Callable[[], None]) -> None:
        async def go() -> None:
            action()

        self._run(go())

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)


@contextmanager
def tapped(broker_port: int) -> Iterator[BrokerTap]:
    tap = BrokerTap(broker_port)
    tap.start()
    try:
        yield tap
    finally:
        tap.stop()
