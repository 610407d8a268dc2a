"""The end of an element, found without building anything: what `values` and `spans` stand on.

Each ``skip_x(data, at, end)`` checks the element that begins at ``at`` and gives where it ends (exclusive), or raises
`Broken`. Those of elements that hold others also take ``depth``, how many they lie inside of, and a `Walk`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from proxy.protocols.opcua import status
from proxy.protocols.opcua.wire import CUT, DEPTH, I32, Broken, Walk

Skip = Callable[[bytes, int, int], int]
NestedSkip = Callable[[bytes, int, int, int, Walk | None], int]

_SIZE = I32.unpack_from
VARIANT, DATA_VALUE, EXTENSION_OBJECT, DIAGNOSTIC_INFO, BOOLEAN = 24, 23, 22, 25, 1
BODIES: dict[int, NestedSkip] = {}
"""Bodies of ExtensionObjects that are looked into, by type id: what `structures.struct` was given."""
FIXED = {1: 1, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 4, 8: 8, 9: 8, 10: 4, 11: 8, 13: 8, 14: 16, 19: 4}
"""Bytes of the built-in types (Part 6, table 1) that have one size."""


def skip_byte_string(data: bytes, at: int, end: int) -> int:
    """Part 6, 5.2.2.7."""
    at += 4
    if at > end:
        raise Broken(CUT)
    size: int = _SIZE(data, at - 4)[0]
    if size < 0:
        if size != -1:
            raise Broken("a length below -1")
        return at
    at += size
    if at > end:
        raise Broken("a length beyond the end of the message")
    return at


def skip_string(data: bytes, at: int, end: int) -> int:
    """Part 6, 5.2.2.4: well-formed UTF-8 (CVE-2022-2825, CVE-2022-2848). Also XmlElement, 5.2.2.8."""
    at += 4
    if at > end:
        raise Broken(CUT)
    size: int = _SIZE(data, at - 4)[0]
    if size <= 0:
        if size < -1:
            raise Broken("a length below -1")
        return at
    stop = at + size
    if stop > end:
        raise Broken("a length beyond the end of the message")
    text = data[at:stop]
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError:
            raise Broken("a string is not well-formed UTF-8") from None
    return stop


def skip_strict_string(data: bytes, at: int, end: int) -> int:
    """A string of a client outside values: without U+0000."""
    stop = skip_string(data, at, end)
    if data.find(0, at + 4, stop) >= 0:
        raise Broken("a string contains U+0000")
    return stop


_NODE_FORMS = {0: 2, 1: 4, 2: 7, 4: 19}
"""Bytes of the NodeIds that have one size, by encoding byte."""


def skip_node_id(data: bytes, at: int, end: int) -> int:
    """Part 6, 5.2.2.9; the flags of an ExpandedNodeId are refused."""
    if at >= end:
        raise Broken(CUT)
    form = data[at]
    size = _NODE_FORMS.get(form)
    if size is not None:
        at += size
        if at > end:
            raise Broken(CUT)
        return at
    if form == 3:
        return skip_strict_string(data, at + 3, end)
    if form == 5:
        return skip_byte_string(data, at + 3, end)
    raise Broken("a NodeId of an unknown form")


def skip_expanded_node_id(data: bytes, at: int, end: int) -> int:
    """Part 6, 5.2.2.10."""
    if at >= end:
        raise Broken(CUT)
    form = data[at]
    if form < 0x40:
        return skip_node_id(data, at, end)
    # The flags are in the first byte alone; without it the rest is a NodeId's.
    size = _NODE_FORMS.get(form & 0x3F)
    if size is not None:
        at += size
    elif form & 0x3F == 3:
        at = skip_strict_string(data, at + 3, end)
    elif form & 0x3F == 5:
        at = skip_byte_string(data, at + 3, end)
    else:
        raise Broken("a NodeId of an unknown form")
    if form & 0x80:
        at = skip_string(data, at, end)
    if form & 0x40:
        at += 4
    if at > end:
        raise Broken(CUT)
    return at


def skip_qualified_name(data: bytes, at: int, end: int) -> int:
    """Part 6, 5.2.2.13."""
    return skip_string(data, at + 2, end)


def skip_localized_text(data: bytes, at: int, end: int) -> int:
    """Part 6, 5.2.2.14."""
    if at >= end:
        raise Broken(CUT)
    mask = data[at]
    if mask > 3:
        raise Broken("a LocalizedText with reserved bits")
    at += 1
    if mask & 1:
        at = skip_string(data, at, end)
    if mask & 2:
        at = skip_string(data, at, end)
    return at


def skip_extension_object(data: bytes, at: int, end: int, depth: int = 0, walk: Walk | None = None) -> int:
    """Part 6, 5.2.2.15. The body stays closed, but for a client's of a type in `BODIES`: that may hold others."""
    start, at = at, skip_node_id(data, at, end)
    if at >= end:
        raise Broken(CUT)
    encoding = data[at]
    if encoding == 0:
        return at + 1
    if encoding > 2:
        raise Broken("an ExtensionObject of an unknown encoding")
    stop = skip_byte_string(data, at + 1, end)
    if walk is not None and walk.strict and encoding == 1:
        _check_body(data, start, at + 5, stop, depth + 1, walk)
    return stop


