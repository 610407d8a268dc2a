"""MBAP framing of Modbus/TCP (MODBUS Messaging on TCP/IP Implementation Guide V1.0b, 3.1).

    +--------+--------+--------+------+----------------------+
    | TID 2  | PID 2  | LEN 2  | unit | PDU: function + data |
    +--------+--------+--------+------+----------------------+
             always 0   unit + PDU = 2..254

LEN is the only framing authority (T40; CVE-2017-11401, libmodbus#848): a frame is exactly 6 + LEN bytes, whatever
its function code would suggest, and a header that breaks the rules ends the link. Nothing resynchronises.
"""

from __future__ import annotations

HEADER = 6
"""Bytes before unit and PDU."""
MIN_LENGTH = 2
MAX_LENGTH = 254
MAX_ADU = HEADER + MAX_LENGTH
EXCEPTION = 0x80
"""Bit set in the function code of an exception response."""


def header_fault(data: bytes, at: int = 0) -> str | None:
    """What is wrong with the six header bytes at ``at`` (they must be there), or None."""
    if data[at + 2] or data[at + 3]:
        return f"protocol id {data[at + 2] << 8 | data[at + 3]} is not 0"
    length = data[at + 4] << 8 | data[at + 5]
    if not MIN_LENGTH <= length <= MAX_LENGTH:
        return f"length {length} is outside {MIN_LENGTH}..{MAX_LENGTH}"
    return None


def adu(tid: int, unit: int, pdu: bytes) -> bytes:
    """Encodes one frame. ``pdu`` is 1..253 bytes."""
    if not 1 <= len(pdu) <= MAX_LENGTH - 1:
        raise ValueError(f"a PDU has 1..{MAX_LENGTH - 1} bytes, not {len(pdu)}")
    return b"%c%c\0\0%c%c%c%b" % (tid >> 8, tid & 0xFF, (len(pdu) + 1) >> 8, (len(pdu) + 1) & 0xFF, unit, pdu)


def exception(frame: bytes, code: int) -> bytes:
    """The exception that answers ``frame`` (a whole request): same transaction id and unit, one byte of code."""
    return b"%b\0\0\0\x03%c%c%c" % (frame[:2], frame[6], frame[7] | EXCEPTION, code)
