"""T41: malformed MQTT at the wire. Each ends its own link, with the right code; nobody else sees anything of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support import mqtt
from tests.support.mqtt import V4, V5
from tests.support.mqtt_client import MqttClient, Witness
from tests.support.mqtt_malformed import behind_connect, instead_of_connect
from tests.support.net import wait_until
from tests.support.uns import OLD_AT, PLAIN
from tests.system.mqtt.kit import goes_on, session

if TYPE_CHECKING:
    from tests.support.broker_tap import BrokerTap
    from tests.support.plant import Plant
    from tests.support.process import GatewayProcess

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("gateway")]

NAME = "old:machine"


@pytest.fixture(scope="module")
def bystander(uns: Plant, gateway: GatewayProcess) -> Iterator[MqttClient]:
    """Of another identity, connected all the time."""
    with session(uns.ports[PLAIN], V5, client_id="bystander") as client:
        yield client


CASES = [(level, name) for level in (V4, V5) for name in behind_connect(level)]


@pytest.mark.parametrize(("level", "name"), CASES, ids=[f"{name} ({level})" for level, name in CASES])
def test_ends_that_link_alone(
    level: int, name: str, uns: Plant, tap: BrokerTap, witness: Witness, bystander: MqttClient
) -> None:
    data, codes = behind_connect(level)[name]
    with MqttClient(uns.ports[PLAIN], level, source=OLD_AT) as client:
        client.opened("machine")
        flow = tap.flow(NAME)
        client.send(mqtt.publish("ok/before", b"b", level=level), data, mqtt.publish("ok/behind", b"b", level=level))
        end = client.to_the_end()
        if level == V4:
            assert end == []
        else:
            assert [one.kind for one in end] == [mqtt.DISCONNECT] and end[0].code in codes, end
    wait_until(lambda: flow.over)
    assert [(one.kind, one.topic) for one in flow.asked if one.kind != mqtt.DISCONNECT] == [
        (mqtt.CONNECT, ""),
        (mqtt.PUBLISH, "ok/before"),
    ]
    assert flow.ended_by_gateway
    goes_on(bystander, witness)


FIRST = instead_of_connect()


@pytest.mark.parametrize("name", FIRST)
def test_instead_of_connect(name: str, uns: Plant, tap: BrokerTap, witness: Witness, bystander: MqttClient) -> None:
    """First packet not CONNECT (CVE-2023-0809), or one that is not well-formed: the broker is not even dialled."""
    flows = len(tap.flows)
    with MqttClient(uns.ports[PLAIN], V5 if name.startswith("v5") else V4, source=OLD_AT) as client:
        client.send(FIRST[name])
        end = client.to_the_end()
        # Before CONNACK a refusal is a CONNACK, where the version has a code for it, or nothing.
        assert all(one.kind == mqtt.CONNACK and one.code for one in end) and len(end) <= 1, end
        if name.startswith("v5"):
            assert [one.code for one in end] in ([0x81], [0x82]), end
    goes_on(bystander, witness)
    assert len(tap.flows) == flows


@pytest.mark.parametrize("level", [0, 1, 2, 3, 6, 0x83, 0x84, 0x85, 255])
def test_other_protocol_levels(level: int, uns: Plant, tap: BrokerTap) -> None:
    """Level 3 has no failure code in SUBACK (mosquitto#1318); the high bit is the bridge mode."""
    flows = len(tap.flows)
    with MqttClient(uns.ports[PLAIN], V4, source=OLD_AT) as client:
        data = bytearray(mqtt.connect("machine"))
        data[8] = level
        client.send(bytes(data))
        received = client.to_the_end()
        assert [one.raw[:2] + one.raw[3:4] for one in received] in ([b"\x20\x02\x01"], [b"\x20\x03\x84"]), received
    assert len(tap.flows) == flows


def test_mqisdp(uns: Plant, tap: BrokerTap) -> None:
    """MQTT 3.1 by its own name: 0x01."""
    flows = len(tap.flows)
    with MqttClient(uns.ports[PLAIN], V4, source=OLD_AT) as client:
        client.send(mqtt.packet(0x10, mqtt.text("MQIsdp") + b"\x03\x02\x00\x3c" + mqtt.text("machine")))
        assert [one.raw for one in client.to_the_end()] == [b"\x20\x02\x00\x01"]
    assert len(tap.flows) == flows


def test_enhanced_authentication(uns: Plant, tap: BrokerTap) -> None:
    """0x8C: it could change who speaks (2.5)."""
    flows = len(tap.flows)
    with MqttClient(uns.ports[PLAIN], V5, source=OLD_AT) as client:
        client.send(mqtt.connect("machine", level=V5, properties=mqtt.prop(mqtt.AUTH_METHOD, "SCRAM-SHA-1")))
        assert [(one.kind, one.code) for one in client.to_the_end()] == [(mqtt.CONNACK, 0x8C)]
    assert len(tap.flows) == flows


def test_slow_connect(uns: Plant, tap: BrokerTap, witness: Witness, bystander: MqttClient) -> None:
    """T45: a CONNECT must be whole within 5 s, whether nothing of it comes or all but the last byte."""
    flows = len(tap.flows)
    clients = [MqttClient(uns.ports[PLAIN], V4, source=OLD_AT) for _ in range(2)]
    began = time.monotonic()
    clients[1].send(mqtt.connect("machine")[:-1])
    for client in clients:
        with client:
            assert client.to_the_end(8.0) == []
    assert 4.5 < time.monotonic() - began < 6.5
    assert len(tap.flows) == flows
    goes_on(bystander, witness)


def test_cut_anywhere(uns: Plant, witness: Witness) -> None:
    """Byte by byte: the same as at once."""
    with MqttClient(uns.ports[PLAIN], V5, source=OLD_AT) as client:

        def crawl(data: bytes) -> None:
            for byte in data:
                client.send(bytes((byte,)))
                time.sleep(0.0005)

        crawl(mqtt.connect("machine", level=V5))
        assert client.expect(mqtt.CONNACK).code == 0
        crawl(mqtt.subscribe(1, ("ok/x", 1), level=V5) + mqtt.publish("ok/x", b"bytes", level=V5, qos=1, pid=3))
        crawl(mqtt.publish("no/x", b"bytes", level=V5, qos=1, pid=4))
        seen = [client.next() for _ in range(4)]
        assert [(one.kind, one.code) for one in seen if one] == [
            (mqtt.SUBACK, 1),
            (mqtt.PUBLISH, 0),
            (mqtt.PUBACK, 0),
            (mqtt.PUBACK, 0x87),
        ]
    assert witness.heard("ok/x").payload == b"bytes"
