"""What the tests of refusals share: a session with one topic of its own, and the proof that it goes on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support import mqtt
from tests.support.mqtt import PUBACK, PUBCOMP, PUBREC, PUBREL, V4, V5, Will
from tests.support.mqtt_client import MqttClient, Witness
from tests.support.net import wait_until

if TYPE_CHECKING:
    from tests.support.broker_tap import BrokerTap

LEVELS = pytest.mark.parametrize("level", [V4, V5], ids=["3.1.1", "5"])
QOS = pytest.mark.parametrize("qos", [0, 1, 2], ids=["qos0", "qos1", "qos2"])
NOT_AUTHORIZED = {V4: 5, V5: 0x87}
"""CONNACK of a refused CONNECT."""
REFUSED_FILTER = {V4: 0x80, V5: 0x87}
MARK = b"<must not get through>"
"""Payload of everything that is refused."""
_NUMBERS = itertools.count()


@contextmanager
def session(
    port: int,
    level: int,
    *filters: str | tuple[str, int],
    client_id: str = "machine",
    source: str | None = None,
    will: Will | None = None,
    properties: bytes = b"",
) -> Iterator[MqttClient]:
    """Open, and subscribed to what it was given and to ``ok/in/...``."""
    with MqttClient(port, level, source=source) as client:
        client.opened(client_id, will=will, properties=properties)
        granted = client.subscribed("ok/in/#", *filters)
        assert all(code < 3 for code in granted), granted
        yield client


def goes_on(client: MqttClient, witness: Witness) -> None:
    """The session completes an allowed QoS 2 publish in both directions, and a ping; nothing else comes."""
    number = next(_NUMBERS)
    sent = b"out %d" % number
    client.published("ok/out", sent, pid=1 + number)
    assert witness.heard("ok/out").payload == sent
    witness.say("ok/in/after", b"in %d" % number, 2)
    message = client.takes()
    assert (message.topic, message.payload, message.qos) == ("ok/in/after", b"in %d" % number, 2), message
    assert client.pinged() == []


def refusal(client: MqttClient, qos: int, pid: int, *, nack: bool) -> None:
    """Takes the answer to a refused PUBLISH, exactly as in protocols.md 2.6; ``nack`` is for MQTT 5."""
    if qos == 0:
        assert client.pinged() == []
        return
    answer = client.expect(PUBACK if qos == 1 else PUBREC)
    assert (answer.pid, answer.code) == (pid, 0x87 if nack else 0), answer
    if not nack:
        assert answer.raw == mqtt.ack(answer.kind, pid)
    if qos == 2 and not nack:
        client.send(mqtt.ack(PUBREL, pid))
        assert client.expect(PUBCOMP).raw == mqtt.ack(PUBCOMP, pid)


def nothing_refused(tap: BrokerTap, *clients: MqttClient) -> None:
    """No byte of what was refused is at the broker or at a client."""
    assert MARK not in tap.up
    for client in clients:
        assert MARK not in client.raw


def acknowledgements(tap: BrokerTap, client_id: str, kind: int) -> list[tuple[int, int]]:
    """(packet id, code) of what went up to the broker."""
    return [(one.pid, one.code) for one in tap.flow(client_id).asked if one.kind == kind]


def acknowledged(tap: BrokerTap, client_id: str, qos: int, count: int) -> list[tuple[int, int]]:
    """The first acknowledgements of all deliveries so far, in their order, once there are ``count``."""
    kind = PUBACK if qos == 1 else PUBREC
    wait_until(lambda: len(acknowledgements(tap, client_id, kind)) >= count, what=f"{count} acknowledgements")
    return acknowledgements(tap, client_id, kind)


def delivered(tap: BrokerTap, client_id: str, qos: int) -> list[int]:
    """Packet ids of the broker's PUBLISH of this QoS, in their order."""
    return [one.pid for one in tap.flow(client_id).answered if one.kind == mqtt.PUBLISH and one.qos == qos]
