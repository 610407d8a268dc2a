"""What the broker's file says: TLS and credentials that are Bulkhead's own, Wills that are stripped, limits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proxy.pki.leaf import Leaf
from tests.support import mqtt
from tests.support.broker_tap import tapped
from tests.support.mosquitto import Mosquitto, running_mosquitto
from tests.support.mqtt import PUBREC, V5, Will, prop
from tests.support.mqtt_client import MqttClient, Witness
from tests.support.net import LOCAL, free_port
from tests.support.process import running
from tests.support.tools import run, tool
from tests.support.uns import PLAIN, TLS, UnsBuilder
from tests.system.mqtt.kit import LEVELS, MARK, goes_on, session

if TYPE_CHECKING:
    from tests.support.plant import Plant
    from tests.support.process import GatewayProcess

pytestmark = pytest.mark.system

PASSWORD = "the broker's eyes only"
SECURE = (
    "tls: { name: broker, certificate: gateway }, login: uns.login, will: strip, "
    "max_packet: 4KiB, keep_alive: 10s, receive_maximum: 5"
)


def private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


@pytest.fixture(scope="module")
def uns(tmp_path_factory: pytest.TempPathFactory) -> Plant:
    plant = UnsBuilder(tmp_path_factory.mktemp("uns"), free_port(), broker_host=LOCAL, service=SECURE).build()
    private(plant.keys.folder / "uns.login", f"bulkhead\n{PASSWORD}\n")
    return plant


@pytest.fixture(scope="module")
def broker(uns: Plant, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """Beside its open listener one with TLS that asks for a certificate of the site and for a password."""
    folder = tmp_path_factory.mktemp("broker")
    users = folder / "users"
    assert run([tool("mosquitto_passwd", "mosquitto"), "-b", "-c", str(users), "bulkhead", PASSWORD]).returncode == 0
    own = uns.keys.issue(Leaf("broker", dns=("broker",), ips=(ip_address(LOCAL),)))
    device = (uns.folder / "fingerprints" / "devices" / "uns.yaml").read_text()
    port = int(device.partition("port: ")[2].partition(",")[0])
    more = [f"listener {port} {LOCAL}", "allow_anonymous false", f"password_file {users}", "require_certificate true"]
    more += [f"cafile {uns.keys.ca}", f"certfile {own.certificate}", f"keyfile {own.key}"]
    with running_mosquitto(folder, more) as mosquitto:
        yield mosquitto


@pytest.fixture(scope="module")
def gateway(uns: Plant, broker: Mosquitto) -> Iterator[GatewayProcess]:
    with running(uns) as process:
        yield process


@pytest.fixture
def port(uns: Plant, gateway: GatewayProcess) -> int:
    return uns.ports[PLAIN]


@LEVELS
class TestOwnCredentials:
    def test_both_sides_in_tls(self, level: int, port: int, uns: Plant, broker: Mosquitto, witness: Witness) -> None:
        tls = uns.keys.issue("sensor-1").trusting(uns.keys.ca)
        with MqttClient(uns.ports[TLS], level, tls=tls) as client:
            client.opened("sensor-1")
            client.subscribed("ok/in/#")
            goes_on(client, witness)
        assert "as sensor-1 (p2, c1, k10, u'bulkhead')" in broker.said()

    def test_what_the_client_says_of_itself(
        self, level: int, port: int, gateway: GatewayProcess, broker: Mosquitto, witness: Witness
    ) -> None:
        """Its user name and password go nowhere, the broker's are told to nobody, and none is in a log or record."""
        with MqttClient(port, level) as client:
            client.send(mqtt.connect("named", level=level, user="guesser", password=b"its own secret"))
            assert client.expect(mqtt.CONNACK).code == 0
            client.subscribed("ok/in/#")
            goes_on(client, witness)
        assert "as desk:named (p2, c1, k10, u'bulkhead')" in broker.said()
        assert "guesser" not in broker.said()
        logged = gateway.said() + "".join(map(str, gateway.audit()))
        assert all(word not in logged for word in (PASSWORD, "its own secret"))


@LEVELS
def test_a_will_is_stripped(level: int, port: int, witness: Witness) -> None:
    with session(port, level, will=Will("no/last", MARK, 1)) as client:
        goes_on(client, witness)
        client.lose()
    assert [one.topic for one in witness.up_to(b"mark 5")] == ["ok/in/after"]
    with session(port, level, will=Will("ok/last", b"allowed", 1)) as client:
        client.lose()
        assert witness.heard("ok/last").payload == b"allowed"


