"""Seeded mutations that know how OPC UA is built: numbers that are lengths, NodeIds, nesting, frames and their headers.

Everything comes from the `random.Random` that is passed in: a shard and a number name an input for ever.
"""

from __future__ import annotations

from struct import pack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

NUMBERS = (0, 1, -1, -2, 2, 3, 13, 64, 999, 1000, 1001, 65535, 65536, 2**31 - 1, -(2**31), 1 << 20)
"""Int32 that mean something as a length, a count or an id."""
BYTES = (0, 1, 2, 3, 4, 5, 0x0C, 0x18, 0x19, 0x3F, 0x40, 0x7F, 0x80, 0x98, 0xC0, 0xFF)


def _string(name: bytes) -> bytes:
    return pack("<i", len(name)) + name


NODES = (
    b"\0\0", b"\0\x55", b"\1\0" + pack("<H", 2255), b"\1\2\1\0", b"\2\2\0\1\0\0\0", b"\1\x09\1\0",
    b"\2\xff\xff\1\0\0\0",
    b"\3\2\0" + _string(b"ok.a"), b"\3\2\0" + _string(b"no.a"), b"\3\1\0" + _string(b"ok.a"),
    b"\3\2\0" + _string(b"ok.never"), b"\3\2\0" + _string(b"ok.a\0"), b"\3\2\0\xff\xff\xff\xff",
    b"\4\2\0" + bytes(16), b"\5\2\0" + _string(b"ok.a"), b"\x83\2\0" + _string(b"ok.a") + _string(b"urn:robot:7"),
    b"\x43\2\0" + _string(b"ok.a") + b"\1\0\0\0",
)  # fmt: skip
"""In every form, of namespaces that are there and that are not."""
NESTS = (b"\x98\1\0\0\0" * 20, b"\x18" * 40, b"\x17\1" * 20, b"\x40" * 40, b"\1\0\xd4\2\1" * 8)
"""Variants, DataValues, diagnostics and ExtensionObjects in each other."""
NAMES = ((b"ok.", b"no."), (b"no.", b"ok."), (b".a", b".b"), (b".a", b".w"), (b"urn:robot", b"urn:robut"))
SEQUENCE, REQUEST = 16, 20
"""Where these stand in a frame."""


def mutated(body: bytes, pool: Sequence[bytes], random: Random) -> bytes:
    """One to four changes of a message's body; its type is spared mostly."""
    data = bytearray(body)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        spot = 4 + random.randrange(max(1, len(data) - 3)) if random.random() < 0.95 else 0
        random.choice(_CHANGES)(data, spot, pool, random)
    return bytes(data)


def _flip(data: bytearray, spot: int, pool: Sequence[bytes], random: Random) -> None:
    if spot < len(data):
        data[spot] ^= 1 << random.randrange(8)


def _byte(data: bytearray, spot: int, pool: Sequence[bytes], random: Random) -> None:
    data[spot : spot + 1] = bytes((random.choice(BYTES),))


def _number(data: bytearray, spot: int, pool: Sequence[bytes], random: Random) -> None:
    data[spot : spot + 4] = pack("<i", random.choice(NUMBERS))


def _cut(data: bytearray, spot: int, pool: Sequence[bytes], random: Random) -> None:
    del data[spot : spot + random.choice((1, 2, 4, 8, 1000))]


def _double(data: bytearray, spot: int, pool: Sequence[bytes], random: Random) -> None:
    size = random.choice((1, 4, 9, 24))
    data[spot:spot] = data[spot : spot + size] * random.choice((1, 1, 2, 40))


def _splice(data: bytearray, spot: int, pool: Sequence[bytes], random: Random) -> None:
    other = random.choice(pool)
    data[spot:] = other[min(spot, len(other)) :]


def _node(data: bytearray, spot: int, pool: Sequence[bytes], random: Random) -> None:
    """Another NodeId where one with a name stands, or anywhere."""
    at = data.find(b"\3\2\0", spot)
    if at < 0:
        data[spot:spot] = random.choice(NODES)
        return
    size = int.from_bytes(data[at + 3 : at + 7], "little", signed=True)
    data[at : at + 7 + max(0, size)] = random.choice(NODES)


