"""Seeded mutations that know how MQTT is built: packets with their lengths mended, fields set to what is special.

Everything comes from the `random.Random` that is passed in: a shard and a number name an input for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.mqtt.notation import varint

if TYPE_CHECKING:
    from random import Random

Side = str
Packets = list[tuple[Side, bytes]]
"""("client" or "broker", packet), in the order in which they become whole."""

BYTES = (
    0,
    1,
    2,
    3,
    4,
    0x10,
    0x20,
    0x30,
    0x31,
    0x32,
    0x34,
    0x36,
    0x3A,
    0x40,
    0x50,
    0x62,
    0x7F,
    0x80,
    0x82,
    0x87,
    0xE0,
    0xFF,
)
IDS = (b"\0\0", b"\0\1", b"\0\2", b"\0\3", b"\xff\xff", b"\xff\xfe")
PROPERTIES = (
    b"\x23\0\1", b"\x23\0\0", b"\x23\0\x21", b"\x01\1", b"\x08\0\4no/r", b"\x08\0\4ok/r", b"\x0b\1",
    b"\x11\0\0\0\x09", b"\x1c\0\1x", b"\x21\0\1", b"\x21\0\0", b"\x22\0\5", b"\x26\0\1k\0\1v",
    b"\x27\0\0\0\x20", b"\x13\0\1", b"\x18\0\0\0\1",
)  # fmt: skip
TEXTS = (
    b"no/a",
    b"ok/a",
    b"ok/b",
    b"#",
    b"+/+",
    b"$SYS",
    b"$share/crew/ok/a",
    b"$share//x",
    b"\xc0\xaf",
    b"",
    b"a/" * 20,
)


def head_and_body(packet: bytes) -> tuple[int, bytes]:
    at = 1
    while at < len(packet) and packet[at] & 0x80:
        at += 1
    return packet[0], packet[at + 1 :]


def mended(first: int, body: bytes) -> bytes:
    """With the length that its body has."""
    return bytes((first,)) + varint(len(body)) + body


def mutated(packets: Packets, pool: Packets, random: Random) -> Packets:
    """One to four changes; the first packets of a session, CONNECT and CONNACK, are spared mostly."""
    found = list(packets)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        if not found:
            break
        at = (
            random.randrange(len(found))
            if random.random() < 0.15 or len(found) < 3
            else random.randrange(2, len(found))
        )
        random.choice(_CHANGES)(found, at, pool, random)
    return [each for each in found if each[1]]


def _within(found: Packets, at: int, pool: Packets, random: Random) -> None:
    """The content changes and the length with it."""
    side, packet = found[at]
    if packet:
        found[at] = (side, _changed(packet, random))


def _changed(packet: bytes, random: Random) -> bytes:
    first, body = head_and_body(packet)
    spot = random.randrange(len(body) + 1)
    kind = random.randrange(8)
    if kind == 0:
        first ^= 1 << random.randrange(8)
    elif kind == 1:
        body = body[:spot] + bytes((random.choice(BYTES),)) + body[spot + 1 :]
    elif kind == 2:
        body = body[:spot] + random.choice(IDS) + body[spot + 2 :]
    elif kind == 3:
        some = random.choice(PROPERTIES)
        body = body[:spot] + bytes((len(some),)) + some + body[spot + random.choice((0, 1)) :]
    elif kind == 4:
        text = random.choice(TEXTS)
        body = body[:spot] + len(text).to_bytes(2, "big") + text + body[spot:]
    elif kind == 5:
        body = body[:spot] + body[spot + random.choice((1, 2, 5)) :]
    elif kind == 6:
        body += random.choice((b"\0", b"x", b"x" * 130, b"\xff" * 7))
    else:
        body = _other_topic(body, random)
    return mended(first, body)


def _other_topic(body: bytes, random: Random) -> bytes:
    """For a PUBLISH, the likeliest of all: another text in front."""
    size = int.from_bytes(body[:2], "big")
    text = random.choice(TEXTS)
    return len(text).to_bytes(2, "big") + text + body[2 + size :]


def _raw(found: Packets, at: int, pool: Packets, random: Random) -> None:
    """The bytes change, the length does not follow."""
    side, packet = found[at]
    if packet:
        found[at] = (side, _spoilt(packet, random))


def _spoilt(packet: bytes, random: Random) -> bytes:
    data = bytearray(packet)
    spot = random.randrange(len(data))
    kind = random.randrange(4)
    if kind == 0:
        data[spot] ^= 1 << random.randrange(8)
    elif kind == 1:
        data[1:2] = random.choice((b"\x80\0", b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff\1", b"\x7f", b"\0", b"\x85\0"))
    elif kind == 2:
        data = bytearray(random.randbytes(random.randrange(1, 40)))
    else:
        del data[spot:]
    return bytes(data)


def _repeat(found: Packets, at: int, pool: Packets, random: Random) -> None:
    found[at:at] = [found[at]] * random.choice((1, 1, 2, 12))


def _swap(found: Packets, at: int, pool: Packets, random: Random) -> None:
    other = random.randrange(len(found))
    found[at], found[other] = found[other], found[at]


def _drop(found: Packets, at: int, pool: Packets, random: Random) -> None:
    del found[at]


def _insert(found: Packets, at: int, pool: Packets, random: Random) -> None:
    found.insert(random.randrange(min(2, len(found)), len(found) + 1), random.choice(pool))


def _other_side(found: Packets, at: int, pool: Packets, random: Random) -> None:
    side, packet = found[at]
    found[at] = ("broker" if side == "client" else "client", packet)


_CHANGES = (_within, _within, _within, _within, _raw, _repeat, _swap, _drop, _insert, _insert, _other_side)
