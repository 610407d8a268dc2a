"""Values of OPC UA in the data types of Sparkplug B."""

from __future__ import annotations

import struct
import uuid
from typing import TYPE_CHECKING

from proxy.protocols.opcua.wire import Broken, Reader
from proxy.uplink.datatypes import D, DataType, Value
from proxy.uplink.sample import milliseconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.uplink.datatypes import Scalar

Told = tuple[DataType, Value | None]
"""Type and value; None is null."""

MOST = 65_536
"""Elements of one array that are published."""
_ARRAY, _DIMENSIONS = 0x80, 0x40
_NUMBERS: dict[int, tuple[str, DataType, DataType]] = {
    1: ("?", D.Boolean, D.BooleanArray),
    2: ("b", D.Int8, D.Int8Array),
    3: ("B", D.UInt8, D.UInt8Array),
    4: ("h", D.Int16, D.Int16Array),
    5: ("H", D.UInt16, D.UInt16Array),
    6: ("i", D.Int32, D.Int32Array),
    7: ("I", D.UInt32, D.UInt32Array),
    8: ("q", D.Int64, D.Int64Array),
    9: ("Q", D.UInt64, D.UInt64Array),
    10: ("f", D.Float, D.FloatArray),
    11: ("d", D.Double, D.DoubleArray),
    19: ("I", D.UInt32, D.UInt32Array),
}
"""Built-in types (Part 6, table 1) of one width; 19 is StatusCode."""


def told(raw: bytes) -> Told | None:
    """Of a whole Variant as on the wire. None: it holds nothing, or what has no place in Sparkplug B (structures,
    node ids, arrays of several dimensions). Never raises because of the bytes."""
    try:
        return _told(Reader(raw, strict=False))
    except (Broken, struct.error):
        return None


def _told(reader: Reader) -> Told | None:
    head = reader.u8()
    kind, array = head & 0x3F, bool(head & _ARRAY)
    if head & _DIMENSIONS:
        return None
    if kind in _NUMBERS:
        return _numbers(reader, kind, array)
    if kind not in _READERS:
        return None
    scalar, several, read = _READERS[kind]
    if not array:
        return scalar, read(reader)
    if several is None:
        return None
    count = reader.count(4)
    values: list[Scalar] = []
    for _ in range(min(count or 0, MOST)):
        value = read(reader)
        values.append("" if value is None else value)
    fits = count is not None and not any(isinstance(value, str) and "\0" in value for value in values)
    return several, tuple(values) if fits else None


def _numbers(reader: Reader, kind: int, array: bool) -> Told:
    code, scalar, several = _NUMBERS[kind]
    size = struct.calcsize(f"<{code}")
    if not array:
        (value,) = struct.unpack_from(f"<{code}", reader.data, reader.at)
        return scalar, value
    count = reader.count(size)
    if count is None:
        return several, None
    return several, struct.unpack_from(f"<{min(count, MOST)}{code}", reader.data, reader.at)


def _text(reader: Reader) -> str | None:
    return reader.string()


def _time(reader: Reader) -> int:
    return milliseconds(reader.time())


def _guid(reader: Reader) -> str:
    return str(uuid.UUID(bytes_le=reader.guid()))


def _qualified(reader: Reader) -> str | None:
    reader.u16()
    return reader.string()


def _localized(reader: Reader) -> str | None:
    mask = reader.u8()
    if mask & 1:
        reader.string()
    return reader.string() if mask & 2 else ""


_READERS: dict[int, tuple[DataType, DataType | None, Callable[[Reader], Scalar | None]]] = {
    12: (D.String, D.StringArray, _text),
    13: (D.DateTime, D.DateTimeArray, _time),
    14: (D.UUID, None, _guid),
    15: (D.Bytes, None, Reader.byte_string),
    16: (D.Text, None, _text),
    20: (D.String, D.StringArray, _qualified),
    21: (D.Text, D.StringArray, _localized),
}
