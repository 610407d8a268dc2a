"""What is seen is what is there: a device with a memory, and every point held against it after each answer."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.protocols.base import Watched
from proxy.protocols.modbus.points import Register, parse_register
from tests.modbus.frames import frame
from tests.modbus.harness import Client, Policy

pytestmark = pytest.mark.grows("properties")

CELLS = 12
REGISTERS = st.builds(
    Register,
    st.sampled_from(["holding", "input"]),
    st.integers(0, CELLS - 2),
    st.sampled_from(["u16", "i16", "u32", "i32", "f32"]),
    st.booleans(),
    st.sampled_from([1.0, 0.1, -2.0]),
    st.sampled_from([1, 2]),
)
WORDS = st.one_of(st.sampled_from([0, 1, 0x7FFF, 0x8000, 0xFFFF, 0x7F80, 0x3F80]), st.integers(0, 65535))
STEPS = st.tuples(
    st.sampled_from(["read", "inputs", "write", "block", "mask", "both", "fail"]),
    st.sampled_from([1, 2]),
    st.integers(0, CELLS - 4),
    st.lists(WORDS, min_size=1, max_size=4),
)


class Plc:
    """Two units with a few registers; says what it was asked and what it answers, in bytes of its own making."""

    def __init__(self) -> None:
        self.holding = {unit: [unit * 100 + at for at in range(CELLS)] for unit in (1, 2)}
        self.input = {unit: [unit * 1000 + at for at in range(CELLS)] for unit in (1, 2)}

    def do(self, kind: str, unit: int, at: int, words: list[int]) -> tuple[bytes, bytes]:
        count, cells = len(words), self.holding[unit]
        data = struct.pack(f">{count}H", *words)
        if kind in ("read", "inputs"):
            told = (cells if kind == "read" else self.input[unit])[at : at + count]
            function = 3 if kind == "read" else 4
            return struct.pack(">BHH", function, at, count), struct.pack(f">BB{count}H", function, 2 * count, *told)
        if kind == "fail":
            return struct.pack(">BHH", 6, at, words[0]), b"\x86\x04"
        if kind == "write":
            cells[at] = words[0]
            asked = struct.pack(">BHH", 6, at, words[0])
            return asked, asked
        if kind == "mask":
            cells[at] = cells[at] & 0xFF00 | words[0] & 0x00FF
            asked = struct.pack(">BHHH", 22, at, 0xFF00, words[0])
            return asked, asked
        cells[at : at + count] = words
        if kind == "block":
            return struct.pack(">BHHB", 16, at, count, 2 * count) + data, struct.pack(">BHH", 16, at, count)
        told = cells[0:3]
        asked = struct.pack(">BHHHHB", 23, 0, 3, at, count, 2 * count) + data
        return asked, struct.pack(">BB3H", 23, 6, *told)

    def value(self, register: Register) -> float:
        words = (self.holding if register.space == "holding" else self.input)[register.unit][register.address :]
        pair = words[1::-1] if register.little else words[:2]
        if not register.kind.endswith("32"):
            raw: float = words[0] - 0x10000 if register.kind == "i16" and words[0] > 0x7FFF else words[0]
        else:
            (raw,) = struct.unpack({"u32": ">I", "i32": ">i", "f32": ">f"}[register.kind], struct.pack(">2H", *pair))
        return raw * register.scale


@given(st.frozensets(REGISTERS, min_size=1, max_size=8), st.lists(STEPS, min_size=1, max_size=12))
def test_what_is_seen_is_in_the_device(
    registers: frozenset[Register], steps: list[tuple[str, int, int, list[int]]]
) -> None:
    client = Client(Policy(), watched=Watched(frozenset(one.point for one in registers)))
    plc = Plc()
    for tid, (kind, unit, at, words) in enumerate(steps):
        request, answer = plc.do(kind, unit, at, words)
        client.send(frame(tid, unit, request))
        client.reply(frame(tid, unit, answer))
        last = dict(client.seen)
        client.seen.clear()
        for name, value in last.items():
            assert value == plc.value(parse_register(name)), (kind, name)
            assert parse_register(name).unit == unit
        assert kind not in ("fail", "mask") or not last
        if kind in ("read", "block"):
            whole = {
                one
                for one in registers
                if (one.space, one.unit) == ("holding", unit) and at <= one.address <= at + len(words) - one.width
            }
            missing = {one for one in whole if one.point.name not in last}
            assert all(abs(plc.value(one)) == float("inf") or plc.value(one) != plc.value(one) for one in missing)
