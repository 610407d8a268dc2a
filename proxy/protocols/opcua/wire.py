"""Primitive types of the OPC UA binary encoding (Part 6, 5.2.2): little endian, lengths as Int32, -1 for null.

Nothing here is allocated before the bytes for it are there: a length or an array count is held against what is left of
the message first (protocols.md 4.1; T42, CVE-2023-26151).
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from proxy.protocols.opcua import status

DEPTH = 16
"""Levels of Variant, DataValue, DiagnosticInfo and ExtensionObject inside each other (protocols.md 4.1)."""
ELEMENTS = 65_536
"""Array elements of one message, those of arrays inside arrays included, unless the caller of `decode` says less."""
CUT = "the message ends inside a field"

U16, U32 = Struct("<H"), Struct("<I")
I32, I64 = Struct("<i"), Struct("<q")
F64 = Struct("<d")

EPOCH = 116_444_736_000_000_000
"""1970-01-01 as a DateTime."""

_Bytes = bytes


@dataclass(frozen=True, slots=True)
class Malformed:
    """Bytes that are no legal message. Never forwarded.

    ``why`` is for people: printable ASCII, at most 120 characters, no text of the peer. ``status`` is the StatusCode
    for the answer: Bad_DecodingError, Bad_EncodingLimitsExceeded (nesting), Bad_TooManyOperations (array elements).
    """

    why: str
    status: int = status.BAD_DECODING_ERROR


def date_time(wall: float) -> int:
    """A DateTime of seconds since 1970: 100 ns since 1601-01-01 UTC (Part 6, 5.2.2.5)."""
    return round(wall * 10_000_000) + EPOCH


class Broken(Exception):
    """Ends the decoding of one message. Raised by readers and skips, never leaves the functions of `decode`."""

    def __init__(self, why: str, code: int = status.BAD_DECODING_ERROR) -> None:
        super().__init__(why)
        self.fault = Malformed(why, code)


class Walk:
    """What the skips of one message share; without one they are those of a server's answer, of any length.

    ``strict``: as in `Reader`. ``elements``: how many more array elements may be passed over one by one, those in
    values included, so that a message of a megabyte costs no more time than one that fits (T42).
    """

    __slots__ = ("elements", "strict")

    def __init__(self, strict: bool, elements: int = ELEMENTS) -> None:
        self.strict = strict
        self.elements = elements

    def take(self, count: int) -> None:
        self.elements -= count
        if self.elements < 0:
            raise Broken("too many array elements", status.BAD_TOO_MANY_OPERATIONS)


class Reader:
    """Reads the fields of one message in their order; each method raises `Broken` where the bytes do not fit.

    ``strict`` is for what clients send: a Boolean is 0 or 1 and no string holds U+0000 (Part 6, 5.2.2.4 lets decoders
    cut there, and a guard must not see another name than the server). A server's answer is kept as sent.
    """

    __slots__ = ("at", "data", "depth", "elements", "end", "strict", "walk")

    def __init__(
        self, data: bytes, at: int = 0, end: int | None = None, *,
        depth: int = 0, strict: bool = True, elements: int = ELEMENTS,
    ) -> None:  # fmt: skip
        self.data = data
        self.at = at
        self.end = len(data) if end is None else end
        self.depth = depth
        self.strict = strict
        self.elements = elements
        self.walk = Walk(strict)

    def _step(self, size: int) -> int:
        at = self.at
        self.at = at + size
        if self.at > self.end:
            raise Broken(CUT)
        return at

    def u8(self) -> int:
        return self.data[self._step(1)]

    def u16(self) -> int:
        value: int = U16.unpack_from(self.data, self._step(2))[0]
        return value

    def u32(self) -> int:
        at = self.at
        self.at = end = at + 4
        if end > self.end:
            raise Broken(CUT)
        value: int = U32.unpack_from(self.data, at)[0]
        return value

    def i32(self) -> int:
        value: int = I32.unpack_from(self.data, self._step(4))[0]
        return value

    def i64(self) -> int:
        value: int = I64.unpack_from(self.data, self._step(8))[0]
        return value

    time = i64
    """DateTime: 100 ns since 1601-01-01 UTC, as sent."""

    def f64(self) -> float:
        value: float = F64.unpack_from(self.data, self._step(8))[0]
        return value

    def boolean(self) -> int:
        """0 or 1; in a server's answer also any other byte, as sent."""
        value = self.data[self._step(1)]
        if value > 1 and self.strict:
            raise Broken("a Boolean other than 0 or 1")
        return value == 1 if value < 2 else value

    def guid(self) -> bytes:
        """16 bytes in the order of the wire."""
        at = self._step(16)
        return self.data[at : at + 16]

    def byte_string(self) -> bytes | None:
        data, at = self.data, self.at + 4
        if at > self.end:
            raise Broken(CUT)
        size: int = I32.unpack_from(data, at - 4)[0]
        if size < 0:
            if size != -1:
                raise Broken("a length below -1")
            self.at = at
            return None
        end = at + size
        if end > self.end:
            raise Broken("a length beyond the end of the message")
        self.at = end
        return data[at:end]

    def string(self) -> str | None:
        raw = self.byte_string()
        if raw is None:
            return None
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            raise Broken("a string is not well-formed UTF-8") from None
        if self.strict and "\0" in text:
            raise Broken("a string contains U+0000")
        return text

    def count(self, least: int) -> int | None:
        """The length of an array whose elements take ``least`` bytes or more; None for a null array."""
        count = self.i32()
        if count < 0:
            if count != -1:
                raise Broken("an array length below -1")
            return None
        if count * least > self.end - self.at:
            raise Broken("an array length beyond the end of the message")
        self.elements -= count
        if self.elements < 0:
            raise Broken("too many array elements", status.BAD_TOO_MANY_OPERATIONS)
        return count

    def done(self) -> None:
        """Nothing may follow."""
        if self.at != self.end:
            raise Broken("bytes after the end of the message")


class Writer:
    """Writes fields in their order. Raises struct.error or OverflowError for values that have no encoding."""

    __slots__ = ("data",)

    def __init__(self) -> None:
        self.data = bytearray()

    def bytes(self) -> _Bytes:
        return bytes(self.data)

    def raw(self, data: _Bytes) -> None:
        """Bytes that are encoded already."""
        self.data += data

    def u8(self, value: int) -> None:
        self.data.append(value)

    boolean = u8

    def u16(self, value: int) -> None:
        self.data += U16.pack(value)

    def u32(self, value: int) -> None:
        self.data += U32.pack(value)

    def i32(self, value: int) -> None:
        self.data += I32.pack(value)

    def i64(self, value: int) -> None:
        self.data += I64.pack(value)

    time = i64

    def f64(self, value: float) -> None:
        self.data += F64.pack(value)

    def byte_string(self, value: _Bytes | None) -> None:
        if value is None:
            self.data += b"\xff\xff\xff\xff"
        else:
            self.data += I32.pack(len(value))
            self.data += value

    def string(self, value: str | None) -> None:
        self.byte_string(None if value is None else value.encode())
