"""What a request is and touches, written from the specifications (MODBUS Application Protocol V1.1b3, Messaging Guide
V1.0b, protocols.md 5.1 to 5.3) and from nothing of ours: the second opinion that the codec is held against.

Slow and literal on purpose: a cursor, the fields in the order in which the specification lists them, then its checks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

CLOSE = "close"


class Touch(NamedTuple):
    """One elementary thing. ``where`` is an address, a record, a level, a sub-function or a function code; ``value``
    what is written, (and, or) of a mask, None where nothing is."""

    verb: str
    space: str
    where: int
    value: int | tuple[int, int] | None = None


Judgement = str | int | list[Touch]
"""`CLOSE`, an exception code, or what the request touches."""


class Ragged(Exception):
    """The bytes do not have the shape of the function."""


@dataclass
class Cursor:
    data: bytes
    at: int = 0

    def u8(self) -> int:
        return self.take(1)[0]

    def u16(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def take(self, count: int) -> bytes:
        if self.at + count > len(self.data):
            raise Ragged
        self.at += count
        return self.data[self.at - count : self.at]

    def rest(self) -> bytes:
        return self.take(len(self.data) - self.at)

    def end(self) -> None:
        if self.at != len(self.data):
            raise Ragged


def frames(stream: bytes) -> tuple[list[bytes], bool]:
    """The whole ADUs of a stream, and whether something malformed follows them."""
    cursor = Cursor(stream)
    found: list[bytes] = []
    while True:
        start = cursor.at
        try:
            cursor.take(2)
            protocol, length = cursor.u16(), cursor.u16()
        except Ragged:
            return found, False
        if protocol != 0 or length < 2 or length > 254:
            return found, True
        try:
            cursor.take(length)
        except Ragged:
            return found, False
        found.append(stream[start : cursor.at])


def judge(pdu: bytes) -> Judgement:
    cursor = Cursor(pdu)
    try:
        function = cursor.u8()
        if function == 0 or function > 127:
            return CLOSE
        return _fields(function, cursor)
    except Ragged:
        return CLOSE


def _fields(function: int, cursor: Cursor) -> Judgement:
    if function in (1, 2, 3, 4):
        return _read(function, cursor)
    if function in (5, 6):
        return _write_single(function, cursor)
    if function in (15, 16):
        return _write_multiple(function, cursor)
    if function in (20, 21):
        return _file(function, cursor)
    if function == 22:
        address, and_mask, or_mask = cursor.u16(), cursor.u16(), cursor.u16()
        cursor.end()
        return [Touch("mask", "holding", address, (and_mask, or_mask))]
    if function == 23:
        return _read_write(cursor)
    if function == 24:
        pointer = cursor.u16()
        cursor.end()
        return [Touch("read-fifo", "holding", pointer)]
    if function == 8:
        return _diagnostics(cursor)
    if function == 43:
        return _identification(cursor)
    if function in (7, 11, 12, 17):
        cursor.end()
        return [Touch("identify", "", 3) if function == 17 else Touch("diagnose", "function", function)]
    if function in (40, 42, 90, 125, 126):
        return [Touch("program", "", function)]
    if 65 <= function <= 72 or 100 <= function <= 110:
        return [Touch("vendor", "", function)]
    return 1


def _range(verb: str, space: str, start: int, values: list[int] | list[None]) -> Judgement:
    if start + len(values) > 0x10000:
        return 2
    return [Touch(verb, space, start + at, value) for at, value in enumerate(values)]


def _read(function: int, cursor: Cursor) -> Judgement:
    start, quantity = cursor.u16(), cursor.u16()
    cursor.end()
    space = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}[function]
    if not 1 <= quantity <= (0x7D0 if function < 3 else 0x7D):
        return 3
    return _range("read", space, start, [None] * quantity)


def _write_single(function: int, cursor: Cursor) -> Judgement:
    address, value = cursor.u16(), cursor.u16()
    cursor.end()
    if function == 6:
        return [Touch("write", "holding", address, value)]
    if value not in (0xFF00, 0):
        return 3
    return [Touch("write", "coil", address, 1 if value else 0)]


def _write_multiple(function: int, cursor: Cursor) -> Judgement:
    start, quantity, count = cursor.u16(), cursor.u16(), cursor.u8()
    data = cursor.take(count)
    cursor.end()
    if function == 16:
        if not 1 <= quantity <= 0x7B or count != quantity * 2:
            return 3
        return _range("write", "holding", start, words(data))
    if not 1 <= quantity <= 0x7B0 or count != math.ceil(quantity / 8):
        return 3
    bits = [byte >> bit & 1 for byte in data for bit in range(8)]
    if any(bits[quantity:]):
        return 3
    return _range("write", "coil", start, bits[:quantity])


def _read_write(cursor: Cursor) -> Judgement:
    read_start, read_quantity = cursor.u16(), cursor.u16()
    write_start, write_quantity, count = cursor.u16(), cursor.u16(), cursor.u8()
    data = cursor.take(count)
    cursor.end()
    if not 1 <= read_quantity <= 0x7D or not 1 <= write_quantity <= 0x79 or count != 2 * write_quantity:
        return 3
    read = _range("read", "holding", read_start, [None] * read_quantity)
    write = _range("write", "holding", write_start, words(data))
    if isinstance(read, list) and isinstance(write, list):
        return write + read
    return 2


def _file(function: int, cursor: Cursor) -> Judgement:
    count = cursor.u8()
    body = Cursor(cursor.take(count))
    cursor.end()
    if function == 20 and not (0x07 <= count <= 0xF5 and count % 7 == 0):
        return 3
    if function == 21 and not 0x09 <= count <= 0xFB:
        return 3
    touched: list[Touch] = []
    size = 0
    while body.at < count:
        kind, file, record, length = body.u8(), body.u16(), body.u16(), body.u16()
        if kind != 6 or file == 0 or record > 9999 or record + length > 10000:
            return 2
        if length == 0:
            return 3
        values = words(body.take(2 * length)) if function == 21 else [None] * length
        verb = "write-file" if function == 21 else "read-file"
        touched += [Touch(verb, f"file {file}", record + at, value) for at, value in enumerate(values)]
        size += 2 + 2 * length
    return 3 if function == 20 and size > 245 else touched


def _diagnostics(cursor: Cursor) -> Judgement:
    sub, data = cursor.u16(), cursor.rest()
    if not data or len(data) % 2:
        return CLOSE
    changes = sub in (1, 3, 4, 10, 20)
    if not changes and sub not in (0, 2, 11, 12, 13, 14, 15, 16, 17, 18):
        return 1
    if sub != 0 and len(data) > 2:
        return CLOSE
    allowed = {1: (b"\0\0", b"\xff\0"), 3: tuple(bytes((char, 0)) for char in range(256))}.get(sub, (b"\0\0",))
    if sub != 0 and data not in allowed:
        return 3
    return [Touch("control" if changes else "diagnose", "sub-function", sub)]


def _identification(cursor: Cursor) -> Judgement:
    if cursor.u8() != 14:
        return 1
    code, wanted = cursor.u8(), cursor.u8()
    cursor.end()
    if code not in (1, 2, 3, 4):
        return 3
    if code == 4:
        code = 1 if wanted < 3 else 2 if wanted < 0x80 else 3
    return [Touch("identify", "", code)]


def words(data: bytes) -> list[int]:
    return [data[at] * 256 + data[at + 1] for at in range(0, len(data), 2)]


def number(raw: tuple[int, ...], kind: str, *, little: bool) -> float | None:
    """The number in one or two registers; None if it is none (IEEE 754 infinities and NaN)."""
    ordered = raw[::-1] if little else raw
    bits = 0
    for word in ordered:
        bits = bits * 0x10000 + word
    if kind == "f32":
        exponent, fraction = bits >> 23 & 0xFF, bits & 0x7FFFFF
        if exponent == 0xFF:
            return None
        size = math.ldexp(fraction, -149) if exponent == 0 else math.ldexp(fraction | 0x800000, exponent - 150)
        return -size if bits >> 31 else size
    width = 16 * len(raw)
    if kind.startswith("i") and bits >> (width - 1):
        return bits - (1 << width)
    return bits


def answers(asked: bytes, answer: bytes) -> bool:
    """Whether ``answer`` can be a device's answer to the request PDU ``asked`` (V1.1b3, response PDUs of 6 and 7)."""
    if len(answer) == 2 and answer[0] == asked[0] | 0x80:
        return answer[1] > 0
    cursor = Cursor(answer)
    try:
        if cursor.u8() != asked[0]:
            return False
        fits = _answer_fields(asked, cursor)
        cursor.end()
    except Ragged:
        return False
    return fits


