"""An independent decoder agrees: what our codec writes and reads means the same to Wireshark, field by field."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from proxy.protocols.mqtt import packets as p
from proxy.protocols.mqtt.properties import WILL, Value
from tests.house.repository import need_program
from tests.modbus.capture import capture
from tests.mqtt.packet_strategies import Case, cases

PORT = 1883
STREAMS = {4: 1004, 5: 1005}
"""The client ports of two more links: everything of one version as one stream in segments."""
IGNORED = {"hdr_reserved", "conflag.reserved", "conack.flags.reserved", "subscription_options_reserved"}
_ACKS = {4: "puback", 5: "pubrec", 6: "pubrel", 7: "pubcomp"}
Fields = dict[str, list[Any]]


def packets(count: int) -> list[Case]:
    """Legal packets, the same ones each time, none twice, ``count`` tries."""
    found: list[Case] = []

    @settings(
        max_examples=count, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(cases)
    def collect(case: Case) -> None:
        if case not in found:
            found.append(case)

    collect()
    return found


class Ours(Fields):
    """The fields of one packet by our codec, under Wireshark's names (without "mqtt.")."""

    def __init__(self, frame: bytes, level: int, *, to_broker: bool) -> None:
        super().__init__()
        packet = p.decode(frame, level, to_broker=to_broker)
        assert not isinstance(packet, p.Malformed)
        width = next(at for at in range(1, 5) if frame[at] < 0x80)
        self.put(hdrflags=frame[0], msgtype=frame[0] >> 4, len=len(frame) - 1 - width)
        self.level = packet.level if isinstance(packet, p.Connect) else level
        self.unseen = {"passwd"}
        """Bytes that tshark can only show as text: their lengths alone are compared."""
        match packet:
            case p.Connect():
                self.connect(packet)
            case p.Publish():
                self.publish(packet)
            case p.Connack(present, code, properties):
                self.put(**{"conack.flags": int(present), "conack.flags.sp": int(present)})
                self.put(**{"connack.reason_code" if level == 5 else "conack.val": code})
                self.properties(properties)
            case p.Ack(kind, packet_id, code, properties, longhand):
                self.put(msgid=packet_id)
                self.tail(_ACKS[kind], code, properties, longhand)
            case p.Disconnect(code, properties, longhand):
                self.tail("disconnect", code, properties, longhand)
            case p.Auth(code, properties):
                self.tail("auth", code, properties, 0)
            case p.Subscribe(packet_id, filters, properties):
                self.put(msgid=packet_id)
                self.properties(properties)
                for each in filters:
                    self.subscription(each)
            case p.Unsubscribe(packet_id, texts, properties):
                self.put(msgid=packet_id)
                self.properties(properties)
                for text in texts:
                    self.text("topic", text)
            case p.Suback(packet_id, codes, properties) | p.Unsuback(packet_id, codes, properties):
                self.put(msgid=packet_id)
                self.properties(properties)
                name = "suback" if isinstance(packet, p.Suback) else "unsuback"
                for code in codes:
                    self.put(**{f"{name}.reason_code" if level == 5 else f"{name}.qos": code})

    def put(self, **fields: Any) -> None:
        """Empty texts are left out: tshark shows some and hides others, and their lengths are compared."""
        for name, value in fields.items():
            if value not in ("", b""):
                self.setdefault(name, []).append(value)

    def text(self, name: str, value: str | bytes, *, length: str | None = None) -> None:
        raw = value.encode() if isinstance(value, str) else value
        self.put(**{length or f"{name}_len": len(raw), name: value})

    def connect(self, packet: p.Connect) -> None:
        self.text("protoname", "MQTT", length="proto_len")
        will = packet.will
        flags = {
            "uname": packet.user is not None,
            "passwd": packet.password is not None,
            "retain": bool(will and will.retain),
            "qos": will.qos if will else 0,
            "willflag": will is not None,
            "cleansess": packet.clean,
        }
        self.put(**{f"conflag.{name}": int(value) for name, value in flags.items()})
        bits = (flags["uname"] << 7) | (flags["passwd"] << 6) | (flags["retain"] << 5) | (flags["qos"] << 3)
        self.put(ver=packet.level, conflags=bits | (flags["willflag"] << 2) | (flags["cleansess"] << 1))
        self.put(kalive=packet.keep_alive)
        self.properties(packet.properties)
        self.text("clientid", packet.client_id)
        if will is not None:
            self.properties(will.properties, prefix="will ", where=WILL)
            self.text("willtopic", will.topic)
            self.text("willmsg", will.payload)
        if packet.user is not None:
            self.text("username", packet.user)
        if packet.password is not None:
            self.put(passwd_len=len(packet.password))

    def publish(self, packet: p.Publish) -> None:
        self.put(dupflag=int(packet.dup), qos=packet.qos, retain=int(packet.retain))
        self.text("topic", packet.topic)
        if packet.packet_id is not None:
            self.put(msgid=packet.packet_id)
        self.properties(packet.properties)
        self.put(msg=packet.payload)

    def subscription(self, each: p.Subscription) -> None:
        self.text("topic", each.filter)
        if self.level == 4:
            self.put(**{"sub.qos": each.qos})
            return
        options = each.qos | each.no_local << 2 | each.retain_as_published << 3 | each.retain_handling << 4
        self.put(subscription_options=options, subscription_options_qos=each.qos)
        self.put(subscription_options_nl=int(each.no_local), subscription_options_rap=int(each.retain_as_published))
        self.put(subscription_options_retain=each.retain_handling)

    def tail(self, name: str, code: int, properties: p.Properties, longhand: int) -> None:
        if code or properties or longhand:
            self.put(**{f"{name}.reason_code": code})
        if properties or longhand == 2:
            self.properties(properties)

    def properties(self, properties: p.Properties, *, prefix: str = "", where: int = 0) -> None:
        if self.level == 4:
            return
        size = 0
        for number, value in properties:
            self.put(**{f"{prefix}property_id": number})
            size += 1 + self.property(prefix, number, value)
        self.put(**{f"{prefix}property_len": size})

    def property(self, prefix: str, number: int, value: Value) -> int:
        """Puts the value in; its size on the wire."""
        if isinstance(value, tuple):
            for name, part in zip(("prop_key", "prop_value"), value, strict=True):
                self.text(prefix + name, part)
            return sum(2 + len(part.encode()) for part in value)
        if isinstance(value, int):
            name = {0x23: "property.topic_alias", 0x24: "property.max_qos"}.get(number, "prop_number")
            self.put(**{prefix + name: value})
            if number == 0x0B:
                return 1 + (value > 127) + (value > 16383) + (value > 2097151)
            return {0x02: 4, 0x11: 4, 0x18: 4, 0x27: 4, 0x13: 2, 0x21: 2, 0x22: 2, 0x23: 2}.get(number, 1)
        if number == 0x03:
            self.put(**{f"{prefix}property.content_type": value})
        else:
            self.text(f"{prefix}prop_string", value)
            self.unseen |= {f"{prefix}prop_string"} if isinstance(value, bytes) else set()
        return 2 + len(value.encode() if isinstance(value, str) else value)


