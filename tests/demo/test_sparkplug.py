"""The edge's payloads: bytes worked out by hand from the field table, counters, and what is no payload."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.demo.sparkplug import BOOLEAN, DOUBLE, INT64, UINT64, Counters, Metric, Payload, decode, encode, topic

NUMBERS = st.integers(0, 2**64 - 1)
VALUES = st.one_of(
    st.tuples(st.just(UINT64), NUMBERS),
    st.tuples(st.just(INT64), st.integers(0, 2**63 - 1)),
    st.tuples(st.just(BOOLEAN), st.booleans()),
    st.tuples(st.just(DOUBLE), st.floats(allow_nan=False)),
)
METRICS = st.builds(
    lambda value, name, alias: Metric(value[0], value[1], name, alias),
    VALUES,
    st.none() | st.text(),
    st.none() | NUMBERS,
)


def test_the_bytes_are_those_of_the_specification() -> None:
    # timestamp 1 (varint), metrics 2 (length), seq 3 (varint); name 1, alias 2, timestamp 3, datatype 4, values 10..15
    ndeath = Payload(1, None, (Metric(INT64, 5, "bdSeq"),))
    assert encode(ndeath).hex() == "0801" + "120d" + "0a056264536571" + "1801" + "2004" + "5805"
    ndata = Payload(300, 2, (Metric(DOUBLE, 1.5, alias=2),))
    assert encode(ndata).hex() == "08ac02" + "1210" + "1002" + "18ac02" + "200a" + "69000000000000f83f" + "1802"
    birth = Payload(1, 0, (Metric(BOOLEAN, True, "r"),))
    assert encode(birth).hex() == "0801" + "1209" + "0a0172" + "1801" + "200b" + "7001" + "1800"


@given(NUMBERS, st.none() | st.integers(0, 255), st.lists(METRICS, max_size=4))
def test_what_is_written_is_read_again(timestamp: int, seq: int | None, metrics: list[Metric]) -> None:
    payload = Payload(timestamp, seq, tuple(metrics))
    assert decode(encode(payload)) == payload


@given(st.binary(max_size=60))
def test_anything_else_is_a_payload_or_a_value_error(data: bytes) -> None:
    try:
        decode(data)
    except ValueError:
        pass


@pytest.mark.parametrize("data", ["08", "0a05", "12ff", "0b", "08ffffffffffffffffffff01"])
def test_broken_payloads(data: str) -> None:
    with pytest.raises(ValueError):
        decode(bytes.fromhex(data))


def test_nothing_negative_is_written() -> None:
    with pytest.raises(ValueError, match="negative"):
        encode(Payload(0, 0, (Metric(INT64, -1, "x"),)))


def test_seq_and_bdseq_wrap_at_256() -> None:
    counters = Counters()
    assert [counters.connecting() for _ in range(257)] == [*range(256), 0]
    assert counters.birth() == 0
    assert [counters.data() for _ in range(257)] == [*range(1, 256), 0, 1]
    assert counters.birth() == 0
    assert counters.data() == 1


def test_topics() -> None:
    assert topic("line-2", "NBIRTH", "sensor-3-3") == "spBv1.0/line-2/NBIRTH/sensor-3-3"
