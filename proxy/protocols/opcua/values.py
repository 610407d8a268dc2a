"""Values of OPC UA (Part 6, 5.2.2.11 to 5.2.2.17): checked in full, kept as they came.

A Variant or DiagnosticInfo is its own bytes, so that what is forwarded is what was judged; what policy asks of a value
(numbers, strings) is read out of them when it asks.
"""

from __future__ import annotations

from struct import Struct, unpack_from
from typing import ClassVar

from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.skips import (
    DATA_VALUE_SIZES,
    skip_data_value,
    skip_diagnostic_info,
    skip_extension_object,
    skip_localized_text,
    skip_qualified_name,
    skip_variant,
)
from proxy.protocols.opcua.structures import Codec, opaque, record
from proxy.protocols.opcua.wire import I32, I64, U16, U32, Broken, Reader, Writer

ARRAY = 0x80
BOOLEAN, INT32, DOUBLE, STRING = 1, 6, 11, 12
_NUMBERS = {1: "B", 2: "b", 3: "B", 4: "h", 5: "H", 6: "i", 7: "I", 8: "q", 9: "Q", 10: "f", 11: "d"}
"""Built-in types that are numbers, as `struct` writes them."""
_DOUBLE = Struct("<Bd")


@record
class Variant:
    """``raw``: the whole Variant, checked. ``Variant(raw)`` of other bytes is the caller's own fault."""

    raw: bytes

    NULL: ClassVar[Variant]
    WIRE: ClassVar[Codec]

    @property
    def kind(self) -> int:
        """The built-in type, 1..25 (Part 6, table 1); 0 is the null Variant."""
        return self.raw[0] & 0x3F

    @property
    def is_array(self) -> bool:
        return self.raw[0] >= ARRAY

    def numbers(self) -> tuple[float, ...] | None:
        """The number, or all of an array; None for a value of another type and for a null array.

        A Boolean is 0 or 1. An integer that no float holds (some beyond 2**53) stays an int: a limit compared with it
        is compared with what the server gets.
        """
        letter = _NUMBERS.get(self.raw[0] & 0x3F)
        if letter is None:
            return None
        if not self.is_array:
            return (_exact(unpack_from("<" + letter, self.raw, 1)[0]),)
        (count,) = I32.unpack_from(self.raw, 1)
        if count < 0:
            return None
        return tuple([_exact(number) for number in unpack_from(f"<{count}{letter}", self.raw, 5)])

    def strings(self) -> tuple[str | None, ...] | None:
        """The String, or all of an array; None for a value of another type and for a null array."""
        if self.kind != STRING:
            return None
        reader = Reader(self.raw, 1, strict=False)
        if not self.is_array:
            return (reader.string(),)
        count = reader.count(4)
        return None if count is None else tuple([reader.string() for _ in range(count)])

    @staticmethod
    def of_bool(value: bool) -> Variant:
        return Variant(bytes((BOOLEAN, value)))

    @staticmethod
    def of_int32(value: int) -> Variant:
        return Variant(bytes((INT32,)) + I32.pack(value))

    @staticmethod
    def of_double(value: float) -> Variant:
        return Variant(_DOUBLE.pack(DOUBLE, value))

    @staticmethod
    def of_string(text: str | None) -> Variant:
        return Variant._of(STRING, (text,), array=False)

    @staticmethod
    def of_strings(texts: tuple[str | None, ...]) -> Variant:
        return Variant._of(STRING, texts, array=True)

    @staticmethod
    def _of(kind: int, texts: tuple[str | None, ...], *, array: bool) -> Variant:
        writer = Writer()
        writer.u8(kind | (ARRAY if array else 0))
        if array:
            writer.i32(len(texts))
        for text in texts:
            writer.string(text)
        return Variant(writer.bytes())

    @staticmethod
    def read(reader: Reader) -> Variant:
        at = reader.at
        reader.at = stop = skip_variant(reader.data, at, reader.end, reader.depth, reader.walk)
        return Variant(reader.data[at:stop])

    def write(self, writer: Writer) -> None:
        writer.data += self.raw


@record
class DiagnosticInfo:
    """``raw``: the whole DiagnosticInfo, checked."""

    raw: bytes

    NULL: ClassVar[DiagnosticInfo]
    WIRE: ClassVar[Codec]

    @staticmethod
    def read(reader: Reader) -> DiagnosticInfo:
        at = reader.at
        reader.at = stop = skip_diagnostic_info(reader.data, at, reader.end, reader.depth)
        return DiagnosticInfo.NULL if stop == at + 1 else DiagnosticInfo(reader.data[at:stop])

    def write(self, writer: Writer) -> None:
        writer.data += self.raw


