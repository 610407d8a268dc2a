"""PUBLISH (3.3)."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.protocols.mqtt import properties as props
from proxy.protocols.mqtt import reasons, strings
from proxy.protocols.mqtt.framing import Broken, Reader, packet
from proxy.protocols.mqtt.properties import P, Properties

_DUP, _RETAIN = 0x08, 0x01


@dataclass(frozen=True, slots=True)
class Publish:
    """``packet_id`` is None with QoS 0 alone; ``topic`` is empty only beside a topic alias."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    dup: bool = False
    packet_id: int | None = None
    properties: Properties = ()


def decode_publish(reader: Reader, flags: int, level: int, *, to_broker: bool) -> Publish:
    qos = flags >> 1 & 3
    if qos == 3:  # [MQTT-3.3.1-4]
        raise Broken("QoS 3")
    dup = bool(flags & _DUP)
    if dup and not qos:  # [MQTT-3.3.1-2]
        raise Broken("DUP with QoS 0")
    topic = strings.decode_topic(reader.binary())
    packet_id = reader.packet_id() if qos else None
    properties = props.read(reader, 3, to_broker=to_broker) if level == 5 else ()
    if not topic and props.get(properties, P.TOPIC_ALIAS) is None:  # [MQTT-4.7.3-1], 3.3.2.1
        raise Broken("an empty topic", reasons.TOPIC_INVALID if level == 4 else reasons.PROTOCOL_ERROR)
    return Publish(topic, reader.rest(), qos, bool(flags & _RETAIN), dup, packet_id, properties)


def delivery_head(frame: bytes) -> tuple[int, int | None] | None:
    """QoS and packet id of a whole PUBLISH frame, to acknowledge a delivery that is dropped unread (`Malformed.ours`).

    None if not even that can be read.
    """
    qos = frame[0] >> 1 & 3
    reader = Reader(frame, 1, len(frame))
    try:
        reader.varint()
        reader.binary()
        return (qos, reader.packet_id() if qos else None) if qos < 3 else None
    except Broken:
        return None


def encode_publish(publish: Publish, level: int) -> bytes:
    """Raises ValueError for a packet id that does not go with the QoS."""
    if (publish.packet_id is None) is not (publish.qos == 0):
        raise ValueError("a PUBLISH has a packet id with QoS 1 and 2, and then alone")
    parts = [strings.encode(publish.topic)]
    if publish.packet_id is not None:
        parts.append(publish.packet_id.to_bytes(2, "big"))
    if level == 5:
        parts.append(props.write(publish.properties))
    parts.append(publish.payload)
    first = 0x30 | (_DUP if publish.dup else 0) | publish.qos << 1 | (_RETAIN if publish.retain else 0)
    return packet(first, b"".join(parts))