def _check_body(data: bytes, start: int, at: int, end: int, depth: int, walk: Walk) -> None:
    """A server opens these without end (CVE-2021-27432); a type of nobody's knowledge it cannot open."""
    skip = BODIES.get(_number(data, start))
    if skip is not None:
        check_depth(depth)
        if skip(data, at, end, depth, walk) != end:
            raise Broken("bytes after the end of an ExtensionObject's content")


def _number(data: bytes, at: int) -> int:
    """The identifier of a checked NodeId, if it is a number of namespace 0, else 0."""
    form = data[at]
    if form == 0:
        return data[at + 1]
    if form == 1 and data[at + 1] == 0:
        return data[at + 2] | data[at + 3] << 8
    if form == 2 and data[at + 1] == data[at + 2] == 0:
        return int.from_bytes(data[at + 3 : at + 7], "little")
    return 0


def skip_diagnostic_info(data: bytes, at: int, end: int, depth: int = 0, walk: Walk | None = None) -> int:
    """Part 6, 5.2.2.12."""
    while True:
        if at >= end:
            raise Broken(CUT)
        mask = data[at]
        if mask & 0x80:
            raise Broken("a DiagnosticInfo with reserved bits")
        at += 1 + 4 * (mask & 0x0F).bit_count()
        if mask & 0x10:
            at = skip_string(data, at, end)
        if mask & 0x20:
            at += 4
        if at > end:
            raise Broken(CUT)
        if not mask & 0x40:
            return at
        depth += 1
        check_depth(depth)


DATA_VALUE_SIZES = tuple(
    (4 if mask & 0x02 else 0) + 8 * (mask & 0x0C).bit_count() + 2 * (mask & 0x30).bit_count() for mask in range(64)
)
"""Bytes of a DataValue behind its value, by mask."""


def skip_data_value(data: bytes, at: int, end: int, depth: int = 0, walk: Walk | None = None) -> int:
    """Part 6, 5.2.2.17: value, status, source time and picoseconds, server time and picoseconds."""
    if at >= end:
        raise Broken(CUT)
    mask = data[at]
    if mask > 0x3F:
        raise Broken("a DataValue with reserved bits")
    at += 1
    if mask & 1:
        at = skip_variant(data, at, end, depth, walk)
    at += DATA_VALUE_SIZES[mask]
    if at > end:
        raise Broken(CUT)
    return at


