"""Table 2-4 of MQTT 5 the way the standard prints it, by property: a second copy to hold the codec's against."""

from __future__ import annotations

WILL = 16
CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK = range(1, 10)
UNSUBSCRIBE, UNSUBACK, DISCONNECT, AUTH = 10, 11, 14, 15
EVERY = frozenset(
    {CONNECT, CONNACK, PUBLISH, WILL, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK,
     DISCONNECT, AUTH},
)  # fmt: skip

PROPERTIES: dict[int, tuple[str, frozenset[int]]] = {
    0x01: ("flag", frozenset({PUBLISH, WILL})),
    0x02: ("four", frozenset({PUBLISH, WILL})),
    0x03: ("text", frozenset({PUBLISH, WILL})),
    0x08: ("topic", frozenset({PUBLISH, WILL})),
    0x09: ("binary", frozenset({PUBLISH, WILL})),
    0x0B: ("varint", frozenset({PUBLISH, SUBSCRIBE})),
    0x11: ("four", frozenset({CONNECT, CONNACK, DISCONNECT})),
    0x12: ("id", frozenset({CONNACK})),
    0x13: ("two", frozenset({CONNACK})),
    0x15: ("text", frozenset({CONNECT, CONNACK, AUTH})),
    0x16: ("binary", frozenset({CONNECT, CONNACK, AUTH})),
    0x17: ("flag", frozenset({CONNECT})),
    0x18: ("four", frozenset({WILL})),
    0x19: ("flag", frozenset({CONNECT})),
    0x1A: ("text", frozenset({CONNACK})),
    0x1C: ("text", frozenset({CONNACK, DISCONNECT})),
    0x1F: (
        "text",
        frozenset({CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK, DISCONNECT, AUTH}),
    ),
    0x21: ("positive two", frozenset({CONNECT, CONNACK})),
    0x22: ("two", frozenset({CONNECT, CONNACK})),
    0x23: ("positive two", frozenset({PUBLISH})),
    0x24: ("flag", frozenset({CONNACK})),
    0x25: ("flag", frozenset({CONNACK})),
    0x26: ("pair", EVERY),
    0x27: ("positive four", frozenset({CONNECT, CONNACK})),
    0x28: ("flag", frozenset({CONNACK})),
    0x29: ("flag", frozenset({CONNACK})),
    0x2A: ("flag", frozenset({CONNACK})),
}
"""Identifier: (type, the packets that may carry it); direction is a matter of `ONE_WAY`."""

ONE_WAY = {(PUBLISH, 0x0B): False, (DISCONNECT, 0x1C): False, (DISCONNECT, 0x11): True}
"""(packet, identifier): whether it goes to the broker alone, or to the client alone."""


def may_carry(where: int, *, to_broker: bool) -> list[int]:
    """The identifiers that packet type ``where`` may carry in that direction."""
    return [
        number
        for number, (_, packets) in PROPERTIES.items()
        if where in packets and ONE_WAY.get((where, number), to_broker) is to_broker
    ]
