"""MQTT 3.1.1 and 5 in a few lines, for tests: what is sent is made here byte by byte, what came is read here.

Nothing of the gateway is in it. The reader is strict about framing and takes any value: it tells what was on the wire.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE = range(1, 9)
SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = range(9, 16)
V4, V5 = 4, 5

Properties = tuple[tuple[int, bytes], ...]
"""(identifier, value as it was on the wire)."""

FORMAT, EXPIRY, CONTENT_TYPE, RESPONSE_TOPIC, CORRELATION, SUBSCRIPTION_ID = 0x01, 0x02, 0x03, 0x08, 0x09, 0x0B
SESSION_EXPIRY, ASSIGNED_ID, SERVER_KEEP_ALIVE, AUTH_METHOD, PROBLEM_INFO = 0x11, 0x12, 0x13, 0x15, 0x17
WILL_DELAY, RESPONSE_INFO, REASON_STRING, RECEIVE_MAXIMUM, ALIAS_MAXIMUM = 0x18, 0x19, 0x1F, 0x21, 0x22
ALIAS, USER_PROPERTY, MAXIMUM_PACKET = 0x23, 0x26, 0x27

_SIZES = {0x01: 1, 0x17: 1, 0x19: 1, 0x24: 1, 0x25: 1, 0x28: 1, 0x29: 1, 0x2A: 1}
_SIZES |= {0x13: 2, 0x21: 2, 0x22: 2, 0x23: 2, 0x02: 4, 0x11: 4, 0x18: 4, 0x27: 4}
_TEXTS = {0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F}


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes((*out, number))


def text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(data)) + data


def packet(first: int, body: bytes = b"") -> bytes:
    """``first``: type and flags."""
    return bytes((first,)) + varint(len(body)) + body


def prop(number: int, value: int | str | bytes | tuple[str, str]) -> bytes:
    """One property as it is on the wire."""
    head = bytes((number,))
    if isinstance(value, tuple):
        return head + text(value[0]) + text(value[1])
    if not isinstance(value, int):
        return head + text(value)
    return head + (varint(value) if number == SUBSCRIPTION_ID else value.to_bytes(_SIZES[number], "big"))


def section(level: int, properties: bytes) -> bytes:
    return varint(len(properties)) + properties if level == V5 else b""


@dataclass(frozen=True)
class Will:
    topic: str
    payload: bytes = b"will"
    qos: int = 0
    retain: bool = False
    properties: bytes = b""


def connect(
    client_id: str = "",
    *,
    level: int = V4,
    clean: bool = True,
    keep_alive: int = 60,
    will: Will | None = None,
    user: str | None = None,
    password: bytes | None = None,
    properties: bytes = b"",
) -> bytes:
    flags = clean << 1 | (user is not None) << 7 | (password is not None) << 6
    body = text(client_id)
    if will is not None:
        flags |= 4 | will.qos << 3 | will.retain << 5
        body += section(level, will.properties) + text(will.topic) + text(will.payload)
    body += b"" if user is None else text(user)
    body += b"" if password is None else text(password)
    head = text("MQTT") + bytes((level, flags)) + keep_alive.to_bytes(2, "big") + section(level, properties)
    return packet(0x10, head + body)


def publish(
    topic: str,
    payload: bytes = b"",
    *,
    level: int = V4,
    qos: int = 0,
    pid: int = 1,
    retain: bool = False,
    dup: bool = False,
    properties: bytes = b"",
) -> bytes:
    numbered = pid.to_bytes(2, "big") if qos else b""
    return packet(0x30 | dup << 3 | qos << 1 | retain, text(topic) + numbered + section(level, properties) + payload)


def ack(kind: int, pid: int, code: int | None = None) -> bytes:
    """PUBACK, PUBREC, PUBREL or PUBCOMP; with ``code`` (MQTT 5) three bytes long."""
    body = pid.to_bytes(2, "big") + (b"" if code is None else bytes((code,)))
    return packet(kind << 4 | (2 if kind == PUBREL else 0), body)


def subscribe(pid: int, *filters: tuple[str, int], level: int = V4, properties: bytes = b"") -> bytes:
    """``filters``: the filter and its options byte, which in 3.1.1 is the QoS."""
    asked = b"".join(text(name) + bytes((options,)) for name, options in filters)
    return packet(0x82, pid.to_bytes(2, "big") + section(level, properties) + asked)


def unsubscribe(pid: int, *filters: str, level: int = V4) -> bytes:
    return packet(0xA2, pid.to_bytes(2, "big") + section(level, b"") + b"".join(map(text, filters)))


def disconnect(code: int | None = None, properties: bytes = b"") -> bytes:
    if code is None:
        return packet(0xE0)
    return packet(0xE0, bytes((code,)) + (section(V5, properties) if properties else b""))


PING, PONG = packet(0xC0), packet(0xD0)


@dataclass(frozen=True)
class Packet:
    """One control packet as it was on the wire. What a type does not have is empty.

    ``code`` is the only or the first reason code (0 where the packet left it out), ``session`` is Session Present.
    """

    raw: bytes
    kind: int
    flags: int = 0
    pid: int = 0
    codes: tuple[int, ...] = ()
    topic: str = ""
    payload: bytes = b""
    properties: Properties = ()
    session: bool = False
    level: int = 0
    client_id: str = ""
    clean: bool = False

    @property
    def code(self) -> int:
        return self.codes[0] if self.codes else 0

    @property
    def qos(self) -> int:
        return self.flags >> 1 & 3

    @property
    def retain(self) -> bool:
        return bool(self.flags & 1)

    @property
    def dup(self) -> bool:
        return bool(self.flags & 8)

    def property(self, number: int) -> bytes | None:
        return next((value for found, value in self.properties if found == number), None)

    def number(self, number: int) -> int | None:
        value = self.property(number)
        return None if value is None else int.from_bytes(value, "big")


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        part = self.data[self.at : self.at + size]
        assert len(part) == size, f"cut short: {self.data.hex()}"
        self.at += size
        return part

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def text(self) -> bytes:
        return self.take(self.number(2))

    def varint(self) -> int:
        value, shift = 0, 0
        while True:
            byte = self.number(1)
            value |= (byte & 127) << shift
            shift += 7
            if not byte & 128:
                return value
            assert shift < 28, f"a length of five bytes: {self.data.hex()}"

    def properties(self, level: int) -> Properties:
        if level != V5 or self.at == len(self.data):
            return ()
        size = self.varint()
        inner = _Reader(self.take(size))
        found = []
        while inner.at < size:
            number = inner.number(1)
            start = inner.at
            if number == USER_PROPERTY:
                inner.text(), inner.text()
                found.append((number, inner.data[start : inner.at]))
            elif number in _TEXTS:
                found.append((number, inner.text()))
            elif number == SUBSCRIPTION_ID:
                found.append((number, inner.varint().to_bytes(4, "big")))
            else:
                found.append((number, inner.take(_SIZES[number])))
        return tuple(found)

    def rest(self) -> bytes:
        return self.take(len(self.data) - self.at)


def split(data: bytes) -> tuple[list[bytes], bytes]:
    """Whole packets, and what is left of an unfinished one."""
    found = []
    at = 0
    while at < len(data):
        size, shift, body = 0, 0, at + 1
        while body < len(data):
            size |= (data[body] & 127) << shift
            shift += 7
            body += 1
            if not data[body - 1] & 128:
                break
        else:
            break
        if body + size > len(data):
            break
        found.append(data[at : body + size])
        at = body + size
    return found, data[at:]


def read(raw: bytes, level: int) -> Packet:
    """One whole packet of a connection that speaks ``level``. AssertionError when it does not add up."""
    kind, flags = raw[0] >> 4, raw[0] & 15
    head = _Reader(raw)
    head.at = 1
    size = head.varint()
    body = _Reader(raw[head.at :])
    assert len(body.data) == size, raw.hex()
    if kind == CONNECT:
        return _connect(raw, body)
    if kind == CONNACK:
        session, code = bool(body.number(1)), body.number(1)
        return Packet(raw, kind, flags, codes=(code,), session=session, properties=body.properties(level))
    if kind == PUBLISH:
        topic = body.text().decode()
        pid = body.number(2) if flags & 6 else 0
        properties = body.properties(level)
        return Packet(raw, kind, flags, pid, topic=topic, payload=body.rest(), properties=properties)
    if kind in (PINGREQ, PINGRESP):
        assert not size
        return Packet(raw, kind, flags)
    if kind in (DISCONNECT, AUTH):
        codes = (body.number(1),) if size else ()
        return Packet(raw, kind, flags, codes=codes, properties=body.properties(level))
    pid = body.number(2)
    if kind in (PUBACK, PUBREC, PUBREL, PUBCOMP):
        codes = (body.number(1),) if size > 2 else ()
        return Packet(raw, kind, flags, pid, codes=codes, properties=body.properties(level))
    properties = body.properties(level)
    if kind in (SUBACK, UNSUBACK):
        return Packet(raw, kind, flags, pid, codes=tuple(body.rest()), properties=properties)
    return Packet(raw, kind, flags, pid, payload=body.rest(), properties=properties)


def _connect(raw: bytes, body: _Reader) -> Packet:
    assert body.text() == b"MQTT"
    level, flags, _ = body.number(1), body.number(1), body.number(2)
    properties = body.properties(level)
    client_id = body.text().decode()
    topic, payload = "", b""
    if flags & 4:
        body.properties(level)
        topic, payload = body.text().decode(), body.text()
    return Packet(
        raw,
        CONNECT,
        topic=topic,
        payload=payload,
        properties=properties,
        level=level,
        client_id=client_id,
        clean=bool(flags & 2),
    )


def read_stream(data: bytes, level: int = 0) -> list[Packet]:
    """All whole packets of one direction. Towards the broker the CONNECT tells the level."""
    found = []
    for raw in split(data)[0]:
        one = read(raw, level)
        level = one.level or level
        found.append(one)
    return found