def skip_variant(data: bytes, at: int, end: int, depth: int = 0, walk: Walk | None = None) -> int:
    """Part 6, 5.2.2.16. A strict walk also judges Booleans, dimensions, and a Variant directly in another."""
    if at >= end:
        raise Broken(CUT)
    mask = data[at]
    at += 1
    kind = mask & 0x3F
    if mask < 0x40:
        size = FIXED.get(kind)
        if size is not None:
            at += size
            if at > end:
                raise Broken(CUT)
            if kind == BOOLEAN and data[at - 1] > 1 and walk is not None and walk.strict:
                raise Broken("a Boolean other than 0 or 1")
            return at
        if kind == 0:
            return at
        if kind == VARIANT and walk is not None and walk.strict:
            raise Broken("a Variant directly in a Variant")
        return _skip_value(kind, data, at, end, depth, walk)
    if not mask & 0x80:
        raise Broken("a Variant of a reserved form")
    count: int
    count, at = skip_count(data, at, end)
    at = _skip_elements(kind, max(count, 0), data, at, end, depth, walk)
    if mask & 0x40:
        at = _skip_dimensions(count, data, at, end, walk)
    return at


def skip_count(data: bytes, at: int, end: int) -> tuple[int, int]:
    """An array length, -1 for null, and where its first element begins; not held against the bytes that are left."""
    at += 4
    if at > end:
        raise Broken(CUT)
    count: int = _SIZE(data, at - 4)[0]
    if count < -1:
        raise Broken("an array length below -1")
    return count, at


def check_depth(depth: int) -> None:
    """T42, CVE-2021-27432, CVE-2022-25903, CVE-2023-3825."""
    if depth >= DEPTH:
        raise Broken(f"more than {DEPTH} levels of nesting", status.BAD_ENCODING_LIMITS_EXCEEDED)


_PLAIN: Mapping[int, Skip] = {
    12: skip_string, 15: skip_byte_string, 16: skip_string, 17: skip_node_id, 18: skip_expanded_node_id,
    20: skip_qualified_name, 21: skip_localized_text,
}  # fmt: skip
_NESTED: Mapping[int, NestedSkip] = {
    EXTENSION_OBJECT: skip_extension_object, DATA_VALUE: skip_data_value, VARIANT: skip_variant,
    DIAGNOSTIC_INFO: skip_diagnostic_info,
}  # fmt: skip


def _skip_value(kind: int, data: bytes, at: int, end: int, depth: int, walk: Walk | None) -> int:
    plain = _PLAIN.get(kind)
    if plain is not None:
        return plain(data, at, end)
    nested = _NESTED.get(kind)
    if nested is None:
        raise Broken("a Variant of an unknown type")
    check_depth(depth + 1)
    return nested(data, at, end, depth + 1, walk)


def _skip_elements(kind: int, count: int, data: bytes, at: int, end: int, depth: int, walk: Walk | None) -> int:
    size = FIXED.get(kind)
    if size is not None:
        stop = at + count * size
        if stop > end:
            raise Broken("an array length beyond the end of the message")
        if kind == BOOLEAN and count and walk is not None and walk.strict and max(data[at:stop]) > 1:
            raise Broken("a Boolean other than 0 or 1")
        return stop
    if count > end - at:
        raise Broken("an array length beyond the end of the message")
    if walk is not None:
        walk.take(count)
    plain = _PLAIN.get(kind)
    if plain is not None:
        for _ in range(count):
            at = plain(data, at, end)
        return at
    nested = _NESTED.get(kind)
    if nested is None:
        raise Broken("a Variant of an unknown type")
    check_depth(depth + 1)
    for _ in range(count):
        at = nested(data, at, end, depth + 1, walk)
    return at


def _skip_dimensions(count: int, data: bytes, at: int, end: int, walk: Walk | None) -> int:
    """ArrayDimensions; their product is the length of the array (5.2.2.16, table 21)."""
    dimensions, at = skip_count(data, at, end)
    stop = at + 4 * max(dimensions, 0)
    if stop > end:
        raise Broken("an array length beyond the end of the message")
    if walk is not None and walk.strict and dimensions > 0:
        product = 1
        for place in range(at, stop, 4):
            size: int = _SIZE(data, place)[0]
            if size < 0 or product > end:
                raise Broken("dimensions that do not fit the array")
            product *= size
        if product != max(count, 0):
            raise Broken("dimensions that do not fit the array")
    return stop
