"""Hypothesis strategies for everything that the OPC UA codec encodes, derived from how the structures are declared.

`structs(kind)` also makes what is legal and odd: null arrays, null strings under a set flag, ids in a longer form than
they need. With ``plain`` it keeps to what asyncua can write as well, which knows one form of each.
"""

from __future__ import annotations

import types
from dataclasses import fields
from functools import cache
from struct import pack
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from proxy.protocols.opcua.node_id import ExpandedNodeId, Guid, NodeId
from proxy.protocols.opcua.structures import Codec, Struct
from proxy.protocols.opcua.values import (
    DataValue,
    DiagnosticInfo,
    ExtensionObject,
    LocalizedText,
    QualifiedName,
    Variant,
)
from proxy.protocols.opcua.wire import Reader, Writer

if TYPE_CHECKING:
    from collections.abc import Callable

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
octets = st.binary(max_size=8)
four_octets = st.binary(min_size=4, max_size=4)
u8, u16, u32 = st.integers(0, 255), st.integers(0, 65535), st.integers(0, 2**32 - 1)
times = st.integers(116444736000000000, 150000000000000000).map(lambda ticks: ticks // 10 * 10)
"""1970 to 2076 in whole microseconds: what a Python datetime holds."""
any_times = st.integers(-(2**63), 2**63 - 1)
guids = st.binary(min_size=16, max_size=16).map(Guid)


@cache
def node_ids(plain: bool = False) -> st.SearchStrategy[NodeId]:
    text: st.SearchStrategy[str | None] = texts.filter(bool) if plain else st.none() | texts
    raw: st.SearchStrategy[bytes | None] = octets.filter(bool) if plain else st.none() | octets
    return st.one_of(
        st.builds(NodeId, st.just(0), u8, st.just(0)),
        st.builds(NodeId, u8, u16, st.just(1)),
        st.builds(NodeId, u16, u32, st.just(2)),
        st.builds(NodeId, u16, text, st.just(3)),
        st.builds(NodeId, u16, guids, st.just(4)),
        st.builds(NodeId, u16, raw, st.just(5)),
    )


def expanded(plain: bool = False) -> st.SearchStrategy[ExpandedNodeId]:
    if plain:
        uris, servers = st.none() | texts.filter(bool), st.none() | u32.filter(bool)
        return st.builds(ExpandedNodeId, node_ids(plain), uris, servers)
    named = st.builds(ExpandedNodeId, node_ids(), st.none() | texts, st.none() | u32)
    null = st.builds(ExpandedNodeId, node_ids(), st.none(), st.none() | u32, st.just(True))
    return named | null


def strings(text: str | None) -> bytes:
    return pack("<i", -1) if text is None else pack("<i", len(text.encode())) + text.encode()


@st.composite
def scalars(draw: st.DrawFn, kind: int, plain: bool, depth: int) -> bytes:
    """One value of a built-in type, written from Part 6, 5.2.2 and not with the codec (but for what has a class)."""
    sizes = {2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 4, 8: 8, 9: 8, 14: 16}
    if kind in sizes:
        return draw(st.binary(min_size=sizes[kind], max_size=sizes[kind]))
    match kind:
        case 1:
            return bytes([draw(st.integers(0, 1))])
        case 10:
            return pack("<f", draw(st.floats(width=32, allow_nan=False)))
        case 11:
            return pack("<d", draw(st.floats(allow_nan=False)))
        case 12 | 16:
            return strings(draw(st.none() | texts if kind == 12 else texts))
        case 13:
            return pack("<q", draw(times if plain else any_times))
        case 15:
            raw = draw(octets)
            return pack("<i", len(raw)) + raw
        case 19:
            return pack("<I", draw(statuses(plain)))
    return written(draw(of_class(_CLASSES[kind], plain, depth + 1)))


_CLASSES: dict[int, type[Any]] = {
    17: NodeId, 18: ExpandedNodeId, 20: QualifiedName, 21: LocalizedText, 22: ExtensionObject, 23: DataValue,
    24: Variant, 25: DiagnosticInfo,
}  # fmt: skip


def statuses(plain: bool) -> st.SearchStrategy[int]:
    return st.sampled_from([0, 0x801F0000, 0x80340000, 0x40000000]) if plain else u32


@st.composite
def variants(draw: st.DrawFn, plain: bool = False, depth: int = 0) -> Variant:
    flat = [kind for kind in range(1, 22) if not (plain and kind == 16)]
    kinds = flat if depth > 2 else [*flat, 22, 23, *([] if plain else [25])]
    form = draw(st.integers(0, 3))
    if form == 0:
        return Variant(b"\0")
    if form == 1:
        kind = draw(st.sampled_from(kinds))
        return Variant(bytes([kind]) + draw(scalars(kind, plain, depth)))
    kind = draw(st.sampled_from(kinds if depth > 2 else [*kinds, 24]))
    items = draw(st.lists(scalars(kind, plain, depth), max_size=4, min_size=1 if plain else 0))
    if form == 2 or plain:
        return Variant(bytes([0x80 | kind]) + pack("<i", len(items)) + b"".join(items))
    dimensions = draw(st.sampled_from([[len(items)], [1, len(items)], [len(items), 1, 1]]))
    tail = pack(f"<i{len(dimensions)}i", len(dimensions), *dimensions)
    return Variant(bytes([0xC0 | kind]) + pack("<i", len(items)) + b"".join(items) + tail)


@st.composite
def diagnostics(draw: st.DrawFn, plain: bool = False, depth: int = 0) -> DiagnosticInfo:
    mask = 0 if plain else draw(st.integers(0, 0x3F))
    raw = draw(st.binary(min_size=4 * (mask & 0x0F).bit_count(), max_size=4 * (mask & 0x0F).bit_count()))
    if mask & 0x10:
        raw += strings(draw(st.none() | texts))
    if mask & 0x20:
        raw += draw(st.binary(min_size=4, max_size=4))
    if not plain and depth < 3 and draw(st.booleans()):
        mask |= 0x40
        raw += draw(diagnostics(depth=depth + 1)).raw
    return DiagnosticInfo(bytes([mask]) + raw)


def data_values(plain: bool = False, depth: int = 0) -> st.SearchStrategy[DataValue]:
    if plain:  # asyncua writes a value and a status always
        when = st.none() | times
        return st.builds(DataValue, variants(plain, depth), statuses(plain), when, st.none(), when)
    when, part = st.none() | any_times, st.none() | u16
    return st.builds(DataValue, st.none() | variants(plain, depth), st.none() | u32, when, part, when, part)


def localized(plain: bool = False) -> st.SearchStrategy[LocalizedText]:
    if plain:
        return st.builds(LocalizedText, st.none() | texts.filter(bool), st.none() | texts.filter(bool))
    full = st.builds(LocalizedText, st.none() | texts, st.none() | texts)
    return full | st.builds(LocalizedText, st.none(), st.none(), st.integers(0, 3))


_FREE = 7_000_000
"""A type id that the codec does not know, so that any body will do."""


def extensions(plain: bool = False) -> st.SearchStrategy[ExtensionObject]:
    null = st.just(ExtensionObject.NULL)
    if plain:
        return null
    ids = st.builds(NodeId, st.just(3), st.just(_FREE), st.just(2))
    return st.one_of(
        null,
        st.builds(ExtensionObject, node_ids().filter(lambda node: node.namespace != 0), st.just(1), st.none() | octets),
        st.builds(ExtensionObject, ids, st.just(2), octets),
        st.builds(ExtensionObject, node_ids(), st.just(0), st.none()),
    )


def of_class(kind: type[Any], plain: bool, depth: int = 0) -> st.SearchStrategy[Any]:
    key: Any = kind  # a class counts as hashable only without its type
    return _of_class(key, plain, depth)


@cache
def _of_class(kind: Any, plain: bool, depth: int) -> st.SearchStrategy[Any]:
    made: dict[type[Any], Callable[[], st.SearchStrategy[Any]]] = {
        NodeId: lambda: node_ids(plain),
        ExpandedNodeId: lambda: expanded(plain),
        Variant: lambda: variants(plain, depth),
        DiagnosticInfo: lambda: diagnostics(plain, depth),
        DataValue: lambda: data_values(plain, depth),
        # asyncua reads the namespace of a QualifiedName as a signed number.
        QualifiedName: lambda: st.builds(QualifiedName, st.integers(0, 32767) if plain else u16, st.none() | texts),
        LocalizedText: lambda: localized(plain),
        ExtensionObject: lambda: extensions(plain),
    }
    return made[kind]() if kind in made else structs(kind, plain)


def written(value: Any) -> bytes:
    writer = Writer()
    value.write(writer)
    return writer.bytes()


def structs(kind: type[Struct], plain: bool = False) -> st.SearchStrategy[Any]:
    """Any value of a structure."""
    key: Any = kind
    return _structs(key, plain)


@cache
def _structs(kind: Any, plain: bool) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind, include_extras=True)
    return st.builds(kind, *[_of_hint(field.name, hints[field.name], plain) for field in fields(kind)])


