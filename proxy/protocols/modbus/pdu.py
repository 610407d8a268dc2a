"""Requests of the Modbus application protocol (V1.1b3), exact shapes only.

`decode` has three outcomes besides a request: `Malformed` (the length does not fit the function: the link ends),
`Wrong` (right shape, impossible content: an exception answers it) and `Unknown` (function not in the table).
For every request ``decode(data).encode() == data``: what leaves us is what was judged (threats.md 5.2).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

READ_TABLES = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
PROGRAM = frozenset({40, 42, 90, 125, 126})
"""Known to load programs or control the CPU (90 is UMAS). Refused unless a rule names the number."""
VENDOR = frozenset({*range(65, 73), *range(100, 111)})
"""User-defined function codes (V1.1b3, 4.1). Refused unless a rule names the number."""

ILLEGAL_FUNCTION = 0x01
ILLEGAL_ADDRESS = 0x02
ILLEGAL_VALUE = 0x03
SERVER_BUSY = 0x06
NO_PATH = 0x0A
NO_ANSWER = 0x0B

DIAGNOSE = frozenset({0, 2, *range(11, 19)})
"""Sub-functions of FC 8 that only report."""
CONTROL = frozenset({1, 3, 4, 10, 20})
"""Sub-functions of FC 8 that change the device: restart, delimiter, listen only, clear counters."""
LISTEN_ONLY = 4


@dataclass(frozen=True, slots=True)
class Malformed:
    """The length does not fit the function. Never forwarded, never answered."""

    what: str


@dataclass(frozen=True, slots=True)
class Wrong:
    """Well-formed but impossible; answered by exception ``code``."""

    code: int
    what: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A function (or sub-function) that is not in the allow-list. Answered by exception 01 (T27)."""

    what: str


@dataclass(frozen=True, slots=True)
class Read:
    """FC 1..4."""

    function: int
    start: int
    quantity: int

    def encode(self) -> bytes:
        return struct.pack(">BHH", self.function, self.start, self.quantity)


@dataclass(frozen=True, slots=True)
class WriteOne:
    """FC 5 (``value`` 0x0000 or 0xFF00) and FC 6."""

    function: int
    address: int
    value: int

    def encode(self) -> bytes:
        return struct.pack(">BHH", self.function, self.address, self.value)


