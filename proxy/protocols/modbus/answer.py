"""What a device may answer. An answer that does not fit the question is an injection or a broken device: the
connection it came on is closed (protocols.md 5.4), never passed on.

Most answers are fixed by the request: their length and their first bytes. That is what `Expect` holds, so that the
common check is one comparison. The others carry their own counts; `check` walks them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from proxy.protocols.modbus import pdu as p

PduCheck = Callable[[bytes], bool]


class Expect:
    """The answer a request must get. ``length`` 0: any length that ``check`` accepts."""

    __slots__ = ("check", "length", "prefix")

    def __init__(self, prefix: bytes, length: int = 0, check: PduCheck | None = None) -> None:
        self.prefix = prefix
        self.length = length
        self.check = check

    def fits(self, answer: bytes) -> bool:
        """``answer`` is a whole PDU, not an exception."""
        if not answer.startswith(self.prefix) or (self.length and len(answer) != self.length):
            return False
        return self.check is None or self.check(answer)


def expect(request: p.Request) -> Expect | None:
    """What answers ``request``; None when nothing does (FC 8 listen only)."""
    match request:
        case p.Read(function, _, quantity):
            count = (quantity + 7) // 8 if function <= 2 else 2 * quantity
            return Expect(bytes((function, count)), 2 + count)
        case p.ReadWrite(_, quantity):
            return Expect(bytes((23, 2 * quantity)), 2 + 2 * quantity)
        case p.WriteOne() | p.MaskWrite() | p.WriteFile():
            echo = request.encode()
            return Expect(echo, len(echo))
        case p.WriteCoils() | p.WriteRegisters():
            return Expect(request.encode()[:5], 5)
        case p.ReadFifo():
            return Expect(b"\x18", check=_fifo)
        case p.ReadFile(records):
            return Expect(b"\x14", 2 + sum(2 + 2 * r.count for r in records), _file_check(records))
        case p.Diagnostics(sub, data):
            return _diagnostics(sub, data)
        case p.DeviceId(code):
            return Expect(bytes((43, 14, code)), check=_device_id)
        case p.Bare(function):
            return _bare(function)
        case p.Opaque(function):
            return Expect(bytes((function,)))


def is_exception(answer: bytes, function: int) -> bool:
    """``answer`` is the two bytes of an exception to ``function``, with a code (V1.1b3, 7)."""
    return len(answer) == 2 and answer[0] == function | 0x80 and answer[1] != 0


def _diagnostics(sub: int, data: bytes) -> Expect | None:
    if sub == p.LISTEN_ONLY:
        return None
    head = struct.pack(">BH", 8, sub)
    if sub in (0, 1, 3, 10, 20):
        return Expect(head + data, 3 + len(data))
    return Expect(head, 5)


def _bare(function: int) -> Expect:
    fixed = {7: 2, 11: 5}
    if function in fixed:
        return Expect(bytes((function,)), fixed[function])
    return Expect(bytes((function,)), check=_counted)


def _counted(answer: bytes) -> bool:
    """FC 12 and 17: a byte count, then as many bytes."""
    return len(answer) >= 3 and len(answer) == 2 + answer[1]


def _fifo(answer: bytes) -> bool:
    """FC 24: u16 byte count = 2 + 2c, u16 c <= 31, c registers (V1.1b3, 6.18)."""
    if len(answer) < 5:
        return False
    size, count = struct.unpack_from(">HH", answer, 1)
    return bool(count <= 31 and size == 2 + 2 * count and len(answer) == 5 + 2 * count)


def _file_check(records: tuple[p.FileRecord, ...]) -> PduCheck:
    """FC 20: each group is (1 + 2N, 6, data) in the order asked (V1.1b3, 6.14)."""

    def check(answer: bytes) -> bool:
        if answer[1] != len(answer) - 2:
            return False
        at = 2
        for record in records:
            if answer[at] != 1 + 2 * record.count or answer[at + 1] != 6:
                return False
            at += 2 + 2 * record.count
        return at == len(answer)

    return check


def _device_id(answer: bytes) -> bool:
    """FC 43/14: code, conformity, more, next id, object count, then (id, length, bytes) each (V1.1b3, 6.21)."""
    if len(answer) < 7 or answer[4] not in (0x00, 0xFF):
        return False
    at = 7
    for _ in range(answer[6]):
        if len(answer) < at + 2:
            return False
        at += 2 + answer[at + 1]
    return at == len(answer)
