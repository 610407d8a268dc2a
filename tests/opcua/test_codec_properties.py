"""What holds of the codec for all messages: nothing is lost, nothing but `Malformed` comes of what is broken."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.protocols.opcua import status
from proxy.protocols.opcua.decode import (
    Malformed,
    UnknownService,
    decode,
    decode_inner,
    encode,
    header_of,
    make_extension,
)
from proxy.protocols.opcua.services import INNER, SERVICES
from proxy.protocols.opcua.services.messages import Request, RequestHeader
from proxy.protocols.opcua.spans import SPLIT, Results, join_results, split_results, type_of
from proxy.protocols.opcua.structures import Struct, skipper_of
from proxy.protocols.opcua.wire import Walk, Writer
from tests.opcua.codec_strategies import structs

MESSAGES = [pytest.param(kind, id=kind.__name__) for kind in SERVICES.values()]
INSIDE = [pytest.param(kind, id=kind.__name__) for kind in INNER.values()]
SPLITTABLE = [pytest.param(SERVICES[number], id=SERVICES[number].__name__) for number in SPLIT]
SOME = settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
MORE = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
any_message = st.sampled_from(list(SERVICES.values())).flatmap(structs)


@pytest.mark.parametrize("kind", MESSAGES)
@SOME
@given(data=st.data())
def test_a_message_comes_back(kind: type[Struct], data: st.DataObject) -> None:
    message = data.draw(structs(kind))
    body = encode(message)
    found = decode(body)
    assert not isinstance(found, Malformed | UnknownService), found
    assert encode(found) == body
    assert found == message
    assert skipper_of(kind.WIRE)(body, 4, len(body), 0, Walk(kind.STRICT)) == len(body)
    if isinstance(message, Request):
        at = skipper_of(RequestHeader.WIRE)(body, 4, len(body), 0, Walk(strict=True))
        assert header_of(body) == (kind.ID, message.header, at)
    else:
        assert isinstance(header_of(body), Malformed)
    assert type_of(body) == kind.ID


@pytest.mark.parametrize("kind", INSIDE)
@SOME
@given(data=st.data())
def test_a_structure_in_an_extension_object_comes_back(kind: type[Struct], data: st.DataObject) -> None:
    inner = data.draw(structs(kind))
    holder = make_extension(inner)
    found = decode_inner(holder)
    assert found == inner
    assert isinstance(found, Struct)
    assert make_extension(found) == holder


@MORE
@given(message=any_message)
def test_no_message_survives_a_cut_or_a_byte_more(message: Struct) -> None:
    body = encode(message)
    for size in range(len(body)):
        assert isinstance(decode(body[:size]), Malformed), size
    assert isinstance(decode(body + b"\0"), Malformed)


@MORE
@given(message=any_message, data=st.data())
def test_what_a_mutation_gives_is_a_message_or_refused(message: Struct, data: st.DataObject) -> None:
    body = bytearray(encode(message))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at] = data.draw(st.integers(0, 255) | st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))
    check_any(bytes(body))


@MORE
@given(body=st.binary(max_size=80), number=st.sampled_from(list(SERVICES)))
def test_any_bytes_are_a_message_or_refused(body: bytes, number: int) -> None:
    check_any(body)
    check_any(b"\x01\x00" + number.to_bytes(2, "little") + body)


def check_any(body: bytes) -> None:
    found = decode(body)
    if isinstance(found, Malformed):
        check_refusal(found)
    elif not isinstance(found, UnknownService):
        assert encode(found) == body
    header = header_of(body)
    if isinstance(found, Request):
        assert isinstance(header, tuple)
        assert header[1] == found.header
    split = split_results(body)
    if isinstance(split, Results):
        # The walk is held against the decoder: the same verdict on the same bytes.
        assert isinstance(found, Struct)
        assert join_results(split.head, split.results, split.diagnostics) == body
    elif type_of(body) in SPLIT:
        assert isinstance(found, Malformed)


def check_refusal(refusal: Malformed) -> None:
    assert refusal.why.isascii()
    assert refusal.why.isprintable()
    assert len(refusal.why) <= 120
    assert refusal.status in (
        status.BAD_DECODING_ERROR, status.BAD_ENCODING_LIMITS_EXCEEDED, status.BAD_TOO_MANY_OPERATIONS,
    )  # fmt: skip


@pytest.mark.parametrize("kind", SPLITTABLE)
@SOME
@given(data=st.data())
def test_results_are_cut_where_the_decoder_sees_them(kind: type[Struct], data: st.DataObject) -> None:
    message = data.draw(structs(kind))
    body = encode(message)
    split = split_results(body)
    assert isinstance(split, Results)
    assert join_results(split.head, split.results, split.diagnostics) == body
    values = message.results
    assert (split.results is None) == (values is None)
    assert list(split.results or ()) == [written(value) for value in values or ()]
    infos = message.diagnostic_infos
    assert (split.diagnostics is None) == (infos is None)
    assert list(split.diagnostics or ()) == [info.raw for info in infos or ()]


def written(value: object) -> bytes:
    writer = Writer()
    if isinstance(value, int):
        writer.u32(value)
    elif isinstance(value, Struct):
        value.WIRE.write(writer, value)
    else:
        value.write(writer)  # type: ignore[attr-defined]
    return writer.bytes()
