"""Properties of MQTT 5 (2.2.2): which there are, of which type, in which packet, and how often."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from proxy.protocols.mqtt import reasons, strings
from proxy.protocols.mqtt.framing import Broken, Reader, varint

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_USER_PROPERTIES = 16
MAX_USER_BYTES = 4096
"""Names and values of all user properties of one list together."""
MAX_SUBSCRIPTION_IDS = 256
"""Subscription identifiers of one delivery: as many as a session may have filters."""


class P(IntEnum):
    """Identifiers (table 2-4)."""

    PAYLOAD_FORMAT = 0x01
    MESSAGE_EXPIRY = 0x02
    CONTENT_TYPE = 0x03
    RESPONSE_TOPIC = 0x08
    CORRELATION_DATA = 0x09
    SUBSCRIPTION_ID = 0x0B
    SESSION_EXPIRY = 0x11
    ASSIGNED_CLIENT_ID = 0x12
    SERVER_KEEP_ALIVE = 0x13
    AUTHENTICATION_METHOD = 0x15
    AUTHENTICATION_DATA = 0x16
    REQUEST_PROBLEM_INFORMATION = 0x17
    WILL_DELAY = 0x18
    REQUEST_RESPONSE_INFORMATION = 0x19
    RESPONSE_INFORMATION = 0x1A
    SERVER_REFERENCE = 0x1C
    REASON_STRING = 0x1F
    RECEIVE_MAXIMUM = 0x21
    TOPIC_ALIAS_MAXIMUM = 0x22
    TOPIC_ALIAS = 0x23
    MAXIMUM_QOS = 0x24
    RETAIN_AVAILABLE = 0x25
    USER_PROPERTY = 0x26
    MAXIMUM_PACKET_SIZE = 0x27
    WILDCARD_AVAILABLE = 0x28
    SUBSCRIPTION_ID_AVAILABLE = 0x29
    SHARED_AVAILABLE = 0x2A


Value = int | str | bytes | tuple[str, str]


class Property(NamedTuple):
    """One property; the value's type follows from the id, a user property's is (name, value)."""

    id: int
    value: Value


Properties = tuple[Property, ...]
"""In the order of the wire."""

WILL = 16
"""Stands for the Will's properties where otherwise a packet type (1..15) stands."""

_USER = int(P.USER_PROPERTY)
_SUBSCRIPTION = int(P.SUBSCRIPTION_ID)
# Plain numbers: looking up a member of an Enum costs more than reading the property.

_FLAGS = frozenset({0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A})
_WIDTHS = {
    **dict.fromkeys(_FLAGS, 1),
    **dict.fromkeys((0x13, 0x21, 0x22, 0x23), 2),
    **dict.fromkeys((0x02, 0x11, 0x18, 0x27), 4),
}
_NEVER_ZERO = {
    0x0B: reasons.PROTOCOL_ERROR,  # 3.3.2.3.8, 3.8.2.1.2
    0x21: reasons.PROTOCOL_ERROR,  # 3.1.2.11.3, 3.2.2.3.3
    0x23: reasons.ALIAS_INVALID,  # [MQTT-3.3.2-8]
    0x27: reasons.PROTOCOL_ERROR,  # 3.1.2.11.4, 3.2.2.3.6
}

_MESSAGE = frozenset({0x01, 0x02, 0x03, 0x08, 0x09, 0x26})
_ANSWER = frozenset({0x1F, 0x26})
ALLOWED: dict[int, frozenset[int]] = {
    1: frozenset({0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27}),
    2: frozenset(
        {0x11, 0x12, 0x13, 0x15, 0x16, 0x1A, 0x1C, 0x1F, 0x21, 0x22, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2A}
    ),
    3: _MESSAGE | {0x0B, 0x23},
    **dict.fromkeys((4, 5, 6, 7, 9, 11), _ANSWER),
    8: frozenset({0x0B, 0x26}),
    10: frozenset({0x26}),
    14: frozenset({0x11, 0x1C, 0x1F, 0x26}),
    15: frozenset({0x15, 0x16, 0x1F, 0x26}),
    WILL: _MESSAGE | {0x18},
}
"""Per packet type (and `WILL`) the identifiers it may carry (table 2-4)."""

_TO_CLIENT_ONLY = {(3, 0x0B), (14, 0x1C)}
"""[MQTT-3.3.4-6], 3.14.2.2.5: (packet type, id) that the broker alone may send."""
_TO_BROKER_ONLY = {(14, 0x11)}
"""[MQTT-3.14.2-2]: the client alone."""


def _most(where: int, number: int) -> int:
    """User properties repeat anywhere, subscription identifiers in a delivery (one per matching subscription)."""
    if number == _USER:
        return MAX_USER_PROPERTIES
    return MAX_SUBSCRIPTION_IDS if (where, number) == (3, _SUBSCRIPTION) else 1


def _places(*, to_broker: bool) -> dict[int, dict[int, int]]:
    wrong_way = _TO_CLIENT_ONLY if to_broker else _TO_BROKER_ONLY
    return {
        where: {number: _most(where, number) for number in allowed if (where, number) not in wrong_way}
        for where, allowed in ALLOWED.items()
    }


