"""Which monitored items a Publish response tells of, found without building anything (Part 4, 5.14.5 and 7.25).

    header | subscription | available[] | more | sequence | time | data[] | results[] | diagnostics[]
                                       each of data[]: type 811, items[] of (handle, DataValue), diagnostics[]

What consists of DataChangeNotifications alone, every byte of it, gives their handles; anything else goes the long way,
which also is the way of whatever has to be changed. `delivery` asks; properties hold both ways equal (tests/opcua).
"""

from __future__ import annotations

from struct import Struct as Layout
from struct import error as LayoutError

from proxy.protocols.opcua.services.subscription import DataChangeNotification, PublishResponse
from proxy.protocols.opcua.skips import skip_count, skip_data_value, skip_diagnostic_info
from proxy.protocols.opcua.spans import skip_response_header, type_of
from proxy.protocols.opcua.type_ids import prefix
from proxy.protocols.opcua.wire import U32, Broken

MOST = 10_000
"""Items of one response that are looked at so."""
_PART = prefix(DataChangeNotification.ID) + b"\1"
"""Type and encoding of an ExtensionObject with a DataChangeNotification as bytes."""
_MESSAGE = Layout("<?IQ")
"""More notifications, sequence number, publish time."""


def handles_of(body: bytes) -> tuple[int, list[int]] | None:
    """Subscription id and handles, in order; None: the long way."""
    if type_of(body) != PublishResponse.ID:
        return None
    end = len(body)
    try:
        at = skip_response_header(body, 4, end)
        (subscription,) = U32.unpack_from(body, at)
        count, at = skip_count(body, at + 4, end)
        at += 4 * max(count, 0) + _MESSAGE.size
        count, at = skip_count(body, at, end)
        handles: list[int] = []
        for _ in range(count):
            at = _part(body, at, end, handles)
        count, at = skip_count(body, at, end)
        at = _infos(body, at + 4 * max(count, 0), end)
    except (Broken, ValueError, IndexError, LayoutError):
        return None
    return (int(subscription), handles) if at == end else None


def _part(body: bytes, at: int, end: int, handles: list[int]) -> int:
    """Passes over one ExtensionObject and collects its handles."""
    if not body.startswith(_PART, at):
        raise Broken("another kind of notification")
    size: int = U32.unpack_from(body, at + len(_PART))[0]
    at += len(_PART) + 4
    stop = at + size
    if stop > end:
        raise Broken("a notification beyond the end of the message")
    count, at = skip_count(body, at, stop)
    if len(handles) + count > MOST:
        raise Broken("too many items")
    for _ in range(count):
        handles.append(U32.unpack_from(body, at)[0])
        at = skip_data_value(body, at + 4, stop)
    if _infos(body, at, stop) != stop:
        raise Broken("bytes left over")
    return stop


def _infos(body: bytes, at: int, end: int) -> int:
    count, at = skip_count(body, at, end)
    for _ in range(count):
        at = skip_diagnostic_info(body, at, end)
    if at > end:
        raise Broken("a message that is cut off")
    return at
