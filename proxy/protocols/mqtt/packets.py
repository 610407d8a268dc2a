"""Control packets of MQTT 3.1.1 and 5: the strict, readable decoder and encoder.

`decode` gives a packet or `Malformed`, never an exception, whatever the bytes. For every packet it gives,
``encode(decode(frame, level), level) == frame``: what leaves is what was judged. The limits of protocols.md 2.2 that
one packet can show are kept here, before anything of that size is built.
"""

from __future__ import annotations

from proxy.protocols.mqtt import acks, connect, publish, reasons, subscribe
from proxy.protocols.mqtt.acks import PUBACK, PUBCOMP, PUBREC, PUBREL, Ack, Auth, Disconnect, Ping
from proxy.protocols.mqtt.connect import Connack, Connect, Will, claimed_level
from proxy.protocols.mqtt.framing import MAX_FRAME, Broken, Malformed, Reader, frame_end
from proxy.protocols.mqtt.properties import P, Properties, Property
from proxy.protocols.mqtt.publish import Publish, delivery_head
from proxy.protocols.mqtt.subscribe import Suback, Subscribe, Subscription, Unsuback, Unsubscribe

__all__ = [
    "PUBACK", "PUBCOMP", "PUBREC", "PUBREL", "Ack", "Auth", "Connack", "Connect", "Disconnect", "Malformed", "P",
    "Packet", "Ping", "Properties", "Property", "Publish", "Suback", "Subscribe", "Subscription", "Unsuback",
    "Unsubscribe", "Will", "claimed_level", "decode", "delivery_head", "encode", "frame_end",
]  # fmt: skip

Packet = Connect | Connack | Publish | Ack | Subscribe | Suback | Unsubscribe | Unsuback | Ping | Disconnect | Auth

_FLAGS = {6: 2, 8: 2, 10: 2}
"""The flags nibble of all types but PUBLISH, where it is not 0 (table 2-2)."""
_TO_BROKER_ONLY = frozenset({1, 8, 10, 12})
_TO_CLIENT_ONLY = frozenset({2, 9, 11, 13})


def decode(frame: bytes, level: int, *, to_broker: bool) -> Packet | Malformed:
    """Judges one whole control packet of protocol ``level`` 4 (3.1.1) or 5; a CONNECT says its level itself."""
    end = frame_end(frame, 0, MAX_FRAME)
    if isinstance(end, Malformed):
        return end
    if end != len(frame):
        return Malformed("not exactly one packet")
    kind, flags = frame[0] >> 4, frame[0] & 0x0F
    width = 1
    while frame[width] & 0x80:
        width += 1
    reader = Reader(frame, width + 1, end)
    try:
        if kind == 3:
            return publish.decode_publish(reader, flags, level, to_broker=to_broker)
        _check_header(kind, flags, level, to_broker=to_broker)
        packet = _decode_other(kind, reader, level, to_broker=to_broker)
        reader.done()
    except Broken as broken:
        return broken.fault
    return packet


def encode(packet: Packet, level: int) -> bytes:
    """The bytes of a packet in protocol ``level``; fields that the level does not have are left out.

    Raises ValueError or OverflowError for values that have no encoding; it does not judge a packet that has one.
    """
    match packet:
        case Publish():
            return publish.encode_publish(packet, level)
        case Ack():
            return acks.encode_ack(packet, level)
        case Ping():
            return acks.encode_ping(packet)
        case Connect():
            return connect.encode_connect(packet)
        case Connack():
            return connect.encode_connack(packet, level)
        case Subscribe():
            return subscribe.encode_subscribe(packet, level)
        case Suback():
            return subscribe.encode_suback(packet, level)
        case Unsubscribe():
            return subscribe.encode_unsubscribe(packet, level)
        case Unsuback():
            return subscribe.encode_unsuback(packet, level)
        case Disconnect():
            return acks.encode_disconnect(packet, level)
        case Auth():
            return acks.encode_auth(packet)


def _check_header(kind: int, flags: int, level: int, *, to_broker: bool) -> None:
    if kind == 0 or (kind == 15 and level == 4):
        raise Broken(f"packet type {kind} does not exist")
    if flags != _FLAGS.get(kind, 0):  # [MQTT-2.1.3-1]; 3.1.1 [MQTT-2.2.2-1], [MQTT-2.2.2-2]
        raise Broken(f"packet type {kind} with flags {flags}")
    wrong_way = _TO_CLIENT_ONLY if to_broker else _TO_BROKER_ONLY
    if kind in wrong_way or (kind == 14 and level == 4 and not to_broker):  # CVE-2021-28166
        raise Broken(f"packet type {kind} in the wrong direction", reasons.PROTOCOL_ERROR)


def _decode_other(kind: int, reader: Reader, level: int, *, to_broker: bool) -> Packet:
    """All but PUBLISH, whose payload ends it; the caller checks that nothing is left."""
    match kind:
        case 1:
            return connect.decode_connect(reader)
        case 2:
            return connect.decode_connack(reader, level)
        case 8:
            return subscribe.decode_subscribe(reader, level)
        case 9:
            return subscribe.decode_suback(reader, level)
        case 10:
            return subscribe.decode_unsubscribe(reader, level)
        case 11:
            return subscribe.decode_unsuback(reader, level)
        case 12 | 13:
            return Ping(kind == 13)
        case 14:
            return acks.decode_disconnect(reader, level, to_broker=to_broker)
        case 15:
            return acks.decode_auth(reader, to_broker=to_broker)
        case _:
            return acks.decode_ack(reader, kind, level, to_broker=to_broker)
