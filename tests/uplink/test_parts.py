"""The small parts of a publisher, each as data."""

from __future__ import annotations

import json
import struct
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.protocols.opcua.wire import EPOCH, date_time
from proxy.uplink import json_payload
from proxy.uplink.backlog import Ring
from proxy.uplink.backoff import LONGEST, Backoff
from proxy.uplink.datatypes import D, DataType, Value
from proxy.uplink.sample import Quality, Sample, milliseconds, missed_of
from proxy.uplink.sequence import FURTHEST, LAST, Lost, Sequence, after
from proxy.uplink.variant import told

NOW = date_time(1_795_000_000.0)


def sample(
    number: int, name: str = "x", value: Value | None = 1.0, datatype: DataType | None = D.Double, missed: int = 0
) -> Sample:
    return Sample(number, name, datatype, value, 0, NOW + number, None, NOW, missed)


# Order.


@given(
    st.permutations(range(1, 15)).flatmap(
        lambda order: st.tuples(st.just(order), st.sets(st.integers(1, 14), max_size=4))
    )
)
def test_messages_come_out_in_order_whatever_way_they_come(case: tuple[list[int], set[int]]) -> None:
    """Each exactly once; what is gone for good is a gap in its place."""
    order, lost = case
    sequence: Sequence[int] = Sequence()
    found: list[int | Lost] = []
    for number in order:
        if number not in lost:
            found += sequence.arrived(number, number)
    sequence.alive(15)
    for number in list(sequence.missing):
        assert number in lost
        found += sequence.gone(number)
    assert sum(one.count if isinstance(one, Lost) else 1 for one in found) == 14
    assert [one for one in found if isinstance(one, int)] == sorted(set(order) - lost)


def test_a_number_wraps_past_zero() -> None:
    sequence: Sequence[str] = Sequence()
    sequence._next = LAST
    assert sequence.arrived(LAST, "last") == ["last"]
    assert sequence.arrived(1, "first") == ["first"]
    assert after(LAST) == 1


def test_a_message_that_comes_twice_is_taken_once() -> None:
    sequence: Sequence[str] = Sequence()
    assert sequence.arrived(1, "a") == ["a"]
    assert sequence.arrived(1, "a") == []
    assert sequence.arrived(3, "c") == []
    assert sequence.arrived(3, "c") == []
    assert sequence.repeated == 2
    assert sequence.missing == [2]
    assert sequence.arrived(2, "b") == ["b", "c"]
    assert sequence.missing == []


def test_a_step_too_large_to_ask_for_is_a_gap() -> None:
    sequence: Sequence[str] = Sequence()
    assert sequence.arrived(FURTHEST + 500, "far") == [Lost(FURTHEST + 499), "far"]
    assert sequence.missing == []


# The backlog.


def test_a_ring_gives_what_is_behind_a_number() -> None:
    ring = Ring(10)
    for number in range(1, 6):
        assert ring.put(sample(number)) == 0
    assert [one.number for one in ring.after(2, 2)] == [3, 4]
    ring.done(3)
    assert [one.number for one in ring.after(0, 9)] == [4, 5]
    assert list(ring.after(5, 9)) == []
    assert len(ring) == 2


def test_what_makes_room_is_owed_by_the_next_of_its_node() -> None:
    ring = Ring(3)
    for number, name in enumerate(["a", "b", "a", "a", "b", "a"], 1):
        ring.put(sample(number, name))
    assert ring.dropped == 3
    assert [(one.number, one.name, one.missed) for one in ring.after(0, 9)] == [(4, "a", 2), (5, "b", 1), (6, "a", 0)]
    ring.done(5)
    ring.put(sample(7, "b"))
    assert [(one.name, one.missed) for one in ring.after(0, 9)] == [("a", 0), ("b", 0)]


def test_some_and_any_number_are_some() -> None:
    assert missed_of(-1, 5) == -1
    assert missed_of(2, 3) == 5


# JSON.


