"""Sparkplug B payloads: held to vectors of another encoder, both ways; and what is refused."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from proxy.uplink import protobuf
from proxy.uplink.datatypes import ARRAYS, SIGNED, UNSIGNED, D, DataType, Value
from proxy.uplink.sparkplug import MOST_METRICS, Malformed, Metric, Payload, decode, encode, topic

T = 1_795_000_000_000
GOOD = ("Quality", D.Int32, 192)
FILE = Path(__file__).resolve().parents[1] / "vectors/sparkplug/payloads.yaml"
VECTORS: dict[str, bytes] = {
    name: bytes.fromhex(text.replace(" ", "")) for name, text in yaml.safe_load(FILE.read_text()).items()
}

MEANING = {
    "nbirth": Payload(T, 0, (Metric("bdSeq", D.Int64, 3, T), Metric("Node Control/Rebirth", D.Boolean, False, T))),
    "ndeath": Payload(T, None, (Metric("bdSeq", D.Int64, 255, T),)),
    "ddeath": Payload(T, 7),
    "dbirth": Payload(
        T,
        1,
        (
            Metric("speed", D.Double, 1480.5, T - 5, properties=(GOOD,)),
            Metric(
                "force",
                D.String,
                None,
                T,
                properties=(("Quality", D.Int32, 0), ("Status", D.String, "Bad_UserAccessDenied")),
            ),
        ),
    ),
    "history": Payload(
        T,
        2,
        (
            Metric(
                "speed",
                D.Float,
                struct.unpack("<f", struct.pack("<f", 0.1))[0],
                T - 9000,
                historical=True,
                properties=(("Quality", D.Int32, 500), ("Missed", D.Int32, -1)),
            ),
        ),
    ),
    "signed": Payload(
        T,
        255,
        (
            Metric("a", D.Int8, -23),
            Metric("b", D.Int16, -30000),
            Metric("c", D.Int32, -123456789),
            Metric("d", D.Int64, -9007199254740993),
        ),
    ),
    "unsigned": Payload(
        T,
        3,
        (
            Metric("a", D.UInt8, 250),
            Metric("b", D.UInt16, 65535),
            Metric("c", D.UInt32, 4294967295),
            Metric("d", D.UInt64, (1 << 64) - 1),
            Metric("e", D.DateTime, T),
        ),
    ),
    "texts": Payload(
        T,
        4,
        (
            Metric("Straße/α", D.String, "naïve ☃"),
            Metric("t", D.Text, ""),
            Metric("u", D.UUID, "09087e75-8e5e-499b-954f-f2a9603db28a"),
            Metric("b", D.Bytes, b"\x00\xff"),
        ),
    ),
    "arrays": Payload(
        T,
        5,
        (
            Metric("i", D.Int32Array, (123456789, 987654321)),
            Metric("b", D.BooleanArray, tuple(bit == "1" for bit in "001101001101")),
            Metric("s", D.StringArray, ("ABC", "hello")),
            Metric("d", D.DoubleArray, (-0.5,)),
        ),
    ),
    "rebirth-command": Payload(T, None, (Metric("Node Control/Rebirth", D.Boolean, True, T),)),
    "alias-alone": Payload(T, 6, (Metric(None, D.Boolean, True, T, alias=300),)),
}


def test_every_vector_has_a_meaning() -> None:
    assert VECTORS.keys() == MEANING.keys()


@pytest.mark.parametrize("name", MEANING)
def test_what_is_written_is_what_protobuf_writes(name: str) -> None:
    assert encode(MEANING[name]).hex() == VECTORS[name].hex()


@pytest.mark.parametrize("name", MEANING)
def test_what_protobuf_writes_is_read(name: str) -> None:
    assert decode(VECTORS[name]) == MEANING[name]


@pytest.mark.parametrize("name", MEANING)
def test_a_payload_that_is_cut_is_never_taken_for_another(name: str) -> None:
    """At each byte: refused, or what the bytes up to there say, which is less."""
    whole = VECTORS[name]
    for at in range(len(whole)):
        found = decode(whole[:at])
        assert isinstance(found, Malformed) or encode(found) == whole[:at]


def scalar(datatype: DataType) -> st.SearchStrategy[Value]:
    if datatype in SIGNED:
        half = 1 << SIGNED[datatype] - 1
        return st.integers(-half, half - 1)
    if datatype in UNSIGNED:
        return st.integers(0, (1 << UNSIGNED[datatype]) - 1)
    if datatype is D.Float:
        return st.floats(width=32, allow_nan=False)
    if datatype is D.Double:
        return st.floats(allow_nan=False)
    if datatype is D.Boolean:
        return st.booleans()
    return st.binary(max_size=40) if datatype is D.Bytes else st.text(max_size=40)


def values(datatype: DataType) -> st.SearchStrategy[Value]:
    if datatype not in ARRAYS:
        return scalar(datatype)
    of = scalar(DataType[datatype.name.removesuffix("Array")])
    if datatype is D.StringArray:
        of = st.text(max_size=9).map(lambda text: text.replace("\0", ""))
    return st.lists(of, max_size=20).map(tuple)  # type: ignore[arg-type]


metrics = st.sampled_from(list(DataType)).flatmap(
    lambda datatype: st.builds(
        Metric,
        st.none() | st.text(max_size=20),
        st.just(datatype),
        st.none() | values(datatype),
        st.none() | st.integers(0, (1 << 64) - 1),
        st.none() | st.integers(0, (1 << 64) - 1),
        st.booleans(),
        st.booleans(),
        st.sampled_from([(), (GOOD,), (("Status", D.String, None), ("Missed", D.Int32, -1))]),
    )
)
payloads = st.builds(
    Payload,
    st.none() | st.integers(0, (1 << 64) - 1),
    st.none() | st.integers(0, 255),
    st.lists(metrics, max_size=5).map(tuple),
)


@given(payloads)
def test_round_trip(payload: Payload) -> None:
    assert decode(encode(payload)) == payload


@given(st.binary(max_size=200) | payloads.map(encode).flatmap(lambda data: st.just(data[::-1])))
def test_no_bytes_raise(data: bytes) -> None:
    found = decode(data)
    assert isinstance(found, Malformed | Payload)


def metric_of(*parts: bytes) -> bytes:
    return protobuf.bytes_field(2, b"".join(parts))


INT = protobuf.number_field(4, D.Int32)
ONE = protobuf.number_field(10, 1)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (metric_of(INT, ONE, ONE), "field 10 twice"),
        (metric_of(INT, ONE, protobuf.number_field(11, 1)), "several values"),
        (metric_of(INT), "null with a value, or neither"),
        (metric_of(INT, ONE, protobuf.number_field(7, 1)), "null with a value, or neither"),
        (metric_of(INT, protobuf.number_field(10, 1 << 32)), "int_value of 4294967296"),
        (metric_of(INT, protobuf.number_field(14, 1)), "no Int32"),
        (metric_of(protobuf.number_field(4, D.Boolean), protobuf.number_field(14, 2)), "Boolean of 2"),
        (metric_of(protobuf.number_field(4, D.Int8), protobuf.number_field(10, 200 << 8)), "no Int8"),
        (metric_of(protobuf.number_field(4, D.UInt8), protobuf.number_field(10, 256)), "no UInt8"),
        (metric_of(protobuf.number_field(4, 16), protobuf.bytes_field(17, b"")), "field 17"),
        (metric_of(protobuf.number_field(4, 16), ONE), "data type 16"),
        (metric_of(INT, b"\x50\x81\x00"), "shortest form"),
        (metric_of(INT, b"\x51" + bytes(8)), "wire type 1 instead of 0"),
        (metric_of(protobuf.bytes_field(1, b"\xff"), INT, ONE), "not UTF-8"),
        (metric_of(protobuf.number_field(4, D.BooleanArray), protobuf.bytes_field(16, b"\x01\0\0\0\xff")), "its count"),
        (metric_of(INT, ONE, protobuf.bytes_field(9, protobuf.bytes_field(1, b"k"))), "go together"),
        (protobuf.bytes_field(4, b"SPBV1.0_COMPRESSED") + protobuf.bytes_field(5, b"\x1f\x8b"), "field 4"),
        (b"\x00\x00", "field 0"),
        (b"\x0b", "wire type 3"),
        (b"\x08" + b"\xff" * 10 + b"\x01", "64 bits|does not end"),
        (b"\x12\x05", "longer than its message"),
        (metric_of(protobuf.number_field(7, 1)) * (MOST_METRICS + 1), "more than 10000 metrics"),
    ],
)
def test_what_is_refused(data: bytes, why: str) -> None:
    """protocols.md 3.3: what decoders read in different ways."""
    found = decode(data)
    assert isinstance(found, Malformed)
    assert any(part in found.what for part in why.split("|")), found.what


def test_uint32_is_read_from_both_members() -> None:
    data = metric_of(protobuf.number_field(4, D.UInt32), protobuf.number_field(11, 4294967295))
    assert decode(data) == Payload(None, None, (Metric(None, D.UInt32, 4294967295),))


@pytest.mark.parametrize(
    ("value", "datatype"),
    [
        (128, D.Int8),
        (-1, D.UInt8),
        (1 << 64, D.UInt64),
        ("x", D.Int8),
        (1, None),
        (1e39, D.Float),
        (("\0",), D.StringArray),
    ],
)
def test_a_value_that_does_not_fit_is_not_written(value: Value, datatype: DataType | None) -> None:
    with pytest.raises(ValueError, match="no |does not fit|with a 0"):
        encode(Payload(T, 0, (Metric("x", datatype, value),)))


def test_topics() -> None:
    assert topic("bottling:line-2", "NBIRTH", "edge") == "spBv1.0/bottling:line-2/NBIRTH/edge"
    assert topic("g", "DDATA", "edge", "robot-7") == "spBv1.0/g/DDATA/edge/robot-7"
