"""T11, T12 and T28 on the real broker, each with the victim beside the attacker."""

from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING

import pytest

from tests.support import mqtt
from tests.support.mqtt import PUBACK, PUBREC, V4, V5, Will, prop
from tests.support.mqtt_client import MqttClient, Witness
from tests.support.net import wait_until
from tests.support.uns import DESK, OLD_AT, PLACE, PLAIN, TLS, upstream_id
from tests.system.mqtt.kit import LEVELS, MARK, NOT_AUTHORIZED, QOS, goes_on, nothing_refused, refusal, session

if TYPE_CHECKING:
    from tests.support.broker_tap import BrokerTap
    from tests.support.plant import Plant
    from tests.support.process import GatewayProcess

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("gateway")]

PROMISE = 1.0
"""Seconds from the revocation to the cut."""


def context(uns: Plant, name: str) -> ssl.SSLContext:
    return uns.keys.issue(name).trusting(uns.keys.ca)


def expiry(level: int) -> bytes:
    return prop(mqtt.SESSION_EXPIRY, 60) if level == V5 else b""


@LEVELS
class TestMqttTakeover:
    """T11: a client id belongs to an identity. Another one that uses it has a session of its own."""

    def test_mqtt_takeover(self, level: int, uns: Plant, tap: BrokerTap, witness: Witness) -> None:
        name = f"pump-{level}"
        with self.pump(uns, level, name, present=False) as pump:
            pump.subscribed("ok/in/#")
            for thief, taken in self.thieves(uns, level, name):
                with thief:
                    connack = thief.opened(taken, clean=False, properties=expiry(level))
                    assert connack.session is False, "it inherited a session"
                    witness.say("ok/in/x", b"for the pump alone", 1)
                    assert pump.takes().payload == b"for the pump alone"
                    assert thief.pinged() == []
                    assert pump.pinged() == [], "it was thrown off"

    def test_queued_messages(self, level: int, uns: Plant, tap: BrokerTap, witness: Witness) -> None:
        """What waits for the absent client is not handed to who comes in its name."""
        name = f"absent-{level}"
        with self.pump(uns, level, name, present=False) as pump:
            pump.subscribed("ok/in/#")
            pump.goodbye()
            pump.to_the_end()
        witness.say("ok/in/x", MARK, 1)
        witness.say("ok/in/x", MARK, 2)
        for thief, taken in self.thieves(uns, level, name):
            with thief:
                assert not thief.opened(taken, clean=False, properties=expiry(level)).session
                assert thief.pinged() == []
                assert MARK not in thief.raw
        with self.pump(uns, level, name, present=True) as pump:
            assert [pump.takes().payload for _ in range(2)] == [MARK, MARK]

    def pump(self, uns: Plant, level: int, name: str, *, present: bool) -> MqttClient:
        """The real one, with its persistent session."""
        client = MqttClient(uns.ports[TLS], level, tls=context(uns, "sensor-1"))
        assert client.opened(name, clean=False, properties=expiry(level)).session is present
        return client

    def thieves(self, uns: Plant, level: int, name: str) -> list[tuple[MqttClient, str]]:
        """The same id by another certificate and by an address; ids made to look like the broker's name for it."""
        sensor, plain = (uns.ports[TLS], context(uns, "sensor-2")), uns.ports[PLAIN]
        own = upstream_id("sensor-1", name)
        made = [(MqttClient(sensor[0], level, tls=sensor[1]), taken) for taken in (name, own, f":{name}")]
        made += [(MqttClient(plain, level), taken) for taken in (name, own)]
        return [*made, (MqttClient(plain, level, source=OLD_AT), own)]

    def test_the_name_of_a_device(self, level: int, uns: Plant, tap: BrokerTap) -> None:
        """The device's own name is its bare id at the broker; nobody else can come to it."""
        with MqttClient(uns.ports[TLS], level, tls=context(uns, "sensor-1")) as own:
            own.opened("sensor-1")
            with MqttClient(uns.ports[TLS], level, tls=context(uns, "sensor-2")) as other:
                other.opened("sensor-1")
                assert own.pinged() == other.pinged() == []
        assert [flow.client_id for flow in tap.flows[-2:]] == ["sensor-1", "sensor-2:sensor-1"]

    def test_no_name_at_all(self, level: int, uns: Plant, tap: BrokerTap) -> None:
        """An empty id is one of the gateway's making, so that two nameless clients of a device are two."""
        tls = context(uns, "sensor-1")
        with MqttClient(uns.ports[TLS], level, tls=tls) as one, MqttClient(uns.ports[TLS], level, tls=tls) as other:
            one.opened("")
            other.opened("")
            assert one.pinged() == other.pinged() == []
        ids = [flow.client_id for flow in tap.flows[-2:]]
        assert len(set(ids)) == 2 and all(name.startswith("sensor-1:") and len(name) > 16 for name in ids)


