"""`deny_style` of a listener (protocols.md 2.4, 2.6), and commands, which are never acknowledged falsely."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import mqtt
from tests.support.mqtt import PUBACK, PUBCOMP, PUBREC, PUBREL, V4, V5
from tests.support.mqtt_client import MqttClient, Witness
from tests.support.uns import CUT, DESK, FALSE_ACK, PLAIN, RULES, TLS, UnsBuilder, upstream_id
from tests.system.mqtt.kit import LEVELS, MARK, QOS, REFUSED_FILTER, goes_on, nothing_refused, session

if TYPE_CHECKING:
    from tests.support.broker_tap import BrokerTap
    from tests.support.plant import Plant
    from tests.support.process import GatewayProcess

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("gateway")]

ORDER, OTHER_ORDER = "spBv1.0/line-2/NCMD/edge-1", "spBv1.0/line-2/DCMD/edge-1/arm"

OF_THE_DESK = "spBv1.0/line-2/NCMD/desk"
MORE_RULES = f"""\
  weak:
    from: {DESK}
    to: uns
    mqtt: {{ command: ["{OF_THE_DESK}"] }}
  wide:
    from: {DESK}
    to: uns
    mqtt: {{ publish: ["spBv1.0/#"] }}
"""
"""`publish` of a whole tree does not cover the commands in it."""


@pytest.fixture(scope="module")
def uns(recorder: BrokerTap, tmp_path_factory: pytest.TempPathFactory) -> Plant:
    listeners = (PLAIN, FALSE_ACK, CUT, TLS)
    rules = RULES.replace("never:\n", f"{MORE_RULES}never:\n")
    return UnsBuilder(tmp_path_factory.mktemp("uns"), recorder.port, listeners=listeners, rules=rules).build()


def the_end(client: MqttClient) -> None:
    """v5 says why, 3.1.1 has no word for it."""
    end = client.to_the_end()
    if client.level == V5:
        assert [(one.kind, one.code) for one in end] == [(mqtt.DISCONNECT, 0x87)]
    else:
        assert end == []


@LEVELS
@QOS
class TestAckAndDrop:
    def test_publish(self, level: int, qos: int, uns: Plant, tap: BrokerTap, witness: Witness) -> None:
        """Both versions are told that all is well, with the shortest form of it."""
        with session(uns.ports[FALSE_ACK], level) as client:
            for turn in range(30):
                client.publish("no/x", MARK, qos=qos, pid=200 + turn)
            client.send(mqtt.PING)
            answers = client.until(mqtt.PINGRESP)[:-1]
            wanted = [] if qos == 0 else [mqtt.ack(PUBACK if qos == 1 else PUBREC, 200 + turn) for turn in range(30)]
            assert [one.raw for one in answers] == wanted
            if qos == 2:
                client.publish("no/x", MARK, qos=2, pid=200, dup=True)
                assert client.expect(PUBREC).raw == mqtt.ack(PUBREC, 200)
                client.send(*(mqtt.ack(PUBREL, 200 + turn) for turn in range(30)))
                done = [client.expect(PUBCOMP).raw for _ in range(30)]
                assert done == [mqtt.ack(PUBCOMP, 200 + turn) for turn in range(30)]
                assert tap.asked(PUBREL) == []
            goes_on(client, witness)
            nothing_refused(tap, client)

    def test_subscribe(self, level: int, qos: int, uns: Plant, tap: BrokerTap, witness: Witness) -> None:
        """A filter is refused openly in any style: who believes to be subscribed, waits for ever."""
        with session(uns.ports[FALSE_ACK], level) as client:
            assert client.subscribed(("no/#", qos), ("ok/a", qos)) == (REFUSED_FILTER[level], qos)
            goes_on(client, witness)


@LEVELS
@QOS
class TestDisconnect:
    def test_publish(
        self, level: int, qos: int, uns: Plant, gateway: GatewayProcess, tap: BrokerTap, witness: Witness
    ) -> None:
        with session(uns.ports[CUT], level) as client:
            client.published("ok/x", b"before")
            client.publish("no/x", MARK, qos=qos, pid=5)
            the_end(client)
            nothing_refused(tap, client)
        with session(uns.ports[CUT], level) as client:
            goes_on(client, witness)

    def test_in_one_segment(self, level: int, qos: int, uns: Plant, tap: BrokerTap, witness: Witness) -> None:
        """What came before it goes through, what comes behind it does not."""
        with session(uns.ports[CUT], level) as client:
            client.send(
                mqtt.publish("ok/x", b"before", level=level),
                mqtt.publish("no/x", MARK, level=level, qos=qos, pid=5),
                mqtt.publish("ok/x", MARK, level=level, qos=qos, pid=6),
            )
            the_end(client)
        assert witness.heard("ok/x").payload == b"before"
        nothing_refused(tap)


@LEVELS
@QOS
class TestCommands:
    """A false acknowledgement of a command is worse than a lost link."""

    def test_refused(self, level: int, qos: int, uns: Plant, tap: BrokerTap, witness: Witness) -> None:
        with session(uns.ports[PLAIN], level) as client:
            client.publish(ORDER, MARK, qos=qos, pid=5)
            if level == V4:
                the_end(client)
            else:
                if qos:
                    answer = client.expect(PUBACK if qos == 1 else PUBREC)
                    assert (answer.pid, answer.code) == (5, 0x87)
                goes_on(client, witness)
            nothing_refused(tap, client)

    def test_refused_where_acknowledgements_are_false(
        self, level: int, qos: int, uns: Plant, tap: BrokerTap, witness: Witness
    ) -> None:
        with session(uns.ports[FALSE_ACK], level) as client:
            client.publish(ORDER, MARK, qos=qos, pid=5)
            the_end(client)
            nothing_refused(tap, client)

    def test_allowed(self, level: int, qos: int, uns: Plant, tap: BrokerTap, witness: Witness) -> None:
        """To who has the right and a key in its name; and no further than the rule says."""
        tls = uns.keys.issue("scada").trusting(uns.keys.ca)
        with MqttClient(uns.ports[TLS], level, tls=tls) as client:
            client.opened("scada")
            if qos == 2:
                client.published(ORDER, b"go", pid=5)
            else:
                client.publish(ORDER, b"go", qos=qos, pid=5)
            heard = witness.heard(ORDER)
            assert (heard.payload, heard.qos) == (b"go", qos)
            client.pinged()
            client.publish(OTHER_ORDER, MARK, qos=qos, pid=6)
            if level == V4:
                the_end(client)
            elif qos:
                assert client.expect(PUBACK if qos == 1 else PUBREC).code == 0x87
            nothing_refused(tap, client)
        assert tap.flow(upstream_id("scada", "scada")).client_id == "scada"


@LEVELS
def test_a_key_is_needed_for_a_command(level: int, uns: Plant, gateway: GatewayProcess, tap: BrokerTap) -> None:
    """A rule lets the desk, but an address is no proof, as for a Modbus write."""
    with session(uns.ports[PLAIN], level) as client:
        client.publish(OF_THE_DESK, MARK, qos=1, pid=5)
        client.next()
    assert gateway.recorded(what="refuse", who=DESK, reason="BH-1002")
    nothing_refused(tap)