@pytest.mark.parametrize(
    ("value", "datatype", "told_value", "special"),
    [
        (1.5, D.Double, 1.5, None),
        (float("nan"), D.Double, None, "NaN"),
        (float("-inf"), D.Float, None, "-Infinity"),
        (2**53, D.Int64, 2**53, None),
        (2**53 + 1, D.UInt64, "9007199254740993", None),
        (-(2**63), D.Int64, "-9223372036854775808", None),
        (True, D.Boolean, True, None),
        (b"\x00\xff", D.Bytes, "AP8=", None),
        ("naïve\u2028\x00\ud800", D.String, None, None),
        (1_795_000_000_123, D.DateTime, "2026-11-18T11:06:40.1230000Z", None),
        ((1.0, float("inf")), D.DoubleArray, [1.0, None], None),
        ((), D.Int32Array, [], None),
    ],
)
def test_json_is_read_alike_by_every_parser(
    value: Value, datatype: DataType, told_value: object, special: str | None
) -> None:
    """protocols.md 3.4: no NaN, no number beyond 2**53, no lone surrogate, one value for each key."""
    data = json_payload.encode(sample(1, value=value, datatype=datatype))

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        assert len({key for key, _ in pairs}) == len(pairs)
        return dict(pairs)

    def never(text: str) -> object:
        raise AssertionError(text)

    found = json.loads(data.decode(), object_pairs_hook=once, parse_constant=never)
    if isinstance(value, str):
        assert found["value"] == value.replace("\ud800", "?")
    else:
        assert found["value"] == told_value
    assert found.get("special") == special
    assert b"\n" not in data


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_time_has_a_text(ticks: int) -> None:
    text = json_payload.rfc3339(ticks)
    assert len(text) == 28
    if 0 <= ticks < 2_650_467_743_990_000_000:
        whole = datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
        assert round(whole.timestamp()) * 10_000_000 + int(text[20:27]) + EPOCH == ticks
    assert milliseconds(ticks) >= 0


def test_quality_is_that_of_the_status() -> None:
    assert (Quality.of(0), Quality.of(0x40000000), Quality.of(0x80000000)) == (Quality.GOOD, Quality.BAD, Quality.BAD)
    assert Quality.of(0x00960000) is Quality.GOOD, "Good_LocalOverride"


# Values of OPC UA.


def of(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<i", len(raw)) + raw


@pytest.mark.parametrize(
    ("raw", "meaning"),
    [
        (b"\x01\x01", (D.Boolean, True)),
        (b"\x02\xe9", (D.Int8, -23)),
        (b"\x03\xe9", (D.UInt8, 233)),
        (b"\x04" + struct.pack("<h", -300), (D.Int16, -300)),
        (b"\x06" + struct.pack("<i", -70000), (D.Int32, -70000)),
        (b"\x07" + struct.pack("<I", 2**32 - 1), (D.UInt32, 2**32 - 1)),
        (b"\x08" + struct.pack("<q", -(2**63)), (D.Int64, -(2**63))),
        (b"\x09" + struct.pack("<Q", 2**64 - 1), (D.UInt64, 2**64 - 1)),
        (b"\x0a" + struct.pack("<f", 0.5), (D.Float, 0.5)),
        (b"\x0b" + struct.pack("<d", 1e300), (D.Double, 1e300)),
        (b"\x0c" + of("naïve"), (D.String, "naïve")),
        (b"\x0c\xff\xff\xff\xff", (D.String, None)),
        (b"\x0d" + struct.pack("<q", EPOCH + 10_000), (D.DateTime, 1)),
        (
            b"\x0e" + bytes.fromhex("75 7e 08 09 5e 8e 9b 49 95 4f f2 a9 60 3d b2 8a"),
            (D.UUID, "09087e75-8e5e-499b-954f-f2a9603db28a"),
        ),
        (b"\x0f" + of("\x01"), (D.Bytes, b"\x01")),
        (b"\x13" + struct.pack("<I", 0x80340000), (D.UInt32, 0x80340000)),
        (b"\x14\x02\x00" + of("name"), (D.String, "name")),
        (b"\x15\x03" + of("de") + of("Hallo"), (D.Text, "Hallo")),
        (b"\x81" + struct.pack("<i", 2) + b"\x01\x00", (D.BooleanArray, (True, False))),
        (b"\x8b" + struct.pack("<i", 1) + struct.pack("<d", -0.5), (D.DoubleArray, (-0.5,))),
        (b"\x8b\xff\xff\xff\xff", (D.DoubleArray, None)),
        (b"\x8c" + struct.pack("<i", 2) + of("a") + of("b"), (D.StringArray, ("a", "b"))),
        (b"\xcb" + struct.pack("<i", 1) + bytes(8) + struct.pack("<2i", 1, 1), None),
        (b"\x16\x01\x00\x01\x00\x00", None),
        (b"\x11\x00\x05", None),
        (b"\x00", None),
        (b"", None),
        (b"\x0b\x00", None),
        (b"\x8b\xff\xff\xff\x7f", None),
    ],
)
def test_a_value_has_the_type_it_had(raw: bytes, meaning: object) -> None:
    assert told(raw) == meaning


@given(st.binary(max_size=60))
def test_no_value_raises(raw: bytes) -> None:
    told(raw)


# Trying again.


def test_waits_grow_and_are_never_the_same_for_all() -> None:
    soon, late = Backoff(lambda count: bytes(count)), Backoff(lambda count: b"\xff" * count)
    waits = [(soon.wait(), late.wait()) for _ in range(9)]
    assert waits[0] == (0.25, 0.5)
    assert waits[-1] == (LONGEST / 2, LONGEST)
    assert all(low * 2 == pytest.approx(high) for low, high in waits)
    late.succeeded()
    assert late.wait() == 0.5