ODD = {
    "plus": "a+b",
    "hash": "#",
    "slash": "a/b",
    "up": "../sensor-2",
    "device": "{device}",
    "percent": "%c",
    "dollar": "$SYS",
    "star": "*",
    "NUL": "a\0b",
    "newline": "a\nb",
    "escape": "a\x1b[2J",
    "blank": "a b",
    "quote": 'a"b',
    "backslash": "a\\b",
    "fullwidth plus": "a\uff0bb",
    "composed": "\u00e9",
    "decomposed": "e\u0301",
    "right to left": "a\u202eb",
    "zero width": "pump\u200b",
    "byte order mark": "\ufeffpump",
    "non-character": "a\uffff",
    "129 bytes": "x" * 129,
    "65535 bytes": "x" * 65535,
}

NO_SUCH_ID = {V4: [2], V5: [0x85]}


@LEVELS
@pytest.mark.parametrize("name", ODD)
def test_ident_charset(name: str, level: int, uns: Plant, tap: BrokerTap, witness: Witness) -> None:
    """T12: ids and user names from a closed alphabet, refused and never mended. One that passes names one session."""
    flows = len(tap.flows)
    with MqttClient(uns.ports[PLAIN], level) as client:
        client.send(mqtt.connect(ODD[name], level=level))
        codes = [one.code for one in client.to_the_end()]
    if "\0" in ODD[name]:
        assert codes == ([0x81] if level == V5 else []), "malformed [MQTT-1.5.3-2]"
    elif len(ODD[name]) < 16_384:
        assert codes in (NO_SUCH_ID[level], [NOT_AUTHORIZED[level]]), codes
    else:
        assert codes in ([], [0x95]), "not even read"
    assert len(tap.flows) == flows, "the broker heard of it"
    with MqttClient(uns.ports[PLAIN], level) as client:
        client.send(mqtt.connect("machine", level=level, user=ODD[name]), mqtt.PING)
        if client.next() is not None:
            client.next()
    # Who came in all the same is not called that at the broker: Bulkhead has credentials of its own, or none.
    assert all(mqtt.text(ODD[name]) not in bytes(flow.up) for flow in tap.flows)


@LEVELS
@pytest.mark.parametrize("name", ["a..b", "..", "x" * 128, "a.b_c:d@e", "sensor-1", "-"])
def test_ids_of_the_alphabet(name: str, level: int, uns: Plant, tap: BrokerTap) -> None:
    """And they arrive as they are, behind the device's own."""
    with MqttClient(uns.ports[PLAIN], level) as client:
        client.opened(name)
        assert tap.flows[-1].client_id == f"{DESK}:{name}"


@LEVELS
@QOS
class TestTopicSpoof:
    """T28: topics are written from the proved identity, and what begins with $ is nobody's unless named."""

    def test_topic_spoof(self, level: int, qos: int, uns: Plant, tap: BrokerTap, witness: Witness) -> None:
        own = f"{PLACE}/sensor-1/temperature"
        others = [
            f"{PLACE}/sensor-2/temperature",
            f"{PLACE}/sensor-1x/temperature",
            f"{PLACE}/SENSOR-1/temperature",
            f"/{own}",
            f"{PLACE}//sensor-1/temperature",
            "sensor-1/temperature",
            "$SYS/broker/uptime",
            "$CONTROL/dynamic-security/v1",
            "$delayed/60/ok/x",
            "$share/workers/ok/x",
            "$queue/ok/x",
            "$SYS",
            "$",
            f"${own}",
        ]
        with MqttClient(uns.ports[TLS], level, tls=context(uns, "sensor-1")) as client:
            client.opened("sensor-2")  # its client id is not who it is
            client.subscribed("ok/in/#")
            for pid, topic in enumerate(others, 10):
                client.publish(topic, MARK, qos=qos, pid=pid)
                refusal(client, qos, pid, nack=level == V5)
            client.publish(own, b"21.5", qos=min(qos, 1), pid=9)
            assert witness.heard(own).payload == b"21.5"
            if qos:
                assert client.expect(PUBACK).pid == 9
            goes_on(client, witness)
            nothing_refused(tap, client)

    def test_will(self, level: int, qos: int, uns: Plant, tap: BrokerTap) -> None:
        for topic in (f"{PLACE}/sensor-2/state", "$CONTROL/x", "$SYS/x", "#", "ok/secret+"):
            flows = len(tap.flows)
            with MqttClient(uns.ports[TLS], level, tls=context(uns, "sensor-1")) as client:
                client.send(mqtt.connect("sensor-1", level=level, will=Will(topic, MARK, qos)))
                end = client.to_the_end()
                if topic[0] != "#" and "+" not in topic:
                    assert [one.code for one in end] == [NOT_AUTHORIZED[level]]
                assert all(one.code for one in end)
            assert len(tap.flows) == flows


