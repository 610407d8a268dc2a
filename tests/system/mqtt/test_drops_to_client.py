"""The drop matrix of protocols.md 2.6, broker to client: {3.1.1, 5} x {QoS 0, 1, 2} x {publish, will, retained, share,
alias}. The client hears nothing, the broker gets its acknowledgement, and the same session goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import mqtt
from tests.support.mqtt import PUBACK, PUBCOMP, PUBREC, PUBREL, V4, V5, Will, prop
from tests.support.mqtt_client import MqttClient, Witness
from tests.support.net import wait_until
from tests.support.uns import DESK, PLAIN, upstream_id
from tests.system.mqtt.kit import (
    LEVELS,
    MARK,
    QOS,
    acknowledged,
    acknowledgements,
    delivered,
    goes_on,
    session,
)

if TYPE_CHECKING:
    from tests.support.broker_tap import BrokerTap
    from tests.support.mosquitto import Mosquitto
    from tests.support.plant import Plant

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("gateway")]

SECRET = "ok/secret/x"
NAME = upstream_id(DESK, "machine")
WINDOW = {V4: 20, V5: 32}
"""Messages of QoS 1 and 2 that the broker sends before it waits for acknowledgements: Mosquitto's own limit; the
Receive Maximum that the gateway told it."""


@pytest.fixture
def port(uns: Plant) -> int:
    return uns.ports[PLAIN]


def dropped(client: MqttClient, tap: BrokerTap, qos: int, *, shared: bool = False) -> None:
    """The broker delivered one message, the client saw none, and the exchange is over for the broker."""
    assert client.pinged() == []
    assert [one.payload for one in tap.flow(NAME).answered if one.kind == mqtt.PUBLISH] == [MARK]
    if qos:
        (pid,) = delivered(tap, NAME, qos)
        ((found, code),) = acknowledged(tap, NAME, qos, 1)
        assert found == pid
        # A nack of a shared message may bring it to another member, who may not have it either.
        assert code in ((0,) if shared or client.level == V4 else (0, 0x87))
        if qos == 2 and not code:
            wait_until(lambda: acknowledgements(tap, NAME, PUBCOMP) == [(pid, 0)], what="PUBCOMP")
    assert MARK not in client.raw


@LEVELS
@QOS
class TestMatrix:
    def test_publish(self, level: int, qos: int, port: int, tap: BrokerTap, witness: Witness) -> None:
        with session(port, level, "ok/#") as client:
            witness.say(SECRET, MARK, qos)
            dropped(client, tap, qos)
            witness.say("ok/open", b"seen", qos)
            assert client.takes().payload == b"seen"

    def test_will(self, level: int, qos: int, port: int, tap: BrokerTap, witness: Witness, broker: Mosquitto) -> None:
        """Another's last words, by the broker's own hand."""
        with session(port, level, "ok/secret/#") as client:
            with MqttClient(broker.port, level) as mortal:
                mortal.opened("mortal", will=Will(SECRET, MARK, qos))
                mortal.lose()
            assert witness.heard(SECRET).payload == MARK
            dropped(client, tap, qos)
            goes_on(client, witness)

    def test_retained(self, level: int, qos: int, port: int, tap: BrokerTap, witness: Witness) -> None:
        """What somebody left there, long before (CVE-2018-12546)."""
        witness.say(SECRET, MARK, max(1, qos), retain=True)
        with session(port, level, ("ok/secret/+", qos)) as client:
            dropped(client, tap, qos)
            goes_on(client, witness)
        witness.say(SECRET, b"", 1, retain=True)

    def test_share(self, level: int, qos: int, port: int, tap: BrokerTap, witness: Witness) -> None:
        with session(port, level, "$share/workers/ok/secret/#") as client:
            witness.say(SECRET, MARK, qos)
            dropped(client, tap, qos, shared=True)
            goes_on(client, witness)

    def test_more_than_the_window(self, level: int, qos: int, port: int, tap: BrokerTap, witness: Witness) -> None:
        """Acknowledgements that are missing would stall the broker."""
        with session(port, level, "ok/secret/#") as client:
            for _ in range(WINDOW[level] + 5):
                witness.say(SECRET, MARK, qos)
            goes_on(client, witness)
            assert MARK not in client.raw
            if qos:
                assert acknowledged(tap, NAME, qos, WINDOW[level] + 5)


@QOS
def test_alias(qos: int, port: int, tap: BrokerTap, witness: Witness) -> None:
    """The broker is told of no alias (2.7), whatever the client takes: each delivery has its topic."""
    with session(port, V5, "ok/#", properties=prop(mqtt.ALIAS_MAXIMUM, 10)) as client:
        (connect,) = tap.asked(mqtt.CONNECT)
        assert not connect.number(mqtt.ALIAS_MAXIMUM)
        for turn in range(3):
            witness.say(SECRET, MARK, qos)
            witness.say("ok/open", b"%d" % turn, qos)
            message = client.takes()
            assert (message.topic, message.payload, message.property(mqtt.ALIAS)) == ("ok/open", b"%d" % turn, None)
        assert MARK not in client.raw
    with session(port, V5, "ok/secret/#", properties=prop(mqtt.ALIAS_MAXIMUM, 10)) as client:
        goes_on(client, witness)


@LEVELS
@pytest.mark.parametrize("qos", [1, 2])
class TestOrderOfAcknowledgements:
    """[MQTT-4.6.0-2] and [MQTT-4.6.0-3]: ours keep the order of arrival and wait behind those that the client owes."""

    def test_drops_between_allowed_ones(
        self, level: int, qos: int, port: int, tap: BrokerTap, witness: Witness
    ) -> None:
        first = PUBACK if qos == 1 else PUBREC
        with session(port, level, "ok/#") as client:
            for at in range(9):
                witness.say("ok/open" if at % 3 == 0 else SECRET, b"%d" % at if at % 3 == 0 else MARK, qos)
            messages = [client.expect(mqtt.PUBLISH) for _ in range(3)]
            assert [one.payload for one in messages] == [b"0", b"3", b"6"]
            assert client.pinged() == []
            assert acknowledgements(tap, NAME, first) == [], "the client has acknowledged nothing yet"
            for count, message in enumerate(messages, 1):
                client.send(mqtt.ack(first, message.pid))
                acknowledged(tap, NAME, qos, 3 * count)
                client.send(mqtt.PING)
                before = client.until(mqtt.PINGRESP)[:-1]
                assert [(one.kind, one.pid) for one in before] == ([(PUBREL, message.pid)] if qos == 2 else [])
            order = [pid for pid, _ in acknowledgements(tap, NAME, first)]
            assert order == delivered(tap, NAME, qos) and len(order) == 9
            if qos == 2:
                for message in messages:
                    client.send(mqtt.ack(PUBCOMP, message.pid))
                wait_until(lambda: len(acknowledgements(tap, NAME, PUBCOMP)) == 9)
            assert MARK not in client.raw

    def test_the_window_is_full_of_drops_and_one_slow_client(
        self, level: int, qos: int, port: int, tap: BrokerTap, witness: Witness
    ) -> None:
        """The first is allowed and not acknowledged, drops wait behind it. Then everything flows again."""
        with session(port, level, "ok/#") as client:
            witness.say("ok/open", b"slow", qos)
            for _ in range(2 * WINDOW[level]):
                witness.say(SECRET, MARK, qos)
            witness.say("ok/open", b"last", qos)
            slow = client.expect(mqtt.PUBLISH)
            assert client.pinged() == []
            assert len(delivered(tap, NAME, qos)) == WINDOW[level]
            client.acknowledge(slow)
            assert client.takes().payload == b"last"
            order = [pid for pid, _ in acknowledged(tap, NAME, qos, 2 * WINDOW[level] + 2)]
            assert order == delivered(tap, NAME, qos)
            assert MARK not in client.raw


@LEVELS
def test_both_qos_are_ordered_by_themselves(level: int, port: int, tap: BrokerTap, witness: Witness) -> None:
    """A QoS 2 message that the client is slow with does not hold back our answer to one of QoS 1."""
    with session(port, level, "ok/#") as client:
        witness.say("ok/open", b"slow", 2)
        slow = client.expect(mqtt.PUBLISH)
        witness.say(SECRET, MARK, 1)
        acknowledged(tap, NAME, 1, 1)
        client.acknowledge(slow)
        assert client.pinged() == []


@LEVELS
def test_sizes_around_the_limit(level: int, port: int, tap: BrokerTap, witness: Witness) -> None:
    """Large messages, in many segments: the dropped one is dropped whole, the others come whole."""
    with session(port, level, "ok/#") as client:
        for size in (1, 127, 128, 16_383, 16_384, 100_000):
            witness.say(SECRET, MARK * (size // len(MARK) + 1), 1)
            witness.say("ok/open", b"x" * size, 1)
            assert len(client.takes().payload) == size
        assert MARK not in client.raw
        goes_on_behind(client, witness)


def goes_on_behind(client: MqttClient, witness: Witness) -> None:
    """Subscribed to ok/#, the client hears itself, too."""
    client.publish("mute/out", b"still here", qos=2, pid=300)
    client.expect(PUBREC)
    client.send(mqtt.ack(PUBREL, 300))
    client.expect(PUBCOMP)
    assert witness.heard("mute/out").payload == b"still here"
    assert client.pinged() == []


