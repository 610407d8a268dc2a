"""What a client sees, byte by byte: Mosquitto itself, and Mosquitto behind a gateway that allows everything.

The same fixed bytes are sent to both. Each step ends with a ping, so that all the broker had to say is there; one that
ends the connection is read to its end. Differences are listed in `JUSTIFIED`; docs/mqtt.md has the same list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.support import mqtt
from tests.support.mqtt import V4, V5, Packet, Will, prop
from tests.support.mqtt_client import MqttClient
from tests.support.mqtt_malformed import behind_connect
from tests.support.uns import ALLOW_ALL, PLAIN, UnsBuilder

if TYPE_CHECKING:
    from tests.support.broker_tap import BrokerTap
    from tests.support.mosquitto import Mosquitto
    from tests.support.plant import Plant

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("gateway")]

Steps = Mapping[str, bytes]
Seen = dict[str, list[Packet]]
PUBACK, PUBREC, PUBREL, PUBCOMP = mqtt.PUBACK, mqtt.PUBREC, mqtt.PUBREL, mqtt.PUBCOMP

NAME = "script"
ALIASES = 32
"""Topic Alias Maximum that the gateway gives to clients."""
EVERYTHING = (
    prop(mqtt.FORMAT, 1)
    + prop(mqtt.CONTENT_TYPE, "application/json")
    + prop(mqtt.RESPONSE_TOPIC, "answers/here")
    + prop(mqtt.CORRELATION, b"\0\xff\1")
    + prop(mqtt.USER_PROPERTY, ("a", "1"))
    + prop(mqtt.USER_PROPERTY, ("a", "2"))
)


def common(level: int) -> dict[str, bytes]:
    """Steps that both versions have. Packet ids of the broker start at 1 in a new session."""
    will = Will("last/words", b"will", 1, properties=EVERYTHING if level == V5 else b"")
    limits = prop(mqtt.SESSION_EXPIRY, 120) + prop(mqtt.RECEIVE_MAXIMUM, 50) + prop(mqtt.ALIAS_MAXIMUM, 10)

    def publish(topic: str, payload: bytes = b"", **more: int) -> bytes:
        return mqtt.publish(topic, payload, level=level, **more)  # type: ignore[arg-type]

    return {
        "connect": mqtt.connect(NAME, level=level, will=will, properties=limits if level == V5 else b""),
        "nobody hears": publish("silent/0") + publish("silent/1", qos=1, pid=1) + publish("silent/2", qos=2, pid=2),
        "nobody hears, released": mqtt.ack(PUBREL, 2),
        "subscribe": mqtt.subscribe(10, ("a/+", 2), ("b/#", 1), ("c", 0), ("c", 0), level=level),
        "qos 0 to itself": publish("a/0", b"zero") + publish("b", b"also b/#") + publish("c", b"c"),
        "qos 1 to itself": publish("a/1", b"one", qos=1, pid=3),
        "acknowledged 1": mqtt.ack(PUBACK, 1),
        "qos 1 and DUP": publish("b/1", b"dup", qos=1, pid=4, dup=1),
        "acknowledged 2": mqtt.ack(PUBACK, 2),
        "qos 2, first half": publish("a/2", b"two", qos=2, pid=5),
        "qos 2, DUP": publish("a/2", b"two", qos=2, pid=5, dup=1),
        "qos 2, second half": mqtt.ack(PUBREL, 5),
        "delivered, first half": mqtt.ack(PUBREC, 3),
        "delivered, second half": mqtt.ack(PUBCOMP, 3),
        "capped by the subscription": publish("b/2", b"two becomes one", qos=2, pid=6) + mqtt.ack(PUBREL, 6),
        "acknowledged 4": mqtt.ack(PUBACK, 4),
        "several in flight": b"".join(publish(f"a/f{at}", b"%d" % at, qos=1, pid=20 + at) for at in range(5)),
        "acknowledged 5 to 9": b"".join(mqtt.ack(PUBACK, at) for at in range(5, 10)),
        "retained": publish("kept/1", b"kept", retain=1) + publish("kept/2", b"too", qos=1, pid=7, retain=1),
        "subscribe to retained": mqtt.subscribe(11, ("kept/+", 1), level=level),
        "acknowledged 10": mqtt.ack(PUBACK, 10),
        "subscribe again": mqtt.subscribe(12, ("kept/+", 0), level=level),
        "retained cleared": publish("kept/1", retain=1) + publish("kept/2", qos=1, pid=8, retain=1),
        "unsubscribe": mqtt.unsubscribe(13, "kept/+", level=level),
        "unsubscribe what is not there": mqtt.unsubscribe(14, "nothing/here", "c", level=level),
        "share": mqtt.subscribe(15, ("$share/group/work/#", 1), level=level),
        "shared work": publish("work/1", b"for one", qos=1, pid=9),
        "acknowledged 11": mqtt.ack(PUBACK, 11),
        "large": publish("a/large", bytes(range(256)) * 400),
        "unicode": publish("a/äöü-\u4e16", "\u754c".encode()),
        "long topic": publish("b/" + "x" * 900, b"long"),
        "unknown PUBREL": mqtt.ack(PUBREL, 999),
        "left half open": publish("a/half", b"never released", qos=2, pid=40),
        "goodbye": mqtt.disconnect(),
    }


def script(level: int) -> dict[str, bytes]:
    steps = common(level)
    if level == V4:
        return steps
    del steps["goodbye"]

    def publish(topic: str, payload: bytes, properties: bytes, qos: int = 0, pid: int = 0) -> bytes:
        return mqtt.publish(topic, payload, level=V5, properties=properties, qos=qos, pid=pid)

    steps |= {
        "properties": publish("a/p", b"{}", EVERYTHING + prop(mqtt.EXPIRY, 1000)),
        "alias": publish("a/alias", b"1", prop(mqtt.ALIAS, 1)) + publish("", b"2", prop(mqtt.ALIAS, 1)),
        "alias moved": publish("a/moved", b"3", prop(mqtt.ALIAS, 1)) + publish("", b"4", prop(mqtt.ALIAS, 1)),
        "alias and QoS 1": publish("", b"5", prop(mqtt.ALIAS, 1), 1, 50),
        "acknowledged 12": mqtt.ack(PUBACK, 12),
        "subscription id": mqtt.subscribe(51, ("id/#", 0), level=V5, properties=prop(mqtt.SUBSCRIPTION_ID, 2**28 - 1)),
        "with id": mqtt.publish("id/1", b"id", level=V5),
        "no local": mqtt.subscribe(52, ("mine", 0x05), level=V5),
        "not to itself": mqtt.publish("mine", b"x", level=V5),
        "options": mqtt.subscribe(53, ("kept/+", 0x19), ("other", 0x2A), level=V5),
        "as published": mqtt.publish("kept/3", b"kept", level=V5, qos=1, pid=54, retain=True),
        "acknowledged 13": mqtt.ack(PUBACK, 13),
        "only if new": mqtt.subscribe(55, ("kept/+", 0x19), level=V5),
        "cleared": mqtt.publish("kept/3", level=V5, retain=True),
        "long ack": mqtt.publish("a/l", b"x", level=V5, qos=2, pid=56),
        "released with a code": mqtt.packet(0x62, b"\0\x38\0\0"),
        "PUBREC with an error": mqtt.ack(PUBREC, 14, 0x83),
        "unsubscribe in v5": mqtt.unsubscribe(57, "id/#", "id/#", level=V5),
        "goodbye": mqtt.disconnect(0, prop(mqtt.SESSION_EXPIRY, 0)),
    }
    return steps


def again(level: int) -> dict[str, bytes]:
    """The persistent session: subscriptions, what waited, what was in flight."""
    more = prop(mqtt.SESSION_EXPIRY, 120) if level == V5 else b""
    back = mqtt.connect("keeper", level=level, clean=False, properties=more)
    return {
        "fresh": mqtt.connect("keeper", level=level, clean=True),
        "ends": mqtt.disconnect(),
        "new session": back,
        "subscribe": mqtt.subscribe(1, ("keep/#", 2), level=level),
        "unacknowledged": b"".join(
            mqtt.publish(f"keep/{at}", b"%d" % at, level=level, qos=at, pid=1 + at) for at in (1, 2)
        ),
        "released": mqtt.ack(PUBREL, 3),
        "leaves": mqtt.disconnect(),
        "session present": back,
        "acknowledged": mqtt.ack(PUBACK, 1) + mqtt.ack(PUBREC, 2),
        "leaves again": mqtt.disconnect(),
        "second half left": back,
        "completed": mqtt.ack(PUBCOMP, 2),
        "leaves for good": mqtt.disconnect(),
        "discarded": mqtt.connect("keeper", level=level, clean=True),
        "end": mqtt.disconnect(),
    }


CLOSING = ("goodbye", "ends", "leaves", "leaves again", "leaves for good", "end")


class Conversation:
    """Steps at one port. A step that begins with CONNECT opens a new connection."""

    def __init__(self, port: int, level: int) -> None:
        self.port, self.level = port, level

    def run(self, steps: Steps) -> Seen:
        seen: Seen = {}
        client: MqttClient | None = None
        try:
            for name, data in steps.items():
                if data[0] == 0x10:
                    client = MqttClient(self.port, self.level)
                assert client is not None
                client.send(data)
                if name in CLOSING:
                    seen[name] = client.to_the_end()
                    client.sock.close()
                else:
                    seen[name] = client.pinged()
        finally:
            if client is not None:
                client.sock.close()
        return seen


@dataclass(frozen=True)
class Difference:
    """A property of CONNACK that may differ, what it is behind the gateway (None: not there), and why."""

    number: int
    ours: int | None
    why: str


JUSTIFIED = (
    Difference(
        mqtt.ALIAS_MAXIMUM,
        ALIASES,
        "aliases of the client are resolved by the gateway, so that each message is judged by its topic",
    ),
    Difference(mqtt.RECEIVE_MAXIMUM, 20, "the smaller one of the broker's (20 of Mosquitto) and the gateway's (32)"),
    Difference(mqtt.MAXIMUM_PACKET, 256 * 1024, "`max_packet` of the service: what is larger is refused unread"),
)
"""Everything else that a client sees is the broker's, byte for byte. MQTT 3.1.1 has no difference at all."""


