"""The drop matrix of protocols.md 2.6, client to broker: {3.1.1, 5} x {QoS 0, 1, 2} x {publish, will, retained, share,
alias}. Each time the answer is exact, nothing reaches the broker, and the same session goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import mqtt
from tests.support.mqtt import PUBACK, PUBCOMP, PUBREC, PUBREL, V4, V5, Will, prop
from tests.support.mqtt_client import MqttClient, Witness
from tests.support.uns import DESK, PLACE, PLAIN, upstream_id
from tests.system.mqtt.kit import (
    LEVELS,
    MARK,
    NOT_AUTHORIZED,
    QOS,
    REFUSED_FILTER,
    goes_on,
    nothing_refused,
    refusal,
    session,
)

if TYPE_CHECKING:
    from tests.support.broker_tap import BrokerTap
    from tests.support.plant import Plant

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("gateway")]

FIRST = {1: PUBACK, 2: PUBREC}


@pytest.fixture
def port(uns: Plant) -> int:
    return uns.ports[PLAIN]


@LEVELS
@QOS
class TestPublish:
    @pytest.mark.parametrize("topic", ["no/x", "no", "okay/x", "OK/x", "/ok/x", "hall-1/line-2/sensor-1/x"])
    def test_topic(self, topic: str, level: int, qos: int, port: int, tap: BrokerTap, witness: Witness) -> None:
        with session(port, level) as client:
            client.publish(topic, MARK, qos=qos, pid=5)
            refusal(client, qos, 5, nack=level == V5)
            goes_on(client, witness)
            nothing_refused(tap, client)

    def test_the_parent_of_a_tree_is_in_it(self, level: int, qos: int, port: int, tap: BrokerTap) -> None:
        with session(port, level) as client:
            client.publish("ok", b"allowed", qos=qos)
            client.pinged()
            assert tap.topics() == ["ok"]

    def test_among_allowed_ones(self, level: int, qos: int, port: int, tap: BrokerTap, witness: Witness) -> None:
        """All in one segment: the runs before and behind it go on, in their order."""
        with session(port, level) as client:
            topics = ["ok/1", "ok/2", "no/3", "ok/4", "no/5", "no/6", "ok/7"]
            sent = [
                mqtt.publish(topic, MARK if topic[:2] == "no" else b"%d" % pid, level=level, qos=qos, pid=pid)
                for pid, topic in enumerate(topics, 1)
            ]
            client.send(*sent, mqtt.PING)
            answers = client.until(mqtt.PINGRESP)[:-1]
            if qos:
                wanted = {pid: 0x87 if level == V5 and topic[:2] == "no" else 0 for pid, topic in enumerate(topics, 1)}
                assert {one.pid: one.code for one in answers} == wanted
                assert {one.kind for one in answers} == {FIRST[qos]}
            if qos == 2:
                client.send(*(mqtt.ack(PUBREL, pid) for pid, code in wanted.items() if not code))
                while any(not code for code in wanted.values()):
                    wanted[client.expect(PUBCOMP).pid] = 1
            goes_on(client, witness)
            nothing_refused(tap, client)
            assert tap.topics()[:4] == ["ok/1", "ok/2", "ok/4", "ok/7"]

    def test_size_and_qos_of_the_rule(self, level: int, qos: int, port: int, tap: BrokerTap, witness: Witness) -> None:
        """`narrow` allows QoS 1 and 100 bytes."""
        with session(port, level) as client:
            client.publish("narrow/x", (MARK * 10)[:101], qos=qos, pid=5)
            refusal(client, qos, 5, nack=level == V5)
            if qos == 2:
                client.publish("narrow/x", MARK, qos=2, pid=6)
                refusal(client, 2, 6, nack=level == V5)
            nothing_refused(tap, client)
            client.publish("narrow/x", b"x" * 100, qos=min(qos, 1), pid=7)
            client.pinged()
            assert tap.topics() == ["narrow/x"]
            goes_on(client, witness)


@LEVELS
class TestQos2Ids:
    def test_the_id_is_free_again(self, level: int, port: int, tap: BrokerTap, witness: Witness) -> None:
        """v5: PUBREC 0x87 ended it. 3.1.1: our PUBCOMP did."""
        with session(port, level) as client:
            client.publish("no/x", MARK, qos=2, pid=9)
            refusal(client, 2, 9, nack=level == V5)
            client.published("ok/x", b"same id", pid=9)
            assert witness.heard("ok/x").payload == b"same id"
            goes_on(client, witness)
            nothing_refused(tap, client)

    def test_dup_again_and_release(self, level: int, port: int, tap: BrokerTap, witness: Witness) -> None:
        """3.1.1: the id is ours until its PUBREL: DUP gets PUBREC again, and PUBCOMP comes once from us."""
        with session(port, level) as client:
            for dup in (False, True, True):
                client.publish("no/x", MARK, qos=2, pid=9, dup=dup)
                answer = client.expect(PUBREC)
                assert (answer.pid, answer.code) == (9, 0x87 if level == V5 else 0)
            client.send(mqtt.ack(PUBREL, 9))
            done = client.expect(PUBCOMP)
            assert (done.pid, done.code) == (9, 0x92 if level == V5 else 0)
            assert tap.asked(PUBREL) == []
            goes_on(client, witness)
            nothing_refused(tap, client)

    def test_an_owned_id_with_an_allowed_topic(self, level: int, port: int, tap: BrokerTap, witness: Witness) -> None:
        """3.1.1: until PUBREL it is the same message for the protocol, whatever its topic says. v5: a new one."""
        with session(port, level) as client:
            client.publish("no/x", MARK, qos=2, pid=9)
            client.expect(PUBREC)
            client.publish("ok/x", b"other", qos=2, pid=9)
            client.expect(PUBREC)
            client.send(mqtt.ack(PUBREL, 9))
            assert client.expect(PUBCOMP).code == 0
            assert tap.topics() == ([] if level == V4 else ["ok/x"])
            goes_on(client, witness)
            nothing_refused(tap, client)

    def test_a_known_id_with_a_refused_topic(self, level: int, port: int, tap: BrokerTap, witness: Witness) -> None:
        """The broker has the first; the second, under the same id, must not become it. The first completes."""
        with session(port, level) as client:
            client.publish("ok/x", b"first", qos=2, pid=9)
            assert client.expect(PUBREC).code == 0
            client.publish("no/x", MARK, qos=2, pid=9, dup=True)
            client.send(mqtt.ack(PUBREL, 9))
            answers = client.until(PUBCOMP)
            assert (answers[-1].pid, answers[-1].code) == (9, 0)
            assert witness.heard("ok/x").payload == b"first"
            goes_on(client, witness)
            nothing_refused(tap, client)

    def test_many_left_open(self, level: int, port: int, tap: BrokerTap, witness: Witness) -> None:
        """More than the broker's window: refused exchanges that never end take nothing away from allowed ones."""
        with session(port, level) as client:
            for pid in range(100, 160):
                client.publish("no/x", MARK, qos=2, pid=pid)
            client.send(mqtt.PING)
            assert [one.pid for one in client.until(mqtt.PINGRESP)[:-1]] == list(range(100, 160))
            goes_on(client, witness)
            goes_on(client, witness)
            nothing_refused(tap, client)


