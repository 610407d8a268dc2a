"""The wire of proto2, strictly: fields with their numbers and wire types, nothing guessed.

What other decoders read in two ways is refused here: numbers not in their shortest form, values that do not fit their
width, groups, field 0, lengths beyond the end (protocols.md 3.3).
"""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
MOST_FIELD = (1 << 29) - 1
MOST_U64 = (1 << 64) - 1


class Broken(Exception):
    """Ends the decoding of one message. Caught in `sparkplug.decode` alone."""


def varint(value: int) -> bytes:
    """The shortest form. Raises ValueError outside 0..2**64-1."""
    if not 0 <= value <= MOST_U64:
        raise ValueError(f"{value} is no unsigned 64-bit number")
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number_field(number: int, value: int) -> bytes:
    return varint(number << 3 | VARINT) + varint(value)


def bytes_field(number: int, value: bytes) -> bytes:
    return varint(number << 3 | LENGTH) + varint(len(value)) + value


def fixed_field(number: int, value: bytes) -> bytes:
    """``value`` is 4 or 8 bytes, little endian."""
    return varint(number << 3 | (FIXED64 if len(value) == 8 else FIXED32)) + value


def fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """(field number, wire type, value) in the order of the wire. Raises Broken."""
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at)
        number, kind = tag >> 3, tag & 7
        if not 1 <= number <= MOST_FIELD:
            raise Broken(f"field {number}")
        if kind == VARINT:
            value, at = read_varint(data, at)
            yield number, kind, value
            continue
        if kind == LENGTH:
            size, at = read_varint(data, at)
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
        else:
            raise Broken(f"wire type {kind}")
        if size > len(data) - at:
            raise Broken("a field longer than its message")
        yield number, kind, data[at : at + size]
        at += size


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Value and where it ends. Raises Broken."""
    value = shift = 0
    while at < len(data):
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            if byte == 0 and shift > 7:
                raise Broken("a number is not in its shortest form")
            if value > MOST_U64:
                raise Broken("a number of more than 64 bits")
            return value, at
        if shift > 63:
            break
    raise Broken("a number that does not end")
