"""How a session lives and ends: a broker that is not there, keep alive on both sides, exchanges left half open."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support import mqtt
from tests.support.mqtt import PUBACK, PUBCOMP, PUBREC, PUBREL, V4, V5, Will, prop
from tests.support.mqtt_client import MqttClient, Witness
from tests.support.net import wait_until
from tests.support.uns import DESK, PLAIN, upstream_id
from tests.system.mqtt.kit import LEVELS, MARK, goes_on, nothing_refused, session

if TYPE_CHECKING:
    from tests.support.broker_tap import BrokerTap, Flow
    from tests.support.plant import Plant
    from tests.support.process import GatewayProcess

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("gateway")]

NAME = upstream_id(DESK, "machine")
UNAVAILABLE = {V4: 3, V5: 0x88}


@pytest.fixture
def port(uns: Plant) -> int:
    return uns.ports[PLAIN]


@pytest.fixture
def no_broker(tap: BrokerTap) -> Iterator[BrokerTap]:
    tap.close()
    yield tap
    tap.open()


def expiry(level: int, seconds: int = 60) -> bytes:
    return prop(mqtt.SESSION_EXPIRY, seconds) if level == V5 else b""


def forget(port: int, level: int) -> None:
    """The broker's session under this name ends."""
    with MqttClient(port, level) as client:
        client.opened("machine", clean=True)
        client.goodbye()
        client.to_the_end()


@LEVELS
class TestBroker:
    def test_down_at_connect(
        self, level: int, port: int, no_broker: BrokerTap, gateway: GatewayProcess, witness: Witness
    ) -> None:
        with MqttClient(port, level) as client:
            client.send(mqtt.connect("machine", level=level))
            answer = client.expect(mqtt.CONNACK)
            assert (answer.code, answer.session) == (UNAVAILABLE[level], False)
            assert client.to_the_end() == []
        assert gateway.recorded(who=DESK, reason="BH-1106")
        no_broker.open()
        with session(port, level) as client:
            goes_on(client, witness)
        no_broker.close()

    def test_lost_in_the_middle(self, level: int, port: int, tap: BrokerTap, witness: Witness) -> None:
        """The client hears of it at once and can come again; nothing is acknowledged that the broker did not have."""
        with session(port, level) as client:
            goes_on(client, witness)
            tap.cut()
            assert [one.kind for one in client.to_the_end()] in ([], [mqtt.DISCONNECT])
        with session(port, level) as client:
            goes_on(client, witness)

    def test_refuses_itself(self, level: int, port: int, tap: BrokerTap) -> None:
        """The broker's own refusal of a CONNECT reaches the client: here an empty id without a clean session, which
        3.1.1 forbids. MQTT 5 allows it, so the broker gives an id."""
        with MqttClient(port, level) as client:
            client.send(mqtt.connect("", level=level, clean=False))
            answer = client.expect(mqtt.CONNACK)
            if level == V4:
                assert answer.code == 2
                assert client.to_the_end() == []
            else:
                assert answer.code == 0 and answer.property(mqtt.ASSIGNED_ID)


@LEVELS
class TestKeepAlive:
    def test_a_silent_client_is_cut(self, level: int, port: int, tap: BrokerTap, witness: Witness) -> None:
        """After 1.5 times its interval, and its Will fires [MQTT-3.1.2-22]."""
        with MqttClient(port, level) as client:
            began = time.monotonic()
            # Two seconds: Mosquitto reckons in whole ones, and would cut an interval of one after 1.0 already.
            client.opened("machine", keep_alive=2, will=Will("ok/last", b"silent"))
            end = client.to_the_end()
            lasted = time.monotonic() - began
        assert 2.9 < lasted < 6.0
        assert witness.heard("ok/last").payload == b"silent"
        flow = tap.flow(NAME)
        wait_until(lambda: flow.over)
        assert not flow.said_goodbye
        # Mosquitto counts in whole seconds, may be first, and says nothing.
        ours = level == V5 and flow.ended_by_gateway
        assert [(one.kind, one.code) for one in end] == ([(mqtt.DISCONNECT, 0x8D)] if ours else [])

    def test_refused_publishes_keep_it_alive(self, level: int, port: int, tap: BrokerTap, witness: Witness) -> None:
        """The broker hears nothing of them and would cut the client: the gateway pings it (2.5)."""
        with MqttClient(port, level) as client:
            client.opened("machine", keep_alive=1, will=Will("ok/last", b"silent"))
            ends = time.monotonic() + 3.0
            while time.monotonic() < ends:
                client.publish("no/x", MARK)
                time.sleep(0.2)
            assert [one.kind for one in client.received] == [mqtt.CONNACK], "its PINGRESP is not the client's"
            sent = [one.kind for one in tap.flow(NAME).asked]
            assert set(sent) == {mqtt.CONNECT, mqtt.PINGREQ} and 2 <= sent.count(mqtt.PINGREQ) <= 6
            assert client.pinged() == []
            client.published("ok/x", b"still here")
            nothing_refused(tap, client)
            client.goodbye()
            client.to_the_end()

    def test_only_deliveries(self, level: int, port: int, tap: BrokerTap, witness: Witness) -> None:
        """A client that only hears must say something, too: deliveries are not signs of its life."""
        with MqttClient(port, level) as client:
            client.opened("machine", keep_alive=2)
            began = time.monotonic()  # before the last it says, however long the answer takes
            client.subscribed(("ok/in/#", 0))
            while time.monotonic() - began < 6.0 and not client.closed:
                witness.say("ok/in/x", b"x")
                try:
                    client.next(0.2)
                except TimeoutError:
                    pass
            assert client.closed and time.monotonic() - began > 2.9