def _answer_fields(asked: bytes, cursor: Cursor) -> bool:
    function = asked[0]
    if function in (1, 2, 3, 4, 23):
        quantity = int.from_bytes(asked[3:5], "big")
        size = math.ceil(quantity / 8) if function < 3 else quantity * 2
        return len(cursor.take(cursor.u8())) == size
    if function in (5, 6, 21, 22):
        return cursor.rest() == asked[1:]
    if function in (15, 16):
        return cursor.rest() == asked[1:5]
    if function == 20:
        return _file_answer(asked, cursor)
    if function == 24:
        size, count = cursor.u16(), cursor.u16()
        return count <= 31 and size == 2 + 2 * count and len(cursor.take(2 * count)) == 2 * count
    if function == 8:
        sub, data = cursor.u16(), cursor.rest()
        echo = sub in (0, 1, 3, 10, 20)
        return sub == int.from_bytes(asked[1:3], "big") and (data == asked[3:] if echo else len(data) == 2)
    if function == 43:
        return _identification_answer(asked, cursor)
    if function in (7, 11):
        return len(cursor.rest()) == {7: 1, 11: 4}[function]
    if function in (12, 17):
        count = cursor.u8()
        return count > 0 and len(cursor.take(count)) == count
    return len(cursor.rest()) > 0


def _file_answer(asked: bytes, cursor: Cursor) -> bool:
    lengths = [int.from_bytes(asked[at + 5 : at + 7], "big") for at in range(2, len(asked), 7)]
    if cursor.u8() != sum(2 + 2 * length for length in lengths):
        return False
    for length in lengths:
        if (cursor.u8(), cursor.u8()) != (1 + 2 * length, 6):
            return False
        cursor.take(2 * length)
    return True


def _identification_answer(asked: bytes, cursor: Cursor) -> bool:
    kind, code, _, more, _, count = (cursor.u8() for _ in range(6))
    for _ in range(count):
        cursor.u8()
        cursor.take(cursor.u8())
    return kind == 14 and code == asked[2] and more in (0, 0xFF)
