"""MQTT packets as the benchmark makes them: independent of the codec under test."""

from __future__ import annotations

import struct

CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK = 2, 3, 4, 5, 6, 7, 9
KEEP_ALIVE = 120


def varint(value: int) -> bytes:
    made = bytearray()
    while True:
        value, low = value >> 7, value & 127
        made.append(low | (128 if value else 0))
        if not value:
            return bytes(made)


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack(">H", len(raw)) + raw


def packet(kind: int, flags: int, body: bytes) -> bytes:
    return bytes([kind << 4 | flags]) + varint(len(body)) + body


def connect(client_id: str, level: int) -> bytes:
    """Clean session; no will, no user name, no properties."""
    properties = b"\0" if level == 5 else b""
    return packet(1, 0, text("MQTT") + bytes([level, 2]) + struct.pack(">H", KEEP_ALIVE) + properties + text(client_id))


def connack(level: int) -> bytes:
    """Accepted, no session present. v5: Receive Maximum 256, which is what a window in one read may need."""
    return packet(CONNACK, 0, b"\0\0" + (b"\3\x21\1\0" if level == 5 else b""))


def publish(topic: str, payload: bytes, *, qos: int = 0, packet_id: int = 0, level: int = 4) -> bytes:
    identifier = struct.pack(">H", packet_id) if qos else b""
    properties = b"\0" if level == 5 else b""
    return packet(PUBLISH, qos << 1, text(topic) + identifier + properties + payload)


def ack(kind: int, packet_id: int, code: int = 0) -> bytes:
    """PUBACK, PUBREC, PUBREL or PUBCOMP; the code only when it is not 0, as v5 allows."""
    return packet(kind, 2 if kind == PUBREL else 0, struct.pack(">H", packet_id) + (bytes([code]) if code else b""))


def short(packet: bytes) -> bytes:
    """An acknowledgement without its properties: a Reason String may say more, in words that are not measured."""
    if packet[0] >> 4 not in (PUBACK, PUBREC, PUBREL, PUBCOMP) or len(packet) < 5:
        return packet
    code = packet[4]
    return ack(packet[0] >> 4, packet[2] << 8 | packet[3], code)


def subscribe(packet_id: int, *filters: str, level: int = 4) -> bytes:
    """QoS 0 each."""
    properties = b"\0" if level == 5 else b""
    wanted = b"".join(text(one) + b"\0" for one in filters)
    return packet(8, 2, struct.pack(">H", packet_id) + properties + wanted)


def suback(packet_id: int, level: int = 4) -> bytes:
    """One filter, granted with QoS 0."""
    return packet(SUBACK, 0, struct.pack(">H", packet_id) + (b"\0" if level == 5 else b"") + b"\0")


def split(data: bytes) -> tuple[list[bytes], bytes]:
    """The whole packets at the beginning of `data`, and the rest."""
    found: list[bytes] = []
    while True:
        size = whole(data)
        if size is None or size > len(data):
            return found, data
        found.append(data[:size])
        data = data[size:]


def whole(data: bytes) -> int | None:
    """The size of the packet that begins here, which may be more than is there; None when its length is not there."""
    length = 0
    for at, byte in enumerate(data[1:5]):
        length |= (byte & 127) << (7 * at)
        if byte < 128:
            return 2 + at + length
    return None
