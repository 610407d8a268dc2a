"""aiomqtt, unchanged, through `bulkhead run` to Mosquitto."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.support import mqtt
from tests.support.net import LOCAL, until
from tests.support.uns import DESK, PLAIN, TLS, upstream_id

if TYPE_CHECKING:
    from tests.support.broker_tap import BrokerTap
    from tests.support.mqtt_client import Witness
    from tests.support.plant import Plant

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("gateway")]

SECONDS = 5.0


@dataclass(frozen=True)
class Door:
    """Where the client connects to, and as whom."""

    port: int
    v5: bool
    who: str
    tls: ssl.SSLContext | None

    def client(self, client_id: str, *, clean: bool = True, timeout: float = SECONDS, **more: Any) -> aiomqtt.Client:
        if self.v5:
            more["clean_start"] = clean
            more["properties"] = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            more["properties"].SessionExpiryInterval = 0 if clean else 60
        else:
            more["clean_session"] = clean
        version = aiomqtt.ProtocolVersion.V5 if self.v5 else aiomqtt.ProtocolVersion.V311
        insecure = None if self.tls is None else True
        return aiomqtt.Client(
            LOCAL,
            self.port,
            identifier=client_id,
            protocol=version,
            tls_context=self.tls,
            tls_insecure=insecure,
            timeout=timeout,
            **more,
        )


@pytest.fixture(params=["plain-4", "plain-5", "tls-4", "tls-5"])
def door(request: pytest.FixtureRequest, uns: Plant, tap: BrokerTap) -> Door:
    listener, version = request.param.split("-")
    if listener == "plain":
        return Door(uns.ports[PLAIN], version == "5", DESK, None)
    context = uns.keys.issue("sensor-1").trusting(uns.keys.ca)
    return Door(uns.ports[TLS], version == "5", "sensor-1", context)


async def message(client: aiomqtt.Client) -> tuple[str, Any, int]:
    got = await asyncio.wait_for(anext(aiter(client.messages)), SECONDS)
    return str(got.topic), got.payload, got.qos


async def test_every_qos_and_unsubscribe(door: Door, tap: BrokerTap) -> None:
    async with door.client("both") as both:
        await both.subscribe([("ok/a/#", 2), ("ok/other", 0)] if not door.v5 else "ok/a/#", qos=2)
        for qos in (0, 1, 2):
            await both.publish(f"ok/a/{qos}", b"%d" % qos, qos)
            assert await message(both) == (f"ok/a/{qos}", b"%d" % qos, qos)
        await both.unsubscribe("ok/a/#")
        await both.publish("ok/a/1", b"not wanted", 1)
        await both.subscribe("ok/b", qos=1)
        await both.publish("ok/b", b"wanted", 1)
        assert await message(both) == ("ok/b", b"wanted", 1)
    assert tap.topics() == ["ok/a/0", "ok/a/1", "ok/a/2", "ok/a/1", "ok/b"]
    await until(lambda: tap.flow(upstream_id(door.who, "both")).said_goodbye)


async def test_retained(door: Door) -> None:
    async with door.client("keeps") as keeps:
        await keeps.publish("ok/kept", b"kept", 1, retain=True)
        await keeps.subscribe("ok/kept", qos=1)
        assert await message(keeps) == ("ok/kept", b"kept", 1)
        await keeps.publish("ok/kept", b"", 1, retain=True)


async def test_pings(door: Door, tap: BrokerTap) -> None:
    async with door.client("idle", keepalive=1) as idle:
        flow = tap.flow(upstream_id(door.who, "idle"))
        await until(lambda: any(one.kind == mqtt.PINGRESP for one in flow.answered))
        await idle.publish("ok/x", b"still here", 1)


async def test_will(door: Door, witness: Witness) -> None:
    async def live() -> None:
        async with door.client("mortal", timeout=0.5, will=aiomqtt.Will("ok/last", b"gone", qos=1)) as mortal:
            sock: Any = mortal._client.socket()
            sock.close()
            await asyncio.sleep(SECONDS)

    living = asyncio.create_task(live())
    heard = await asyncio.to_thread(witness.heard, "ok/last")
    assert (heard.payload, heard.qos) == (b"gone", 1)
    living.cancel()
    await asyncio.wait([living])
    assert living.cancelled() or living.exception() is not None


async def test_persistent_session(door: Door) -> None:
    async with door.client("keeper", clean=True):
        pass
    async with door.client("keeper", clean=False) as first:
        await first.subscribe("ok/later", qos=2)
    async with door.client("other") as other:
        for qos in (1, 2):
            await other.publish("ok/later", b"%d" % qos, qos)
    async with door.client("keeper", clean=False) as again:
        assert [(await message(again))[1] for _ in range(2)] == [b"1", b"2"]
    async with door.client("keeper", clean=True):
        pass


async def test_connection_lost(door: Door, tap: BrokerTap) -> None:
    """Its documented way: MqttError ends the block, and a new one connects again."""
    with pytest.raises(aiomqtt.MqttError):
        async with door.client("steady") as steady:
            await steady.subscribe("ok/x")
            tap.cut()
            await message(steady)
    async with door.client("steady") as steady:
        await steady.publish("ok/x", b"again", 2)


async def test_refused_publish(door: Door, tap: BrokerTap) -> None:
    """aiomqtt looks at no code of an acknowledgement: it must go on as if nothing were."""
    async with door.client("thief") as thief:
        await thief.subscribe("ok/x", qos=2)
        for qos in (0, 1, 2):
            await thief.publish("no/x", b"smuggled", qos)
        await thief.publish("ok/x", b"honest", 2)
        assert await message(thief) == ("ok/x", b"honest", 2)
    assert tap.topics() == ["ok/x"]


async def test_refused_subscribe(door: Door, tap: BrokerTap) -> None:
    async with door.client("curious") as curious:
        codes = await curious.subscribe("no/#", qos=1)
        assert [getattr(code, "value", code) for code in codes] == [0x87 if door.v5 else 0x80]
        await curious.subscribe("ok/x", qos=2)
        await curious.publish("ok/x", b"to myself", 2)
        assert await message(curious) == ("ok/x", b"to myself", 2)
    assert b"no/#" not in tap.up


async def test_refused_will(door: Door, tap: BrokerTap) -> None:
    with pytest.raises(aiomqtt.MqttError, match="(?i)not authori[sz]ed"):
        async with door.client("mortal", will=aiomqtt.Will("no/last", b"smuggled", qos=1)):
            pass
    assert b"smuggled" not in tap.up
