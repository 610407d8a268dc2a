"""CONNECT and CONNACK (3.1, 3.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.protocols.mqtt import properties as props
from proxy.protocols.mqtt import reasons, strings
from proxy.protocols.mqtt.framing import Broken, Malformed, Reader, frame_end, packet

if TYPE_CHECKING:
    from proxy.protocols.mqtt.properties import Properties

LEVELS = frozenset({4, 5})
NAME = b"\0\4MQTT"

_USER, _PASSWORD, _WILL_RETAIN, _WILL, _CLEAN, _RESERVED = 0x80, 0x40, 0x20, 0x04, 0x02, 0x01
_WILL_QOS_SHIFT = 3


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes when the link is lost. ``payload`` is at most 65,535 bytes."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: Properties = ()


@dataclass(frozen=True, slots=True)
class Connect:
    """``level`` 4 is 3.1.1, 5 is 5; ``clean`` is Clean Session or Clean Start; ``keep_alive`` in seconds, 0 is off."""

    level: int
    client_id: str
    clean: bool
    keep_alive: int
    properties: Properties = ()
    will: Will | None = None
    user: str | None = None
    password: bytes | None = None


@dataclass(frozen=True, slots=True)
class Connack:
    """``code`` is a return code of 3.1.1 (0..5) or a reason code of 5.

    At level 5 a code of 1 is what a broker says that knows 3.1.1 alone; it has no properties.
    """

    session_present: bool
    code: int
    properties: Properties = ()


def claimed_level(frame: bytes) -> int | None:
    """The protocol level byte of what begins like a CONNECT, to refuse a malformed one in its own version."""
    end = frame_end(frame, 0, 1 << 30)
    if not frame or frame[0] >> 4 != 1 or end is None or isinstance(end, Malformed):
        return None
    reader = Reader(frame, 1, min(end, len(frame)))
    try:
        reader.varint()
        reader.binary()
        return reader.byte()
    except Broken:
        return None


def decode_connect(reader: Reader) -> Connect:
    level = _read_level(reader)
    flags = reader.byte()
    _check_flags(flags, level)
    keep_alive = reader.number(2)
    properties = props.read(reader, 1, to_broker=True) if level == 5 else ()
    client_id = strings.decode_id(reader.binary(), "a client id", reasons.CLIENT_ID)
    clean = bool(flags & _CLEAN)
    if not client_id and level == 4 and not clean:  # 3.1.1 [MQTT-3.1.3-8]
        raise Broken("an empty client id without clean session", reasons.CLIENT_ID)
    will = _read_will(reader, flags, level) if flags & _WILL else None
    user = None
    if flags & _USER:
        user = strings.decode_id(reader.binary(), "a user name", reasons.USER_OR_PASSWORD)
    password = reader.binary() if flags & _PASSWORD else None
    return Connect(level, client_id, clean, keep_alive, properties, will, user, password)


def encode_connect(connect: Connect) -> bytes:
    parts = [NAME, bytes((connect.level, _flags(connect))), connect.keep_alive.to_bytes(2, "big")]
    if connect.level == 5:
        parts.append(props.write(connect.properties))
    parts.append(strings.encode(connect.client_id))
    if connect.will is not None:
        if connect.level == 5:
            parts.append(props.write(connect.will.properties))
        parts += strings.encode(connect.will.topic), strings.encode_binary(connect.will.payload)
    if connect.user is not None:
        parts.append(strings.encode(connect.user))
    if connect.password is not None:
        parts.append(strings.encode_binary(connect.password))
    return packet(0x10, b"".join(parts))


def decode_connack(reader: Reader, level: int) -> Connack:
    flags = reader.byte()
    if flags > 1:  # [MQTT-3.2.2-1]
        raise Broken("reserved CONNACK flags are set")
    code = reader.byte()
    if code not in (reasons.CONNACK if level == 5 else reasons.CONNACK_3):
        raise Broken(f"CONNACK code 0x{code:02X} does not exist", reasons.PROTOCOL_ERROR)
    if flags and code:  # [MQTT-3.2.2-6]; 3.1.1 [MQTT-3.2.2-4]
        raise Broken("session present in a refusing CONNACK", reasons.PROTOCOL_ERROR)
    properties = props.read(reader, 2, to_broker=False) if level == 5 else ()
    return Connack(bool(flags), code, properties)


def encode_connack(connack: Connack, level: int) -> bytes:
    head = bytes((connack.session_present, connack.code))
    return packet(0x20, head + props.write(connack.properties) if level == 5 else head)


def _read_level(reader: Reader) -> int:
    name = reader.binary()
    level = reader.byte()
    if (name, level) == (b"MQIsdp", 3):  # no SUBACK failure code there (mosquitto#1318)
        raise Broken("MQTT 3.1 (protocol level 3)", reasons.VERSION)
    if name != b"MQTT":  # [MQTT-3.1.2-1]
        raise Broken("the protocol name is not MQTT")
    if level & 0x80:
        raise Broken(f"protocol level {level}: a bridge", reasons.VERSION)
    if level not in LEVELS:  # [MQTT-3.1.2-2]
        raise Broken(f"protocol level {level}", reasons.VERSION)
    return level


def _check_flags(flags: int, level: int) -> None:
    if flags & _RESERVED:  # [MQTT-3.1.2-3]
        raise Broken("the reserved CONNECT flag is set")
    qos = flags >> _WILL_QOS_SHIFT & 3
    if qos == 3:  # [MQTT-3.1.2-12]; 3.1.1 [MQTT-3.1.2-14]
        raise Broken("will QoS 3")
    if not flags & _WILL and (qos or flags & _WILL_RETAIN):  # [MQTT-3.1.2-11], [MQTT-3.1.2-13]
        raise Broken("will QoS or will retain without a will")
    if level == 4 and flags & _PASSWORD and not flags & _USER:  # 3.1.1 [MQTT-3.1.2-22]
        raise Broken("a password without a user name")


def _read_will(reader: Reader, flags: int, level: int) -> Will:
    properties = props.read(reader, props.WILL, to_broker=True) if level == 5 else ()
    topic = strings.decode_topic(reader.binary())
    if not topic:  # [MQTT-4.7.3-1]
        raise Broken("an empty will topic", reasons.TOPIC_INVALID)
    payload = reader.binary()
    return Will(topic, payload, flags >> _WILL_QOS_SHIFT & 3, bool(flags & _WILL_RETAIN), properties)


def _flags(connect: Connect) -> int:
    flags = _CLEAN if connect.clean else 0
    if connect.will is not None:
        flags |= _WILL | connect.will.qos << _WILL_QOS_SHIFT
        flags |= _WILL_RETAIN if connect.will.retain else 0
    if connect.user is not None:
        flags |= _USER
    if connect.password is not None:
        flags |= _PASSWORD
    return flags