def flat(layer: dict[str, Any], prefix: str = "") -> dict[str, list[str]]:
    """Every leaf of one packet in tshark's JSON, under its short name; those of the Will's properties apart."""
    found: dict[str, list[str]] = {}
    for name, value in layer.items():
        for each in value if isinstance(value, list) else [value]:
            if name.startswith("_ws.expert"):
                continue  # an alias that was never set, which is not a matter of one packet
            if isinstance(each, dict):
                inside = "will " if name == "mqtt.will_properties" else prefix
                for inner, values in flat(each, inside).items():
                    found.setdefault(inner, []).extend(values)
            elif each != "":
                found.setdefault(prefix + name.removeprefix("mqtt."), []).append(each)
    return found


def agrees(ours: Ours, theirs: dict[str, list[str]]) -> list[str]:
    """What the two say differently."""
    wrong = [f"only theirs: {name} {theirs[name]}" for name in theirs.keys() - ours.keys() - IGNORED - ours.unseen]
    for name, values in ours.items():
        if name in ours.unseen:
            continue
        said = [_as(value, text) for value, text in zip(values, theirs.get(name, []), strict=False)]
        if name.endswith("property_len"):
            said = [_length(number) for number in said]
        if said != values or len(theirs.get(name, [])) != len(values):
            wrong.append(f"{name}: ours {values}, theirs {theirs.get(name)}")
    return wrong


def _as(ours: Any, text: str) -> Any:
    if isinstance(ours, int):
        return int(text, 0)
    return bytes.fromhex(text.replace(":", "")) if isinstance(ours, bytes) else text


def _length(shown: int) -> int:
    """Wireshark 4.0 shows the two bytes of a property length above 127 as one number; it decodes them right."""
    high, low = divmod(shown, 256)
    return (high & 127) + low * 128 if high & 128 else shown


