"""SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK (3.8 to 3.11)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.protocols.mqtt import properties as props
from proxy.protocols.mqtt import reasons, strings
from proxy.protocols.mqtt.framing import Broken, Reader, packet

if TYPE_CHECKING:
    from proxy.protocols.mqtt.properties import Properties

MAX_FILTERS = 64
"""Filters of one SUBSCRIBE or UNSUBSCRIBE."""

_NO_LOCAL, _AS_PUBLISHED, _RETAIN_HANDLING_SHIFT = 0x04, 0x08, 4


@dataclass(frozen=True, slots=True)
class Subscription:
    """One filter and its options; the last three are of MQTT 5 (3.8.3.1)."""

    filter: str
    qos: int
    no_local: bool = False
    retain_as_published: bool = False
    retain_handling: int = 0


@dataclass(frozen=True, slots=True)
class Subscribe:
    """1..64 filters."""

    packet_id: int
    filters: tuple[Subscription, ...]
    properties: Properties = ()


@dataclass(frozen=True, slots=True)
class Suback:
    """One code per filter of the SUBSCRIBE, in its order."""

    packet_id: int
    codes: tuple[int, ...]
    properties: Properties = ()


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """1..64 filters."""

    packet_id: int
    filters: tuple[str, ...]
    properties: Properties = ()


@dataclass(frozen=True, slots=True)
class Unsuback:
    """One code per filter of the UNSUBSCRIBE; none at all in 3.1.1."""

    packet_id: int
    codes: tuple[int, ...] = ()
    properties: Properties = ()


def decode_subscribe(reader: Reader, level: int) -> Subscribe:
    packet_id = reader.packet_id()
    properties = props.read(reader, 8, to_broker=True) if level == 5 else ()
    filters: list[Subscription] = []
    while reader.left:
        _check_room(len(filters))
        text = strings.decode_filter(reader.binary())
        filters.append(_subscription(text, reader.byte(), level))
    if not filters:  # [MQTT-3.8.3-2]; 3.1.1 [MQTT-3.8.3-3]
        raise Broken("SUBSCRIBE without a filter", reasons.PROTOCOL_ERROR)
    return Subscribe(packet_id, tuple(filters), properties)


def encode_subscribe(subscribe: Subscribe, level: int) -> bytes:
    parts = [_head(subscribe.packet_id, subscribe.properties, level)]
    for each in subscribe.filters:
        options = each.qos | each.retain_handling << _RETAIN_HANDLING_SHIFT
        options |= (_NO_LOCAL if each.no_local else 0) | (_AS_PUBLISHED if each.retain_as_published else 0)
        parts += strings.encode(each.filter), bytes((options,))
    return packet(0x82, b"".join(parts))


def decode_suback(reader: Reader, level: int) -> Suback:
    packet_id = reader.packet_id()
    properties = props.read(reader, 9, to_broker=False) if level == 5 else ()
    codes = _read_codes(reader, reasons.SUBACK if level == 5 else reasons.SUBACK_3)
    return Suback(packet_id, codes, properties)


def encode_suback(suback: Suback, level: int) -> bytes:
    return packet(0x90, _head(suback.packet_id, suback.properties, level) + bytes(suback.codes))


def decode_unsubscribe(reader: Reader, level: int) -> Unsubscribe:
    packet_id = reader.packet_id()
    properties = props.read(reader, 10, to_broker=True) if level == 5 else ()
    filters: list[str] = []
    while reader.left:
        _check_room(len(filters))
        filters.append(strings.decode_filter(reader.binary()))
    if not filters:  # [MQTT-3.10.3-2]
        raise Broken("UNSUBSCRIBE without a filter", reasons.PROTOCOL_ERROR)
    return Unsubscribe(packet_id, tuple(filters), properties)


def encode_unsubscribe(unsubscribe: Unsubscribe, level: int) -> bytes:
    head = _head(unsubscribe.packet_id, unsubscribe.properties, level)
    return packet(0xA2, head + b"".join(map(strings.encode, unsubscribe.filters)))


def decode_unsuback(reader: Reader, level: int) -> Unsuback:
    packet_id = reader.packet_id()
    if level == 4:  # 3.1.1, 3.11: two bytes
        return Unsuback(packet_id)
    properties = props.read(reader, 11, to_broker=False)
    return Unsuback(packet_id, _read_codes(reader, reasons.UNSUBACK), properties)


def encode_unsuback(unsuback: Unsuback, level: int) -> bytes:
    codes = bytes(unsuback.codes) if level == 5 else b""
    return packet(0xB0, _head(unsuback.packet_id, unsuback.properties, level) + codes)


def _head(packet_id: int, properties: Properties, level: int) -> bytes:
    number = packet_id.to_bytes(2, "big")
    return number + props.write(properties) if level == 5 else number


def _check_room(count: int) -> None:
    if count == MAX_FILTERS:
        raise Broken(f"more than {MAX_FILTERS} filters", reasons.QUOTA, ours=True)


def _subscription(text: str, options: int, level: int) -> Subscription:
    qos = options & 3
    if qos == 3:  # [MQTT-3.8.3-5]; 3.1.1 [MQTT-3.8.3-4]
        raise Broken("a subscription with QoS 3")
    if options & (0xC0 if level == 5 else 0xFC):  # [MQTT-3.8.3-5]; 3.1.1 [MQTT-3.8.3-4]
        raise Broken("reserved subscription options are set")
    handling = options >> _RETAIN_HANDLING_SHIFT & 3
    if handling == 3:  # 3.8.3.1
        raise Broken("retain handling 3", reasons.PROTOCOL_ERROR)
    no_local = bool(options & _NO_LOCAL)
    if no_local and strings.split_share(text)[0] is not None:  # [MQTT-3.8.3-4]
        raise Broken("no local on a shared subscription", reasons.PROTOCOL_ERROR)
    return Subscription(text, qos, no_local, bool(options & _AS_PUBLISHED), handling)


def _read_codes(reader: Reader, known: frozenset[int]) -> tuple[int, ...]:
    codes = reader.rest()
    if not codes:
        raise Broken("an acknowledgement without codes", reasons.PROTOCOL_ERROR)
    strange = set(codes) - known
    if strange:
        raise Broken(f"code 0x{min(strange):02X} does not exist here", reasons.PROTOCOL_ERROR)
    return tuple(codes)