@pytest.mark.parametrize("qos", [1, 2])
def test_no_word_of_why_if_it_is_not_wanted(qos: int, port: int, tap: BrokerTap) -> None:
    """Request Problem Information 0: no Reason String [MQTT-3.1.2-29]."""
    for wanted in (0, 1):
        with session(port, V5, properties=prop(mqtt.PROBLEM_INFO, wanted)) as client:
            client.publish("no/x", MARK, qos=qos, pid=5)
            answer = client.expect(FIRST[qos])
            assert (answer.code, answer.property(mqtt.REASON_STRING) is not None) == (0x87, bool(wanted))


@LEVELS
@QOS
class TestWill:
    def test_refused(self, level: int, qos: int, port: int, tap: BrokerTap, witness: Witness) -> None:
        for topic, retain in (("no/last", False), ("no/last", True), ("mute/last", True), ("$SYS/last", False)):
            with MqttClient(port, level) as client:
                client.send(mqtt.connect("machine", level=level, will=Will(topic, MARK, qos, retain)))
                answer = client.expect(mqtt.CONNACK)
                assert (answer.code, answer.session) == (NOT_AUTHORIZED[level], False)
                assert client.to_the_end() == []
        assert [flow for flow in tap.flows if flow.client_id == upstream_id(DESK, "machine")] == []
        with session(port, level, will=Will("ok/last", b"allowed", qos, True)) as client:
            goes_on(client, witness)
            nothing_refused(tap, client)
            client.lose()
            heard = witness.heard("ok/last")
            assert (heard.payload, heard.qos, heard.retain) == (b"allowed", qos, True)
        witness.say("ok/last", b"", 1, retain=True)


