"""A simulated PLC with its connections, for the state machine of `ModbusDevice`: it may be slow, mute, wrong or gone.

What it holds at an address follows from the address, so that each answer tells which question it is for.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from tests.modbus.frames import frame


@dataclass(eq=False)
class Ask:
    """One request of one master, from submission to its end. ``number`` is unique and stands in the message."""

    master: int
    tid: int
    unit: int
    pdu: bytes
    number: int
    sent_on: int | None = None
    answered_by_plc: bytes | None = None
    over: bool = False

    @property
    def message(self) -> bytes:
        return frame(self.tid, self.unit, self.pdu)

    @property
    def silent(self) -> bool:
        return self.unit == 0 or self.pdu[:3] == b"\x08\x00\x04"


KINDS = ("read", "coils", "write", "many", "mask", "both", "echo", "broadcast", "listen only")


def ask(kind: str, master: int, tid: int, number: int) -> Ask:
    """A request whose bytes hold ``number`` (below 65000), except listen only, which has no room."""
    unit = 0 if kind == "broadcast" else 1 + number % 2
    pdu: bytes = {
        "read": struct.pack(">BHH", 3, number, 1 + number % 3),
        "coils": struct.pack(">BHH", 1, number, 1 + number % 20),
        "write": struct.pack(">BHH", 6, number, 7),
        "many": struct.pack(">BHHBHH", 16, number, 2, 4, 1, 2),
        "mask": struct.pack(">BHHH", 22, number, 0xFF00, 0x0012),
        "both": struct.pack(">BHHHHBH", 23, number, 2, number, 1, 2, 9),
        "echo": struct.pack(">BHH", 8, 0, number),
        "broadcast": struct.pack(">BHH", 6, number, 7),
        "listen only": struct.pack(">BHH", 8, 4, 0),
    }[kind]
    return Ask(master, tid, unit, pdu, number)


def truth(pdu: bytes) -> bytes:
    """What the PLC answers."""
    function = pdu[0]
    if function in (3, 23):
        first, quantity = struct.unpack_from(">HH", pdu, 1)
        return struct.pack(f">BB{quantity}H", function, 2 * quantity, *(first ^ at for at in range(quantity)))
    if function == 1:
        first, quantity = struct.unpack_from(">HH", pdu, 1)
        return bytes((1, (quantity + 7) // 8)) + bytes((first + at) % 256 for at in range((quantity + 7) // 8))
    return pdu[:5] if function == 16 else pdu


WRONGS = ("function", "long", "short", "unit", "code 0", "empty")


def wrong(pdu: bytes, unit: int, tid: int, how: str) -> bytes:
    """An answer under the right transaction id that cannot be one."""
    right = truth(pdu)
    return {
        "function": frame(tid, unit, bytes((right[0] ^ 0x40,)) + right[1:]),
        "long": frame(tid, unit, right + b"\0"),
        "short": frame(tid, unit, right[:-1]),
        "unit": frame(tid, unit + 10, right),
        "code 0": frame(tid, unit, bytes((right[0] | 0x80, 0))),
        "empty": frame(tid, unit, right[:1]),
    }[how]


@dataclass
class Line:
    """One TCP connection from our side to the PLC. ``asked``: what the PLC has not answered yet, by our id."""

    open: bool = False
    asked: dict[int, Ask] = field(default_factory=dict)
    wire: bytes = b""
    """Bytes that the PLC has sent and that have not arrived."""
