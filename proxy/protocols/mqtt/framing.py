"""Fixed header and reading position of MQTT 3.1.1 and 5 (2.1, 2.2 of both).

    +------+-------+------------------+-----------------------------+
    | type | flags | Remaining Length | variable header and payload |
    +------+-------+------------------+-----------------------------+
     4 bit   4 bit   1..4 bytes         exactly Remaining Length

A Remaining Length has one legal form, the shortest [MQTT-1.5.5-1]; 3.1.1 does not say so and is held to the same rule,
so that two decoders cannot see two packets (protocols.md 2.5, Wire).
"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.protocols.mqtt import reasons

MAX_VARINT = 268_435_455
MAX_FRAME = 5 + MAX_VARINT
"""Bytes of the largest packet that there can be."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """Bytes that are no legal packet. Never forwarded; the link ends.

    ``what`` is for people: printable ASCII, at most 120 characters, no text of the peer. ``code`` is the MQTT 5 reason
    code that answers it; 3.1.1 maps 0x84, 0x85 and 0x86 of a CONNECT to its return codes 1, 2 and 4 and else closes.
    ``ours``: MQTT allows it, a limit of protocols.md 2.2 does not. A delivery of that kind may be dropped instead, so
    that somebody's odd retained message does not end the link of everybody who subscribes to it.
    """

    what: str
    code: int = reasons.MALFORMED
    ours: bool = False


class Broken(Exception):
    """Ends the decoding of one packet. Raised by the readers, caught in `packets.decode` alone."""

    def __init__(self, what: str, code: int = reasons.MALFORMED, *, ours: bool = False) -> None:
        super().__init__(what)
        self.fault = Malformed(what, code, ours)


def frame_end(data: bytes, at: int, limit: int) -> int | None | Malformed:
    """Where the packet that starts at ``at`` ends (exclusive; beyond ``data`` while the rest is still to come).

    None: the fixed header is not complete yet. ``limit`` is the most bytes a whole packet may have, as Maximum Packet
    Size counts them (fixed header included); more is Malformed with 0x95 before a byte of it has been kept.
    """
    length = 0
    for width in range(1, 5):
        if at + width >= len(data):
            return None
        byte = data[at + width]
        length |= (byte & 0x7F) << (7 * (width - 1))
        if byte < 0x80:
            if byte == 0 and width > 1:
                return Malformed("the remaining length is not in its shortest form")
            end = at + 1 + width + length
            if end - at > limit:
                return Malformed(f"a packet of {end - at} bytes, more than {limit}", reasons.TOO_LARGE)
            return end
    return Malformed("the remaining length takes more than four bytes")


def varint(value: int) -> bytes:
    """The shortest form of a Variable Byte Integer. Raises ValueError outside 0..268,435,455."""
    if not 0 <= value <= MAX_VARINT:
        raise ValueError(f"{value} is no variable byte integer")
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def packet(first: int, body: bytes) -> bytes:
    """One control packet; ``first`` is type and flags. Raises ValueError if ``body`` is too long for any packet."""
    return bytes((first,)) + varint(len(body)) + body


_CUT = "the packet ends inside a field"


class Reader:
    """Reads the parts of one packet in their order; each method raises `Broken` where the bytes end too early."""

    __slots__ = ("at", "data", "end")

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self.data = data
        self.at = at
        self.end = end

    def _step(self, size: int) -> int:
        at = self.at
        self.at = at + size
        if self.at > self.end:
            raise Broken(_CUT)
        return at

    def byte(self) -> int:
        at = self.at
        if at >= self.end:
            raise Broken(_CUT)
        self.at = at + 1
        return self.data[at]

    def number(self, width: int) -> int:
        """An unsigned integer of ``width`` bytes."""
        at = self._step(width)
        return int.from_bytes(self.data[at : at + width], "big")

    def packet_id(self) -> int:
        """[MQTT-2.2.1-3], 3.1.1 [MQTT-2.3.1-1]: never 0."""
        number = self.number(2)
        if number == 0:
            raise Broken("packet id 0", reasons.PROTOCOL_ERROR)
        return number

    def varint(self) -> int:
        """[MQTT-1.5.5-1]: the shortest form, at most four bytes."""
        value = 0
        for shift in (0, 7, 14, 21):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if byte == 0 and shift:
                    raise Broken("a variable byte integer is not in its shortest form")
                return value
        raise Broken("a variable byte integer takes more than four bytes")

    def binary(self) -> bytes:
        """Binary data, or the raw bytes of a string: two bytes of length, then that many."""
        data, at = self.data, self.at + 2
        if at > self.end:
            raise Broken(_CUT)
        end = at + (data[at - 2] << 8 | data[at - 1])
        if end > self.end:
            raise Broken(_CUT)
        self.at = end
        return data[at:end]

    def part(self, size: int) -> Reader:
        """The next ``size`` bytes as a packet of their own."""
        at = self._step(size)
        return Reader(self.data, at, self.at)

    def rest(self) -> bytes:
        """All that is left."""
        at, self.at = self.at, self.end
        return self.data[at : self.end]

    @property
    def left(self) -> int:
        return self.end - self.at

    def done(self) -> None:
        """Nothing may follow."""
        if self.at != self.end:
            raise Broken(f"{self.end - self.at} bytes after the end of the packet's content")
