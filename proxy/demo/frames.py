"""Modbus bytes as the demo's clients send them, and how its judge tells them apart again.

Written without the gateway's own codec: two readings of the specification, and neither can hide the other's mistake.
"""

from __future__ import annotations

import struct

HEADER = 6
EXCEPTION = 0x80


def adu(transaction: int, pdu: bytes, *, unit: int = 1, protocol: int = 0, length: int | None = None) -> bytes:
    """One Modbus/TCP frame. ``length`` and ``protocol`` are for clients that lie."""
    said = len(pdu) + 1 if length is None else length
    return struct.pack(">HHHB", transaction, protocol, said, unit) + pdu


def content(pdu: bytes, unit: int = 1) -> bytes:
    """Unit and PDU: what of a frame is the same in front of the gateway and behind it."""
    return bytes((unit,)) + pdu


def read(function: int, first: int, count: int) -> bytes:
    return struct.pack(">BHH", function, first, count)


def read_holding(first: int, count: int) -> bytes:
    return read(3, first, count)


def write_register(address: int, value: int) -> bytes:
    return struct.pack(">BHH", 6, address, value)


def write_registers(first: int, *values: int) -> bytes:
    count = len(values)
    return struct.pack(f">BHHB{count}H", 16, first, count, 2 * count, *values)


def write_coil(address: int, *, on: bool) -> bytes:
    return struct.pack(">BHH", 5, address, 0xFF00 if on else 0)


def mask_register(address: int, mask_and: int, mask_or: int) -> bytes:
    return struct.pack(">BHHH", 22, address, mask_and, mask_or)


def read_and_write(first: int, count: int, address: int, *values: int) -> bytes:
    """Function 23: the answer is that of a read, the write happens first."""
    amount = len(values)
    return struct.pack(f">BHHHHB{amount}H", 23, first, count, address, amount, 2 * amount, *values)


def diagnose(sub: int, data: int = 0) -> bytes:
    return struct.pack(">BHH", 8, sub, data)


def registers(answer: bytes) -> tuple[int, ...]:
    """The values in the whole answer to a read of registers."""
    data = answer[HEADER + 3 :]
    return struct.unpack(f">{len(data) // 2}H", data[: len(data) // 2 * 2])


def cut(stream: bytes) -> tuple[list[bytes], bytes]:
    """What of a stream is whole frames, as `content`, and the rest.

    Whatever is not a header that a strict device takes ends the cutting: it stays in the rest and explains nothing.
    """
    contents: list[bytes] = []
    while len(stream) >= HEADER:
        _, protocol, length = struct.unpack(">HHH", stream[:HEADER])
        if protocol or not 2 <= length <= 254 or len(stream) < HEADER + length:
            break
        contents.append(stream[HEADER : HEADER + length])
        stream = stream[HEADER + length :]
    return contents, stream
