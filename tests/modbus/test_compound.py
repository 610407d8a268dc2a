"""T26 and T27 as matrices: every position of every compound message, every function there can be. The judge is what
comes out towards the device."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from tests.modbus.frames import frame
from tests.modbus.harness import Client, Policy

FREE = {
    "read": ["holding 0-99"],
    "write": ["holding 0-99", "coil 0-99"],
    "read-file": ["4 0-99"],
    "write-file": ["4 0-99"],
}
"""What these tests allow; 100 is the first that is not."""


def passes(pdu: bytes, rule: object = None, never: object = None) -> bool:
    """Whether the device gets it. What is refused must be answered 01 and leave the link open."""
    client = Client(Policy(FREE if rule is None else rule, never))
    sent = frame(0x4242, 1, pdu)
    client.send(sent)
    told = client.look()
    assert told.device == [sent] or told.answers == [frame(0x4242, 1, bytes((pdu[0] | 0x80, 1)))]
    assert not (told.device and told.answers)
    assert told.closes is None
    return bool(told.device)


def registers(first: int, count: int) -> bytes:
    return struct.pack(f">BHHB{count}H", 16, first, count, 2 * count, *range(count))


def coils(first: int, count: int) -> bytes:
    size = (count + 7) // 8
    return struct.pack(">BHHB", 15, first, count, size) + bytes(size)


def read_write(read: tuple[int, int], write: tuple[int, int]) -> bytes:
    return struct.pack(f">BHHHHB{write[1]}H", 23, *read, *write, 2 * write[1], *range(write[1]))


def files(records: list[tuple[int, int]], *, write: bool) -> bytes:
    body = b""
    for file, record in records:
        body += struct.pack(">BHHH", 6, file, record, 1) + (b"\0\1" if write else b"")
    return bytes((21 if write else 20, len(body))) + body


@pytest.mark.parametrize("count", [1, 2, 7, 16, 50, 100])
@pytest.mark.parametrize("make", [registers, coils])
def test_a_run_of_writes_passes_only_where_each_is_allowed(make: Callable[[int, int], bytes], count: int) -> None:
    for first in range(0, 102):
        assert passes(make(first, count)) == (first + count <= 100), (first, count)


@pytest.mark.parametrize("count", [2, 9, 30])
def test_one_forbidden_register_at_any_place_refuses_the_write(count: int) -> None:
    for place in range(count):
        for pdu in (registers(10, count), read_write((0, 1), (10, count))):
            assert passes(pdu)
            assert not passes(pdu, never={"write": [f"holding {10 + place}"]}), place
            hole = {"read": "all", "write": [f"holding 0-{9 + place}", f"holding {11 + place}-99"]}
            assert not passes(pdu, hole), place


def test_both_halves_of_fc_23_are_decided_each_for_itself() -> None:
    for read in (0, 98, 99, 100, 200):
        for write in (0, 98, 99, 100, 200):
            assert passes(read_write((read, 2), (write, 2))) == (read <= 98 and write <= 98), (read, write)
    assert not passes(read_write((0, 2), (0, 2)), {"read": ["holding 0-99"]})
    assert not passes(read_write((0, 2), (0, 2)), {"write": ["holding 0-99"]})


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize("count", [1, 2, 5, 15])
def test_one_forbidden_file_record_at_any_place_refuses_the_request(count: int, write: bool) -> None:
    assert passes(files([(4, at) for at in range(count)], write=write))
    for place in range(count):
        for bad in ((3, 0), (4, 100), (4, 9999), (65535, 5), (5, 1)):
            records = [(4, at) for at in range(count)]
            records[place] = bad
            assert not passes(files(records, write=write)), (place, bad)


def test_every_bit_of_a_mask_write_is_decided() -> None:
    rule = {"write": {"holding 4": {"bits": 0x00F0}}}
    for bit in range(16):
        mask = struct.pack(">BHHH", 22, 4, 0xFFFF ^ 1 << bit, 0xFFFF)
        assert passes(mask, rule) == (4 <= bit <= 7), bit
        both = struct.pack(">BHHH", 22, 4, (0xFFFF ^ 1 << bit) & 0xFF0F, 0)
        assert passes(both, rule) == (4 <= bit <= 7), bit


def test_nothing_that_no_rule_names_passes() -> None:
    """All functions, all sub-functions of 8, all types and codes of 43, under a rule that names none of them."""
    rule = {"read": ["holding 9999"]}
    client = Client(Policy(rule))
    sent = 0
    for function in [f for f in range(1, 128) if f not in (8, 43)]:
        for body in (b"", b"\0", b"\0\0", b"\0\0\0\1", b"\0\0\0\0\0\0", b"\0\0\0\1\2\0\0"):
            lone = Client(Policy(rule))
            lone.send(frame(1, 1, bytes((function,)) + body))
            assert lone.look().device == []
    for sub in range(65536):
        client.send(frame(1, 1, b"\x08" + sub.to_bytes(2, "big") + b"\0\0"))
        sent += 1
    for kind in range(256):
        for code in range(6):
            client.send(frame(1, 1, bytes((43, kind, code, 0)) if kind != 13 else bytes((43, 13, code))))
            sent += 1
    told = client.look()
    assert (told.device, told.closes) == ([], None)
    assert len(told.answers) == sent
    assert {answer[7:] for answer in told.answers} == {b"\x88\x01", b"\xab\x01", b"\xab\x03"}


def test_what_is_not_allowed_looks_like_what_is_not_there() -> None:
    """T52: by default one answer for a register that policy hides, a unit and a function that do not exist."""
    client = Client(Policy(FREE))
    pdus = {"hidden": (1, "0303E80001"), "unit": (250, "0300000001"), "function": (1, "0900000001")}
    for unit, text in pdus.values():
        client.send(frame(7, unit, bytes.fromhex(text)))
    assert {answer[8:] for answer in client.look().answers} == {b"\x01"}
