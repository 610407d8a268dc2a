"""Packets that no client may send, by name: bytes, and the codes that end such a link in MQTT 5 (3.1.1 just closes)."""

from __future__ import annotations

from tests.support import mqtt
from tests.support.mqtt import V4, V5, ack, connect, disconnect, packet, prop, publish, section, subscribe, text

Malformed = dict[str, tuple[bytes, tuple[int, ...]]]

SYNTAX, PROTOCOL, EITHER = (0x81,), (0x82,), (0x81, 0x82)
"""Malformed Packet, Protocol Error, or what the standard leaves open between them."""
FILTER, TOPIC, ALIAS = (0x8F, 0x81), (0x90, 0x81), (0x94,)


def behind_connect(level: int) -> Malformed:
    """Sent on an open session of this version."""
    s = section(level, b"")
    common: Malformed = {
        "second CONNECT": (connect("machine", level=level), PROTOCOL),
        "CONNECT of the other version": (connect("machine", level=V5 if level == V4 else V4), PROTOCOL),
        "type 0": (b"\0\0", EITHER),
        "CONNACK": (packet(0x20, b"\0\0" + s), PROTOCOL),
        "SUBACK": (packet(0x90, b"\0\1" + s + b"\0"), PROTOCOL),
        "UNSUBACK": (packet(0xB0, b"\0\1" + (s + b"\0" if s else b"")), PROTOCOL),
        "PINGRESP": (mqtt.PONG, PROTOCOL),
        "PINGREQ with a body": (packet(0xC0, b"x"), EITHER),
        "PINGREQ with flags": (packet(0xC1), SYNTAX),
        "QoS 3": (packet(0x36, text("ok/x") + b"\0\1" + s), SYNTAX),
        "DUP with QoS 0": (packet(0x38, text("ok/x") + s), EITHER),
        "PUBLISH with packet id 0": (publish("ok/x", qos=1, pid=0, level=level), EITHER),
        "+ in a topic": (publish("ok/+", level=level), TOPIC),
        "# in a topic": (publish("ok/#", level=level), TOPIC),
        "U+0000 in a topic": (publish("ok/\0", level=level), TOPIC),
        "invalid UTF-8": (packet(0x30, text(b"ok/\xff") + s), TOPIC),
        "surrogate": (packet(0x30, text(b"ok/\xed\xa0\x80") + s), TOPIC),
        "overlong UTF-8": (packet(0x30, text(b"ok/\xc0\xaf") + s), TOPIC),
        "control character in a topic": (publish("ok/\x07", level=level), TOPIC),
        "empty topic": (publish("", level=level), (*TOPIC, *PROTOCOL)),
        "topic of 1,025 bytes": (publish("ok/" + "x" * 1022, level=level), TOPIC),
        "33 levels": (publish("ok" + "/x" * 32, level=level), TOPIC),
        "65,400 slashes (CVE-2019-11779)": (subscribe(1, ("/" * 65_400, 0), level=level), FILTER),
        "lying length": (packet(0x30, b"\xff\xff" + b"ok/x"), SYNTAX),
        "PUBLISH without topic": (packet(0x30), SYNTAX),
        "length of 5 bytes (CVE-2026-21888)": (b"\x30\x80\x80\x80\x80\x01", SYNTAX),
        "length that is not minimal": (b"\x30\x8a\0" + text("ok/x") + s + b"1234"[: 4 - len(s)], SYNTAX),
        "longer than max_packet": (b"\x30\xff\xff\x7f" + text("ok/x"), (0x95,)),
        "SUBSCRIBE with wrong flags": (packet(0x80, b"\0\1" + s + text("ok/x") + b"\0"), SYNTAX),
        "SUBSCRIBE without filters": (packet(0x82, b"\0\1" + s), EITHER),
        "SUBSCRIBE with packet id 0": (subscribe(0, ("ok/x", 0), level=level), EITHER),
        "SUBSCRIBE with QoS 3": (subscribe(1, ("ok/x", 3), level=level), EITHER),
        "SUBSCRIBE with reserved bits": (subscribe(1, ("ok/x", 0xC0), level=level), EITHER),
        "65 filters": (subscribe(1, *((f"ok/{at}", 0) for at in range(65)), level=level), (0x8F, 0x81, 0x97, 0x83)),
        "# in the middle": (subscribe(1, ("ok/#/x", 0), level=level), FILTER),
        "+ in a level": (subscribe(1, ("ok/x+", 0), level=level), FILTER),
        "empty filter": (subscribe(1, ("", 0), level=level), FILTER),
        "$share without a filter": (subscribe(1, ("$share/workers", 0), level=level), FILTER),
        "$share with an empty filter": (subscribe(1, ("$share/workers/", 0), level=level), FILTER),
        "$share without a name": (subscribe(1, ("$share//ok/x", 0), level=level), FILTER),
        "$share with a wild name": (subscribe(1, ("$share/+/ok/x", 0), level=level), FILTER),
        "UNSUBSCRIBE without filters": (packet(0xA2, b"\0\1" + s), EITHER),
        "UNSUBSCRIBE with wrong flags": (packet(0xA0, b"\0\1" + s + text("ok/x")), SYNTAX),
        "PUBREL with wrong flags": (packet(0x60, b"\0\1"), SYNTAX),
        "PUBACK with flags": (packet(0x42, b"\0\1"), SYNTAX),
        "PUBACK with packet id 0": (ack(mqtt.PUBACK, 0), EITHER),
        "PUBACK with a tail": (packet(0x40, b"\0\1\0\0\0"), EITHER),
        "DISCONNECT with flags": (packet(0xE1), SYNTAX),
        "AUTH": (packet(0xF0, b"\x18\0"), PROTOCOL if level == V5 else EITHER),
    }
    return common | (_of_v5() if level == V5 else {})