def without_justified(connack: Packet) -> tuple[bool, int, mqtt.Properties]:
    listed = {one.number for one in JUSTIFIED}
    rest = tuple((number, value) for number, value in connack.properties if number not in listed)
    return connack.session, connack.code, rest


@pytest.fixture(scope="module")
def uns(recorder: BrokerTap, tmp_path_factory: pytest.TempPathFactory) -> Plant:
    return UnsBuilder(tmp_path_factory.mktemp("uns"), recorder.port, rules=ALLOW_ALL).build()


@pytest.mark.parametrize("level", [V4, V5])
@pytest.mark.parametrize("steps", [script, again])
def test_the_same_bytes(steps: Callable[[int], Steps], level: int, uns: Plant, broker: Mosquitto) -> None:
    direct = Conversation(broker.port, level).run(steps(level))
    through = Conversation(uns.ports[PLAIN], level).run(steps(level))
    assert list(direct) == list(through)
    for name, wanted in direct.items():
        found = through[name]
        assert [one.kind for one in found] == [one.kind for one in wanted], name
        for theirs, ours in zip(wanted, found, strict=True):
            if ours.kind == mqtt.CONNACK and level == V5:
                assert without_justified(ours) == without_justified(theirs), name
                assert {one.number: ours.number(one.number) for one in JUSTIFIED} == {
                    one.number: one.ours for one in JUSTIFIED
                }
            else:
                assert ours.raw == theirs.raw, name


