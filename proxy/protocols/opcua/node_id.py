"""NodeId and ExpandedNodeId (Part 6, 5.2.2.9 and 5.2.2.10), kept in the form in which they came.

    +----------+-----------+------------+      form 0: no namespace, one byte      3: String
    | encoding | namespace | identifier |      form 1: one byte, UInt16            4: Guid
    +----------+-----------+------------+      form 2: UInt16, UInt32              5: ByteString

Two forms of one id are different bytes and one node: compare `NodeId.key`, forward the NodeId.
"""

from __future__ import annotations

from struct import Struct
from typing import ClassVar
from uuid import UUID

from proxy.protocols.opcua.skips import skip_expanded_node_id, skip_node_id
from proxy.protocols.opcua.structures import Codec, opaque, record
from proxy.protocols.opcua.wire import CUT, Broken, Reader, Writer

TWO_BYTE, FOUR_BYTE, NUMERIC, STRING, GUID, BYTE_STRING = range(6)
NAMESPACE_URI, SERVER_INDEX = 0x80, 0x40

_FOUR, _NUMERIC, _OTHER, _STRING_HEAD = Struct("<BBH"), Struct("<BHI"), Struct("<BH"), Struct("<Hi")
_LETTERS = "iiisgb"
_NO_GUID = bytes(16)


class Guid(bytes):
    """16 bytes in the order of the wire; as text, the usual form in lower case."""

    __slots__ = ()

    def __str__(self) -> str:
        return str(UUID(bytes_le=bytes(self)))

    @staticmethod
    def of(text: str) -> Guid:
        """Raises ValueError."""
        return Guid(UUID(text).bytes_le)


@record
class NodeId:
    """``form`` is the encoding byte and part of equality. ``identifier``: an int (forms 0..2), str, `Guid` or bytes;
    None for the null string or null bytes of forms 3 and 5.
    """

    namespace: int
    identifier: int | str | bytes | None
    form: int

    NULL: ClassVar[NodeId]
    WIRE: ClassVar[Codec]

    @property
    def key(self) -> tuple[int, str, int | str | bytes]:
        """Namespace, kind ('i', 's', 'g', 'b') and identifier; all null forms give that of i=0 (Part 3, 8.2.4)."""
        identifier = self.identifier
        if not identifier or (self.form == GUID and identifier == _NO_GUID):
            if self.namespace == 0:
                return 0, "i", 0
            if identifier is None:
                identifier = "" if self.form == STRING else b""
        return self.namespace, _LETTERS[self.form], identifier

    @property
    def is_null(self) -> bool:
        return self.key == (0, "i", 0)

    @staticmethod
    def numeric(namespace: int, number: int) -> NodeId:
        """In its shortest form."""
        if namespace == 0 and number < 256:
            return NodeId(0, number, TWO_BYTE)
        if namespace < 256 and number < 65536:
            return NodeId(namespace, number, FOUR_BYTE)
        return NodeId(namespace, number, NUMERIC)

    @staticmethod
    def string(namespace: int, text: str) -> NodeId:
        return NodeId(namespace, text, STRING)

    def __str__(self) -> str:
        """For people, as `ns=2;s=Speed`; not escaped."""
        namespace, kind, identifier = self.key
        text = identifier.hex() if kind == "b" and isinstance(identifier, bytes) else str(identifier)
        return f"ns={namespace};{kind}={text}" if namespace else f"{kind}={text}"

    @staticmethod
    def read(reader: Reader) -> NodeId:
        data, at = reader.data, reader.at
        if at + 2 > reader.end:
            raise Broken(CUT)
        form = data[at]
        if form == STRING and at + 7 <= reader.end:  # what most servers use, in one step
            namespace, size = _STRING_HEAD.unpack_from(data, at + 1)
            stop = at + 7 + size
            if at + 7 <= stop <= reader.end:
                reader.at = stop
                return NodeId(namespace, _text(data[at + 7 : stop]), STRING)
        return _read(form, reader)

    def write(self, writer: Writer) -> None:
        _write(self, 0, writer)


