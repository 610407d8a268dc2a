"""Payloads of Sparkplug B (Eclipse Sparkplug 3.0.0, 6.4): strict decoder and encoder, and the topics.

    Payload     timestamp 1, metrics 2, seq 3, uuid 4, body 5
    Metric      name 1, alias 2, timestamp 3, datatype 4, is_historical 5, is_transient 6, is_null 7, metadata 8,
                properties 9, int 10, long 11, float 12, double 13, boolean 14, string 15, bytes 16, dataset 17 ...
    PropertySet keys 1, values 2;  PropertyValue  type 1, is_null 2, int 3, long 4, float 5, double 6, boolean 7,
                string 8

For every payload that `decode` gives, ``decode(encode(payload)) == payload``. DataSets, templates, nested property
sets, metadata and compressed bodies are not spoken here: a payload with one is refused as a whole, since a command that
is understood in part is not understood (protocols.md 3.3).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from proxy.uplink import protobuf
from proxy.uplink.datatypes import ARRAYS, SIGNED, TEXTS, UNSIGNED, D, DataType, Value, from_unsigned, pack, to_unsigned
from proxy.uplink.datatypes import unpack as unpack_array
from proxy.uplink.protobuf import FIXED32, FIXED64, LENGTH, VARINT, Broken

BDSEQ, REBIRTH = "bdSeq", "Node Control/Rebirth"
MOST_METRICS = 10_000
MOST_PROPERTIES = 64
_INT, _LONG, _FLOAT, _DOUBLE, _BOOLEAN, _STRING, _BYTES = 10, 11, 12, 13, 14, 15, 16
_OF_PROPERTY = 7
"""A value stands 7 numbers lower in a property than in a metric."""
_KINDS = {_INT: VARINT, _LONG: VARINT, _FLOAT: FIXED32, _DOUBLE: FIXED64, _BOOLEAN: VARINT} | {
    _STRING: LENGTH,
    _BYTES: LENGTH,
}

Property = tuple[str, DataType, Value | None]
"""Key, type, value; None is null."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """``what`` is printable and quotes nothing that was sent but numbers."""

    what: str


@dataclass(frozen=True, slots=True)
class Metric:
    """``name`` None: known by its alias since the birth. ``datatype`` None: known since the birth too. ``value`` None:
    null; else it fits ``datatype``, or is the bare member if that is None. ``timestamp`` in ms since 1970."""

    name: str | None
    datatype: DataType | None
    value: Value | None
    timestamp: int | None = None
    alias: int | None = None
    historical: bool = False
    transient: bool = False
    properties: tuple[Property, ...] = ()


@dataclass(frozen=True, slots=True)
class Payload:
    """``timestamp`` in ms since 1970. ``seq`` is None in NDEATH and in commands."""

    timestamp: int | None
    seq: int | None
    metrics: tuple[Metric, ...] = ()

    def metric(self, name: str) -> Metric | None:
        return next((metric for metric in self.metrics if metric.name == name), None)


def topic(group: str, message: str, edge: str, device: str | None = None) -> str:
    """``spBv1.0/group/DDATA/edge/device`` (4.1)."""
    return f"spBv1.0/{group}/{message}/{edge}" + ("" if device is None else f"/{device}")


def encode(payload: Payload) -> bytes:
    """Raises ValueError for a value that does not fit its type."""
    out = b"" if payload.timestamp is None else protobuf.number_field(1, payload.timestamp)
    out += b"".join(protobuf.bytes_field(2, _metric(metric)) for metric in payload.metrics)
    return out if payload.seq is None else out + protobuf.number_field(3, payload.seq)


def decode(data: bytes) -> Payload | Malformed:
    """Never raises because of the bytes."""
    try:
        return _payload(data)
    except Broken as broken:
        return Malformed(str(broken))


def _metric(metric: Metric) -> bytes:
    out = b"" if metric.name is None else protobuf.bytes_field(1, metric.name.encode())
    numbers = ((2, metric.alias), (3, metric.timestamp), (4, metric.datatype))
    out += b"".join(protobuf.number_field(number, value) for number, value in numbers if value is not None)
    flags = ((5, metric.historical), (6, metric.transient), (7, metric.value is None))
    out += b"".join(protobuf.number_field(number, 1) for number, on in flags if on)
    if metric.properties:
        out += protobuf.bytes_field(9, _properties(metric.properties))
    return out if metric.value is None else out + _value(metric.value, metric.datatype, 0)


def _properties(properties: Iterable[Property]) -> bytes:
    keys = values = b""
    for key, datatype, value in properties:
        keys += protobuf.bytes_field(1, key.encode())
        one = protobuf.number_field(1, datatype)
        one += protobuf.number_field(2, 1) if value is None else _value(value, datatype, _OF_PROPERTY)
        values += protobuf.bytes_field(2, one)
    return keys + values


def _value(value: Value, datatype: DataType | None, lower: int) -> bytes:
    """The value member, its number less ``lower``. Raises ValueError."""
    if datatype in ARRAYS and isinstance(value, tuple):
        return protobuf.bytes_field(_BYTES - lower, pack(value, datatype))
    if datatype in TEXTS and isinstance(value, str):
        return protobuf.bytes_field(_STRING - lower, value.encode())
    if datatype is D.Bytes and isinstance(value, bytes):
        return protobuf.bytes_field(_BYTES - lower, value)
    if datatype is D.Boolean and isinstance(value, bool):
        return protobuf.number_field(_BOOLEAN - lower, int(value))
    if datatype in (D.Float, D.Double) and isinstance(value, int | float):
        return _floating(value, datatype, lower)
    if (datatype in SIGNED or datatype in UNSIGNED) and isinstance(value, int):
        wide = datatype in (D.Int64, D.UInt64, D.DateTime)
        return protobuf.number_field((_LONG if wide else _INT) - lower, to_unsigned(value, datatype))
    raise ValueError(f"{type(value).__name__} does not fit {datatype.name if datatype else 'no type'}")


def _floating(value: float, datatype: DataType, lower: int) -> bytes:
    if datatype is D.Double:
        return protobuf.fixed_field(_DOUBLE - lower, struct.pack("<d", value))
    try:
        return protobuf.fixed_field(_FLOAT - lower, struct.pack("<f", value))
    except OverflowError:
        raise ValueError(f"{value} is no Float") from None


def _payload(data: bytes) -> Payload:
    once = _Once()
    metrics: list[Metric] = []
    for number, kind, value in protobuf.fields(data):
        if number == 2:
            if len(metrics) == MOST_METRICS:
                raise Broken(f"more than {MOST_METRICS} metrics")
            metrics.append(_read_metric(_block(kind, value)))
        elif number in (1, 3):
            once.put(number, _whole(kind, value))
        else:
            raise Broken(f"field {number} of a payload is not taken")
    return Payload(once.number(1), once.number(3), tuple(metrics))


class _Once:
    """Fields that may stand there once: others would take the last of two, or join them."""

    def __init__(self) -> None:
        self.found: dict[int, int | bytes] = {}

    def put(self, number: int, value: int | bytes) -> None:
        if number in self.found:
            raise Broken(f"field {number} twice")
        self.found[number] = value

    def number(self, number: int) -> int | None:
        value = self.found.get(number)
        return value if isinstance(value, int) else None

    def text(self, number: int) -> str | None:
        value = self.found.get(number)
        return _text(value) if isinstance(value, bytes) else None

    def flag(self, number: int) -> bool:
        value = self.found.get(number, 0)
        if value not in (0, 1):
            raise Broken(f"a Boolean of {value!r}")
        return bool(value)

    def member(self, lower: int) -> int | None:
        """Which value member there is, as numbered in a metric."""
        members = [number for number in _KINDS if number - lower in self.found]
        if len(members) > 1:
            raise Broken("several values in one metric")
        return members[0] if members else None


def _read_metric(data: bytes) -> Metric:
    once = _Once()
    properties: tuple[Property, ...] = ()
    for number, kind, value in protobuf.fields(data):
        once.put(number, value)
        if number in _KINDS:
            _expect(kind, _KINDS[number])
        elif number == 9:
            properties = _read_properties(_block(kind, value))
        elif number in (1, 2, 3, 4, 5, 6, 7):
            _expect(kind, LENGTH if number == 1 else VARINT)
        else:
            raise Broken(f"field {number} of a metric is not taken")
    datatype = _datatype(once.number(4))
    value_of = _member_value(once, datatype, 0)
    if once.flag(7) is (value_of is not None):
        raise Broken("a metric that is null with a value, or neither")
    name, alias, when = once.text(1), once.number(2), once.number(3)
    return Metric(name, datatype, value_of, when, alias, once.flag(5), once.flag(6), properties)


def _read_properties(data: bytes) -> tuple[Property, ...]:
    keys: list[str] = []
    values: list[tuple[DataType, Value | None]] = []
    for number, kind, value in protobuf.fields(data):
        if number == 1:
            keys.append(_text(_block(kind, value)))
        elif number == 2:
            values.append(_read_property(_block(kind, value)))
        else:
            raise Broken(f"field {number} of a property set")
        if max(len(keys), len(values)) > MOST_PROPERTIES:
            raise Broken(f"more than {MOST_PROPERTIES} properties")
    if len(keys) != len(values) or len(set(keys)) < len(keys):
        raise Broken("keys and values of a property set do not go together")
    return tuple((key, *value) for key, value in zip(keys, values, strict=True))


def _read_property(data: bytes) -> tuple[DataType, Value | None]:
    once = _Once()
    for number, kind, value in protobuf.fields(data):
        once.put(number, value)
        wanted = VARINT if number in (1, 2) else _KINDS.get(number + _OF_PROPERTY)
        if wanted is None or number + _OF_PROPERTY == _BYTES:
            raise Broken(f"field {number} of a property is not taken")
        _expect(kind, wanted)
    datatype = _datatype(once.number(1))
    if datatype is None:
        raise Broken("a property without a type")
    found = _member_value(once, datatype, _OF_PROPERTY)
    if once.flag(2) is (found is not None):
        raise Broken("a property that is null with a value, or neither")
    return datatype, found


def _datatype(number: int | None) -> DataType | None:
    if number is None:
        return None
    try:
        return DataType(number)
    except ValueError:
        raise Broken(f"data type {number} is not taken") from None


def _member_value(once: _Once, datatype: DataType | None, lower: int) -> Value | None:
    member = once.member(lower)
    if member is None:
        return None
    raw = once.found[member - lower]
    if isinstance(raw, int):
        return _from_number(raw, member, datatype)
    if member in (_FLOAT, _DOUBLE):
        _fits(datatype, (D.Float,) if member == _FLOAT else (D.Double,))
        found: float = struct.unpack("<f" if member == _FLOAT else "<d", raw)[0]
        return found
    if member == _STRING:
        _fits(datatype, TEXTS)
        return _text(raw)
    _fits(datatype, (*ARRAYS, D.Bytes))
    return raw if datatype in (None, D.Bytes) else unpack_array(raw, datatype)


def _from_number(raw: int, member: int, datatype: DataType | None) -> Value:
    if member == _BOOLEAN:
        _fits(datatype, (D.Boolean,))
        if raw > 1:
            raise Broken(f"a Boolean of {raw}")
        return bool(raw)
    if member == _INT and raw >= 1 << 32:
        raise Broken(f"an int_value of {raw}")
    if datatype is None:
        return raw
    wide = (D.Int64, D.UInt64, D.DateTime)
    narrow = tuple(one for one in (*SIGNED, *UNSIGNED) if one not in wide)
    # Implementations differ about UInt32: both members are read.
    _fits(datatype, narrow if member == _INT else (*wide, D.UInt32))
    return from_unsigned(raw, datatype)


def _fits(datatype: DataType | None, among: Iterable[DataType]) -> None:
    if datatype is not None and datatype not in among:
        raise Broken(f"a value that is no {datatype.name}")


def _expect(kind: int, wanted: int) -> None:
    if kind != wanted:
        raise Broken(f"wire type {kind} instead of {wanted}")


def _block(kind: int, value: int | bytes) -> bytes:
    if kind != LENGTH or isinstance(value, int):
        raise Broken(f"wire type {kind} instead of {LENGTH}")
    return value


def _whole(kind: int, value: int | bytes) -> int:
    if kind != VARINT or not isinstance(value, int):
        raise Broken(f"wire type {kind} instead of {VARINT}")
    return value


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Broken("a string is not UTF-8") from None