@LEVELS
class TestWill:
    """What fires the Will and what does not, as if the gateway were not there."""

    @pytest.mark.parametrize("how", ["reset", "fin", "half packet"])
    def test_fires_when_the_client_is_lost(
        self, how: str, level: int, port: int, tap: BrokerTap, witness: Witness
    ) -> None:
        with MqttClient(port, level) as client:
            client.opened("machine", will=Will("ok/last", b"lost", 1))
            client.pinged()
            if how == "half packet":
                client.send(mqtt.publish("ok/x", b"0123456789", level=level)[:-3])
            if how == "reset":
                client.lose()
            else:
                client.sock.close()
            assert witness.heard("ok/last").payload == b"lost"
        assert not tap.flow(NAME).said_goodbye
        assert tap.topics() == []

    def test_does_not_fire_after_goodbye(self, level: int, port: int, tap: BrokerTap, witness: Witness) -> None:
        with MqttClient(port, level) as client:
            client.opened("machine", will=Will("ok/last", MARK, 1))
            client.goodbye()
            assert client.to_the_end() == []
        wait_until(lambda: tap.flow(NAME).over)
        assert tap.flow(NAME).said_goodbye
        assert [one.topic for one in witness.up_to(b"mark 1")] == []

    def test_fires_on_wish(self, level: int, port: int, tap: BrokerTap, witness: Witness) -> None:
        """v5 DISCONNECT 0x04 is a publish on purpose."""
        with MqttClient(port, level) as client:
            client.opened("machine", will=Will("ok/last", b"on purpose", 1))
            if level == V4:
                client.lose()
            else:
                client.send(mqtt.disconnect(4))
            assert witness.heard("ok/last").payload == b"on purpose"

    def test_delay_is_capped(self, level: int, port: int, tap: BrokerTap, witness: Witness) -> None:
        """`will_delay` is 0 by default: no Will comes long after the link is gone."""
        delay = prop(mqtt.WILL_DELAY, 30) if level == V5 else b""
        with MqttClient(port, level) as client:
            last = Will("ok/last", b"at once", 1, properties=delay)
            client.opened("machine", will=last, properties=expiry(level))
            client.lose()
            assert witness.heard("ok/last", 3.0).payload == b"at once"
        forget(port, level)


