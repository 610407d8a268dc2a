"""PUBACK, PUBREC, PUBREL, PUBCOMP (3.4 to 3.7), PINGREQ, PINGRESP, DISCONNECT, AUTH (3.12 to 3.15).

MQTT 5 lets a sender leave out an empty property list and a reason code 0. ``longhand`` keeps which of both was written
out all the same: 0 the shortest form, 1 the code (0), 2 the code and an empty property list.
"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.protocols.mqtt import properties as props
from proxy.protocols.mqtt import reasons
from proxy.protocols.mqtt.framing import Broken, Reader, packet
from proxy.protocols.mqtt.properties import P, Properties

PUBACK, PUBREC, PUBREL, PUBCOMP = 4, 5, 6, 7

_CODES = {PUBACK: reasons.PUBACK, PUBREC: reasons.PUBACK, PUBREL: reasons.PUBREL, PUBCOMP: reasons.PUBREL}


@dataclass(frozen=True, slots=True)
class Ack:
    """``kind`` is 4 PUBACK, 5 PUBREC, 6 PUBREL or 7 PUBCOMP; all but ``packet_id`` is of MQTT 5."""

    kind: int
    packet_id: int
    code: int = reasons.SUCCESS
    properties: Properties = ()
    longhand: int = 0


@dataclass(frozen=True, slots=True)
class Ping:
    """PINGREQ, or PINGRESP."""

    response: bool = False


@dataclass(frozen=True, slots=True)
class Disconnect:
    """All fields are of MQTT 5."""

    code: int = reasons.SUCCESS
    properties: Properties = ()
    longhand: int = 0


@dataclass(frozen=True, slots=True)
class Auth:
    """MQTT 5. Success without properties is the packet without content; every other form names its method."""

    code: int = reasons.SUCCESS
    properties: Properties = ()


def decode_ack(reader: Reader, kind: int, level: int, *, to_broker: bool) -> Ack:
    packet_id = reader.packet_id()
    if level == 4:
        return Ack(kind, packet_id)
    code, properties, longhand = _read_tail(reader, kind, _CODES[kind], to_broker=to_broker)
    return Ack(kind, packet_id, code, properties, longhand)


def encode_ack(ack: Ack, level: int) -> bytes:
    first = ack.kind << 4 | (2 if ack.kind == PUBREL else 0)  # [MQTT-3.6.1-1]
    body = ack.packet_id.to_bytes(2, "big")
    return packet(first, body + _tail(ack.code, ack.properties, ack.longhand) if level == 5 else body)


def encode_ping(ping: Ping) -> bytes:
    return b"\xd0\0" if ping.response else b"\xc0\0"


def decode_disconnect(reader: Reader, level: int, *, to_broker: bool) -> Disconnect:
    if level == 4:
        return Disconnect()
    code, properties, longhand = _read_tail(reader, 14, reasons.DISCONNECT, to_broker=to_broker)
    if code == reasons.DISCONNECT_WITH_WILL and not to_broker:
        raise Broken("DISCONNECT 0x04 from the broker", reasons.PROTOCOL_ERROR)
    return Disconnect(code, properties, longhand)


def encode_disconnect(disconnect: Disconnect, level: int) -> bytes:
    body = _tail(disconnect.code, disconnect.properties, disconnect.longhand) if level == 5 else b""
    return packet(0xE0, body)


def decode_auth(reader: Reader, *, to_broker: bool) -> Auth:
    """Only the empty form may leave out the property length (3.15.2.1); [MQTT-3.15.2-1], 3.15.2.2.2."""
    if not reader.left:
        return Auth()
    code = reader.byte()
    known = {reasons.CONTINUE_AUTHENTICATION, reasons.RE_AUTHENTICATE if to_broker else reasons.SUCCESS}
    if code not in known:
        raise Broken(f"AUTH code 0x{code:02X} does not exist in this direction", reasons.PROTOCOL_ERROR)
    properties = props.read(reader, 15, to_broker=to_broker)
    if props.get(properties, P.AUTHENTICATION_METHOD) is None:
        raise Broken("AUTH without a method", reasons.PROTOCOL_ERROR)
    return Auth(code, properties)


def encode_auth(auth: Auth) -> bytes:
    if not auth.code and not auth.properties:
        return b"\xf0\0"
    return packet(0xF0, bytes((auth.code,)) + props.write(auth.properties))


def _read_tail(reader: Reader, where: int, known: frozenset[int], *, to_broker: bool) -> tuple[int, Properties, int]:
    """Reason code, properties and `longhand`; both parts may be missing from the end."""
    if not reader.left:
        return reasons.SUCCESS, (), 0
    code = reader.byte()
    if code not in known:
        raise Broken(f"reason code 0x{code:02X} does not exist here", reasons.PROTOCOL_ERROR)
    if not reader.left:
        return code, (), 0 if code else 1
    properties = props.read(reader, where, to_broker=to_broker)
    return code, properties, 0 if properties else 2


def _tail(code: int, properties: Properties, longhand: int) -> bytes:
    if properties or longhand == 2:
        return bytes((code,)) + props.write(properties)
    return bytes((code,)) if code or longhand else b""