_PLACES = {to_broker: _places(to_broker=to_broker) for to_broker in (True, False)}
"""Direction, packet type, id: how often it may stand there."""


def read(reader: Reader, where: int, *, to_broker: bool) -> Properties:
    """Property length and properties of packet type ``where``. Raises `Broken`."""
    length = reader.varint()
    if length == 0:
        return ()
    part = reader.part(length)
    places = _PLACES[to_broker][where]
    found: list[Property] = []
    counts: dict[int, int] = {}
    user_bytes = 0
    while part.at < part.end:
        number = part.byte()
        counts[number] = count = counts.get(number, 0) + 1
        if count > places.get(number, 0):
            raise _misplaced(number, where, places.get(number, 0))
        start = part.at
        found.append(Property(number, _READERS[number](part, number)))
        if number == _USER:
            user_bytes += part.at - start - 4
            if user_bytes > MAX_USER_BYTES:
                raise Broken(f"user properties of more than {MAX_USER_BYTES} bytes", reasons.QUOTA, ours=True)
    if 0x16 in counts and 0x15 not in counts:  # 3.1.2.11.10
        raise Broken("authentication data without a method", reasons.PROTOCOL_ERROR)
    return tuple(found)


def write(properties: Properties) -> bytes:
    """Property length and properties. Raises ValueError or OverflowError for a value that cannot be encoded."""
    if not properties:
        return b"\0"
    body = b"".join(bytes((number,)) + _write_value(number, value) for number, value in properties)
    return varint(len(body)) + body


def get(properties: Properties, number: int, default: Value | None = None) -> Value | None:
    """The value of the first property with that id, else ``default``."""
    for found, value in properties:
        if found == number:
            return value
    return default


def number_of(properties: Properties, number: int, default: int) -> int:
    """`get` for properties whose values are numbers."""
    value = get(properties, number)
    return value if isinstance(value, int) else default


def text_of(properties: Properties, number: int) -> str | None:
    """`get` for properties whose values are strings."""
    value = get(properties, number)
    return value if isinstance(value, str) else None


def without(properties: Properties, *numbers: int) -> Properties:
    """The same list without those ids."""
    return tuple(each for each in properties if each.id not in numbers)


def replaced(properties: Properties, number: int, value: Value) -> Properties:
    """The same list with ``value`` in that property's place, at the end if it was not there."""
    new = Property(number, value)
    if any(each.id == number for each in properties):
        return tuple(new if each.id == number else each for each in properties)
    return (*properties, new)


def _misplaced(number: int, where: int, most: int) -> Broken:
    if number not in ALLOWED[where]:
        return Broken(f"property 0x{number:02X} does not belong in this packet")
    if most == 0:
        return Broken(f"property 0x{number:02X} in the wrong direction", reasons.PROTOCOL_ERROR)
    if most == 1:
        return Broken(f"property 0x{number:02X} twice", reasons.PROTOCOL_ERROR)
    return Broken(f"property 0x{number:02X} more than {most} times", reasons.QUOTA, ours=True)


def _not_zero(number: int, value: int) -> int:
    if value == 0 and number in _NEVER_ZERO:
        raise Broken(f"property 0x{number:02X} is 0", _NEVER_ZERO[number])
    return value


def _read_number(part: Reader, number: int) -> int:
    return _not_zero(number, part.number(_WIDTHS[number]))


def _read_varint(part: Reader, number: int) -> int:
    return _not_zero(number, part.varint())


def _read_flag(part: Reader, number: int) -> int:
    value = part.byte()
    if value > 1:
        raise Broken(f"property 0x{number:02X} is {value}, neither 0 nor 1", reasons.PROTOCOL_ERROR)
    return value


def _read_binary(part: Reader, _: int) -> bytes:
    return part.binary()


def _read_pair(part: Reader, _: int) -> tuple[str, str]:
    return strings.decode_text(part.binary()), strings.decode_text(part.binary())


def _read_text(part: Reader, _: int) -> str:
    return strings.decode_text(part.binary())


def _read_topic(part: Reader, _: int) -> str:
    """[MQTT-3.3.2-13], [MQTT-3.3.2-14]"""
    topic = strings.decode_topic(part.binary())
    if not topic:
        raise Broken("an empty response topic", reasons.TOPIC_INVALID)
    return topic


def _read_id(part: Reader, _: int) -> str:
    return strings.decode_id(part.binary(), "an assigned client id", reasons.MALFORMED)


_READERS: dict[int, Callable[[Reader, int], Value]] = {
    **dict.fromkeys(_WIDTHS, _read_number),
    **dict.fromkeys(_FLAGS, _read_flag),
    **dict.fromkeys((0x03, 0x15, 0x1A, 0x1C, 0x1F), _read_text),
    **dict.fromkeys((0x09, 0x16), _read_binary),
    0x08: _read_topic,
    0x0B: _read_varint,
    0x12: _read_id,
    0x26: _read_pair,
}


def _write_value(number: int, value: Value) -> bytes:
    if isinstance(value, int):
        return varint(value) if number == _SUBSCRIPTION else value.to_bytes(_WIDTHS[number], "big")
    if isinstance(value, bytes):
        return strings.encode_binary(value)
    if isinstance(value, str):
        return strings.encode(value)
    return strings.encode(value[0]) + strings.encode(value[1])
