"""A random MQTT client: legal packets, forbidden ones, broken ones, in any order and any cut. And who may see what."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from tests.support import mqtt
from tests.support.mqtt import CONNECT, DISCONNECT, PUBLISH, SUBSCRIBE, V4, V5, Packet, Will
from tests.support.mqtt_malformed import behind_connect, instead_of_connect

ALLOWED = ("ok/a", "ok/b/c", "ok", "ok/secret/x", "mute/a", "narrow/a", "hall-1/line-2/desk/t")
FORBIDDEN = (
    "no/a", "okay", "o", "ok\u0301/a", "OK/a", "/ok/a", "$SYS/x", "$share/workers/ok/a", "$CONTROL/dynamic-security/v1",
    "spBv1.0/line-2/NCMD/edge-1", "hall-1/line-2/sensor-1/t", "hall-1/line-2/t", "mutes", "\ufeffok/a", "",
)  # fmt: skip
FILTERS = (
    "ok/#", "ok/+", "ok/a", "ok", "mute/#", "narrow/+", "$share/workers/ok/#", "$share/workers/ok/+",
    "#", "+/a", "+/#", "/#", "no/#", "o/#", "$SYS/#", "$share/workers/#", "$share/others/ok/#", "$share/workers/no/a",
    "ok/#/x", "ok/secret/#", "hall-1/#", "$share/workers", "okay/#", "+", "/", "", "$queue/ok/#",
)  # fmt: skip
MARK = b"!"
"""A payload that begins with it is on a forbidden topic, or has a forbidden flag."""


class Attacker:
    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.level = dice.choice((V4, V5))
        self.usual = dice.choice(ALLOWED), dice.randrange(3), dice.random() < 0.3
        """Topic, QoS and retain of every other message: what a cache knows."""
        self.broken = [packet for packet, _ in behind_connect(self.level).values()]
        self.strange = list(instead_of_connect().values())

    def session(self, client_id: str) -> Iterator[bytes]:
        """Packets from CONNECT on."""
        dice = self.dice
        if dice.random() < 0.03:
            yield dice.choice(self.strange)
        yield self._connect(client_id)
        for _ in range(dice.randrange(5, 80)):
            packet = self._packet()
            if dice.random() < 0.01:
                packet = self._mutated(packet)
            yield packet
        if dice.random() < 0.5:
            yield mqtt.disconnect(dice.choice((None, 0, 4)) if self.level == V5 else None)

    def _connect(self, client_id: str) -> bytes:
        dice = self.dice
        will = None
        if dice.random() < 0.3:
            topic = dice.choice(ALLOWED + FORBIDDEN if dice.random() < 0.1 else ALLOWED[:2])
            will = Will(topic, b"w" * dice.choice((0, 3)), dice.randrange(3), dice.random() < 0.3)
        properties = b""
        if self.level == V5:
            for number, value in ((0x11, 30), (0x21, dice.choice((1, 5, 65535))), (0x27, 4000), (0x22, 7), (0x17, 0)):
                if dice.random() < 0.3:
                    properties += mqtt.prop(number, value)
        return mqtt.connect(
            client_id,
            level=self.level,
            clean=dice.random() < 0.5,
            keep_alive=dice.choice((0, 10, 60, 65535)),
            will=will,
            user=dice.choice((None, "somebody")),
            properties=properties,
        )

    def _packet(self) -> bytes:
        dice = self.dice
        kinds: list[tuple[int, Callable[[], bytes]]] = [
            (40, self._publish),
            (12, self._acknowledge),
            (8, self._subscribe),
            (3, self._unsubscribe),
            (4, lambda: mqtt.PING),
            (1, lambda: dice.choice(self.broken) if dice.random() < 0.3 else mqtt.PING),
        ]
        return dice.choices([make for _, make in kinds], [weight for weight, _ in kinds])[0]()

    def _publish(self) -> bytes:
        dice = self.dice
        topic = dice.choice(ALLOWED if dice.random() < 0.7 else FORBIDDEN[:-1])
        qos, retain = dice.randrange(3), dice.random() < 0.2
        if usual := dice.random() < 0.5:
            topic, qos, retain = self.usual
        payload = b"p" * dice.choice((0, 1, 5, 100, 101, 200, 3000))
        properties = b""
        if self.level == V5 and dice.random() < (0.1 if usual else 0.4):
            options = [
                mqtt.prop(mqtt.ALIAS, dice.randrange(1, 6)),
                mqtt.prop(mqtt.RESPONSE_TOPIC, dice.choice(("ok/r", "no/r", "ok/a"))),
                mqtt.prop(mqtt.USER_PROPERTY, ("k", "v")),
                mqtt.prop(mqtt.FORMAT, 1),
                mqtt.prop(mqtt.EXPIRY, 5),
            ]
            properties = b"".join(dice.sample(options, dice.randrange(1, 4)))
            if mqtt.ALIAS in (one[0] for one in [properties[:1]] if one) and dice.random() < 0.5:
                topic = ""
        if topic and not may_publish(topic, qos, payload, retain):
            payload = MARK + payload[1:] if payload else payload
        return mqtt.publish(
            topic,
            payload,
            level=self.level,
            qos=qos,
            pid=dice.randrange(1, 7),
            retain=retain,
            dup=qos > 0 and dice.random() < 0.2,
            properties=properties,
        )

    def answer(self, packet: Packet) -> bytes:
        """To what came, now and then none."""
        if self.dice.random() < 0.2:
            return b""
        if packet.kind == PUBLISH and packet.qos:
            return mqtt.ack(mqtt.PUBACK if packet.qos == 1 else mqtt.PUBREC, packet.pid)
        return mqtt.ack(mqtt.PUBCOMP, packet.pid) if packet.kind == mqtt.PUBREL else b""

    def _acknowledge(self) -> bytes:
        """Of anything. Mosquitto ends sessions for other acknowledgements of what it did not send."""
        dice = self.dice
        code = dice.choice((None, None, 0)) if self.level == V5 else None
        return mqtt.ack(mqtt.PUBREL, dice.randrange(1, 7), code)

    def _subscribe(self) -> bytes:
        dice = self.dice
        good = FILTERS[:8]
        wanted = [(dice.choice(good if dice.random() < 0.6 else FILTERS), dice.randrange(3)) for _ in range(3)]
        if dice.random() < 0.95:
            wanted = [one for one in wanted if one[0] not in ("ok/#/x", "$share/workers", "")] or [("ok/a", 0)]
        return mqtt.subscribe(dice.randrange(1, 7), *wanted[: dice.randrange(1, 4)], level=self.level)

    def _unsubscribe(self) -> bytes:
        return mqtt.unsubscribe(self.dice.randrange(1, 7), self.dice.choice(FILTERS[:8]), level=self.level)

    def _mutated(self, packet: bytes) -> bytes:
        dice = self.dice
        data = bytearray(packet)
        for _ in range(dice.randrange(1, 3)):
            at = dice.randrange(len(data))
            what = dice.random()
            if what < 0.6:
                data[at] = dice.randrange(256)
            elif what < 0.8:
                del data[at]
            else:
                data.insert(at, dice.randrange(256))
            if not data:
                return b""
        return bytes(data)


def pieces(dice: random.Random, packets: Iterator[bytes]) -> Iterator[bytes]:
    """What goes into one send: a part of a packet, or many."""
    data = b""
    for packet in packets:
        data += packet
        if dice.random() < 0.4:
            at = dice.randrange(len(data) + 1) if dice.random() < 0.3 else len(data)
            if at:
                yield data[:at]
            data = data[at:]
    if data:
        yield data


# The judge knows the rules of `tests.support.uns` for the machine `desk`, and nothing of Bulkhead.


def _inside(topic: str, *roots: str) -> bool:
    return any(topic == root or topic.startswith(root + "/") for root in roots)


OWN = "hall-1/line-2/desk"


def _narrow(topic: str, qos: int, size: int) -> bool:
    return _inside(topic, "narrow") and qos <= 1 and size <= 100


def may_publish(topic: str, qos: int, payload: bytes, retain: bool) -> bool:
    size = len(payload)
    if retain and not size:
        return _inside(topic, "ok")
    if retain and not _inside(topic, "ok", OWN):
        return False
    return _inside(topic, "ok", "mute", OWN) or _narrow(topic, qos, size)


def may_will(will: Packet, qos: int, retain: bool) -> bool:
    size = len(will.payload)
    if retain and not _inside(will.topic, *(("ok", OWN) if size else ("ok",))):
        return False
    return _inside(will.topic, "ok", OWN) or _narrow(will.topic, qos, size)


def may_receive(topic: str) -> bool:
    return _inside(topic, "ok", "mute", "narrow") and not _inside(topic, "ok/secret")


def may_subscribe(text: str, qos: int) -> bool:
    if text.startswith("$share/"):
        _, group, inner = text.split("/", 2)
        return group == "workers" and _within(inner, "ok")
    return _within(text, "ok", "mute") or (_within(text, "narrow") and qos <= 1)


def _within(text: str, *roots: str) -> bool:
    """The first level is one of ``roots``, so whatever follows lies below it."""
    return text.split("/")[0] in roots


def complaints(packet: Packet, level: int, client_ids: tuple[str, ...]) -> Iterator[str]:
    """What is wrong with a packet that reached the broker."""
    raw = packet.raw
    if packet.kind == CONNECT:
        if packet.client_id not in client_ids:
            yield f"client id {packet.client_id}"
        flags = raw[raw.index(b"MQTT") + 5]
        if flags & 0xC0:
            yield "a user name or a password of the client"
        if flags & 4 and not may_will(packet, flags >> 3 & 3, bool(flags & 0x20)):
            yield f"Will {packet.topic}"
        if packet.number(0x22):
            yield "topic aliases"
    elif packet.kind == PUBLISH:
        if packet.payload.startswith(MARK) or not may_publish(packet.topic, packet.qos, packet.payload, packet.retain):
            yield f"PUBLISH {packet.topic!r} {packet.flags} {len(packet.payload)}"
        if packet.property(mqtt.ALIAS) is not None:
            yield "an alias"
        answer = packet.property(mqtt.RESPONSE_TOPIC)
        if answer is not None and not _inside(answer.decode(), "ok"):
            yield f"response topic {answer!r}"
        if packet.qos == 3 or (packet.qos and not packet.pid) or (packet.dup and not packet.qos):
            yield f"flags {packet.flags} id {packet.pid}"
    elif packet.kind == SUBSCRIBE:
        for text, options in _filters(packet.payload):
            if not may_subscribe(text, options & 3):
                yield f"SUBSCRIBE {text!r} {options}"
    elif packet.kind not in (4, 5, 6, 7, 10, 12, DISCONNECT):
        yield f"packet type {packet.kind}"
    if packet.flags != {6: 2, 8: 2, 10: 2}.get(packet.kind, packet.flags if packet.kind == PUBLISH else 0):
        yield f"type {packet.kind} with flags {packet.flags}"


def _filters(data: bytes) -> Iterator[tuple[str, int]]:
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 2], "big")
        yield data[at + 2 : at + 2 + size].decode(), data[at + 2 + size]
        at += 3 + size