@LEVELS
class TestHalfOpen:
    """QoS 2 exchanges that a connection did not outlive (CVE-2023-28366)."""

    def test_to_the_broker(self, level: int, port: int, tap: BrokerTap, witness: Witness) -> None:
        forget(port, level)
        with MqttClient(port, level) as client:
            client.opened("machine", clean=False, properties=expiry(level))
            client.publish("ok/once", b"once", qos=2, pid=7)
            assert client.expect(PUBREC).pid == 7
            client.lose()
        with MqttClient(port, level) as client:
            assert client.opened("machine", clean=False, properties=expiry(level)).session
            client.publish("ok/once", b"once", qos=2, pid=7, dup=True)
            assert client.expect(PUBREC).pid == 7
            client.send(mqtt.ack(PUBREL, 7))
            assert client.expect(PUBCOMP).pid == 7
            assert witness.heard("ok/once").payload == b"once"
            assert witness.up_to(b"mark 2") == [], "once"
        forget(port, level)

    def test_to_the_broker_with_its_release_alone(
        self, level: int, port: int, tap: BrokerTap, witness: Witness
    ) -> None:
        forget(port, level)
        with MqttClient(port, level) as client:
            client.opened("machine", clean=False, properties=expiry(level))
            client.publish("ok/once", b"once", qos=2, pid=7)
            client.expect(PUBREC)
            client.lose()
        with MqttClient(port, level) as client:
            client.opened("machine", clean=False, properties=expiry(level))
            client.send(mqtt.ack(PUBREL, 7))
            assert client.expect(PUBCOMP).pid == 7
            assert witness.heard("ok/once").payload == b"once"
        forget(port, level)

    @pytest.mark.parametrize("again", [True, False], ids=["publish again", "release alone"])
    def test_refused(self, again: bool, level: int, port: int, tap: BrokerTap, witness: Witness) -> None:
        """The set of ids that are ours may be gone with the link (2.6): still nothing comes of them."""
        forget(port, level)
        with MqttClient(port, level) as client:
            client.opened("machine", clean=False, properties=expiry(level))
            client.publish("no/x", MARK, qos=2, pid=7)
            client.expect(PUBREC)
            client.lose()
        with session(port, level) if not again else MqttClient(port, level) as client:
            if again:
                client.opened("machine", clean=False, properties=expiry(level))
                client.publish("no/x", MARK, qos=2, pid=7, dup=True)
                assert client.expect(PUBREC).code == (0x87 if level == V5 else 0)
            client.send(mqtt.ack(PUBREL, 7))
            assert client.expect(PUBCOMP).pid == 7
            client.published("ok/after", b"after", pid=7)
            assert witness.heard("ok/after").payload == b"after"
            nothing_refused(tap, client)
        assert all(one.topic != "no/x" for one in witness.up_to(b"mark 3"))
        forget(port, level)

    def test_to_the_client(self, level: int, port: int, tap: BrokerTap, witness: Witness) -> None:
        forget(port, level)
        with MqttClient(port, level) as client:
            client.opened("machine", clean=False, properties=expiry(level))
            client.subscribed("ok/in/#")
            witness.say("ok/in/1", b"first", 2)
            witness.say("ok/in/2", b"second", 2)
            first, second = client.expect(mqtt.PUBLISH), client.expect(mqtt.PUBLISH)
            client.send(mqtt.ack(PUBREC, first.pid))
            assert client.expect(PUBREL).pid == first.pid
            client.lose()
        with MqttClient(port, level) as client:
            client.opened("machine", clean=False, properties=expiry(level))
            rest = [client.next(), client.next()]
            assert {(one.kind, one.pid) for one in rest if one} == {
                (PUBREL, first.pid),
                (mqtt.PUBLISH, second.pid),
            }
            client.send(mqtt.ack(PUBCOMP, first.pid), mqtt.ack(PUBREC, second.pid))
            assert client.expect(PUBREL).pid == second.pid
            client.send(mqtt.ack(PUBCOMP, second.pid))
            assert client.pinged() == []
        forget(port, level)

    def test_a_dropped_delivery(self, level: int, port: int, tap: BrokerTap, witness: Witness) -> None:
        """Lost before the broker had our answer: it delivers again, and it is dropped again."""
        forget(port, level)
        with MqttClient(port, level) as client:
            client.opened("machine", clean=False, properties=expiry(level))
            client.subscribed("ok/#")
            client.lose()
        wait_until(lambda: tap.flow(NAME).over)
        for qos in (1, 2):
            witness.say("ok/secret/x", MARK, qos)
        witness.say("ok/in/x", b"allowed", 1)
        with MqttClient(port, level) as client:
            assert client.opened("machine", clean=False, properties=expiry(level)).session
            assert client.takes().payload == b"allowed"
            assert client.pinged() == []
            flow = tap.flow(NAME)
            wait_until(lambda: answered(flow))
            assert MARK not in client.raw
        forget(port, level)


def answered(flow: Flow) -> bool:
    """Every delivery of QoS 1 and 2 is over for the broker."""
    asked = [(one.pid, one.qos) for one in flow.answered if one.kind == mqtt.PUBLISH and one.qos]
    done = {(one.pid, 1) for one in flow.asked if one.kind == PUBACK}
    done |= {(one.pid, 2) for one in flow.asked if one.kind == PUBCOMP or (one.kind == PUBREC and one.code >= 0x80)}
    return len(asked) == 3 and set(asked) <= done


@LEVELS
def test_takeover_of_its_own_session(level: int, port: int, tap: BrokerTap, witness: Witness) -> None:
    """The same identity with the same id: the broker ends the old connection, as the protocol wants [MQTT-3.1.4-3].
    What it says to that (Mosquitto 2.0.11 nothing, later ones 0x8E) reaches the client."""
    with session(port, level) as old, session(port, level) as new:
        end = old.to_the_end()
        said = tap.flows[-2].answered
        assert end == [one for one in said if one.kind == mqtt.DISCONNECT]
        goes_on(new, witness)


@LEVELS
def test_goodbye_goes_through_with_what_came_before(level: int, port: int, tap: BrokerTap, witness: Witness) -> None:
    """One segment from CONNECT to DISCONNECT, as simple sensors send it: nothing of it is lost."""
    with MqttClient(port, level) as client:
        messages = [mqtt.publish("ok/quick", b"%d" % at, level=level) for at in range(50)]
        client.send(mqtt.connect("machine", level=level), *messages, mqtt.disconnect())
        assert client.expect(mqtt.CONNACK).code == 0
        assert client.to_the_end() == []
    assert [witness.heard("ok/quick").payload for _ in range(50)] == [b"%d" % at for at in range(50)]
    wait_until(lambda: tap.flow(NAME).said_goodbye)
