"""The demo's own reading of MQTT: what its raw clients send, and what its judge counts."""

from __future__ import annotations

import pytest

from proxy.demo.packets import (
    FAREWELL,
    PING,
    V5,
    V311,
    Will,
    answer,
    connect,
    content,
    cut,
    publish,
    pubrel,
    show,
    subscribe,
)
from proxy.protocols.mqtt import packets as codec

WILL = Will("a/state", b"offline", qos=1, retain=True)
SENT = [
    (connect("sensor-3-1", will=WILL), V311),
    (connect("sensor-3-1", level=V5, will=WILL), V5),
    (publish("a/b", b"1"), V311),
    (publish("a/b", b"1", qos=2, retain=True, packet_id=7), V311),
    (publish("a/b", b"1", qos=1, level=V5, alias=3), V5),
    (publish("", b"1", level=V5, alias=3), V5),
    (publish("a", b"x" * 300), V311),
    (pubrel(7), V311),
    (subscribe("a/#", "$share/g/b"), V311),
    (subscribe("a/#", level=V5), V5),
    (PING, V311),
    (FAREWELL, V5),
]


def test_the_bytes_are_those_of_the_standard() -> None:
    # OASIS MQTT 3.1.1: figures 3.6, 3.11, 3.20 in shape, written out by hand.
    assert connect("a", keep_alive=10).hex() == "100d00044d5154540402000a000161"
    assert publish("a/b", b"4", qos=1, packet_id=10).hex() == "32080003612f62000a34"
    assert publish("a/b", b"", retain=True).hex() == "31050003612f62"
    assert subscribe("a/b", qos=1, packet_id=10).hex() == "8208000a0003612f6201"
    assert pubrel(10).hex() == "6202000a"
    assert publish("a", b"", level=V5, alias=2).hex() == "300700016103230002"


@pytest.mark.parametrize(("data", "level"), SENT)
def test_the_gateways_codec_reads_them_as_well(data: bytes, level: int) -> None:
    packet = codec.decode(data, level, to_broker=True)
    assert not isinstance(packet, codec.Malformed)
    assert codec.encode(packet, level) == data


def test_packets_are_cut_and_bookkeeping_is_not_counted() -> None:
    first, last = publish("a", b"x" * 300), pubrel(7)
    acknowledged = bytes.fromhex("40020001") + bytes.fromhex("50020001") + bytes.fromhex("70020001")
    assert cut(first + PING + acknowledged + last + FAREWELL) == ([first, last], b"")


@pytest.mark.parametrize("strange", [publish("a", b"x")[:-1], b"\x30", b"\x30\xff\xff\xff\xff\x01"])
def test_what_is_no_packet_stays_in_the_rest(strange: bytes) -> None:
    assert cut(pubrel(7) + strange) == ([pubrel(7)], strange)


def test_a_connect_counts_for_who_opens_what_and_for_its_will() -> None:
    with_login = bytes.fromhex("101300044d51545404c2001e0001610001750002") + b"pw"
    assert content(with_login) == content(connect("a", keep_alive=5)) == connect("a", keep_alive=0)
    assert content(connect("a")) != content(connect("b"))
    assert content(connect("a", will=WILL)) != content(connect("a"))
    assert content(connect("a", clean=False)) != content(connect("a"))
    assert content(connect("a", level=V5)) != content(connect("a"))
    broken = connect("a")[:-2]
    assert content(broken) == broken


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (connect("mes:x", will=WILL), "CONNECT mes:x, Will a/state"),
        (publish("a/b", b"1", qos=1, retain=True), "PUBLISH a/b qos 1 retained"),
        (pubrel(10), "PUBREL 00 0a"),
        (b"\xf0\x00", "AUTH"),
        (publish("\x1b[2J", b""), "PUBLISH \\x1b[2J qos 0"),
    ],
)
def test_a_packet_for_a_person(data: bytes, text: str) -> None:
    assert show(data) == text


@pytest.mark.parametrize(
    ("data", "level", "kind"),
    [
        ("20020005", V311, "CONNACK 05"),
        ("2003008400", V5, "CONNACK 84"),
        ("9004000a0180", V311, "SUBACK 01 80"),
        ("9005000a000187", V5, "SUBACK 01 87"),
        ("40020001", V5, "PUBACK"),
        ("4003000187", V5, "PUBACK 87"),
        ("50020001", V311, "PUBREC"),
        ("d000", V311, "PINGRESP"),
        ("e00187", V5, "DISCONNECT 87"),
        ("30050003612f62", V311, "PUBLISH a/b"),
    ],
)
def test_an_answer_is_named_with_its_codes(data: str, level: int, kind: str) -> None:
    assert answer(bytes.fromhex(data), level) == kind
