"""Messages of OPC UA: bytes to a structure and back (Part 6, 5.2; protocols.md 4.4 and 4.6).

    +-----------------------------+----------------------------------------+
    | NodeId 01 00 id id          | the structure, up to the last byte     |
    +-----------------------------+----------------------------------------+

`decode` gives a structure, `Malformed` or `UnknownService`, never an exception, whatever the bytes; and for every
structure it gives, ``encode(decode(body)) == body``: what leaves is what was judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.protocols.opcua.node_id import FOUR_BYTE, NodeId
from proxy.protocols.opcua.services import INNER, SERVICES
from proxy.protocols.opcua.services.messages import Request, RequestHeader
from proxy.protocols.opcua.values import ExtensionObject
from proxy.protocols.opcua.wire import ELEMENTS, U16, Broken, Malformed, Reader, Walk, Writer

if TYPE_CHECKING:
    from proxy.protocols.opcua.structures import Struct

__all__ = [
    "Malformed", "UnknownService", "decode", "decode_inner", "encode", "header_of", "make_extension",
]  # fmt: skip

_HEAD = b"\x01\x00"
"""A NodeId of four bytes in namespace 0, before its number."""
_WALKED_FROM = 1024
"""A message of more bytes is checked once without building anything, so that what is refused costs next to nothing."""


@dataclass(frozen=True, slots=True)
class UnknownService:
    """A legal NodeId of a type that is not one of `SERVICES`: refused with Bad_ServiceUnsupported."""

    type_id: NodeId


def decode(body: bytes, elements: int = ELEMENTS) -> Struct | Malformed | UnknownService:
    """Judges one reassembled message body. ``elements``: how many array elements it may have in all."""
    try:
        kind = _kind_of(body)
        if isinstance(kind, UnknownService):
            return kind
        wire, strict = kind.WIRE, kind.STRICT
        if len(body) > _WALKED_FROM and wire.nested is not None:
            wire.nested(body, 4, len(body), 0, Walk(strict))
        reader = Reader(body, 4, strict=strict, elements=elements)
        message: Struct = wire.read(reader)
        reader.done()
    except Broken as broken:
        return broken.fault
    return message


def encode(message: Struct) -> bytes:
    """The body of ``message``. Raises struct.error, ValueError or OverflowError for values that have no encoding."""
    writer = Writer()
    writer.raw(_HEAD)
    writer.u16(message.ID)
    message.WIRE.write(writer, message)
    return writer.bytes()


def header_of(body: bytes) -> tuple[int, RequestHeader, int] | Malformed:
    """Type id, header of a request and where its parameters begin, for the fault that answers a broken rest.

    The type need not be known: every request begins so. A response is Malformed.
    """
    try:
        reader = Reader(body)
        type_id = NodeId.read(reader)
        if type_id.form != FOUR_BYTE or type_id.namespace or not isinstance(type_id.identifier, int):
            return Malformed("the type of the message is not a four byte NodeId of namespace 0")
        known = SERVICES.get(type_id.identifier)
        if known is not None and not issubclass(known, Request):
            return Malformed("a response where a request belongs")
        header: RequestHeader = RequestHeader.WIRE.read(reader)
    except Broken as broken:
        return broken.fault
    return type_id.identifier, header, reader.at


def decode_inner(holder: ExtensionObject, depth: int = 0) -> Struct | Malformed | None:
    """The structure in an ExtensionObject; None for a type that is not one of `INNER` or a body that is not binary."""
    _, letter, number = holder.type_id.key
    kind = INNER.get(number) if letter == "i" and holder.type_id.namespace == 0 and isinstance(number, int) else None
    if kind is None or holder.encoding != 1:
        return None
    if holder.body is None:
        return Malformed("an ExtensionObject without its body")
    try:
        reader = Reader(holder.body, depth=depth, strict=kind.STRICT)
        if len(holder.body) > _WALKED_FROM and kind.WIRE.nested is not None:
            kind.WIRE.nested(holder.body, 0, len(holder.body), depth, Walk(kind.STRICT))
        inner: Struct = kind.WIRE.read(reader)
        reader.done()
    except Broken as broken:
        return broken.fault
    return inner


def make_extension(inner: Struct) -> ExtensionObject:
    """An ExtensionObject with ``inner`` as its binary body."""
    writer = Writer()
    inner.WIRE.write(writer, inner)
    return ExtensionObject(NodeId(0, inner.ID, FOUR_BYTE), 1, writer.bytes())


def _kind_of(body: bytes) -> type[Struct] | UnknownService:
    if body.startswith(_HEAD) and len(body) >= 4:
        number: int = U16.unpack_from(body, 2)[0]
        found = SERVICES.get(number)
        return UnknownService(NodeId(0, number, FOUR_BYTE)) if found is None else found
    type_id = NodeId.read(Reader(body))
    namespace, letter, number_ = type_id.key
    if namespace == 0 and letter == "i" and number_ in SERVICES:
        raise Broken("the type of the message is not a four byte NodeId")
    return UnknownService(type_id)
