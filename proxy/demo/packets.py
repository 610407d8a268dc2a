"""MQTT bytes as the demo's clients send them, and how its judge tells them apart again (OASIS MQTT 3.1.1 and 5.0).

Written without the gateway's own codec: two readings of the specification, and neither can hide the other's mistake.
"""

from __future__ import annotations

from dataclasses import dataclass

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK = range(1, 10)
PINGREQ, PINGRESP, DISCONNECT = 12, 13, 14
NAMES = (
    "type 0, CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK,"
    " PINGREQ, PINGRESP, DISCONNECT, AUTH"
).split(", ")
UNCOUNTED = frozenset((PUBACK, PUBREC, PUBCOMP, PINGREQ, DISCONNECT))
"""What says nothing new to a broker: acknowledgements, pings, farewells."""
V311, V5 = 4, 5
RETAIN, DUP = 1, 8
TOPIC_ALIAS = 0x23
LONGEST = 4
"""Bytes of a remaining length."""


@dataclass(frozen=True, slots=True)
class Will:
    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False


def string(text: str) -> bytes:
    return binary(text.encode())


def binary(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def number(value: int) -> bytes:
    """A variable byte integer in its shortest form."""
    out = bytearray()
    while True:
        value, low = divmod(value, 128)
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def packet(kind: int, body: bytes, flags: int = 0) -> bytes:
    return bytes((kind << 4 | flags,)) + number(len(body)) + body


def connect(
    client_id: str, *, level: int = V311, clean: bool = True, keep_alive: int = 30, will: Will | None = None
) -> bytes:
    flags = 2 if clean else 0
    none = b"\0" if level == V5 else b""
    tail = string(client_id)
    if will is not None:
        flags |= 4 | will.qos << 3 | (0x20 if will.retain else 0)
        tail += none + string(will.topic) + binary(will.payload)
    return packet(CONNECT, string("MQTT") + bytes((level, flags)) + keep_alive.to_bytes(2, "big") + none + tail)


def publish(
    topic: str,
    payload: bytes,
    *,
    qos: int = 0,
    retain: bool = False,
    packet_id: int = 1,
    level: int = V311,
    alias: int | None = None,
) -> bytes:
    """``alias`` is for MQTT 5 alone. With QoS 0 there is no packet id."""
    body = string(topic) + (packet_id.to_bytes(2, "big") if qos else b"")
    if level == V5:
        properties = b"" if alias is None else bytes((TOPIC_ALIAS,)) + alias.to_bytes(2, "big")
        body += number(len(properties)) + properties
    return packet(PUBLISH, body + payload, qos << 1 | (RETAIN if retain else 0))


def pubrel(packet_id: int = 1) -> bytes:
    return packet(PUBREL, packet_id.to_bytes(2, "big"), 2)


def subscribe(*filters: str, qos: int = 1, packet_id: int = 1, level: int = V311) -> bytes:
    none = b"\0" if level == V5 else b""
    wanted = b"".join(string(one) + bytes((qos,)) for one in filters)
    return packet(SUBSCRIBE, packet_id.to_bytes(2, "big") + none + wanted, 2)


PING, FAREWELL = packet(PINGREQ, b""), packet(DISCONNECT, b"")


def size(data: bytes) -> int | None:
    """Length of the packet that begins here; None while that is not known. A length that is too long is no length:
    the packet then never ends, and nothing explains it."""
    value = 0
    for at, byte in enumerate(data[1 : 1 + LONGEST]):
        value |= (byte & 0x7F) << 7 * at
        if byte < 0x80:
            return 2 + at + value
    return None


def cut(stream: bytes) -> tuple[list[bytes], bytes]:
    """What of a stream is whole packets, as `content` without the uncounted ones, and the rest."""
    contents: list[bytes] = []
    while (length := size(stream)) is not None and len(stream) >= length:
        if stream[0] >> 4 not in UNCOUNTED:
            contents.append(content(stream[:length]))
        stream = stream[length:]
    return contents, stream


def content(whole: bytes) -> bytes:
    """What of a packet is the same in front of the gateway and behind it: all of it, but of a CONNECT the level, the
    client id, the session flag and the Will, since the gateway may lower what a client asks for besides."""
    if whole[0] >> 4 != CONNECT:
        return whole
    try:
        said = opening(whole)
    except (IndexError, UnicodeDecodeError):
        return whole
    return connect(said.client_id, level=said.level, clean=said.clean, keep_alive=0, will=said.will)


def show(whole: bytes) -> str:
    """One packet to a broker, as `content`, for a person."""
    kind = whole[0] >> 4
    read = _Reader(whole)
    try:
        if kind == CONNECT:
            said = opening(whole)
            return f"CONNECT {safe(said.client_id)}" + (f", Will {safe(said.will.topic)}" if said.will else "")
        if kind == PUBLISH:
            return f"PUBLISH {safe(read.text())} qos {whole[0] >> 1 & 3}" + (" retained" if whole[0] & RETAIN else "")
    except (IndexError, UnicodeDecodeError):
        pass
    return f"{NAMES[kind]} {read.rest.hex(' ')}".strip()


def safe(text: str) -> str:
    """For a terminal: whoever is connected chooses topics and ids."""
    return text.encode("unicode_escape").decode()


def answer(whole: bytes, level: int) -> str:
    """One packet to a client: its name, and as hex the codes that say how it came out."""
    kind = whole[0] >> 4
    read = _Reader(whole)
    if kind == PUBLISH:
        return f"PUBLISH {safe(read.text())}"
    if kind == CONNACK:
        return f"CONNACK {read.rest[1:2].hex()}"
    if kind == SUBACK:
        read.skip(2)
        if level == V5:
            read.properties()
        return f"SUBACK {read.rest.hex(' ')}"
    codes = read.rest[2:3] if kind in (PUBACK, PUBREC, PUBCOMP) else read.rest[:1]
    return f"{NAMES[kind]} {codes.hex()}".strip()


class _Reader:
    """Takes a packet's body apart. Raises IndexError where it is too short, UnicodeDecodeError."""

    def __init__(self, whole: bytes) -> None:
        at = 2
        while whole[at - 1] >= 0x80:
            at += 1
        self.rest = whole[at:]

    def skip(self, count: int) -> bytes:
        if len(self.rest) < count:
            raise IndexError
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def binary(self) -> bytes:
        return self.skip(int.from_bytes(self.skip(2), "big"))

    def text(self) -> str:
        return self.binary().decode()

    def properties(self) -> None:
        """Shorter than 128 bytes: the demo sends and asks for none that are longer."""
        self.skip(self.skip(1)[0])


@dataclass(frozen=True, slots=True)
class Connect:
    level: int
    clean: bool
    client_id: str
    will: Will | None


def opening(whole: bytes) -> Connect:
    """What a CONNECT says that is judged. Raises IndexError, UnicodeDecodeError."""
    read = _Reader(whole)
    read.binary()
    level, flags = read.skip(2)
    read.skip(2)
    if level == V5:
        read.properties()
    client_id, will = read.text(), None
    if flags & 4:
        if level == V5:
            read.properties()
        will = Will(read.text(), read.binary(), flags >> 3 & 3, bool(flags & 0x20))
    return Connect(level, bool(flags & 2), client_id, will)