@pytest.mark.parametrize("level", [V4, V5])
def test_the_script_is_long_enough(level: int, broker: Mosquitto) -> None:
    """Every type of packet that Mosquitto sends by itself is in what it is compared by."""
    seen = Conversation(broker.port, level).run(script(level)) | Conversation(broker.port, level).run(again(level))
    kinds = {one.kind for packets in seen.values() for one in packets}
    assert kinds == {mqtt.CONNACK, mqtt.PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, mqtt.SUBACK, mqtt.UNSUBACK}


@pytest.mark.parametrize("level", [V4, V5])
def test_an_id_from_the_broker(level: int, uns: Plant, broker: Mosquitto) -> None:
    """Assigned Client Identifier: another one each time, and the client never hears of the gateway's prefix."""
    found = []
    for port in (broker.port, uns.ports[PLAIN]):
        with MqttClient(port, level) as client:
            found.append(client.opened(""))
            assert client.pinged() == []
    theirs, ours = found
    if level == V4:
        assert ours.raw == theirs.raw
        return
    assigned = ours.property(mqtt.ASSIGNED_ID)
    assert theirs.property(mqtt.ASSIGNED_ID) and assigned and b":" not in assigned and len(assigned) >= 16


@pytest.mark.parametrize(("asked", "told"), [(0, 300), (299, None), (301, 300), (65535, 300)])
def test_keep_alive_cap(asked: int, told: int | None, uns: Plant) -> None:
    """Server Keep Alive: only to who asked for more than `keep_alive` of the service."""
    with MqttClient(uns.ports[PLAIN], V5) as client:
        assert client.opened("idle", keep_alive=asked).number(mqtt.SERVER_KEEP_ALIVE) == told