def _rename(data: bytearray, spot: int, pool: Sequence[bytes], random: Random) -> None:
    old, new = random.choice(NAMES)
    at = data.find(old, spot)
    if at >= 0:
        data[at : at + len(old)] = new


def _nest(data: bytearray, spot: int, pool: Sequence[bytes], random: Random) -> None:
    data[spot:spot] = random.choice(NESTS)


def _tail(data: bytearray, spot: int, pool: Sequence[bytes], random: Random) -> None:
    data += random.choice((b"\0", b"\xff" * 4, b"x" * 40))


def _type(data: bytearray, spot: int, pool: Sequence[bytes], random: Random) -> None:
    data[:4] = random.choice((random.choice(pool)[:4], b"\2\0" + data[2:4], b"\1\1" + data[2:4], random.randbytes(4)))


_CHANGES: tuple[Callable[[bytearray, int, Sequence[bytes], Random], None], ...] = (
    _flip, _flip, _byte, _number, _number, _number, _cut, _double, _splice, _node, _node, _node, _rename, _rename,
    _nest, _tail, _type,
)  # fmt: skip


def frames_mutated(frames: Sequence[bytes], random: Random) -> list[bytes]:
    """One to three changes of a stream of frames: in their headers, their order, their number, or what is in them."""
    found = list(frames)
    for _ in range(random.choice((1, 1, 2, 3))):
        at = random.randrange(len(found)) if random.random() < 0.3 else random.randrange(len(found) // 2, len(found))
        kind = random.randrange(6)
        if kind == 0:
            found[at:at] = [random.choice(found)]
        elif kind == 1:
            other = random.randrange(len(found))
            found[at], found[other] = found[other], found[at]
        elif kind == 2:
            found[at : at + 1] = halves(found[at], random)
        else:
            found[at] = frame_mutated(found[at], random)
        found = found or list(frames)
    return found


def halves(frame: bytes, random: Random) -> list[bytes]:
    """The same message in two chunks, or with an abort between them, or never final."""
    if len(frame) < 26:
        return [frame]
    spot = random.randrange(24, len(frame))
    first, second = _framed(frame[:3] + b"C", frame[4:spot]), _framed(frame[:4], frame[4:24] + frame[spot:])
    number = int.from_bytes(frame[SEQUENCE : SEQUENCE + 4], "little")
    second = second[:SEQUENCE] + pack("<I", (number + 1) & 0xFFFFFFFF) + second[SEQUENCE + 4 :]
    return random.choice(([first, second], [first], [first, _framed(frame[:3] + b"A", second[4:24])], [first] * 3))


def _framed(kind: bytes, rest: bytes) -> bytes:
    """With the size that it has; ``rest`` begins with the old size."""
    return kind + pack("<I", len(rest) + 4) + rest[4:]


def frame_mutated(frame: bytes, random: Random) -> bytes:
    data = bytearray(frame)
    kind = random.randrange(8)
    if kind == 0:
        data[0:3] = random.choice((b"HEL", b"OPN", b"MSG", b"CLO", b"ACK", b"ERR", b"RHE", b"XXX", b"msg"))
    elif kind == 1:
        data[3:4] = random.choice((b"F", b"C", b"A", b"f", b"\0"))
    elif kind == 2:
        data[4:8] = pack("<i", random.choice((0, 7, 8, 12, 24, len(data) - 1, len(data) + 1, 8193, 65537, -1)))
    elif kind == 3:
        spot = random.choice((8, 12, SEQUENCE, REQUEST))
        data[spot : spot + 4] = pack("<i", random.choice(NUMBERS))
    elif kind == 4:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    elif kind == 5:
        more = random.randbytes(random.choice((1, 16, 32, 300)))
        data = bytearray(_framed(bytes(data[:4]), bytes(data[4:]) + more))
    elif kind == 6:
        data = bytearray(_framed(bytes(data[:4]), bytes(data[4 : random.randrange(8, len(data) + 1)])))
    else:
        spot = random.randrange(len(data))
        data[spot : spot + 4] = pack("<i", random.choice(NUMBERS))
    return bytes(data)


def pieces(data: bytes, random: Random) -> list[bytes]:
    """In one go mostly, else cut where no frame ends."""
    if random.random() < 0.7 or len(data) < 2:
        return [data]
    cuts = sorted(random.randrange(1, len(data)) for _ in range(random.choice((1, 1, 3))))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
