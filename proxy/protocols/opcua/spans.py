"""The quick way: where things end in a message, without building objects of them.

`split_results` cuts a response of a service that works on a list (Read, Write, Call, Browse, ...) into the bytes of its
results, so that merging our refusals into a server's answer (protocols.md 4.8) is joining bytes:

    +---------+----------------+-----------+-------------------+---------------------+
    | type id | ResponseHeader | results[] | diagnosticInfos[] |   Part 4, 5.8..5.14 |
    +---------+----------------+-----------+-------------------+---------------------+

The walk checks what the decoder checks in a server's answer, which is its oracle. For the functions ``skip_x`` see
`skips`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, get_type_hints

from proxy.protocols.opcua import status
from proxy.protocols.opcua.services import SERVICES
from proxy.protocols.opcua.services.messages import ResponseHeader
from proxy.protocols.opcua.skips import skip_count, skip_diagnostic_info
from proxy.protocols.opcua.structures import element_of, skipper_of
from proxy.protocols.opcua.wire import ELEMENTS, I32, U16, Broken, Malformed, Walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.protocols.opcua.skips import NestedSkip

_NULL_ARRAY = b"\xff\xff\xff\xff"


@dataclass(frozen=True, slots=True)
class Results:
    """``head``: type id and ResponseHeader as they came. Each result and each DiagnosticInfo is its bytes; None stands
    for a null array.
    """

    type_id: int
    head: bytes
    results: tuple[bytes, ...] | None
    diagnostics: tuple[bytes, ...] | None


def type_of(body: bytes) -> int:
    """The number of a message's type, in the four byte form that `decode` insists on; 0 for anything else."""
    return U16.unpack_from(body, 2)[0] if len(body) >= 4 and body.startswith(b"\x01\x00") else 0


def split_results(body: bytes, most: int = ELEMENTS) -> Results | Malformed:
    """Cuts a response of one of `SPLIT`; any other type, and more than ``most`` results, is Malformed."""
    end, number = len(body), type_of(body)
    skip = SPLIT.get(number)
    if skip is None:
        return Malformed("the message has no list of results")
    try:
        at = skip_response_header(body, 4, end)
        head = body[:at]
        results, at = _split(skip, body, at, end, most)
        diagnostics, at = _split(skip_diagnostic_info, body, at, end, most)
        if at != end:
            raise Broken("bytes after the end of the message")
    except Broken as broken:
        return broken.fault
    return Results(number, head, results, diagnostics)


def join_results(head: bytes, results: Sequence[bytes] | None, diagnostics: Sequence[bytes] | None) -> bytes:
    """The response with these results: the reverse of `split_results`."""
    return head + _join(results) + _join(diagnostics)


def skip_response_header(data: bytes, at: int, end: int) -> int:
    """Part 4, 7.33. ``at`` is behind the type id."""
    # No diagnostics, a null or empty string table, a null additional header: what servers answer, nearly always.
    table = data[at + 17 : at + 21]
    if at + 24 <= end and data[at + 16] == 0 and (table == _NULL_ARRAY or table == b"\0\0\0\0"):
        if data.startswith(b"\0\0\0", at + 21):
            return at + 24
    return _RESPONSE_HEADER(data, at, end, 0, Walk(False))


def _split(skip: NestedSkip, data: bytes, at: int, end: int, most: int) -> tuple[tuple[bytes, ...] | None, int]:
    count, at = skip_count(data, at, end)
    if count < 0:
        return None, at
    if count > end - at:
        raise Broken("an array length beyond the end of the message")
    if count > most:
        raise Broken("too many results", status.BAD_TOO_MANY_OPERATIONS)
    start, found, walk = at, [], Walk(False)
    for _ in range(count):
        stop = skip(data, start, end, 0, walk)
        found.append(data[start:stop])
        start = stop
    return tuple(found), start


def _join(parts: Sequence[bytes] | None) -> bytes:
    return _NULL_ARRAY if parts is None else I32.pack(len(parts)) + b"".join(parts)


def _results_of_services() -> dict[int, NestedSkip]:
    """How to pass over one result, for every response that is a header, results and their diagnostics."""
    found: dict[int, NestedSkip] = {}
    for number, kind in SERVICES.items():
        if [field.name for field in fields(kind)] == ["header", "results", "diagnostic_infos"]:
            hints = get_type_hints(kind, include_extras=True)
            found[number] = skipper_of(element_of(hints["results"]))
    return found


_RESPONSE_HEADER = skipper_of(ResponseHeader.WIRE)
SPLIT = _results_of_services()
"""By type id of the response."""