@record
class ExpandedNodeId:
    """A NodeId that may name its namespace by URI and its server by index.

    ``namespace_uri`` and ``server_index`` are None unless their flag is set; ``null_uri`` is a null string under a set
    flag.
    """

    node: NodeId
    namespace_uri: str | None = None
    server_index: int | None = None
    null_uri: bool = False

    WIRE: ClassVar[Codec]

    @staticmethod
    def read(reader: Reader) -> ExpandedNodeId:
        data, at = reader.data, reader.at
        if at >= reader.end:
            raise Broken(CUT)
        first = data[at]
        node = _read(first & 0x3F, reader)
        if first < 0x40:
            return ExpandedNodeId(node)
        uri = reader.string() if first & NAMESPACE_URI else None
        server = reader.u32() if first & SERVER_INDEX else None
        return ExpandedNodeId(node, uri, server, uri is None and first >= NAMESPACE_URI)

    def write(self, writer: Writer) -> None:
        has_uri = self.null_uri or self.namespace_uri is not None
        flags = (NAMESPACE_URI if has_uri else 0) | (0 if self.server_index is None else SERVER_INDEX)
        _write(self.node, flags, writer)
        if has_uri:
            writer.string(self.namespace_uri)
        if self.server_index is not None:
            writer.u32(self.server_index)


def _read(form: int, reader: Reader) -> NodeId:
    """``form`` is the first byte, without the flags where they are allowed."""
    at, data = reader.at, reader.data
    size = _SIZES.get(form)
    if size is None:
        raise Broken("a NodeId of an unknown form")
    reader.at = stop = at + size
    if stop > reader.end:
        raise Broken(CUT)
    if form == TWO_BYTE:
        return NodeId(0, data[at + 1], 0)
    if form == FOUR_BYTE:
        return NodeId(data[at + 1], data[at + 2] | data[at + 3] << 8, 1)
    if form == NUMERIC:
        _, namespace, number = _NUMERIC.unpack_from(data, at)
        return NodeId(namespace, number, 2)
    namespace = data[at + 1] | data[at + 2] << 8
    if form == STRING:
        raw = reader.byte_string()
        return NodeId(namespace, None if raw is None else _text(raw), 3)
    if form == GUID:
        return NodeId(namespace, Guid(data[at + 3 : stop]), 4)
    return NodeId(namespace, reader.byte_string(), 5)


def _text(raw: bytes) -> str:
    """In an id U+0000 is refused from servers as well: what a client learned there it may ask for."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise Broken("a string is not well-formed UTF-8") from None
    if "\0" in text:
        raise Broken("a string contains U+0000")
    return text


_SIZES = {TWO_BYTE: 2, FOUR_BYTE: 4, NUMERIC: 7, STRING: 3, GUID: 19, BYTE_STRING: 3}
"""Bytes up to where a string begins, or of the whole."""


def _write(node: NodeId, flags: int, writer: Writer) -> None:
    form, identifier = node.form, node.identifier
    if form <= NUMERIC and isinstance(identifier, int):
        if form == TWO_BYTE:
            writer.raw(bytes((flags, identifier)))
        else:
            writer.raw((_FOUR if form == FOUR_BYTE else _NUMERIC).pack(form | flags, node.namespace, identifier))
        return
    writer.raw(_OTHER.pack(form | flags, node.namespace))
    if form == STRING and (identifier is None or isinstance(identifier, str)):
        writer.string(identifier)
    elif form == GUID and isinstance(identifier, bytes) and len(identifier) == 16:
        writer.raw(identifier)
    elif form == BYTE_STRING and (identifier is None or isinstance(identifier, bytes)):
        writer.byte_string(identifier)
    else:
        raise ValueError(f"a NodeId of form {form} with an identifier of another type")


NodeId.WIRE = opaque(NodeId.read, 2, skip=skip_node_id)
ExpandedNodeId.WIRE = opaque(ExpandedNodeId.read, 2, skip=skip_expanded_node_id)
NodeId.NULL = NodeId(0, 0, TWO_BYTE)
