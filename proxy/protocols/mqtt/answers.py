"""What we say to a client ourselves, in its version of the language (protocols.md 2.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.reason import Reason
from proxy.protocols.mqtt import reasons
from proxy.protocols.mqtt.deliveries import PUBACK, PUBCOMP, PUBREC, ack
from proxy.protocols.mqtt.packets import Ack, Connack, Disconnect, encode
from proxy.protocols.mqtt.properties import P, Property

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NOT_AUTHORIZED = 0x87
SERVER_UNAVAILABLE = 0x88
BUSY = 0x89
SHUTTING_DOWN = 0x8B
BAD_AUTHENTICATION_METHOD = 0x8C
KEEP_ALIVE_TIMEOUT = 0x8D
NO_PACKET_ID = 0x92
RECEIVE_MAXIMUM_EXCEEDED = 0x93
ADMINISTRATIVE = 0x98
PAYLOAD_INVALID = 0x99
IMPLEMENTATION = 0x83

WITH_REASON = 256
"""Maximum Packet Size of a client from which on our answers carry a Reason String."""

_REFUSAL = {
    Reason.RATE_SPENT: reasons.QUOTA,
    Reason.OVERLOAD: reasons.QUOTA,
    Reason.PAYLOAD: PAYLOAD_INVALID,
    Reason.ENGINE_ERROR: IMPLEMENTATION,
    Reason.AUDIT_NOT_WRITABLE: IMPLEMENTATION,
}
"""Of PUBACK, PUBREC and SUBACK. All else is 0x87: who is refused by policy learns that and no more."""

_GOODBYE = {
    Reason.DRAINING: SHUTTING_DOWN,
    Reason.IDLE: KEEP_ALIVE_TIMEOUT,
    Reason.TOO_SLOW: KEEP_ALIVE_TIMEOUT,
    Reason.OVERLOAD: BUSY,
    Reason.CONNECTION_LIMIT: BUSY,
    Reason.POLICY_CHANGED: NOT_AUTHORIZED,
    Reason.UPSTREAM_INVALID: IMPLEMENTATION,
}
"""Of DISCONNECT; all else is administrative."""

_RETURN_CODE = {
    reasons.VERSION: 0x01,
    reasons.CLIENT_ID: 0x02,
    SERVER_UNAVAILABLE: 0x03,
    BUSY: 0x03,
    IMPLEMENTATION: 0x03,
    SHUTTING_DOWN: 0x03,
    reasons.USER_OR_PASSWORD: 0x04,
    NOT_AUTHORIZED: 0x05,
    ADMINISTRATIVE: 0x05,
}
"""MQTT 3.1.1, table 3.1. What has no return code there is answered by closing."""

_IN_CONNACK = {
    SHUTTING_DOWN: SERVER_UNAVAILABLE,
    KEEP_ALIVE_TIMEOUT: SERVER_UNAVAILABLE,
    ADMINISTRATIVE: NOT_AUTHORIZED,
}
"""Where CONNACK has no such code [MQTT-3.2.2-8]. What else it does not have is a fault of what came too early, and a
protocol error there; so is in DISCONNECT what only a CONNECT can have wrong."""


def refusal_code(reason: Reason) -> int:
    return _REFUSAL.get(reason, NOT_AUTHORIZED)


def goodbye_code(reason: Reason) -> int:
    return _GOODBYE.get(reason, ADMINISTRATIVE)


def why(reason: Reason) -> str:
    """The Reason String: a code to ask about, and nothing of the policy."""
    return f"{reason.code} {reason.sentence}"


def connack(level: int, code: int, text: str = "") -> bytes | None:
    """A refusal of CONNECT; None where the version has no words for it."""
    if level == 5:
        known = code if code in reasons.CONNACK else _IN_CONNACK.get(code, reasons.PROTOCOL_ERROR)
        return encode(Connack(False, known, _said(text)), 5)
    number = _RETURN_CODE.get(code)
    return None if number is None else bytes((0x20, 2, 0, number))


def disconnect(level: int, code: int, text: str = "") -> bytes | None:
    """MQTT 3.1.1 has no DISCONNECT from the server."""
    known = code if code in reasons.DISCONNECT else reasons.PROTOCOL_ERROR
    return encode(Disconnect(known, _said(text)), 5) if level == 5 else None


def refused_publish(level: int, qos: int, packet_id: int, code: int, text: str) -> bytes | None:
    """Says no in MQTT 5; in 3.1.1, which has no word for it, acknowledges. ``text`` empty: no Reason String."""
    if qos == 0:
        return None
    first = PUBACK if qos == 1 else PUBREC
    if level == 5 and code:
        return encode(Ack(first >> 4, packet_id, code, _said(text)), 5)
    return ack(first, packet_id)


def completed(level: int, packet_id: int, known: bool) -> bytes:
    """PUBCOMP to a PUBREL that the broker must not see."""
    if level == 5 and not known:
        return encode(Ack(PUBCOMP >> 4, packet_id, NO_PACKET_ID), 5)
    return ack(PUBCOMP, packet_id)


def suback(level: int, packet_id: int, codes: Sequence[int]) -> bytes:
    body = packet_id.to_bytes(2, "big") + (b"\0" if level == 5 else b"") + bytes(codes)
    return bytes((0x90, len(body))) + body


def suback_codes(level: int, codes: Iterable[int]) -> list[int]:
    """3.1.1 has one word for all refusals (table in 3.9.3)."""
    return [code if level == 5 or code < 0x80 else 0x80 for code in codes]


def _said(text: str) -> tuple[Property, ...]:
    return (Property(P.REASON_STRING, text),) if text else ()