@record
class DataValue:
    """Each part is None where the mask leaves it out."""

    value: Variant | None = None
    status: int | None = None
    source_timestamp: int | None = None
    source_picoseconds: int | None = None
    server_timestamp: int | None = None
    server_picoseconds: int | None = None

    WIRE: ClassVar[Codec]

    @staticmethod
    def read(reader: Reader) -> DataValue:
        data, at = reader.data, reader.at
        stop = skip_data_value(data, at, reader.end, reader.depth, reader.walk)
        reader.at = stop
        mask = data[at]
        value = status = source = source_pico = server = server_pico = None
        if mask & 0x01:
            value = Variant(data[at + 1 : stop - DATA_VALUE_SIZES[mask]])
        at = stop - DATA_VALUE_SIZES[mask]
        if mask & 0x02:
            (status,) = U32.unpack_from(data, at)
            at += 4
        if mask & 0x04:
            (source,) = I64.unpack_from(data, at)
            at += 8
        if mask & 0x10:
            (source_pico,) = U16.unpack_from(data, at)
            at += 2
        if mask & 0x08:
            (server,) = I64.unpack_from(data, at)
            at += 8
        if mask & 0x20:
            (server_pico,) = U16.unpack_from(data, at)
        return DataValue(value, status, source, source_pico, server, server_pico)

    def write(self, writer: Writer) -> None:
        place = len(writer.data)
        writer.u8(0)
        mask = 0
        if self.value is not None:
            mask = 0x01
            writer.raw(self.value.raw)
        if self.status is not None:
            mask |= 0x02
            writer.u32(self.status)
        if self.source_timestamp is not None:
            mask |= 0x04
            writer.time(self.source_timestamp)
        if self.source_picoseconds is not None:
            mask |= 0x10
            writer.u16(self.source_picoseconds)
        if self.server_timestamp is not None:
            mask |= 0x08
            writer.time(self.server_timestamp)
        if self.server_picoseconds is not None:
            mask |= 0x20
            writer.u16(self.server_picoseconds)
        writer.data[place] = mask


@record
class QualifiedName:
    namespace: int
    name: str | None

    NULL: ClassVar[QualifiedName]
    WIRE: ClassVar[Codec]

    @staticmethod
    def read(reader: Reader) -> QualifiedName:
        at = reader.at
        if reader.data.startswith(_NO_NAME, at) and at + 6 <= reader.end:
            reader.at = at + 6
            return QualifiedName.NULL
        return QualifiedName(reader.u16(), reader.string())

    def write(self, writer: Writer) -> None:
        writer.data += U16.pack(self.namespace)
        writer.string(self.name)


@record
class LocalizedText:
    """``locale`` and ``text`` are None unless their bit is set; ``nulls`` has the bits (1, 2) of null strings under a
    set bit.
    """

    locale: str | None = None
    text: str | None = None
    nulls: int = 0

    NULL: ClassVar[LocalizedText]
    WIRE: ClassVar[Codec]

    @staticmethod
    def read(reader: Reader) -> LocalizedText:
        mask = reader.u8()
        if mask > 3:
            raise Broken("a LocalizedText with reserved bits")
        locale = reader.string() if mask & 1 else None
        text = reader.string() if mask & 2 else None
        return LocalizedText(locale, text, mask & ((locale is None) | (text is None) << 1))

    def write(self, writer: Writer) -> None:
        mask = self.nulls | (self.locale is not None) | (self.text is not None) << 1
        writer.u8(mask)
        if mask & 1:
            writer.string(self.locale)
        if mask & 2:
            writer.string(self.text)


@record
class ExtensionObject:
    """``encoding``: 0 no body, 1 bytes, 2 XML. ``body`` is None without one and for the null ByteString."""

    type_id: NodeId
    encoding: int
    body: bytes | None

    NULL: ClassVar[ExtensionObject]
    WIRE: ClassVar[Codec]

    @staticmethod
    def read(reader: Reader) -> ExtensionObject:
        at, data = reader.at, reader.data
        if data.startswith(b"\0\0\0", at) and at + 3 <= reader.end:
            reader.at = at + 3
            return ExtensionObject.NULL
        if reader.strict:
            skip_extension_object(data, at, reader.end, reader.depth, reader.walk)
        type_id = NodeId.read(reader)
        encoding = reader.u8()
        if encoding > 2:
            raise Broken("an ExtensionObject of an unknown encoding")
        return ExtensionObject(type_id, encoding, reader.byte_string() if encoding else None)

    def write(self, writer: Writer) -> None:
        self.type_id.write(writer)
        writer.u8(self.encoding)
        if self.encoding:
            writer.byte_string(self.body)


def _exact(number: float) -> float:
    near = float(number)
    return near if near == number or near != near else number


_NO_NAME = b"\0\0\xff\xff\xff\xff"

Variant.WIRE = opaque(Variant.read, 1, nested=skip_variant)
DiagnosticInfo.WIRE = opaque(DiagnosticInfo.read, 1, nested=skip_diagnostic_info)
DataValue.WIRE = opaque(DataValue.read, 1, nested=skip_data_value)
QualifiedName.WIRE = opaque(QualifiedName.read, 6, skip=skip_qualified_name)
LocalizedText.WIRE = opaque(LocalizedText.read, 1, skip=skip_localized_text)
ExtensionObject.WIRE = opaque(ExtensionObject.read, 3, nested=skip_extension_object)
Variant.NULL = Variant(b"\0")
DiagnosticInfo.NULL = DiagnosticInfo(b"\0")
QualifiedName.NULL = QualifiedName(0, None)
LocalizedText.NULL = LocalizedText()
ExtensionObject.NULL = ExtensionObject(NodeId.NULL, 0, None)