def _of_hint(name: str, hint: Any, plain: bool) -> st.SearchStrategy[Any]:
    for codec in getattr(hint, "__metadata__", ()):
        if isinstance(codec, Codec):
            return _of_primitive(name, codec, plain)
    if isinstance(hint, types.UnionType):
        element = next(get_args(part)[0] for part in get_args(hint) if get_origin(part) is tuple)
        arrays = st.lists(_of_hint(name, element, plain), max_size=3).map(tuple)
        return arrays if plain else st.none() | arrays
    return of_class(hint, plain)


ENUMERATIONS = {
    "application_type": 3, "server_type": 3, "token_type": 3, "security_mode": 3, "request_type": 1,
    "browse_direction": 2, "timestamps_to_return": 3, "monitoring_mode": 2, "filter_operator": 17, "trigger": 2,
    "perform_insert_replace": 4, "update_type": 4,
}  # fmt: skip
"""The highest value of each."""
_FROM_ONE = {"perform_insert_replace", "update_type"}


def _of_primitive(name: str, codec: Codec, plain: bool) -> st.SearchStrategy[Any]:
    if name in ENUMERATIONS:
        return st.integers(int(name in _FROM_ONE), ENUMERATIONS[name])
    if "node_class" in name and "mask" not in name:
        return st.sampled_from([0, 1, 2, 4, 8, 16, 32, 64, 128])
    match codec.read:
        case Reader.u8:
            return u8
        case Reader.u16:
            return u16
        case Reader.u32:
            return statuses(plain) if "status" in name or "result" in name else u32
        case Reader.time:
            return times if plain else any_times
        case Reader.f64:
            return st.floats(allow_nan=False)
        case Reader.boolean:
            return st.booleans()
        case Reader.string:
            return st.none() | texts
        case Reader.byte_string:
            return st.none() | octets
    raise TypeError(f"{name} has no strategy")
