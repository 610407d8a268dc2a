"""The benchmark's own packets are what the strict codec takes, and are split where it splits."""

from __future__ import annotations

import pytest

from bench.mqtt import wire
from proxy.protocols.mqtt.framing import Malformed
from proxy.protocols.mqtt.packets import decode, encode


@pytest.mark.parametrize("level", [4, 5])
def test_the_codec_takes_them(level: int) -> None:
    for made in (
        wire.connect("scada-1", level),
        wire.publish("a/b", b"x", level=level),
        wire.publish("a/b", bytes(300), qos=1, packet_id=7, level=level),
        wire.publish("a/b", bytes(20_000), qos=2, packet_id=65535, level=level),
        wire.subscribe(3, "a/#", "b/+", level=level),
        *(wire.ack(kind, 9) for kind in (wire.PUBACK, wire.PUBREC, wire.PUBREL, wire.PUBCOMP)),
    ):
        packet = decode(made, level, to_broker=True)
        assert not isinstance(packet, Malformed)
        assert encode(packet, level) == made
    for made in (wire.connack(level), wire.suback(3, level)):
        packet = decode(made, level, to_broker=False)
        assert not isinstance(packet, Malformed)
        assert encode(packet, level) == made


def test_split_where_packets_end() -> None:
    packets = [wire.publish("a", bytes(size)) for size in (0, 1, 124, 125, 16_380, 16_381)]
    joined = b"".join(packets)
    assert wire.split(joined) == (packets, b"")
    for cut in range(len(joined) - 20_000, len(joined), 777):
        found, rest = wire.split(joined[:cut])
        assert b"".join(found) + rest == joined[:cut]
        assert found == packets[: len(found)]


def test_a_reason_string_is_cut_off_and_a_code_is_not() -> None:
    said = wire.packet(wire.PUBACK, 0, b"\0\x09\x87\x03\x1f\0\0")
    assert wire.short(said) == wire.ack(wire.PUBACK, 9, 0x87)
    assert wire.short(wire.ack(wire.PUBACK, 9)) == wire.ack(wire.PUBACK, 9)
    assert wire.short(wire.publish("a/b", b"x")) == wire.publish("a/b", b"x")