@dataclass(frozen=True, slots=True)
class WriteCoils:
    """FC 15; ``bits`` has one entry per coil."""

    start: int
    bits: tuple[int, ...]

    def encode(self) -> bytes:
        packed = bytearray((len(self.bits) + 7) // 8)
        for at, bit in enumerate(self.bits):
            packed[at >> 3] |= bit << (at & 7)
        return struct.pack(">BHHB", 15, self.start, len(self.bits), len(packed)) + packed


@dataclass(frozen=True, slots=True)
class WriteRegisters:
    """FC 16."""

    start: int
    values: tuple[int, ...]

    def encode(self) -> bytes:
        count = len(self.values)
        return struct.pack(f">BHHB{count}H", 16, self.start, count, 2 * count, *self.values)


@dataclass(frozen=True, slots=True)
class MaskWrite:
    """FC 22: (current AND and_mask) OR (or_mask AND NOT and_mask)."""

    address: int
    and_mask: int
    or_mask: int

    def encode(self) -> bytes:
        return struct.pack(">BHHH", 22, self.address, self.and_mask, self.or_mask)


@dataclass(frozen=True, slots=True)
class ReadWrite:
    """FC 23: the device writes first, then reads."""

    read_start: int
    read_quantity: int
    write_start: int
    values: tuple[int, ...]

    def encode(self) -> bytes:
        count = len(self.values)
        head = (23, self.read_start, self.read_quantity, self.write_start, count, 2 * count)
        return struct.pack(f">BHHHHB{count}H", *head, *self.values)


@dataclass(frozen=True, slots=True)
class ReadFifo:
    """FC 24."""

    pointer: int

    def encode(self) -> bytes:
        return struct.pack(">BH", 24, self.pointer)


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One sub-request of FC 20 or 21: ``count`` registers from ``record`` of ``file``; values only for FC 21."""

    file: int
    record: int
    count: int
    values: tuple[int, ...] = ()

    def encode(self) -> bytes:
        head = (6, self.file, self.record, self.count)
        return struct.pack(f">BHHH{len(self.values)}H", *head, *self.values)


@dataclass(frozen=True, slots=True)
class ReadFile:
    """FC 20."""

    records: tuple[FileRecord, ...]

    def encode(self) -> bytes:
        body = b"".join(record.encode() for record in self.records)
        return bytes((20, len(body))) + body


@dataclass(frozen=True, slots=True)
class WriteFile:
    """FC 21."""

    records: tuple[FileRecord, ...]

    def encode(self) -> bytes:
        body = b"".join(record.encode() for record in self.records)
        return bytes((21, len(body))) + body


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """FC 8. ``data`` is two bytes, for sub-function 0 any even number from 2."""

    sub: int
    data: bytes

    def encode(self) -> bytes:
        return struct.pack(">BH", 8, self.sub) + self.data


@dataclass(frozen=True, slots=True)
class Bare:
    """FC 7, 11, 12 and 17: the function code alone."""

    function: int

    def encode(self) -> bytes:
        return bytes((self.function,))


@dataclass(frozen=True, slots=True)
class DeviceId:
    """FC 43 / MEI 14. ``code`` 1 basic, 2 regular, 3 extended, 4 one object."""

    code: int
    object_id: int

    def encode(self) -> bytes:
        return bytes((43, 14, self.code, self.object_id))


@dataclass(frozen=True, slots=True)
class Opaque:
    """A program or vendor function: the body cannot be looked into, so a rule names the function as a whole."""

    function: int
    body: bytes

    def encode(self) -> bytes:
        return bytes((self.function,)) + self.body


Request = (
    Read
    | WriteOne
    | WriteCoils
    | WriteRegisters
    | MaskWrite
    | ReadWrite
    | ReadFifo
    | ReadFile
    | WriteFile
    | Diagnostics
    | Bare
    | DeviceId
    | Opaque
)
Outcome = Request | Malformed | Wrong | Unknown


def decode(pdu: bytes) -> Outcome:
    """Judges the shape of one request PDU (1..253 bytes, the function code first)."""
    function = pdu[0]
    if function == 0 or function >= 0x80:
        return Malformed(f"function {function} cannot be a request")
    decoder = _DECODERS.get(function)
    if decoder is not None:
        return decoder(pdu)
    if function in PROGRAM or function in VENDOR:
        return Opaque(function, pdu[1:])
    return Unknown(f"function {function}")


def _length(pdu: bytes, expected: int) -> Malformed | None:
    if len(pdu) == expected:
        return None
    return Malformed(f"function {pdu[0]}: {len(pdu)} bytes where {expected} belong")


def _quantity(quantity: int, most: int) -> Wrong | None:
    if 1 <= quantity <= most:
        return None
    return Wrong(ILLEGAL_VALUE, f"quantity {quantity} is outside 1..{most}")


def _end(start: int, quantity: int) -> Wrong | None:
    """Judged after quantity and byte count, as in the state diagrams of V1.1b3, 6.1 to 6.17."""
    if start + quantity <= 65536:
        return None
    return Wrong(ILLEGAL_ADDRESS, f"address {start} + {quantity} runs past 65535")


def _read(pdu: bytes) -> Outcome:
    if fault := _length(pdu, 5):
        return fault
    function, start, quantity = struct.unpack(">BHH", pdu)
    most = 2000 if function <= 2 else 125
    return _quantity(quantity, most) or _end(start, quantity) or Read(function, start, quantity)


def _write_one(pdu: bytes) -> Outcome:
    if fault := _length(pdu, 5):
        return fault
    function, address, value = struct.unpack(">BHH", pdu)
    if function == 5 and value not in (0x0000, 0xFF00):
        return Wrong(ILLEGAL_VALUE, f"coil value 0x{value:04X} is neither 0x0000 nor 0xFF00")
    return WriteOne(function, address, value)


def _write_coils(pdu: bytes) -> Outcome:
    if len(pdu) < 6 or len(pdu) != 6 + pdu[5]:
        return Malformed(f"function 15: {len(pdu)} bytes do not fit its byte count")
    start, quantity = struct.unpack_from(">HH", pdu, 1)
    if fault := _quantity(quantity, 1968):
        return fault
    packed = pdu[6:]
    if len(packed) != (quantity + 7) // 8:
        return Wrong(ILLEGAL_VALUE, f"byte count {len(packed)} does not fit {quantity} coils")
    if packed[-1] >> ((quantity - 1) % 8 + 1):
        return Wrong(ILLEGAL_VALUE, "padding bits are set")
    if fault := _end(start, quantity):
        return fault
    return WriteCoils(start, tuple(packed[at >> 3] >> (at & 7) & 1 for at in range(quantity)))


def _write_registers(pdu: bytes) -> Outcome:
    if len(pdu) < 6 or len(pdu) != 6 + pdu[5]:
        return Malformed(f"function 16: {len(pdu)} bytes do not fit its byte count")
    start, quantity = struct.unpack_from(">HH", pdu, 1)
    if fault := _quantity(quantity, 123):
        return fault
    if pdu[5] != 2 * quantity:
        return Wrong(ILLEGAL_VALUE, f"byte count {pdu[5]} does not fit {quantity} registers")
    if fault := _end(start, quantity):
        return fault
    return WriteRegisters(start, struct.unpack_from(f">{quantity}H", pdu, 6))


def _mask_write(pdu: bytes) -> Outcome:
    return _length(pdu, 7) or MaskWrite(*struct.unpack_from(">HHH", pdu, 1))


def _read_write(pdu: bytes) -> Outcome:
    if len(pdu) < 10 or len(pdu) != 10 + pdu[9]:
        return Malformed(f"function 23: {len(pdu)} bytes do not fit its byte count")
    read_start, read_quantity, write_start, write_quantity, count = struct.unpack_from(">HHHHB", pdu, 1)
    if fault := _quantity(read_quantity, 125) or _quantity(write_quantity, 121):
        return fault
    if count != 2 * write_quantity:
        return Wrong(ILLEGAL_VALUE, f"byte count {count} does not fit {write_quantity} registers")
    if fault := _end(read_start, read_quantity) or _end(write_start, write_quantity):
        return fault
    return ReadWrite(read_start, read_quantity, write_start, struct.unpack_from(f">{write_quantity}H", pdu, 10))


def _read_fifo(pdu: bytes) -> Outcome:
    return _length(pdu, 3) or ReadFifo(pdu[1] << 8 | pdu[2])


def _file_fault(file: int, record: int, count: int, kind: int) -> Wrong | None:
    if kind != 6:
        return Wrong(ILLEGAL_ADDRESS, f"reference type {kind} is not 6")
    if file == 0 or record > 9999 or record + count > 10000:
        return Wrong(ILLEGAL_ADDRESS, f"file {file} record {record} + {count} does not exist")
    if count == 0:
        return Wrong(ILLEGAL_VALUE, "record length 0")
    return None


def _read_file(pdu: bytes) -> Outcome:
    if len(pdu) < 2 or len(pdu) != 2 + pdu[1]:
        return Malformed(f"function 20: {len(pdu)} bytes do not fit its byte count")
    if not 7 <= pdu[1] <= 245 or pdu[1] % 7:
        return Wrong(ILLEGAL_VALUE, f"byte count {pdu[1]} is not a multiple of 7 within 7..245")
    records = []
    for kind, file, record, count in struct.iter_unpack(">BHHH", pdu[2:]):
        if fault := _file_fault(file, record, count, kind):
            return fault
        records.append(FileRecord(file, record, count))
    answer = sum(2 + 2 * record.count for record in records)
    if answer > 245:
        return Wrong(ILLEGAL_VALUE, f"the answer would need {answer} bytes, more than 245")
    return ReadFile(tuple(records))


def _write_file(pdu: bytes) -> Outcome:
    if len(pdu) < 2 or len(pdu) != 2 + pdu[1]:
        return Malformed(f"function 21: {len(pdu)} bytes do not fit its byte count")
    if not 9 <= pdu[1] <= 251:
        return Wrong(ILLEGAL_VALUE, f"byte count {pdu[1]} is outside 9..251")
    records = []
    at = 2
    while at < len(pdu):
        if len(pdu) - at < 7:
            return Malformed("function 21: the last sub-request is cut off")
        kind, file, record, count = struct.unpack_from(">BHHH", pdu, at)
        if fault := _file_fault(file, record, count, kind):
            return fault
        at += 7
        if len(pdu) - at < 2 * count:
            return Malformed("function 21: a sub-request claims more data than there is")
        records.append(FileRecord(file, record, count, struct.unpack_from(f">{count}H", pdu, at)))
        at += 2 * count
    return WriteFile(tuple(records))


def _diagnostics(pdu: bytes) -> Outcome:
    if len(pdu) < 5 or len(pdu) % 2 == 0:
        return Malformed(f"function 8: {len(pdu)} bytes")
    sub = pdu[1] << 8 | pdu[2]
    data = pdu[3:]
    if sub not in DIAGNOSE and sub not in CONTROL:
        return Unknown(f"function 8 sub-function {sub}")
    if sub != 0 and len(data) != 2:
        return Malformed(f"function 8 sub-function {sub}: {len(data)} bytes of data where 2 belong")
    if sub == 3:
        return Wrong(ILLEGAL_VALUE, "the delimiter is followed by 00") if data[1] else Diagnostics(sub, data)
    if sub != 0 and data != b"\0\0" and not (sub == 1 and data == b"\xff\0"):
        return Wrong(ILLEGAL_VALUE, f"function 8 sub-function {sub}: data {data.hex()}")
    return Diagnostics(sub, data)


def _bare(pdu: bytes) -> Outcome:
    return _length(pdu, 1) or Bare(pdu[0])


def _encapsulated(pdu: bytes) -> Outcome:
    if len(pdu) < 2:
        return Malformed("function 43 without its type")
    if pdu[1] != 14:
        return Unknown(f"function 43 type {pdu[1]}")
    if fault := _length(pdu, 4):
        return fault
    if not 1 <= pdu[2] <= 4:
        return Wrong(ILLEGAL_VALUE, f"read device id code {pdu[2]} is outside 1..4")
    return DeviceId(pdu[2], pdu[3])


_DECODERS = {
    **dict.fromkeys((1, 2, 3, 4), _read),
    **dict.fromkeys((5, 6), _write_one),
    **dict.fromkeys((7, 11, 12, 17), _bare),
    8: _diagnostics,
    15: _write_coils,
    16: _write_registers,
    20: _read_file,
    21: _write_file,
    22: _mask_write,
    23: _read_write,
    24: _read_fifo,
    43: _encapsulated,
}