@LEVELS
@QOS
class TestRetained:
    @pytest.mark.parametrize("payload", [MARK, b""], ids=["retain", "clear"])
    def test_without_the_right(
        self, payload: bytes, level: int, qos: int, port: int, tap: BrokerTap, witness: Witness
    ) -> None:
        """`mute/#` may be published and not retained; clearing is a right of its own."""
        witness.say("mute/x", b"kept by another", 1, retain=True)
        with session(port, level) as client:
            client.publish("mute/x", payload, qos=qos, pid=5, retain=True)
            refusal(client, qos, 5, nack=level == V5)
            nothing_refused(tap, client)
            assert tap.topics() == []
            client.publish("mute/x", b"live", qos=qos, pid=6)
            client.pinged()
            assert tap.topics() == ["mute/x"]
        with session(port, level, "mute/x") as late:
            kept = late.takes()
            assert (kept.payload, kept.retain) == (b"kept by another", True)
            goes_on(late, witness)
        witness.say("mute/x", b"", 1, retain=True)

    def test_clearing_is_a_right_of_its_own(
        self, level: int, qos: int, port: int, tap: BrokerTap, witness: Witness
    ) -> None:
        """Who may retain may not delete for that, and who may delete need not be allowed to say anything."""
        own = f"{PLACE}/{DESK}/state"
        witness.say("wipe/x", b"old", 1, retain=True)
        with session(port, level) as client:
            client.publish(own, b"state", qos=min(qos, 1), pid=5, retain=True)
            client.pinged()
            client.publish(own, b"", qos=qos, pid=6, retain=True)
            refusal(client, qos, 6, nack=level == V5)
            client.publish("wipe/x", MARK, qos=qos, pid=7, retain=True)
            refusal(client, qos, 7, nack=level == V5)
            client.publish("wipe/x", b"", qos=min(qos, 1), pid=8, retain=True)
            client.pinged()
            assert [(one.topic, one.payload) for one in tap.asked(mqtt.PUBLISH)] == [(own, b"state"), ("wipe/x", b"")]
            goes_on(client, witness)
            nothing_refused(tap, client)
        witness.say(own, b"", 1, retain=True)


@LEVELS
@QOS
class TestShare:
    @pytest.mark.parametrize("asked", ["$share/workers/no/#", "$share/others/ok/#", "$share/workers/#"])
    def test_refused(self, asked: str, level: int, qos: int, port: int, tap: BrokerTap, witness: Witness) -> None:
        """The filter behind the group counts, and so does the group; no subscription is left behind (moquette#919)."""
        with session(port, level) as client:
            assert client.subscribed((asked, qos)) == (REFUSED_FILTER[level],)
            assert len(tap.asked(mqtt.SUBSCRIBE)) == 1, "the session's own"
            witness.say("no/x", MARK, 1)
            witness.say("ok/other", MARK, 1)
            assert client.pinged() == []
            goes_on(client, witness)
            nothing_refused(tap, client)

    def test_merged_answers(self, level: int, qos: int, port: int, tap: BrokerTap, witness: Witness) -> None:
        refused = REFUSED_FILTER[level]
        asked = [("no/#", qos), ("ok/a", qos), ("#", qos), ("$share/workers/ok/w", qos), ("+/in", qos), ("ok/+/b", qos)]
        with session(port, level) as client:
            assert client.subscribed(*asked) == (refused, qos, refused, qos, refused, qos)
            forwarded = tap.asked(mqtt.SUBSCRIBE)[-1]
            names = b"".join(mqtt.text(asked[at][0]) + bytes((qos,)) for at in (1, 3, 5))
            assert forwarded.payload == names
            goes_on(client, witness)

    def test_unsubscribe_what_was_refused(
        self, level: int, qos: int, port: int, tap: BrokerTap, witness: Witness
    ) -> None:
        with session(port, level) as client:
            client.subscribed(("no/#", qos), ("ok/a", qos))
            client.send(mqtt.unsubscribe(3, "no/#", "ok/a", level=level))
            answer = client.expect(mqtt.UNSUBACK)
            assert (answer.pid, answer.codes) == (3, (0x11, 0) if level == V5 else ())
            goes_on(client, witness)


