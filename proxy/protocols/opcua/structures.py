"""How a structure of the standard is declared, and what turns a declaration into a codec.

    @struct
    class ReadValueId(Struct):
        node_id: NodeId
        attribute_id: UInt32
        index_range: String
        data_encoding: QualifiedName

Fields are in the order of the wire (Part 6, 5.2.6). A field is a primitive of this module, a type that brings its own
`Codec` as ``WIRE`` (structures, NodeId, Variant), or an array of either: ``tuple[X, ...] | None``, where None is the
null array (-1) and () the empty one (0).

Type checkers hold a structure frozen; at run time it is an ordinary dataclass with slots, because a frozen one takes
four times as long to build (style.md 3).
"""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import (
    Annotated,
    Any,
    ClassVar,
    NamedTuple,
    TypeVar,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from proxy.protocols.opcua.skips import BODIES, NestedSkip, Skip, skip_byte_string, skip_count, skip_string
from proxy.protocols.opcua.wire import CUT, Broken, Reader, Walk, Writer

Read = Callable[[Reader], Any]
Write = Callable[[Writer, Any], None]


class Codec(NamedTuple):
    """Of one type: read, write, and the ways to pass over it. ``least``: the bytes of its shortest value.

    ``skip`` takes ``(data, at, end)``; ``nested`` takes ``depth`` and a `Walk` as well. A type of one size has
    neither.
    """

    read: Read
    write: Write
    least: int
    skip: Skip | None = None
    nested: NestedSkip | None = None

    @property
    def fixed(self) -> bool:
        return self.skip is None and self.nested is None


def opaque(read: Read, least: int, **skips: Any) -> Codec:
    """The codec of a class with a method ``write(writer)``."""
    return Codec(read, _write_itself, least, **skips)


def _write_itself(writer: Writer, value: Any) -> None:
    value.write(writer)


Byte = Annotated[int, Codec(Reader.u8, Writer.u8, 1)]
UInt16 = Annotated[int, Codec(Reader.u16, Writer.u16, 2)]
UInt32 = Annotated[int, Codec(Reader.u32, Writer.u32, 4)]
Int32 = Annotated[int, Codec(Reader.i32, Writer.i32, 4)]
Double = Annotated[float, Codec(Reader.f64, Writer.f64, 8)]
DateTime = Annotated[int, Codec(Reader.time, Writer.time, 8)]
StatusCode = UInt32
Enumeration = UInt32
"""Int32 on the wire, read without sign: no enumeration of the standard has negative values, what arrives is kept."""
Boolean = Annotated[int, Codec(Reader.boolean, Writer.boolean, 1)]
"""True or False; a server's byte above 1 as it came."""
String = Annotated[str | None, Codec(Reader.string, Writer.string, 4, skip_string)]
ByteString = Annotated[bytes | None, Codec(Reader.byte_string, Writer.byte_string, 4, skip_byte_string)]


class Struct:
    """The base of every structure. ``ID`` is the number of its DefaultBinary encoding in namespace 0, 0 for none."""

    __slots__ = ()
    ID: ClassVar[int] = 0
    STRICT: ClassVar[bool] = True
    """Sent by clients; False for what servers send (`wire.Reader`)."""
    WIRE: ClassVar[Codec]
    __dataclass_fields__: ClassVar[dict[str, Any]]


S = TypeVar("S", bound=Struct)
T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def record(cls: type[T]) -> type[T]:
    """A dataclass that is frozen to type checkers; its codec is its own affair."""
    return dataclass(slots=True, unsafe_hash=True)(cls)


@dataclass_transform(frozen_default=True)
def struct(cls: type[S]) -> type[S]:
    """Makes a record of the declaration and derives its codec; a static method ``read`` of its own is kept."""
    own_read = cls.__dict__.get("read")
    made = record(cls)
    hints = get_type_hints(made, include_extras=True)
    names = [field.name for field in fields(made)]
    codecs = [codec_of(hints[name]) for name in names]
    read = own_read.__func__ if own_read else _reader(made, [codec.read for codec in codecs])
    skip = _skipper(codecs)
    made.WIRE = Codec(read, _writer(names, codecs), sum(codec.least for codec in codecs), nested=skip)
    if made.ID:
        BODIES[made.ID] = skip
    return made


def codec_of(hint: Any) -> Codec:
    """The codec of a field declared as ``hint``. Raises TypeError for what has none."""
    for extra in getattr(hint, "__metadata__", ()):
        if isinstance(extra, Codec):
            return extra
    if isinstance(hint, types.UnionType):
        return array_of(element_of(hint))
    found: Codec | None = getattr(hint, "WIRE", None)
    if found is None:
        raise TypeError(f"{hint} has no encoding")
    return found


def element_of(hint: Any) -> Codec:
    """The codec of X in ``tuple[X, ...] | None``. Raises TypeError."""
    for part in get_args(hint):
        if get_origin(part) is tuple:
            return codec_of(get_args(part)[0])
    raise TypeError(f"{hint} is not an array")


def array_of(element: Codec) -> Codec:
    """Part 6, 5.2.5: a length, -1 for null, then the elements."""
    read_one, write_one, least = element.read, element.write, element.least

    def read(reader: Reader) -> tuple[Any, ...] | None:
        count = reader.count(least)
        return None if count is None else tuple([read_one(reader) for _ in range(count)])

    def write(writer: Writer, value: tuple[Any, ...] | None) -> None:
        if value is None:
            writer.i32(-1)
        else:
            writer.i32(len(value))
            for one in value:
                write_one(writer, one)

    skip_one = skipper_of(element)

    def skip(data: bytes, at: int, end: int, depth: int, walk: Walk | None) -> int:
        count, at = skip_count(data, at, end)
        if count * least > end - at:
            raise Broken("an array length beyond the end of the message")
        if element.fixed:
            return at + max(count, 0) * least
        if walk is not None and count > 0:
            walk.take(count)
        for _ in range(count):
            at = skip_one(data, at, end, depth, walk)
        return at

    return Codec(read, write, 4, nested=skip)


def skipper_of(codec: Codec) -> NestedSkip:
    """One way to pass over any type."""
    return codec.nested or _skipper([codec])


def _reader(cls: type[Any], reads: list[Read]) -> Read:
    def read(reader: Reader) -> Any:
        return cls(*[read_field(reader) for read_field in reads])

    return read


def _writer(names: list[str], codecs: list[Codec]) -> Write:
    parts = [(attrgetter(name), codec.write) for name, codec in zip(names, codecs, strict=True)]

    def write(writer: Writer, value: Any) -> None:
        for field, write_field in parts:
            write_field(writer, field(value))

    return write


def _skipper(codecs: list[Codec]) -> NestedSkip:
    """Fields of one size are passed over together; Booleans among them are left to `Reader`."""
    steps: list[tuple[int, Any, Any]] = []
    size = 0
    for codec in codecs:
        if codec.fixed:
            size += codec.least
        else:
            steps.append((size, codec.skip, codec.nested))
            size = 0
    rest = size

    def skip(data: bytes, at: int, end: int, depth: int, walk: Walk | None) -> int:
        for before, plain, nested in steps:
            if plain is not None:
                at = plain(data, at + before, end)
            else:
                at = nested(data, at + before, end, depth, walk)
        at += rest
        if at > end:
            raise Broken(CUT)
        return at

    return skip
