"""T47: a flood on a topic that a client is subscribed to and may not receive, or of messages that have to be decoded.

Who floods it need not be the client: whoever may publish there reaches every subscriber. 64 KiB were read from the
broker at a time and judged at once, 13,000 messages, while nobody else was served for half a second.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from proxy.core.principal import Principal
from proxy.core.reason import Reason
from proxy.protocols.mqtt.service import MqttService
from proxy.protocols.mqtt.spec import PROTOCOL
from tests.mqtt.harness import Policy
from tests.support import mqtt
from tests.support.inside import Inside
from tests.support.mqtt import CONNACK, USER_PROPERTY, V5
from tests.support.net import until

READ = 65536
A_TURN = 3000
"""Refusals; some hundreds are usual."""
SLOW = mqtt.publish("ok/a", b"x", level=V5, properties=mqtt.prop(USER_PROPERTY, ("k", "v")))


class Silent(Policy):
    """It logs nothing: memory is not what is tested."""

    def __call__(self, *asked: object, **_: object) -> object:  # type: ignore[override]
        return self.judge(asked[0])  # type: ignore[arg-type]


@asynccontextmanager
async def session() -> AsyncIterator[tuple[Inside, socket.socket, socket.socket]]:
    """The gateway, a client of MQTT 5 that is connected, and its broker."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.9", 0)) as listening:
        listening.setblocking(False)
        inside = Inside(
            PROTOCOL,
            listening.getsockname()[1],
            MqttService(),
            shared=False,
            decide=Silent(),  # type: ignore[arg-type]
            identify=lambda facts: Principal("sensor-1", place="hall-1"),
        )
        async with inside:
            with socket.create_connection(("127.0.0.1", inside.port)) as client:
                client.setblocking(False)
                await loop.sock_sendall(client, mqtt.connect("sensor-1", level=V5))
                broker, _ = await loop.sock_accept(listening)
                with broker:
                    await loop.sock_recv(broker, 1000)
                    await loop.sock_sendall(broker, b"\x20\3\0\0\0")
                    assert (await loop.sock_recv(client, 1000))[0] >> 4 == CONNACK
                    yield inside, client, broker


async def test_t47_refused_deliveries_are_judged_in_turns() -> None:
    async with session() as (inside, _, broker):
        events = inside.journal.events
        flood = mqtt.publish("n", level=V5) * (2 * READ // 6)
        sending = asyncio.create_task(asyncio.get_running_loop().sock_sendall(broker, flood))
        seen, most = 0, 0
        while len(events) < 2 * READ // 6:
            await asyncio.sleep(0)
            most = max(most, len(events) - seen)
            seen = len(events)
        await sending
        assert 0 < most < A_TURN
        assert {event.reason for _, event in events} == {Reason.DEFAULT_DENY}


@pytest.mark.parametrize("ending", ["FIN", "DISCONNECT", "reset"])
async def test_what_a_broker_said_before_the_end_still_arrives(ending: str) -> None:
    """In its order, though it is judged in many turns and the end was there before the first was over."""
    async with session() as (_, client, broker):
        loop = asyncio.get_running_loop()
        said = SLOW * (50_000 // len(SLOW)) + (mqtt.disconnect(0x8B) if ending == "DISCONNECT" else b"")
        await loop.sock_sendall(broker, said)
        if ending == "FIN":
            broker.shutdown(socket.SHUT_WR)
        elif ending == "reset":
            await asyncio.sleep(0.1)  # what is not read yet is thrown away by the kernel
            broker.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            broker.close()
        got = b""
        while more := await asyncio.wait_for(loop.sock_recv(client, READ), 5):
            got += more
        assert got.startswith(said)
        assert [mqtt.read(one, V5).kind for one in mqtt.split(got[len(said) :])[0]] in ([], [mqtt.DISCONNECT])


async def test_a_client_that_leaves_in_the_middle_of_a_turn() -> None:
    async with session() as (inside, client, broker):
        loop = asyncio.get_running_loop()
        sending = asyncio.create_task(loop.sock_sendall(broker, mqtt.publish("n", level=V5) * 100_000))
        await until(lambda: inside.journal.events)
        await loop.sock_sendall(client, mqtt.disconnect())
        client.close()
        await until(lambda: not inside.device_counts.open and not inside.links)
        sending.cancel()
        assert inside.counts.live == 0