@pytest.mark.parametrize(("asked", "told"), [(0, None), (86400, None), (86401, 86400), (0xFFFFFFFF, 86400)])
def test_session_expiry_cap(asked: int, told: int | None, uns: Plant) -> None:
    """Session Expiry Interval: only to who asked for more than `session_expiry` of the service."""
    with MqttClient(uns.ports[PLAIN], V5) as client:
        connack = client.opened("kept", properties=prop(mqtt.SESSION_EXPIRY, asked))
        assert connack.number(mqtt.SESSION_EXPIRY) == told
        client.send(mqtt.disconnect(0, prop(mqtt.SESSION_EXPIRY, 0) if asked else b""))
        assert client.to_the_end() == []


GOES_ON = (
    ("SUBACK", "UNSUBACK", "PINGRESP", "PINGREQ with a body", "PINGREQ with flags", "DUP with QoS 0")
    + ("PUBACK with flags", "PUBACK with a tail", "PUBACK with an unknown code", "length that is not minimal")
    + ("$share without a filter", "$share with an empty filter", "$share without a name", "$share with a wild name")
    + ("no local with $share", "format 2", "response topic with +", "subscription id of a client")
)
"""What the standard forbids, and after which Mosquitto goes on all the same."""
LIMITS = ("topic of 1,025 bytes", "33 levels", "longer than max_packet", "65 filters", "17 user properties")
"""What the standard allows and the gateway does not (protocols.md 2.2)."""


@pytest.mark.parametrize("level", [V4, V5])
def test_bad_packets(level: int, uns: Plant, broker: Mosquitto) -> None:
    """The gateway ends the connection wherever the broker does, and in the listed cases. 3.1.1 sees no byte more or
    less; MQTT 5 sees a DISCONNECT with a reason where Mosquitto has another one, or none."""
    for name, (data, _) in behind_connect(level).items():
        ends = []
        for port in (broker.port, uns.ports[PLAIN]):
            with MqttClient(port, level) as client:
                client.opened("machine")
                client.send(data)
                # A packet that is longer than all that comes has no answer.
                client.send(mqtt.PING if name != "longer than max_packet" else b"")
                try:
                    ends.append([one.raw for one in client.to_the_end(0.1 if port == broker.port else 5.0)])
                except TimeoutError:
                    assert port == broker.port and name in GOES_ON + LIMITS, name
        ours = ends.pop()
        if level == V4:
            assert ours == [] and ends in ([], [[]]), name
        else:
            assert [raw[0] for raw in ours] == [0xE0], name