def tsharks(segments: list[tuple[int, bytes]], folder: Path) -> dict[int, list[dict[str, list[str]]]]:
    """Per client port the packets that tshark finds there."""
    tshark = need_program("tshark")
    file = folder / "sent.pcap"
    file.write_bytes(capture(segments, PORT))
    command = [tshark, "-r", str(file), "-n", "-T", "json", "--no-duplicate-keys", "-J", "tcp mqtt _ws.malformed"]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=90)
    found: dict[int, list[dict[str, list[str]]]] = {}
    for shown in json.loads(run.stdout):
        layers = shown["_source"]["layers"]
        each = layers.get("mqtt", [])
        here = found.setdefault(int(layers["tcp"]["tcp.srcport"]), [])
        here += [flat(layer) for layer in (each if isinstance(each, list) else [each])]
        assert "_ws.malformed" not in layers, layers
    return found


HELLO = {4: p.encode(p.Connect(4, "x", True, 0), 4), 5: p.encode(p.Connect(5, "x", True, 0), 5)}
"""Tells tshark the version of what follows."""


@pytest.mark.timeout(120)
def test_tshark_agrees_on_every_field_of_every_packet(tmp_path: Path) -> None:
    several = packets(1000)
    assert {(level, type(packet)) for packet, level, _ in several} >= {
        (level, kind) for level in (4, 5) for kind in p.Packet.__args__ if (level, kind) != (4, p.Auth)
    }
    assert len(several) > 500
    frames = [p.encode(packet, level) for packet, level, _ in several]
    alone = [
        (10_000 + number, frame if frame[0] == 0x10 else HELLO[level] + frame)
        for number, (frame, (_, level, _)) in enumerate(zip(frames, several, strict=True))
    ]
    streams = {level: [HELLO[level], *_of(level, frames, several)] for level in STREAMS}
    together = [(STREAMS[level], part) for level, stream in streams.items() for part in _segments(stream)]
    found = tsharks(alone + together, tmp_path)
    wrong: list[Any] = []
    for number, (frame, (packet, level, to_broker)) in enumerate(zip(frames, several, strict=True)):
        theirs = found[10_000 + number]
        assert len(theirs) == (1 if frame[0] == 0x10 else 2), packet
        if said := agrees(Ours(frame, level, to_broker=to_broker), theirs[-1]):
            wrong.append((said, packet, frame.hex()))
    assert wrong == []
    for level, port in STREAMS.items():
        heads = [(int(each["hdrflags"][0], 16), int(each["len"][0])) for each in found[port]]
        assert heads == [_head(frame) for frame in streams[level]], "where one packet ends and the next begins"


def _of(level: int, frames: list[bytes], several: list[Case]) -> list[bytes]:
    """All but CONNECT, which would start a link of its own."""
    return [frame for frame, (packet, its, _) in zip(frames, several, strict=True) if its == level and frame[0] != 0x10]


def _segments(frames: list[bytes]) -> list[bytes]:
    """The stream in pieces of about 1,400 bytes, cut anywhere but in a fixed header, where Wireshark 4.0 trips."""
    stream, starts, found = b"".join(frames), [0], []
    for frame in frames:
        starts.append(starts[-1] + len(frame))
    at = 0
    while at < len(stream):
        end = at + 1400
        end = next((start for start in starts if start < end < start + 5), end)
        found.append(stream[at:end])
        at = end
    return found


def _head(frame: bytes) -> tuple[int, int]:
    width = next(at for at in range(1, 5) if frame[at] < 0x80)
    return frame[0], len(frame) - 1 - width


def test_tshark_would_disagree(tmp_path: Path) -> None:
    """The comparison bites: one changed bit in what it is shown is seen."""
    meant: list[p.Packet] = [
        p.Publish("a/b", b"x", 1, packet_id=7),
        p.Publish("a/b", b"x", 1, packet_id=7, properties=(p.Property(p.P.MESSAGE_EXPIRY, 5),)),
        p.Subscribe(7, (p.Subscription("a/#", 1),)),
    ]
    frames = [p.encode(packet, 5) for packet in meant]
    spoilt = [frame[:-2] + bytes((frame[-2] ^ 1,)) + frame[-1:] for frame in frames]
    right = tsharks([(2000 + at, HELLO[5] + frame) for at, frame in enumerate(frames)], tmp_path)
    wrong = tsharks([(2000 + at, HELLO[5] + frame) for at, frame in enumerate(spoilt)], tmp_path)
    for at, frame in enumerate(frames):
        ours = Ours(frame, 5, to_broker=True)
        assert agrees(ours, right[2000 + at][1]) == []
        assert agrees(ours, wrong[2000 + at][1]) != []
