"""A client that is not read cannot be heard: its deadlines rest as long as somebody else keeps it waiting."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

from proxy.core.principal import Principal
from proxy.protocols.mqtt import PROTOCOL
from proxy.protocols.mqtt.packets import Connack, Connect, Publish, encode
from proxy.protocols.mqtt.service import MqttService
from tests.support.inside import Inside
from tests.support.net import LOCAL, free_port, until

CONNECT = encode(Connect(4, "slow", True, 1), 4)
MESSAGE = encode(Publish("a/b", bytes(1000)), 4)
COUNT = 6000


class SlowBroker:
    """Takes what it is sent in sips, some of it in every tenth of a second."""

    def __init__(self, sip: int, seconds: float) -> None:
        self.port = free_port(LOCAL)
        self.taken = 0
        self._sip = sip
        self._seconds = seconds
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> SlowBroker:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind((LOCAL, self.port))
        listener.listen()
        listener.setblocking(False)
        self._task = asyncio.ensure_future(self._serve(listener))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _serve(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        sock, _ = await loop.sock_accept(listener)
        with listener, sock:
            self.taken += len(await loop.sock_recv(sock, 1000))
            await loop.sock_sendall(sock, encode(Connack(False, 0), 4))
            fast_at = loop.time() + self._seconds
            while data := await loop.sock_recv(sock, self._sip if loop.time() < fast_at else 1 << 20):
                self.taken += len(data)
                if loop.time() < fast_at:
                    await asyncio.sleep(0.1)


async def test_keep_alive_rests_while_the_broker_is_slow() -> None:
    """1.5 s of keep alive; the broker takes 20 KB/s for four seconds and then all it can get."""
    async with SlowBroker(2000, 4.0) as broker:
        gateway = Inside(
            PROTOCOL,
            broker.port,
            options=MqttService(),
            device_host=LOCAL,
            shared=False,
            identify=lambda facts: Principal("slow"),
        )
        async with gateway:
            reader, writer = await asyncio.open_connection(LOCAL, gateway.port)
            gateway.clients.append(writer)
            writer.write(CONNECT)
            await reader.readexactly(4)
            writer.write(MESSAGE * COUNT)
            await until(
                lambda: gateway.journal.ends or broker.taken >= len(MESSAGE) * COUNT, 15, what="all is delivered"
            )
            assert gateway.journal.ends == []