@LEVELS
class TestWillAfterRevoke:
    """T28: who is cut has no last word, at the broker neither. Who loses the line has."""

    def test_will_after_revoke(
        self, level: int, uns: Plant, gateway: GatewayProcess, tap: BrokerTap, witness: Witness
    ) -> None:
        keys = uns.keys.issue("sensor-1")
        own = f"{PLACE}/sensor-1/state"
        tls = keys.trusting(uns.keys.ca)
        with (
            MqttClient(uns.ports[TLS], level, tls=tls) as revoked,
            MqttClient(uns.ports[TLS], level, tls=context(uns, "sensor-2")) as other,
        ):
            revoked.opened("sensor-1", will=Will(own, MARK, 1, True))
            other.opened("sensor-2")
            other.subscribed("ok/in/#")
            began = time.monotonic()
            uns.keys.revoke(keys)
            end = revoked.to_the_end()
            assert time.monotonic() - began < PROMISE
            assert [(one.kind, one.code) for one in end] == ([(mqtt.DISCONNECT, 0x98)] if level == V5 else [])
            flow = tap.flow("sensor-1")
            wait_until(lambda: flow.over)
            assert flow.said_goodbye
            goes_on(other, witness)
            assert [one.topic for one in witness.up_to(b"mark 4")] == ["ok/in/after"]
        assert gateway.recorded(what="close", who="sensor-1", reason="BH-1004")

    def test_the_same_on_a_lost_line(self, level: int, uns: Plant, tap: BrokerTap, witness: Witness) -> None:
        own = f"{PLACE}/sensor-1/state"
        for how in ("reset", "close"):
            client = MqttClient(uns.ports[TLS], level, tls=context(uns, "sensor-1"))
            client.opened("sensor-1", will=Will(own, b"lost", 1))
            if how == "reset":
                client.lose()
            else:
                client.sock.close()
            assert witness.heard(own).payload == b"lost"
            assert not tap.flow("sensor-1").said_goodbye

    def test_nothing_after_the_cut(self, level: int, uns: Plant, tap: BrokerTap, witness: Witness) -> None:
        """A flood of publishes goes on through the revocation: what the broker got ends with the link."""
        keys = uns.keys.issue("sensor-1")
        with MqttClient(uns.ports[TLS], level, tls=keys.trusting(uns.keys.ca)) as client:
            client.opened("sensor-1")
            began = time.monotonic()
            uns.keys.revoke(keys)
            sent = 0
            try:
                while time.monotonic() - began < 3.0:
                    client.publish("ok/flood", b"%d" % sent)
                    sent += 1
                    time.sleep(0.001)
            except (ConnectionError, ssl.SSLError):
                pass
            assert time.monotonic() - began < PROMISE + 0.5
        flow = tap.flow("sensor-1")
        wait_until(lambda: flow.over)
        received = len([one for one in flow.asked if one.kind == mqtt.PUBLISH])
        time.sleep(0.2)
        assert len([one for one in flow.asked if one.kind == mqtt.PUBLISH]) == received
        assert 0 < received <= sent
        assert flow.said_goodbye


@LEVELS
def test_who_is_not_in_the_inventory(level: int, uns: Plant, tap: BrokerTap) -> None:
    """A CONNACK that says no, and no dial."""
    flows = len(tap.flows)
    with MqttClient(uns.ports[PLAIN], level, source="127.0.0.77") as client:
        client.send(mqtt.connect("sensor-1", level=level))
        end = client.to_the_end()
        assert [one.code for one in end] in ([NOT_AUTHORIZED[level]], [])
    assert len(tap.flows) == flows


@LEVELS
def test_retained_poison(level: int, uns: Plant, tap: BrokerTap, witness: Witness) -> None:
    """A message retained under another's topic would be read as the truth long after: refused, in every shape."""
    victim = f"{PLACE}/sensor-2/state"
    witness.say(victim, b"true", 1, retain=True)
    with session(uns.ports[PLAIN], level) as client:
        for pid, payload in enumerate((MARK, b""), 5):
            client.publish(victim, payload, qos=2, pid=pid, retain=True)
            answer = client.expect(PUBREC)
            assert answer.code == (0x87 if level == V5 else 0)
        goes_on(client, witness)
    with MqttClient(uns.ports[PLAIN], level) as late:
        late.opened("late")
    assert victim not in tap.topics()
    witness.say(victim, b"", 1, retain=True)
    assert upstream_id(DESK, "late") == tap.flows[-1].client_id