def _of_v5() -> Malformed:
    def with_properties(*properties: bytes) -> bytes:
        return publish("ok/x", level=V5, properties=b"".join(properties))

    def subscribed(options: int, properties: bytes = b"") -> bytes:
        return subscribe(1, ("ok/x", options), level=V5, properties=properties)

    return {
        "unknown property": (with_properties(b"\x7f\0"), EITHER),
        "property of another packet": (with_properties(prop(mqtt.SESSION_EXPIRY, 1)), EITHER),
        "property twice": (with_properties(prop(mqtt.FORMAT, 1), prop(mqtt.FORMAT, 1)), EITHER),
        "format 2": (with_properties(prop(mqtt.FORMAT, 2)), EITHER),
        "property length that lies": (packet(0x30, text("ok/x") + b"\x20"), SYNTAX),
        "property length that is not minimal": (packet(0x30, text("ok/x") + b"\x80\0"), SYNTAX),
        "17 user properties": (with_properties(*[prop(mqtt.USER_PROPERTY, ("a", "b"))] * 17), (*EITHER, 0x97, 0x95)),
        "alias 0": (with_properties(prop(mqtt.ALIAS, 0)), ALIAS),
        "alias too high": (with_properties(prop(mqtt.ALIAS, 33)), ALIAS),
        "alias that was never set": (publish("", level=V5, properties=prop(mqtt.ALIAS, 9)), PROTOCOL),
        "response topic with +": (with_properties(prop(mqtt.RESPONSE_TOPIC, "ok/+")), (*TOPIC, *EITHER)),
        "subscription id of a client": (with_properties(prop(mqtt.SUBSCRIPTION_ID, 1)), EITHER),
        "subscription id 0": (subscribed(0, prop(mqtt.SUBSCRIPTION_ID, 0)), PROTOCOL),
        "retain handling 3": (subscribed(0x30), EITHER),
        "no local with $share": (subscribe(1, ("$share/workers/ok/x", 4), level=V5), PROTOCOL),
        "session expiry raised from 0": (disconnect(0, prop(mqtt.SESSION_EXPIRY, 10)), PROTOCOL),
        "PUBACK with an unknown code": (ack(mqtt.PUBACK, 1, 0x42), EITHER),
    }


def instead_of_connect() -> dict[str, bytes]:
    """Sent first on a new connection; nothing of it may reach a broker."""
    good = connect("machine")
    return {
        "PUBLISH": publish("ok/x"),
        "PINGREQ": mqtt.PING,
        "DISCONNECT": disconnect(),
        "CONNACK (CVE-2021-28166)": packet(0x20, b"\0\0"),
        "type 0": b"\0\0",
        "an HTTP request": b"GET / HTTP/1.1\r\nHost: uns\r\nUser-Agent: " + b"x" * 60 + b"\r\n\r\n",
        "a TLS ClientHello": b"\x16\x03\x01\x00\x2c\x01\x00\x00\x28\x03\x03" + b"\x42" * 32,
        "CONNECT with flags": b"\x11" + good[1:],
        "reserved flag": good[:9] + bytes((good[9] | 1,)) + good[10:],
        "another name": packet(0x10, text("MQTX") + good[8:]),
        "bad UTF-8 in the id": packet(0x10, good[2:12] + text(b"\xff")),
        "U+0000 in the id": packet(0x10, good[2:12] + text("a\0b")),
        "a tail": packet(0x10, good[2:] + b"x"),
        "cut short": packet(0x10, good[2:-3]),
        "Will QoS without a Will": good[:9] + b"\x0a" + good[10:],
        "Will QoS 3": packet(0x10, good[2:9] + b"\x1e" + good[10:] + text("ok/x") + text("")),
        "password without user name": packet(0x10, good[2:9] + b"\x42" + good[10:] + text("secret")),
        "more than 16 KiB (CVE-2017-7651)": connect("machine", user="x" * 60_000),
        "a length of 256 MiB": b"\x10\xff\xff\xff\x7f" + good[2:],
        "a length of 5 bytes": b"\x10\x80\x80\x80\x80\x01" + good[2:],
        "v5: property twice": connect("m", level=V5, properties=prop(mqtt.SESSION_EXPIRY, 1) * 2),
        "v5: Receive Maximum 0": connect("m", level=V5, properties=prop(mqtt.RECEIVE_MAXIMUM, 0)),
        "v5: Maximum Packet Size 0": connect("m", level=V5, properties=prop(mqtt.MAXIMUM_PACKET, 0)),
        "v5: junk in the Will's properties (CVE-2023-3592)": connect(
            "m", level=V5, will=mqtt.Will("ok/x", properties=b"\x7f\0")
        ),
    }
