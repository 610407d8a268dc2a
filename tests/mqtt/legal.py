"""What a decoded packet may say, read from the standard and protocols.md 2.2: judges packets, not bytes."""

from __future__ import annotations

import unicodedata

from proxy.protocols.mqtt import packets as p
from tests.mqtt import table


def faults(packet: p.Packet, level: int, *, to_broker: bool) -> list[str]:
    """Every rule that the packet breaks; none for a packet that a strict decoder may give."""
    found = [f"a byte string: {text!r}" for text in _texts(packet) if "\0" in text or _surrogate(text)]
    match packet:
        case p.Connect():
            found += _connect(packet)
        case p.Publish():
            found += _publish(packet, level, to_broker=to_broker)
        case p.Subscribe(packet_id, filters, properties):
            found += _id(packet_id) + _list(properties, table.SUBSCRIBE, level, to_broker=True)
            found += _filters([each.filter for each in filters])
            found += ["options" for each in filters if each.qos > 2 or each.retain_handling > 2]
            found += ["no local" for each in filters if each.no_local and each.filter.startswith("$share/")]
            if level == 4:
                found += ["options of 5" for each in filters if each != p.Subscription(each.filter, each.qos)]
        case p.Unsubscribe(packet_id, texts, properties):
            found += _id(packet_id) + _filters(list(texts))
            found += _list(properties, table.UNSUBSCRIBE, level, to_broker=True)
        case p.Ack(kind, packet_id, code, properties, longhand):
            found += _id(packet_id) + _list(properties, kind, level, to_broker=to_broker)
            found += ["5"] if level == 4 and (code or longhand) else []
        case p.Suback(packet_id, codes, properties):
            found += _id(packet_id) + _list(properties, table.SUBACK, level, to_broker=False)
            found += [] if codes else ["no codes"]
        case p.Unsuback(packet_id, codes, properties):
            found += _id(packet_id) + _list(properties, table.UNSUBACK, level, to_broker=False)
            found += ["codes"] if bool(codes) is not (level == 5) else []
        case p.Connack(present, code, properties):
            found += _list(properties, table.CONNACK, level, to_broker=False)
            found += ["session present"] if present and code else []
        case p.Disconnect(code, properties, longhand):
            found += _list(properties, table.DISCONNECT, level, to_broker=to_broker)
            found += ["5"] if level == 4 and (code or longhand or not to_broker) else []
        case p.Auth(code, properties):
            found += _list(properties, table.AUTH, level, to_broker=to_broker)
            found += ["method"] if code and not any(each.id == 0x15 for each in properties) else []
        case p.Ping(response):
            found += ["direction"] if response is to_broker else []
    found += ["direction"] if isinstance(packet, _TO_BROKER) and not to_broker else []
    found += ["direction"] if isinstance(packet, p.Connack | p.Suback | p.Unsuback) and to_broker else []
    return found


_TO_BROKER = p.Connect | p.Subscribe | p.Unsubscribe


def _connect(packet: p.Connect) -> list[str]:
    found = _name(packet.client_id, 128) + _name(packet.user or "", 128)
    found += _list(packet.properties, table.CONNECT, packet.level, to_broker=True)
    if packet.level == 4:
        found += ["empty id"] if not packet.client_id and not packet.clean else []
        found += ["password alone"] if packet.user is None and packet.password is not None else []
    if packet.will is not None:
        found += _topic(packet.will.topic) + _list(packet.will.properties, table.WILL, packet.level, to_broker=True)
        found += ["will QoS"] if packet.will.qos > 2 else []
    return found + (["level"] if packet.level not in (4, 5) else [])


def _publish(packet: p.Publish, level: int, *, to_broker: bool) -> list[str]:
    found = _list(packet.properties, table.PUBLISH, level, to_broker=to_broker)
    alias = any(each.id == 0x23 for each in packet.properties)
    found += [] if alias and not packet.topic else _topic(packet.topic)
    found += ["dup"] if packet.dup and not packet.qos else []
    found += ["QoS"] if packet.qos > 2 else []
    return found + (_id(packet.packet_id) if packet.qos else ["id"] if packet.packet_id is not None else [])


def _id(packet_id: int | None) -> list[str]:
    return [] if packet_id and packet_id <= 65535 else ["packet id"]


def _name(text: str, most: int) -> list[str]:
    bad = [char for char in text if unicodedata.category(char) == "Cc" or _non_character(char)]
    return ["characters"] * bool(bad) + ["length"] * (len(text.encode()) > most)


def _topic(text: str) -> list[str]:
    return _name(text, 1024) + ["topic"] * (not text or "+" in text or "#" in text or text.count("/") > 31)


def _filters(texts: list[str]) -> list[str]:
    found = ["count"] * (not 1 <= len(texts) <= 64)
    for text in texts:
        found += _name(text, 1024)
        group, inner = "g", text
        if text.split("/")[0] == "$share":
            _, group, inner = (*text.split("/", 2), "", "")[:3]
        levels = inner.split("/")
        found += ["group"] * (not group or "+" in group or "#" in group or levels[0] == "$share")
        found += ["filter"] * (not inner or len(levels) > 32 or "#" in "".join(levels[:-1]))
        found += [f"level {level}" for level in levels if len(level) > 1 and ("+" in level or "#" in level)]
    return found


def _list(properties: p.Properties, where: int, level: int, *, to_broker: bool) -> list[str]:
    if level == 4:
        return ["properties"] * bool(properties)
    numbers = [each.id for each in properties]
    found = [f"0x{number:02X}" for number in set(numbers) - set(table.may_carry(where, to_broker=to_broker))]
    most = {0x26: 16, 0x0B: 256 if where == table.PUBLISH else 1}
    found += [f"0x{number:02X} again" for number in set(numbers) if numbers.count(number) > most.get(number, 1)]
    found += ["data without method"] * (0x16 in numbers and 0x15 not in numbers)
    users = [each.value for each in properties if isinstance(each.value, tuple)]
    found += ["user bytes"] * (sum(len((name + value).encode()) for name, value in users) > 4096)
    for number, value in properties:
        found += _value(table.PROPERTIES[number][0] if number in table.PROPERTIES else "", value)
    return found


def _value(kind: str, value: int | str | bytes | tuple[str, str]) -> list[str]:
    match kind, value:
        case ("flag", int()):
            return ["flag"] * (value > 1)
        case ("two" | "four", int()) | ("text", str()) | ("binary", bytes()) | ("pair", tuple()):
            return []
        case ("positive two" | "positive four" | "varint", int()):
            return ["zero"] * (value == 0)
        case ("topic", str()):
            return _topic(value)
        case ("id", str()):
            return _name(value, 128)
        case _:
            return [f"{kind} {value!r}"]


def _texts(packet: p.Packet) -> list[str]:
    found: list[str] = []
    for each in getattr(packet, "properties", ()):
        found += each.value if isinstance(each.value, tuple) else [each.value] if isinstance(each.value, str) else []
    match packet:
        case p.Connect(client_id=client_id, user=user, will=will):
            found += [client_id, user or "", will.topic if will else ""]
        case p.Publish(topic=topic):
            found.append(topic)
        case p.Subscribe(filters=filters):
            found += [each.filter for each in filters]
        case p.Unsubscribe(filters=texts):
            found += texts
    return found


def _surrogate(text: str) -> bool:
    return any(0xD800 <= ord(char) <= 0xDFFF for char in text)


def _non_character(char: str) -> bool:
    return ord(char) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(char) <= 0xFDEF
