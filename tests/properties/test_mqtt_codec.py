"""Properties of the MQTT codec: what is legal survives both ways, what is not never gets through changed."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from proxy.protocols.mqtt import properties as props
from proxy.protocols.mqtt.framing import frame_end, varint
from proxy.protocols.mqtt.packets import (
    Connect,
    Malformed,
    Packet,
    Publish,
    claimed_level,
    decode,
    delivery_head,
    encode,
)
from tests.mqtt import notation, table
from tests.mqtt.legal import faults
from tests.mqtt.packet_strategies import Case, cases, publishes

pytestmark = pytest.mark.grows("properties")

VECTORS = [notation.packet(row[1]) for vector in notation.load("packets") for row in vector["rows"]]
SHORT = [frame for frame in VECTORS if len(frame) < 300]


def _resized(frame: bytes) -> bytes:
    """The same bytes with a length that fits them: mutations deep inside are only reached behind a right length."""
    at = 1
    while at < min(len(frame), 5) and frame[at] & 0x80:
        at += 1
    body = frame[at + 1 :]
    return frame[:1] + notation.varint(len(body)) + body


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """A legal packet or a vector with a few bytes changed, put in, or taken out."""
    if draw(st.booleans()):
        packet, level, _ = draw(cases)
        frame = bytearray(encode(packet, level))
    else:
        frame = bytearray(draw(st.sampled_from(SHORT)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, max(len(frame) - 1, 0)))
        match draw(st.integers(0, 3)):
            case 0 if frame:
                frame[at] = draw(st.integers(0, 255))
            case 1 if frame:
                frame[at] ^= 1 << draw(st.integers(0, 7))
            case 2:
                frame[at:at] = draw(st.binary(max_size=3))
            case _:
                del frame[at : at + draw(st.integers(1, 3))]
    return _resized(bytes(frame)) if frame and draw(st.integers(0, 3)) else bytes(frame)


def _level(packet: Packet, level: int) -> int:
    return packet.level if isinstance(packet, Connect) else level


@given(cases)
def test_what_is_legal_is_decoded_as_it_was_meant(case: Case) -> None:
    packet, level, to_broker = case
    frame = encode(packet, level)
    assert decode(frame, level, to_broker=to_broker) == packet
    assert encode(packet, level) == frame
    assert faults(packet, level, to_broker=to_broker) == [], "the generator itself keeps the rules"


@given(st.one_of(spoilt(), st.binary(max_size=40), st.binary(max_size=40).map(_resized)), st.booleans())
def test_whatever_comes_is_a_legal_packet_of_just_these_bytes_or_malformed(frame: bytes, to_broker: bool) -> None:
    for level in (4, 5):
        found = decode(frame, level, to_broker=to_broker)
        if isinstance(found, Malformed):
            assert 0x80 <= found.code <= 0x99
            assert found.what.isascii() and found.what.isprintable() and len(found.what) <= 120
        else:
            assert encode(found, level) == frame
            assert faults(found, _level(found, level), to_broker=to_broker) == []


@given(cases, st.data())
def test_a_packet_cut_anywhere_is_malformed(case: Case, data: st.DataObject) -> None:
    packet, level, to_broker = case
    frame = encode(packet, level)
    part = frame[: data.draw(st.integers(0, len(frame) - 1))]
    assert isinstance(decode(part, level, to_broker=to_broker), Malformed)
    end = frame_end(part, 0, 1 << 30)
    assert end in (None, len(frame))


@given(cases, st.data())
def test_a_packet_cut_anywhere_and_made_to_fit_never_becomes_the_same(case: Case, data: st.DataObject) -> None:
    """Every field is there because the bytes are: a shorter packet says something else or nothing."""
    packet, level, to_broker = case
    frame = encode(packet, level)
    assume(len(frame) > 2)
    part = _resized(frame[: data.draw(st.integers(2, len(frame) - 1))])
    assert decode(part, level, to_broker=to_broker) != packet


@given(st.lists(cases, max_size=5), st.binary(max_size=6))
def test_a_stream_is_cut_where_the_packets_end(several: list[Case], tail: bytes) -> None:
    frames = [encode(packet, level) for packet, level, _ in several]
    stream = b"".join(frames) + tail
    at = 0
    for frame in frames:
        assert frame_end(stream, at, len(frame)) == at + len(frame)
        over = frame_end(stream, at, len(frame) - 1)
        assert isinstance(over, Malformed) and over.code == 0x95
        at += len(frame)


@given(st.binary(max_size=8), st.integers(2, 300_000_000))
def test_an_end_is_right_or_unknown_or_malformed(data: bytes, limit: int) -> None:
    """By the arithmetic of 1.5.5, written once more."""
    found = frame_end(data, 0, limit)
    digits = data[1:5]
    stop = next((at for at, digit in enumerate(digits) if digit < 128), None)
    if stop is None:
        assert isinstance(found, Malformed) if len(digits) == 4 else found is None
        return
    value = sum((digit & 127) * 128**at for at, digit in enumerate(digits[: stop + 1]))
    end = value + 2 + stop
    if notation.varint(value) != digits[: stop + 1] or end > limit:
        assert isinstance(found, Malformed)
    else:
        assert found == end


@given(st.integers(0, 268_435_455))
@example(127)
@example(128)
@example(16_383)
@example(16_384)
@example(2_097_151)
@example(2_097_152)
@example(268_435_455)
def test_a_variable_byte_integer_has_the_standards_form(value: int) -> None:
    assert varint(value) == notation.varint(value)


@pytest.mark.parametrize("value", [-1, 268_435_456])
def test_no_variable_byte_integer_is_made_of_what_does_not_fit(value: int) -> None:
    with pytest.raises(ValueError, match="variable byte integer"):
        varint(value)


@given(publishes())
def test_the_head_of_a_delivery_is_enough_to_acknowledge_it(case: Case) -> None:
    packet, level, _ = case
    assert isinstance(packet, Publish)
    assert delivery_head(encode(packet, level)) == (packet.qos, packet.packet_id)


@given(spoilt().filter(bool))
def test_heads_and_claims_of_spoilt_packets_never_raise(frame: bytes) -> None:
    head = delivery_head(frame)
    assert head is None or (head[0] == 0) is (head[1] is None)
    level = claimed_level(frame)
    found = decode(frame, 4, to_broker=True)
    if isinstance(found, Connect):
        assert level == found.level


def test_the_codecs_table_of_properties_is_the_standards() -> None:
    theirs = {where: {n for n, (_, packets) in table.PROPERTIES.items() if where in packets} for where in table.EVERY}
    assert {where: set(allowed) for where, allowed in props.ALLOWED.items()} == theirs
    assert {int(each) for each in props.P} == set(table.PROPERTIES)
