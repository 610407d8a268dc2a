"""As much of Sparkplug B as one edge needs: its topics, its payload (protobuf by hand), its counters.

Field numbers are those of the specification's payload chapter (Eclipse Sparkplug 3.0, 6.4): Payload {timestamp 1,
metrics 2, seq 3}; Metric {name 1, alias 2, timestamp 3, datatype 4, int 10, long 11, float 12, double 13, boolean 14,
string 15}. Nothing negative is written here: it would need its two's complement.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

INT64, UINT64, DOUBLE, BOOLEAN = 4, 8, 10, 11
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_LONG_VALUE, _DOUBLE_VALUE, _BOOLEAN_VALUE = 11, 13, 14
BDSEQ, REBIRTH = "bdSeq", "Node Control/Rebirth"


@dataclass(frozen=True, slots=True)
class Metric:
    """``name`` None: known by its alias since the birth. ``value`` fits ``datatype``."""

    datatype: int
    value: float | bool
    name: str | None = None
    alias: int | None = None


@dataclass(frozen=True, slots=True)
class Payload:
    """``timestamp`` in milliseconds since 1970; ``seq`` None in NDEATH and in commands."""

    timestamp: int
    seq: int | None
    metrics: tuple[Metric, ...] = field(default=())

    def metric(self, name: str) -> Metric | None:
        return next((metric for metric in self.metrics if metric.name == name), None)


def topic(group: str, message: str, edge: str) -> str:
    return f"spBv1.0/{group}/{message}/{edge}"


def encode(payload: Payload) -> bytes:
    out = _field(1, VARINT, _varint(payload.timestamp))
    for metric in payload.metrics:
        out += _bytes(2, _metric(metric, payload.timestamp))
    return out if payload.seq is None else out + _field(3, VARINT, _varint(payload.seq))


def decode(data: bytes) -> Payload:
    """Raises ValueError for what is no payload. Fields that nothing here uses are passed over."""
    timestamp, seq, metrics = 0, None, []
    for number, value in _fields(data):
        if number == 1 and isinstance(value, int):
            timestamp = value
        elif number == 2 and isinstance(value, bytes):
            metrics.append(_read_metric(value))
        elif number == 3 and isinstance(value, int):
            seq = value
    return Payload(timestamp, seq, tuple(metrics))


def _metric(metric: Metric, timestamp: int) -> bytes:
    out = b"" if metric.name is None else _bytes(1, metric.name.encode())
    if metric.alias is not None:
        out += _field(2, VARINT, _varint(metric.alias))
    out += _field(3, VARINT, _varint(timestamp)) + _field(4, VARINT, _varint(metric.datatype))
    if metric.datatype == DOUBLE:
        return out + _field(_DOUBLE_VALUE, FIXED64, struct.pack("<d", metric.value))
    which = _BOOLEAN_VALUE if metric.datatype == BOOLEAN else _LONG_VALUE
    return out + _field(which, VARINT, _varint(int(metric.value)))


def _read_metric(data: bytes) -> Metric:
    found = dict(_fields(data))
    name, alias, datatype = found.get(1), found.get(2), found.get(4, 0)
    value = found.get(_LONG_VALUE, found.get(_BOOLEAN_VALUE, 0))
    double = found.get(_DOUBLE_VALUE)
    if isinstance(double, bytes):
        value = struct.unpack("<d", double)[0]
    if not isinstance(datatype, int) or isinstance(value, bytes) or isinstance(alias, bytes):
        raise ValueError("a field of the wrong kind")
    return Metric(datatype, value, name.decode() if isinstance(name, bytes) else None, alias)


def _field(number: int, kind: int, value: bytes) -> bytes:
    return _varint(number << 3 | kind) + value


def _bytes(number: int, value: bytes) -> bytes:
    return _field(number, LENGTH, _varint(len(value)) + value)


def _varint(value: int) -> bytes:
    if value < 0:
        raise ValueError(f"{value} is negative")
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ValueError("a number that does not end")


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        kind = tag & 7
        if kind == VARINT:
            value, at = _read_varint(data, at)
            yield tag >> 3, value
            continue
        if kind not in (LENGTH, FIXED64, FIXED32):
            raise ValueError(f"wire type {kind}")
        size = 8 if kind == FIXED64 else 4
        if kind == LENGTH:
            size, at = _read_varint(data, at)
        if at + size > len(data):
            raise ValueError("a field longer than its message")
        yield tag >> 3, data[at : at + size]
        at += size


class Counters:
    """An edge's two: ``bdseq`` counts its connections, ``seq`` its messages since the birth, both modulo 256."""

    def __init__(self) -> None:
        self.bdseq = -1
        self._seq = 0

    def connecting(self) -> int:
        """The number of the coming connection: the same in the NDEATH that is its Will and in its births."""
        self.bdseq = (self.bdseq + 1) % 256
        return self.bdseq

    def birth(self) -> int:
        self._seq = 0
        return 0

    def data(self) -> int:
        self._seq = (self._seq + 1) % 256
        return self._seq
