"""Messages that a broker passes on, made so that every gateway session that subscribes to them would end: all that
frames and acknowledges them is right, so they are dropped. A retained one would have ended each session anew."""

from __future__ import annotations

import pytest

from tests.mqtt.harness import Link, Policy, service
from tests.support import mqtt
from tests.support.mqtt import ALIAS, MAXIMUM_PACKET, PUBACK, PUBCOMP, PUBREC, PUBREL, RESPONSE_TOPIC, V4, V5

LARGEST = 256 * 1024
TOPIC = "ok/" + "x" * 100
MARK = b"<must not get through>"


def opened(level: int, broker_says: bytes = b"") -> Link:
    link = Link(Policy())
    link.send(mqtt.connect("sensor-1", level=level))
    link.reply(mqtt.packet(0x20, b"\0\0" + mqtt.section(level, broker_says)))
    link.look()
    return link


def test_an_alias_cannot_make_a_message_that_is_too_large_for_those_without_aliases() -> None:
    """Written out at the broker it would be larger than what the gateway takes from it for a client of 3.1.1."""
    sender = opened(V5)
    sender.send(mqtt.publish(TOPIC, b"", level=V5, properties=mqtt.prop(ALIAS, 1)))
    assert sender.look().broker == mqtt.publish(TOPIC, b"", level=V5)
    frame = mqtt.publish("", bytes(LARGEST - 10), level=V5, properties=mqtt.prop(ALIAS, 1))
    assert len(frame) == LARGEST
    sender.send(frame)
    told = sender.look()
    assert told.broker == b"" and told.closes == "BH-1102"


@pytest.mark.parametrize("step", [1 << 20, 997, 1])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_delivery_that_is_too_large_does_not_end_a_session_of_3_1_1(qos: int, step: int) -> None:
    link = Link(Policy(), service=service({"max_packet": "1KiB"}))
    link.send(mqtt.connect("sensor-1"))
    link.reply(b"\x20\2\0\0")
    link.look()
    before, behind = mqtt.publish("ok/a", b"before"), mqtt.publish("ok/a", b"behind", qos=1, pid=2)
    stream = before + mqtt.publish("ok/big", MARK * 50, qos=qos, pid=1) + behind
    for at in range(0, len(stream), step):
        link.reply(stream[at : at + step])
    told = link.look()
    assert told.closes is None
    assert told.client == before + behind
    assert told.events == ["device BH-1108"]
    assert told.broker == (b"", mqtt.ack(PUBACK, 1), mqtt.ack(PUBREC, 1))[qos]
    if qos == 2:
        link.reply(mqtt.ack(PUBREL, 1))
        told = link.look()
        assert (told.broker, told.client) == (mqtt.ack(PUBCOMP, 1), b"")


def test_nothing_of_what_is_thrown_away_is_kept() -> None:
    link = opened(V4)
    frame = mqtt.publish("ok/big", bytes(20 << 20), qos=1, pid=1)
    for at in range(0, len(frame), 65536):
        link.reply(frame[at : at + 65536])
        assert link.inspector._broker_inbox.kept == 0
    assert link.look().broker == mqtt.ack(PUBACK, 1)


@pytest.mark.parametrize("head", ["36 ff7f 0001 61 0001", "32 ff7f 0001 61 0000", "40 ff7f", "32 ff7f ffff"])
def test_what_cannot_be_acknowledged_ends_the_session(head: str) -> None:
    link = Link(Policy(), service=service({"max_packet": "1KiB"}))
    link.send(mqtt.connect("sensor-1"))
    link.reply(b"\x20\2\0\0")
    link.reply(bytes.fromhex(head) + bytes(200_000))
    assert link.look().closes == "BH-1108"


PASSED_ON = {
    "a response topic with a wildcard": mqtt.prop(RESPONSE_TOPIC, "a/#"),
    "an empty response topic": mqtt.prop(RESPONSE_TOPIC, ""),
    "a payload format that does not exist": b"\x01\x02",
}
"""Mosquitto 2.0 delivers all of these."""


@pytest.mark.parametrize("properties", PASSED_ON.values(), ids=PASSED_ON.keys())
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_delivery_with_senseless_properties_does_not_end_the_session(qos: int, properties: bytes) -> None:
    link = opened(V5)
    link.reply(mqtt.publish("ok/a", MARK, level=V5, qos=qos, pid=1, retain=True, properties=properties))
    told = link.look()
    assert (told.closes, told.client, told.events) == (None, b"", ["device BH-1108"])
    assert told.broker == (b"", mqtt.ack(PUBACK, 1), mqtt.ack(PUBREC, 1))[qos]
    link.reply(mqtt.publish("ok/a", b"", level=V5))
    assert link.look().client == mqtt.publish("ok/a", b"", level=V5)


def test_a_broker_that_was_told_a_limit_is_held_to_it() -> None:
    link = Link(Policy(), service=service({"max_packet": "1KiB"}))
    link.send(mqtt.connect("sensor-1", level=V5))
    assert mqtt.prop(MAXIMUM_PACKET, 1024) in link.look().broker
    link.reply(b"\x20\3\0\0\0" + mqtt.publish("ok/a", bytes(1100), level=V5))
    assert link.look().closes == "BH-1108"
