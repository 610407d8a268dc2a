"""Properties of the request codec, held against an oracle written from the specification."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.protocols.modbus import mbap, pdu
from proxy.protocols.modbus.actions import OWN_FUNCTION, Call, Span, actions
from proxy.protocols.modbus.answer import expect, is_exception
from tests.modbus import oracle
from tests.modbus.frames import hexes
from tests.modbus.oracle import CLOSE, Judgement, Touch, judge
from tests.modbus.plc import truth
from tests.modbus.strategies import any_pdus, ready_made, requests, u8, u16
from tests.modbus.vectors import load

pytestmark = pytest.mark.grows("properties")


def ours(data: bytes) -> Judgement:
    """`decode` and `actions` in the oracle's words."""
    request = pdu.decode(data)
    if isinstance(request, pdu.Malformed):
        return CLOSE
    if isinstance(request, pdu.Wrong):
        return request.code
    if isinstance(request, pdu.Unknown):
        return 1
    return [touch for action in actions(1, request) for touch in touches(action)]


def touches(action: Span | Call) -> list[Touch]:
    if isinstance(action, Span):
        if action.mask is not None:
            return [Touch("mask", action.space, action.first, action.mask)]
        values = action.values or (None,) * action.count
        return [Touch(action.verb, action.space, action.first + at, value) for at, value in enumerate(values)]
    if action.verb == "diagnose" and action.number > OWN_FUNCTION:
        return [Touch("diagnose", "function", action.number - OWN_FUNCTION)]
    return [Touch(action.verb, "sub-function" if action.function == 8 else "", action.number)]


@given(any_pdus)
def test_the_oracle_agrees(data: bytes) -> None:
    assert ours(data) == judge(data)


@given(any_pdus)
def test_what_is_a_request_encodes_to_the_same_bytes(data: bytes) -> None:
    request = pdu.decode(data)
    if not isinstance(request, pdu.Malformed | pdu.Wrong | pdu.Unknown):
        assert request.encode() == data


@given(any_pdus)
def test_atoms_count_the_parts(data: bytes) -> None:
    request = pdu.decode(data)
    if not isinstance(request, pdu.Malformed | pdu.Wrong | pdu.Unknown):
        for action in actions(1, request):
            parts = action.count if isinstance(action, Span) else 1
            assert action.atoms == 2**parts - 1
            assert not isinstance(action, Span) or len(action.values) in (0, parts)


@given(any_pdus, u8)
def test_what_is_said_of_an_action_is_short_and_printable(data: bytes, unit: int) -> None:
    request = pdu.decode(data)
    if isinstance(request, pdu.Malformed | pdu.Wrong | pdu.Unknown):
        assert len(request.what) <= 120
        assert request.what.isprintable()
        assert request.what.isascii()
        return
    for action in actions(unit, request):
        text = action.describe()
        assert len(text) <= 120
        assert text.isprintable()
        assert text.isascii()
        assert f"unit {unit}" in text


@given(u16, u8, st.binary(min_size=1, max_size=253))
@example(0, 0, b"\0")
@example(65535, 255, b"\xff" * 253)
def test_a_frame_has_the_header_of_the_guide(tid: int, unit: int, body: bytes) -> None:
    frame = mbap.adu(tid, unit, body)
    assert frame == tid.to_bytes(2, "big") + b"\0\0" + (len(body) + 1).to_bytes(2, "big") + bytes((unit,)) + body
    assert len(frame) <= mbap.MAX_ADU
    assert mbap.header_fault(frame) is None


@pytest.mark.parametrize("size", [0, 254, 300])
def test_no_frame_is_made_of_what_does_not_fit(size: int) -> None:
    with pytest.raises(ValueError, match="1..253"):
        mbap.adu(1, 1, bytes(size))


@given(st.binary(min_size=6, max_size=6), st.integers(0, 20))
def test_a_header_is_right_or_has_a_fault(header: bytes, at: int) -> None:
    right = header[2:4] == b"\0\0" and 2 <= int.from_bytes(header[4:], "big") <= 254
    fault = mbap.header_fault(bytes(at) + header, at)
    assert (fault is None) == right


def test_every_function_and_sub_function_is_known_or_refused() -> None:
    """T27: all 256 function codes, all 65,536 sub-functions of FC 8 and all types of FC 43, by the oracle's word."""
    for function in range(256):
        for body in (b"", b"\0", b"\0\0\0\1", b"\0" * 252):
            data = bytes((function,)) + body
            assert ours(data) == judge(data), data.hex()
    for sub in range(65536):
        data = b"\x08" + sub.to_bytes(2, "big") + b"\0\0"
        assert ours(data) == judge(data), data.hex()
    for kind in range(256):
        for code in range(256):
            data = bytes((43, kind, code, 0))
            assert ours(data) == judge(data), data.hex()


@st.composite
def exchanges(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A request, and an answer that is right, almost right or anything."""
    asked = draw(st.one_of(ready_made, requests))
    answer = bytearray(truth(asked) if asked[0] in (3, 23, 1, 5, 6, 16, 22, 21, 8) else draw(st.binary(max_size=30)))
    if not answer or draw(st.booleans()):
        answer = bytearray(draw(st.sampled_from(_LIKELY)))
    for _ in range(draw(st.integers(0, 2))):
        answer[draw(st.integers(0, len(answer) - 1))] = draw(u8)
    return asked, bytes(answer + draw(st.sampled_from([b"", b"", b"", b"\0", b"\0\0"])))


_LIKELY = [hexes(answer) for vector in load("answers") for answer in (*vector["fits"], *vector["breaks"])]


@given(exchanges())
def test_the_oracle_agrees_on_answers(exchange: tuple[bytes, bytes]) -> None:
    asked, answer = exchange
    request = pdu.decode(asked)
    if isinstance(request, pdu.Malformed | pdu.Wrong | pdu.Unknown):
        return
    wanted = expect(request)
    if wanted is None or len(answer) < 2:
        return
    assert (wanted.fits(answer) or is_exception(answer, asked[0])) == oracle.answers(asked, answer)


def test_the_oracle_agrees_on_the_answers_of_the_vectors() -> None:
    for vector in load("answers"):
        asked = hexes(vector["request"])
        for answer in vector["fits"]:
            assert oracle.answers(asked, hexes(answer)), (vector["name"], answer)
        for answer in vector["breaks"]:
            assert not oracle.answers(asked, hexes(answer)), (vector["name"], answer)