@LEVELS
class TestLimits:
    def test_max_packet_of_a_client(self, level: int, port: int, witness: Witness) -> None:
        with session(port, level) as client:
            client.publish("ok/x", b"x" * 4000)
            assert len(witness.heard("ok/x").payload) == 4000
            client.publish("ok/x", MARK * 200)
            end = client.to_the_end()
            assert [(one.kind, one.code) for one in end] == ([(mqtt.DISCONNECT, 0x95)] if level == V5 else [])
        assert all(MARK not in one.payload for one in witness.up_to(b"mark 6"))

    def test_max_packet_of_the_broker(self, level: int, port: int, witness: Witness) -> None:
        """v5: the broker was told and keeps it. 3.1.1 has no word for that: it is dropped, and who makes one such
        message does not end the sessions of all who subscribe to it."""
        with session(port, level, "ok/large") as client:
            for qos in (0, 1, 2):
                witness.say("ok/large", MARK * 200, qos)
            witness.say("ok/large", MARK * 200_000)
            goes_on(client, witness)
            assert MARK not in client.raw

    def test_limits_that_are_told(self, level: int, port: int) -> None:
        with MqttClient(port, level) as client:
            connack = client.opened("told", keep_alive=60)
            if level == V5:
                told = {number: connack.number(number) for number in (mqtt.MAXIMUM_PACKET, mqtt.RECEIVE_MAXIMUM)}
                assert told == {mqtt.MAXIMUM_PACKET: 4096, mqtt.RECEIVE_MAXIMUM: 5}
                assert connack.number(mqtt.SERVER_KEEP_ALIVE) == 10


def test_receive_maximum(port: int, witness: Witness) -> None:
    """Five unfinished exchanges are taken, a sixth ends the link: 0x93. Finished and refused ones take no room."""
    with session(port, V5) as client:
        for pid in range(10, 50):
            client.publish("ok/x", b"x", qos=1, pid=pid)
            assert client.expect(mqtt.PUBACK).pid == pid
            client.publish("no/x", MARK, qos=2, pid=pid)
            assert client.expect(PUBREC).code == 0x87
        for pid in range(1, 6):
            client.publish("ok/x", b"x", qos=2, pid=pid)
            assert client.expect(PUBREC).code == 0
        client.publish("ok/x", MARK, qos=2, pid=7)
        assert [(one.kind, one.code) for one in client.to_the_end()] == [(mqtt.DISCONNECT, 0x93)]


@contextmanager
def site(broker: Mosquitto, folder: Path, service: str) -> Iterator[tuple[int, list[mqtt.Packet]]]:
    """Another site; what its CONNECT looked like at the broker."""
    seen: list[mqtt.Packet] = []
    with tapped(broker.port) as tap:
        plant = UnsBuilder(folder, tap.port, service=service).build()
        with running(plant):
            yield plant.ports[PLAIN], seen
        seen += tap.asked(mqtt.CONNECT)


def test_login_of_the_client(broker: Mosquitto, witness: Witness, tmp_path: Path) -> None:
    """`login: client`: user name and password are the client's, the client id is not."""
    properties = prop(mqtt.SESSION_EXPIRY, 100_000) + prop(mqtt.RECEIVE_MAXIMUM, 7) + prop(mqtt.ALIAS_MAXIMUM, 9)
    sent = mqtt.connect("named", level=V5, user="anna", password=b"secret", keep_alive=9, properties=properties)
    with site(broker, tmp_path, "login: client, session_expiry: 60s") as (port, seen), MqttClient(port, V5) as client:
        client.send(sent)
        connack = client.expect(mqtt.CONNACK)
        assert (connack.code, connack.number(mqtt.SESSION_EXPIRY)) == (0, 60)
        client.send(mqtt.disconnect())
        client.to_the_end()
    (connect,) = seen
    assert connect.client_id == "desk:named"
    assert connect.raw.endswith(mqtt.text("anna") + mqtt.text("secret"))
    told = {number: int.from_bytes(value, "big") for number, value in connect.properties}
    assert told == {mqtt.SESSION_EXPIRY: 60, mqtt.RECEIVE_MAXIMUM: 7, mqtt.MAXIMUM_PACKET: 256 * 1024}