@QOS
class TestAlias:
    """MQTT 5 alone has aliases."""

    def alias(self, client: MqttClient, topic: str, payload: bytes, qos: int, pid: int, number: int = 3) -> None:
        properties = prop(mqtt.ALIAS, number)
        client.send(mqtt.publish(topic, payload, level=V5, qos=qos, pid=pid, properties=properties))

    def test_set_by_a_refused_message(self, qos: int, port: int, tap: BrokerTap, witness: Witness) -> None:
        """It is set all the same, and what comes under it is judged by its topic."""
        with session(port, V5) as client:
            self.alias(client, "no/x", MARK, qos, 5)
            refusal(client, qos, 5, nack=True)
            self.alias(client, "", MARK, qos, 6)
            refusal(client, qos, 6, nack=True)
            goes_on(client, witness)
            nothing_refused(tap, client)

    def test_moved(self, qos: int, port: int, tap: BrokerTap, witness: Witness) -> None:
        with session(port, V5) as client:
            self.alias(client, "ok/x", b"1", 0, 0)
            self.alias(client, "", b"2", 0, 0)
            self.alias(client, "no/x", MARK, qos, 5)
            refusal(client, qos, 5, nack=True)
            self.alias(client, "", MARK, qos, 6)
            refusal(client, qos, 6, nack=True)
            self.alias(client, "ok/y", b"3", 0, 0)
            self.alias(client, "", b"4", 0, 0)
            client.pinged()
            sent = [(one.topic, one.payload, one.property(mqtt.ALIAS)) for one in tap.asked(mqtt.PUBLISH)]
            assert sent == [("ok/x", b"1", None), ("ok/x", b"2", None), ("ok/y", b"3", None), ("ok/y", b"4", None)]
            goes_on(client, witness)
            nothing_refused(tap, client)

    def test_of_another_connection(self, qos: int, port: int, tap: BrokerTap, witness: Witness) -> None:
        """Aliases end with the connection [MQTT-3.3.2-7]: a dangling one ends the link."""
        with session(port, V5) as client:
            self.alias(client, "ok/x", b"1", 0, 0)
            client.pinged()
        with session(port, V5) as client:
            self.alias(client, "", MARK, qos, 5)
            end = client.to_the_end()
            assert [(one.kind, one.code) for one in end] == [(mqtt.DISCONNECT, 0x82)]
        nothing_refused(tap)


@QOS
def test_reply_to(qos: int, port: int, tap: BrokerTap, witness: Witness) -> None:
    """The responder may be allowed to write where the requester may not even look (2.5, confused deputy)."""
    with session(port, V5) as client:
        for topic in ("no/answers", "narrow/answers", "$SYS/x"):
            asked = prop(mqtt.RESPONSE_TOPIC, topic)
            client.send(mqtt.publish("ok/ask", MARK, level=V5, qos=qos, pid=5, properties=asked))
            refusal(client, qos, 5, nack=True)
        client.send(mqtt.publish("ok/ask", b"?", level=V5, properties=prop(mqtt.RESPONSE_TOPIC, "ok/answers")))
        goes_on(client, witness)
        nothing_refused(tap, client)
        assert tap.topics()[0] == "ok/ask"


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_payload_that_is_not_the_text_it_says(qos: int, port: int, tap: BrokerTap, witness: Witness) -> None:
    """Payload Format Indicator 1: 0x99."""
    with session(port, V5) as client:
        wrong = MARK + b"\xff"
        client.send(mqtt.publish("ok/x", wrong, level=V5, qos=qos, pid=5, properties=prop(mqtt.FORMAT, 1)))
        if qos:
            answer = client.expect(FIRST[qos])
            assert (answer.pid, answer.code) == (5, 0x99)
        goes_on(client, witness)
        nothing_refused(tap, client)