@LEVELS
@QOS
def test_a_subscription_that_the_gateway_never_saw(
    level: int, qos: int, port: int, tap: BrokerTap, witness: Witness, broker: Mosquitto
) -> None:
    """Session Present: the broker knows a filter of another time, or of a way around us (CVE-2021-34434)."""
    more = prop(mqtt.SESSION_EXPIRY, 60) if level == V5 else b""
    with MqttClient(broker.port, level) as around:
        around.send(mqtt.connect(NAME, level=level, clean=True))
        around.expect(mqtt.CONNACK)
        around.goodbye()
        around.to_the_end()
    with MqttClient(broker.port, level) as around:
        around.opened(NAME, clean=False, properties=more)
        around.subscribed(("no/#", 2), ("ok/#", 2))
        around.goodbye()
        around.to_the_end()
    witness.say("no/queued", MARK, max(1, qos))
    witness.say("ok/queued", b"seen", max(1, qos))
    with MqttClient(port, level) as client:
        connack = client.opened("machine", clean=False, properties=more)
        assert connack.session is True
        assert client.takes().payload == b"seen"
        witness.say("no/live", MARK, qos)
        witness.say("ok/in/live", b"live", qos)
        assert client.takes().payload == b"live"
        assert client.pinged() == []
        assert MARK not in client.raw
        assert sum(one.payload == MARK for one in tap.flow(NAME).answered) == 2, "the broker did deliver them"
        client.send(mqtt.unsubscribe(1, "ok/#", "no/#", level=level))
        client.until(mqtt.UNSUBACK)
    with session(port, level) as client:  # clean: the session ends
        goes_on(client, witness)
