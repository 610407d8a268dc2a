"""What a master's answers tell of the points that rules look at.

A read tells what it read, a confirmed write what is there now. A value of two registers is seen only where both are in
one answer. A masked write (FC 22) that leaves bits as they were tells nothing: nobody knows those.
"""

from __future__ import annotations

import math
import struct
from bisect import bisect_left
from typing import TYPE_CHECKING

from proxy.protocols.modbus import pdu as p
from proxy.protocols.modbus.points import Register, number, parse_register

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from proxy.core.process import Point

Seen = tuple["Point", float]
PDU = 7
"""Where the PDU begins in an ADU."""


class Sightings:
    """``points`` are those of one device, as `Register.point` names them."""

    __slots__ = ("_tables", "points")

    def __init__(self, points: frozenset[Point]) -> None:
        self.points = points
        self._tables: dict[tuple[str, int], list[tuple[int, Register, Point]]] = {}
        for point in points:
            register = parse_register(point.name)
            self._tables.setdefault((register.space, register.unit), []).append((register.address, register, point))
        for table in self._tables.values():
            table.sort(key=lambda entry: entry[0])

    def of(self, request: bytes, answer: bytes) -> Iterator[Seen]:
        """Both are whole ADUs, and the answer was found to fit the request."""
        function, unit = answer[PDU], request[6]
        if function in p.READ_TABLES:
            space = p.READ_TABLES[function]
            if (space, unit) in self._tables:
                start, count = int.from_bytes(request[8:10], "big"), int.from_bytes(request[10:12], "big")
                yield from self._within(space, unit, start, _told(space, count, answer[9:]))
        elif function in (5, 6, 15, 16, 22, 23):
            yield from self._changed(unit, p.decode(request[PDU:]), answer)

    def _changed(self, unit: int, request: object, answer: bytes) -> Iterator[Seen]:
        match request:
            case p.WriteOne(5, address, value):
                yield from self._within("coil", unit, address, (value >> 15,))
            case p.WriteOne(_, address, value):
                yield from self._within("holding", unit, address, (value,))
            case p.WriteCoils(start, bits):
                yield from self._within("coil", unit, start, bits)
            case p.WriteRegisters(start, values):
                yield from self._within("holding", unit, start, values)
            case p.MaskWrite(address, 0, or_mask):
                yield from self._within("holding", unit, address, (or_mask,))
            case p.ReadWrite(read_start, quantity, write_start, values):  # the device writes first, then reads
                yield from self._within("holding", unit, write_start, values)
                yield from self._within("holding", unit, read_start, _told("holding", quantity, answer[9:]))

    def _within(self, space: str, unit: int, start: int, values: Iterable[int]) -> Iterator[Seen]:
        table = self._tables.get((space, unit))
        if not table:
            return
        cells = tuple(values)
        for address, register, point in table[bisect_left(table, start, key=lambda entry: entry[0]) :]:
            at = address - start
            if at >= len(cells):
                return
            words = cells[at : at + register.width]
            if len(words) == register.width:
                value = _value(register, words)
                if math.isfinite(value):
                    yield point, value


def _value(register: Register, words: tuple[int, ...]) -> float:
    if not register.kind or register.kind == "u16":
        return words[0] * register.scale
    return number(register.kind, register.little, register.scale, words)


def _told(space: str, count: int, data: bytes) -> tuple[int, ...]:
    """The cells of a read's answer."""
    if space in ("coil", "discrete"):
        return tuple(data[at >> 3] >> (at & 7) & 1 for at in range(count))
    return struct.unpack_from(f">{count}H", data)
