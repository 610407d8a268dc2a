"""paho-mqtt with callbacks of version 2, unchanged, through `bulkhead run` to Mosquitto."""

from __future__ import annotations

import queue
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.support import mqtt
from tests.support.net import LOCAL, wait_until
from tests.support.uns import DESK, PLAIN, TLS, upstream_id

if TYPE_CHECKING:
    from tests.support.broker_tap import BrokerTap
    from tests.support.mqtt_client import Witness
    from tests.support.plant import Plant

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("gateway")]

SECONDS = 5.0


class Door:
    """Where paho connects to, and as whom."""

    def __init__(self, plant: Plant, listener: str, version: int) -> None:
        self.port = plant.ports[listener]
        self.v5 = version == 5
        self.who = DESK if listener == PLAIN else "sensor-1"
        self.tls: ssl.SSLContext | None = None
        if listener == TLS:
            self.tls = plant.keys.issue("sensor-1").trusting(plant.keys.ca)


class Paho:
    """A client with its loop thread. Every callback puts what it was told into a queue of its own."""

    def __init__(self, door: Door, client_id: str, *, clean: bool = True) -> None:
        self.door = door
        self.connected: queue.Queue[tuple[ReasonCode, bool]] = queue.Queue()
        self.disconnected: queue.Queue[ReasonCode] = queue.Queue()
        self.subscribed: queue.Queue[list[int]] = queue.Queue()
        self.unsubscribed: queue.Queue[list[int]] = queue.Queue()
        self.published: queue.Queue[tuple[int, int]] = queue.Queue()
        self.messages: queue.Queue[paho.MQTTMessage] = queue.Queue()
        version = MQTTProtocolVersion.MQTTv5 if door.v5 else MQTTProtocolVersion.MQTTv311
        keeps = None if door.v5 else clean
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id, protocol=version, clean_session=keeps)
        self.clean = clean
        if door.tls is not None:
            self.client.tls_set_context(door.tls)
            self.client.tls_insecure_set(True)
        self._listen()

    def _listen(self) -> None:
        client: Any = self.client
        client.on_connect = lambda c, u, flags, code, p: self.connected.put((code, flags.session_present))
        client.on_disconnect = lambda c, u, flags, code, p: self.disconnected.put(code)
        client.on_subscribe = lambda c, u, mid, codes, p: self.subscribed.put([code.value for code in codes])
        client.on_unsubscribe = lambda c, u, mid, codes, p: self.unsubscribed.put([code.value for code in codes])
        client.on_publish = lambda c, u, mid, code, p: self.published.put((mid, code.value))
        client.on_message = lambda c, u, message: self.messages.put(message)

    def connect(self, keep_alive: int = 60) -> tuple[ReasonCode, bool]:
        """CONNACK's code and Session Present."""
        more: dict[str, Any] = {}
        if self.door.v5:
            properties: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = 0 if self.clean else 60
            more = {"clean_start": self.clean, "properties": properties}
        self.client.connect(LOCAL, self.door.port, keep_alive, **more)
        self.client.loop_start()
        return self.connected.get(timeout=SECONDS)

    def subscribe(self, *filters: tuple[str, int]) -> list[int]:
        if self.door.v5:
            asked: Any = [(name, SubscribeOptions(qos)) for name, qos in filters]
        else:
            asked = list(filters)
        self.client.subscribe(asked)
        return self.subscribed.get(timeout=SECONDS)

    def publish(self, topic: str, payload: bytes, qos: int = 0, *, retain: bool = False) -> int:
        """The code that on_publish was told; "nobody is subscribed" (0x10) is a success, too."""
        info = self.client.publish(topic, payload, qos, retain)
        while True:
            mid, code = self.published.get(timeout=SECONDS)
            if mid == info.mid:
                return 0 if code == 0x10 else code

    def message(self) -> tuple[str, bytes, int, bool]:
        got = self.messages.get(timeout=SECONDS)
        return got.topic, bytes(got.payload), got.qos, got.retain

    def leave(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@contextmanager
def client(door: Door, client_id: str, *, clean: bool = True, keep_alive: int = 60) -> Iterator[Paho]:
    """Connected."""
    one = Paho(door, client_id, clean=clean)
    try:
        code, _ = one.connect(keep_alive)
        assert code.value == 0, code
        yield one
    finally:
        one.leave()


@pytest.fixture(params=["plain-4", "plain-5", "tls-4", "tls-5"])
def door(request: pytest.FixtureRequest, uns: Plant, tap: BrokerTap) -> Door:
    listener, version = request.param.split("-")
    return Door(uns, PLAIN if listener == "plain" else TLS, int(version))


def test_every_qos(door: Door, tap: BrokerTap) -> None:
    with client(door, "both") as both:
        assert both.subscribe(("ok/p/#", 2), ("ok/other", 1)) == [2, 1]
        for qos in (0, 1, 2):
            assert both.publish(f"ok/p/{qos}", b"%d" % qos, qos) == 0
            assert both.message() == (f"ok/p/{qos}", b"%d" % qos, qos, False)
    assert tap.topics() == ["ok/p/0", "ok/p/1", "ok/p/2"]
    wait_until(lambda: tap.flow(upstream_id(door.who, "both")).said_goodbye)


def test_bursts_of_every_qos(door: Door) -> None:
    """More than any window is wide, both ways at once."""
    with client(door, "burst") as both:
        both.subscribe(("ok/burst", 2))
        for at in range(150):
            both.client.publish("ok/burst", b"%d" % at, at % 3)
        assert sorted(int(both.message()[1]) for _ in range(150)) == list(range(150))


def test_unsubscribe(door: Door) -> None:
    with client(door, "fickle") as fickle:
        fickle.subscribe(("ok/u/#", 1))
        fickle.publish("ok/u/1", b"wanted", 1)
        assert fickle.message()[1] == b"wanted"
        fickle.client.unsubscribe(["ok/u/#"])
        assert fickle.unsubscribed.get(timeout=SECONDS) == ([0] if door.v5 else [])
        fickle.publish("ok/u/1", b"not wanted", 1)
        fickle.subscribe(("ok/v", 0))
        fickle.publish("ok/v", b"end", 1)
        assert fickle.message()[1] == b"end"


def test_pings(door: Door, tap: BrokerTap) -> None:
    with client(door, "idle", keep_alive=1) as idle:
        flow = tap.flow(upstream_id(door.who, "idle"))
        wait_until(lambda: sum(one.kind == mqtt.PINGRESP for one in flow.answered) >= 1, 5)
        assert idle.publish("ok/x", b"still here", 1) == 0
        assert idle.disconnected.empty()


def test_will(door: Door, witness: Witness) -> None:
    mortal = Paho(door, "mortal")
    mortal.client.will_set("ok/last", b"gone", qos=1, retain=False)
    assert mortal.connect()[0].value == 0
    sock = mortal.client.socket()
    assert isinstance(sock, socket.socket)
    mortal.client.loop_stop()
    sock.close()
    heard = witness.heard("ok/last")
    assert (heard.payload, heard.qos) == (b"gone", 1)


def test_persistent_session(door: Door) -> None:
    with client(door, "keeper", clean=True):
        pass
    first = Paho(door, "keeper", clean=False)
    assert first.connect()[1] is False
    first.subscribe(("ok/later", 2))
    first.leave()
    with client(door, "other") as other:
        for qos in (1, 2):
            assert other.publish("ok/later", b"%d" % qos, qos) == 0
    again = Paho(door, "keeper", clean=False)
    code, present = again.connect()
    assert code.value == 0 and present is True
    assert [again.message()[1] for _ in range(2)] == [b"1", b"2"]
    again.leave()
    with client(door, "keeper", clean=True) as last:
        assert last.subscribe(("ok/x", 0)) == [0]


def test_reconnect_by_itself(door: Door, tap: BrokerTap) -> None:
    """paho dials again after the broker was lost, and what was not acknowledged is sent again."""
    with client(door, "steady", clean=False) as steady:
        steady.client.reconnect_delay_set(0, 1)
        steady.subscribe(("ok/again", 1))
        tap.cut()
        steady.disconnected.get(timeout=SECONDS)
        assert steady.connected.get(timeout=SECONDS)[0].value == 0
        assert steady.publish("ok/again", b"after", 2) == 0
        assert steady.message()[1] == b"after"


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_refused_publish(qos: int, door: Door, tap: BrokerTap) -> None:
    """paho does not look at the code of a PUBREC: it goes on with PUBREL and tells the code of our PUBCOMP."""
    with client(door, "thief") as thief:
        code = thief.publish("no/x", b"smuggled", qos)
        assert code == ((0, 0x87, 0x92)[qos] if door.v5 else 0)
        assert thief.publish("ok/x", b"honest", 2) == 0
        assert thief.disconnected.empty()
    assert tap.topics() == ["ok/x"]


def test_refused_subscribe(door: Door, tap: BrokerTap) -> None:
    refused = 0x87 if door.v5 else 0x80
    with client(door, "curious") as curious:
        assert curious.subscribe(("no/#", 1)) == [refused]
        assert curious.subscribe(("no/a", 0), ("ok/a", 1), ("#", 2), ("ok/b", 2)) == [refused, 1, refused, 2]
        assert curious.publish("ok/b", b"to myself", 2) == 0
        assert curious.message()[:3] == ("ok/b", b"to myself", 2)
    assert [one.payload for one in tap.asked(mqtt.SUBSCRIBE)] == [mqtt.text("ok/a") + b"\1" + mqtt.text("ok/b") + b"\2"]


def test_refused_will(door: Door, tap: BrokerTap) -> None:
    mortal = Paho(door, "mortal")
    mortal.client.will_set("no/last", b"smuggled", qos=1)
    code = mortal.connect()[0]
    mortal.leave()
    assert str(code) == "Not authorized"
    assert b"smuggled" not in tap.up


@pytest.mark.parametrize("listener", [PLAIN, TLS])
def test_properties(listener: str, uns: Plant) -> None:
    """MQTT 5, requests and answers: every property arrives as it was sent."""
    properties: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ResponseTopic = "ok/answers"
    properties.CorrelationData = b"\0\1\2"
    properties.ContentType = "application/json"
    properties.UserProperty = [("line", "2"), ("line", "3")]
    properties.PayloadFormatIndicator = 1
    properties.MessageExpiryInterval = 60
    with client(Door(uns, listener, 5), "asker") as asker:
        asker.subscribe(("ok/asked", 1))
        asker.client.publish("ok/asked", "{}", 1, properties=properties)
        got: Any = asker.messages.get(timeout=SECONDS).properties
    assert (got.ResponseTopic, got.CorrelationData, got.ContentType) == ("ok/answers", b"\0\1\2", "application/json")
    assert got.UserProperty == [("line", "2"), ("line", "3")]
    assert (got.PayloadFormatIndicator, got.MessageExpiryInterval) == (1, 60)
