"""What a Modbus request does, in the words that rules use: verbs on spans of a table, and verbs on functions.

Addresses are PDU addresses from 0; `holding 0` is what vendors print as 40001 (protocols.md 5.3).
"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.protocols.modbus import pdu as p

OWN_FUNCTION = 1000
"""`Call.number` of a diagnostic that is a function code of its own (7, 11, 12): this plus the code, so that FC 11
is not FC 8 sub-function 11."""
PRINTED_FROM = {"coil": 1, "discrete": 10001, "input": 30001, "holding": 40001}
"""The vendors' numbers of address 0, for people only; never parsed."""


CHANGING_SPANS = frozenset({"write", "write-file"})
CHANGING_CALLS = frozenset({"control", "program", "vendor"})


@dataclass(frozen=True, slots=True)
class Span:
    """`read`, `write`, `read-fifo`, `read-file` or `write-file` of ``count`` neighbours from ``first``.

    ``space`` is a table name or ``file N``. ``values`` are what is written, one per atom; for a masked write (FC 22)
    ``mask`` is (and, or) and ``values`` is empty. ``function`` is the code that carried it, for `never: function`.
    """

    verb: str
    unit: int
    space: str
    first: int
    count: int
    function: int
    values: tuple[int, ...] = ()
    mask: tuple[int, int] | None = None

    @property
    def protocol(self) -> str:
        return "modbus"

    @property
    def changes(self) -> bool:
        return self.verb in CHANGING_SPANS

    @property
    def extent(self) -> tuple[str, int, int]:
        return self.space, self.first, self.first + self.count - 1

    @property
    def shape(self) -> tuple[object, ...]:
        return self.verb, self.unit, self.space, self.first, self.count, self.function

    @property
    def size(self) -> float:
        return max(self.values, default=0)

    @property
    def atoms(self) -> int:
        return (1 << self.count) - 1

    def describe(self) -> str:
        last = self.first + self.count - 1
        span = f"{self.space} {self.first}" if self.count == 1 else f"{self.space} {self.first}-{last}"
        if self.space in PRINTED_FROM:
            span += f" [{printed(self.space, self.first, last)}]"
        if self.mask is not None:
            span += f" and 0x{self.mask[0]:04X} or 0x{self.mask[1]:04X}"
        elif self.values:
            shown = ", ".join(str(value) for value in self.values[:6])
            span += f" = {shown}" + (", ..." if self.count > 6 else "")
        return f"{self.verb} {span} (unit {self.unit})"


def printed(space: str, first: int, last: int) -> str:
    """What vendors print for these addresses: five digits have room for 9999 of a table, beyond they print six."""
    digits = 4 if last < 9999 else 5
    numbers = [f"{PRINTED_FROM[space] // 10000}{address + 1:0{digits}}" for address in dict.fromkeys((first, last))]
    return "-".join(numbers)


@dataclass(frozen=True, slots=True)
class Call:
    """`identify`, `diagnose`, `control`, `program` or `vendor`: one function of one unit.

    ``number`` is the level for `identify` (1 basic, 2 regular, 3 extended), the sub-function for FC 8, the function
    code for `program` and `vendor`, and `OWN_FUNCTION` plus the code for the diagnostics FC 7, 11 and 12.
    """

    verb: str
    unit: int
    number: int
    function: int

    @property
    def protocol(self) -> str:
        return "modbus"

    @property
    def changes(self) -> bool:
        return self.verb in CHANGING_CALLS

    @property
    def extent(self) -> None:
        return None

    @property
    def shape(self) -> tuple[object, ...]:
        return self.verb, self.unit, self.number, self.function

    @property
    def size(self) -> float:
        return 0

    @property
    def atoms(self) -> int:
        return 1

    def describe(self) -> str:
        if self.verb == "identify":
            what = {1: "basic", 2: "regular", 3: "extended"}[self.number]
        elif self.function == 8:
            what = f"sub-function {self.number}"
        else:
            what = f"function {self.function}"
        return f"{self.verb} {what} (unit {self.unit})"


ModbusAction = Span | Call


def actions(unit: int, request: p.Request) -> tuple[ModbusAction, ...]:
    """Every elementary act of ``request``; all must be allowed (T26). The write of FC 23 comes first, as it runs."""
    match request:
        case p.Read(function, start, quantity):
            return (Span("read", unit, p.READ_TABLES[function], start, quantity, function),)
        case p.WriteOne(5, address, value):
            return (Span("write", unit, "coil", address, 1, 5, (value >> 15,)),)
        case p.WriteOne(function, address, value):
            return (Span("write", unit, "holding", address, 1, function, (value,)),)
        case p.WriteCoils(start, bits):
            return (Span("write", unit, "coil", start, len(bits), 15, bits),)
        case p.WriteRegisters(start, values):
            return (Span("write", unit, "holding", start, len(values), 16, values),)
        case p.MaskWrite(address, and_mask, or_mask):
            return (Span("write", unit, "holding", address, 1, 22, (), (and_mask, or_mask)),)
        case p.ReadWrite(read_start, quantity, write_start, values):
            return (
                Span("write", unit, "holding", write_start, len(values), 23, values),
                Span("read", unit, "holding", read_start, quantity, 23),
            )
        case p.ReadFifo(pointer):
            return (Span("read-fifo", unit, "holding", pointer, 1, 24),)
        case p.ReadFile(records):
            return tuple(Span("read-file", unit, f"file {r.file}", r.record, r.count, 20) for r in records)
        case p.WriteFile(records):
            return tuple(Span("write-file", unit, f"file {r.file}", r.record, r.count, 21, r.values) for r in records)
        case p.Diagnostics(sub, _):
            return (Call("control" if sub in p.CONTROL else "diagnose", unit, sub, 8),)
        case p.Bare(17):
            return (Call("identify", unit, 3, 17),)
        case p.Bare(function):
            return (Call("diagnose", unit, OWN_FUNCTION + function, function),)
        case p.DeviceId(code, object_id):
            return (Call("identify", unit, _level(code, object_id), 43),)
        case p.Opaque(function, _):
            return (Call("program" if function in p.PROGRAM else "vendor", unit, function, function),)


def _level(code: int, object_id: int) -> int:
    """The level whose objects are asked for; one object (code 4) counts as the level it belongs to (V1.1b3, 6.21)."""
    if code <= 3:
        return code
    if object_id <= 0x02:
        return 1
    return 2 if object_id < 0x80 else 3
