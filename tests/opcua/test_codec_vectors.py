"""Vectors: what the bytes of one value or message are, clause by clause."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.protocols.opcua import status
from proxy.protocols.opcua.decode import Malformed, UnknownService, decode, encode
from proxy.protocols.opcua.node_id import ExpandedNodeId, NodeId
from proxy.protocols.opcua.services import SERVICES
from proxy.protocols.opcua.services.messages import Request, Response
from proxy.protocols.opcua.structures import Struct, skipper_of
from proxy.protocols.opcua.values import (
    DataValue,
    DiagnosticInfo,
    ExtensionObject,
    LocalizedText,
    QualifiedName,
    Variant,
)
from proxy.protocols.opcua.wire import Broken, Reader, Walk, Writer
from tests.opcua.codec_notation import load, message

CLASSES: dict[str, Any] = {
    "node_id": NodeId, "expanded_node_id": ExpandedNodeId, "variant": Variant, "data_value": DataValue,
    "diagnostic_info": DiagnosticInfo, "extension_object": ExtensionObject, "localized_text": LocalizedText,
    "qualified_name": QualifiedName,
}  # fmt: skip
VERDICTS = {status.BAD_DECODING_ERROR: "malformed", status.BAD_ENCODING_LIMITS_EXCEEDED: "limits"}
VECTORS = load("codec")


def _cases(*, messages: bool) -> list[Any]:
    return [
        pytest.param(vector["as"], who == "client", message(text), gives, id=f"{vector['name']}, {who}: {what}")
        for vector in VECTORS
        if (vector["as"] == "message") is messages
        for who in vector["from"]
        for what, text, gives in vector["rows"]
    ]


VALUES, MESSAGES = _cases(messages=False), _cases(messages=True)


def _read(kind: str, strict: bool, data: bytes) -> Any:
    try:
        reader = Reader(data, strict=strict)
        value = CLASSES[kind].read(reader)
        reader.done()
    except Broken as broken:
        return broken.fault
    return value


def _skip(kind: str, strict: bool, data: bytes) -> Any:
    try:
        end = skipper_of(CLASSES[kind].WIRE)(data, 0, len(data), 0, Walk(strict))
    except Broken as broken:
        return broken.fault
    return end if end == len(data) else Malformed("bytes after the end of the message")


@pytest.mark.parametrize(("kind", "strict", "data", "gives"), VALUES)
def test_a_value_gives(kind: str, strict: bool, data: bytes, gives: str) -> None:
    found = _read(kind, strict, data)
    walked = _skip(kind, strict, data)
    if gives == "ok":
        writer = Writer()
        found.write(writer)
        assert writer.bytes() == data
        assert walked == len(data)
    else:
        assert VERDICTS[found.status] == gives, found.why
        assert VERDICTS[walked.status] == gives, walked.why


@pytest.mark.parametrize(("kind", "strict", "data", "gives"), VALUES)
def test_no_value_survives_a_cut(kind: str, strict: bool, data: bytes, gives: str) -> None:
    if gives == "ok":
        for size in range(len(data)):
            assert isinstance(_read(kind, strict, data[:size]), Malformed)
            assert isinstance(_skip(kind, strict, data[:size]), Malformed)


@pytest.mark.parametrize(("kind", "strict", "body", "gives"), MESSAGES)
def test_a_message_gives(kind: str, strict: bool, body: bytes, gives: str) -> None:
    found = decode(body)
    if isinstance(found, Malformed):
        assert VERDICTS[found.status] == gives, found.why
    elif isinstance(found, UnknownService):
        assert gives == "unknown"
    else:
        assert gives == "ok", found
        assert encode(found) == body
        assert isinstance(found, Request if strict else Response)
        for size in range(len(body)):
            assert isinstance(decode(body[:size]), Malformed)


def test_every_type_of_value_passes_and_fails() -> None:
    """A vector file that forgets a type would say nothing about it."""
    for kind in CLASSES:
        gives = {case.values[3] for case in VALUES if case.values[0] == kind}
        assert {"ok", "malformed"} <= gives, kind


def test_the_list_of_services_is_that_of_the_standard() -> None:
    """protocols.md 4.4; SessionlessInvoke wraps a request in another and is left out on purpose."""
    requests = [kind for kind in SERVICES.values() if issubclass(kind, Request)]
    names = {kind.__name__.removesuffix("Request") for kind in requests}
    assert len(requests) == len(names) == 39
    assert {kind.__name__.removesuffix("Response") for kind in SERVICES.values() if issubclass(kind, Response)} == {
        *names, "ServiceFault"
    }  # fmt: skip
    for number, kind in SERVICES.items():
        assert isinstance(kind, type)
        assert issubclass(kind, Struct)
        assert kind.ID == number
