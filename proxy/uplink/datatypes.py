"""Data types of Sparkplug B (3.0.0, 6.4.16) and how a value of each lies in a metric.

Signed numbers are two's complement inside the unsigned ``int_value`` and ``long_value``; arrays are bytes, packed
little endian, those of Booleans in bits behind their count, those of strings each with a 0 behind it (6.4.16.3).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from enum import IntEnum

from proxy.uplink.protobuf import Broken

Scalar = bool | int | float | str | bytes
Value = Scalar | tuple[Scalar, ...]


class DataType(IntEnum):
    """``name`` as in the specification."""

    Int8 = 1
    Int16 = 2
    Int32 = 3
    Int64 = 4
    UInt8 = 5
    UInt16 = 6
    UInt32 = 7
    UInt64 = 8
    Float = 9
    Double = 10
    Boolean = 11
    String = 12
    DateTime = 13
    Text = 14
    UUID = 15
    Bytes = 17
    Int8Array = 22
    Int16Array = 23
    Int32Array = 24
    Int64Array = 25
    UInt8Array = 26
    UInt16Array = 27
    UInt32Array = 28
    UInt64Array = 29
    FloatArray = 30
    DoubleArray = 31
    BooleanArray = 32
    StringArray = 33
    DateTimeArray = 34


D = DataType

SIGNED = {D.Int8: 8, D.Int16: 16, D.Int32: 32, D.Int64: 64}
UNSIGNED = {D.UInt8: 8, D.UInt16: 16, D.UInt32: 32, D.UInt64: 64, D.DateTime: 64}
TEXTS = frozenset({D.String, D.Text, D.UUID})
_PACKED = {
    D.Int8Array: "b",
    D.Int16Array: "h",
    D.Int32Array: "i",
    D.Int64Array: "q",
    D.UInt8Array: "B",
    D.UInt16Array: "H",
    D.UInt32Array: "I",
    D.UInt64Array: "Q",
    D.FloatArray: "f",
    D.DoubleArray: "d",
    D.DateTimeArray: "Q",
}
ARRAYS = frozenset({*_PACKED, D.BooleanArray, D.StringArray})


def to_unsigned(value: int, datatype: DataType) -> int:
    """As it lies in ``int_value`` or ``long_value``. Raises ValueError for a number that the type has not."""
    bits = SIGNED.get(datatype)
    if bits is None:
        if not 0 <= value < 1 << UNSIGNED[datatype]:
            raise ValueError(f"{value} is no {datatype.name}")
        return value
    if not -(1 << bits - 1) <= value < 1 << bits - 1:
        raise ValueError(f"{value} is no {datatype.name}")
    return value & (1 << (64 if bits == 64 else 32)) - 1


def from_unsigned(value: int, datatype: DataType) -> int:
    """The number meant. Small signed types may be sent in their own width or stretched to 32 bits. Raises Broken."""
    bits = SIGNED.get(datatype)
    if bits is None:
        if value >= 1 << UNSIGNED[datatype]:
            raise Broken(f"{value} is no {datatype.name}")
        return value
    half = 1 << bits - 1
    if value < half:
        return value
    width = 64 if bits == 64 else 32
    for stretched in (bits, width):
        if (1 << stretched) - half <= value < 1 << stretched:
            return value - (1 << stretched)
    raise Broken(f"{value} is no {datatype.name}")


def pack(values: Sequence[Scalar], datatype: DataType) -> bytes:
    """Raises ValueError for a value that the array cannot hold."""
    if datatype is D.BooleanArray:
        bits = bytearray((len(values) + 7) // 8)
        for at, value in enumerate(values):
            bits[at >> 3] |= bool(value) << 7 - (at & 7)
        return struct.pack("<I", len(values)) + bytes(bits)
    if datatype is D.StringArray:
        texts = [value for value in values if isinstance(value, str)]
        if len(texts) < len(values) or any("\0" in text for text in texts):
            raise ValueError("an array of strings holds something else, or a string with a 0 in it")
        return b"".join(text.encode() + b"\0" for text in texts)
    try:
        return struct.pack(f"<{len(values)}{_PACKED[datatype]}", *values)
    except struct.error as fault:
        raise ValueError(f"no {datatype.name}: {fault}") from None


def unpack(data: bytes, datatype: DataType) -> tuple[Scalar, ...]:
    """Raises Broken."""
    special: dict[DataType, Callable[[bytes], tuple[Scalar, ...]]] = {
        D.BooleanArray: _unpack_bits,
        D.StringArray: _unpack_texts,
    }
    if datatype in special:
        return special[datatype](data)
    code = _PACKED[datatype]
    size = struct.calcsize(f"<{code}")
    if len(data) % size:
        raise Broken(f"{len(data)} bytes are no {datatype.name}")
    return struct.unpack(f"<{len(data) // size}{code}", data)


def _unpack_bits(data: bytes) -> tuple[Scalar, ...]:
    if len(data) < 4:
        raise Broken("an array of Booleans without its count")
    (count,) = struct.unpack_from("<I", data)
    bits = data[4:]
    if len(bits) != (count + 7) // 8 or (count & 7 and bits[-1] & (1 << 8 - (count & 7)) - 1):
        raise Broken("an array of Booleans that does not fit its count")
    return tuple(bool(bits[at >> 3] >> 7 - (at & 7) & 1) for at in range(count))


def _unpack_texts(data: bytes) -> tuple[Scalar, ...]:
    if data and data[-1]:
        raise Broken("an array of strings that does not end")
    try:
        return tuple(part.decode() for part in data.split(b"\0")[:-1])
    except UnicodeDecodeError:
        raise Broken("a string is not UTF-8") from None
