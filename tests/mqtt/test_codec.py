"""What a packet means once it is decoded, and the parts of the codec that are used on their own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.protocols.mqtt import properties as props
from proxy.protocols.mqtt import strings
from proxy.protocols.mqtt.framing import Malformed, frame_end
from proxy.protocols.mqtt.packets import (
    Ack,
    Auth,
    Connack,
    Connect,
    Disconnect,
    P,
    Packet,
    Ping,
    Property,
    Publish,
    Suback,
    Subscribe,
    Subscription,
    Unsuback,
    Unsubscribe,
    Will,
    claimed_level,
    decode,
    delivery_head,
    encode,
)
from tests.mqtt import notation

USER = Property(P.USER_PROPERTY, ("k", "v"))

MEANINGS: list[tuple[str, int, bool, Packet]] = [
    (
        '10 ~ "MQTT" 04 EE 003C "dev" "a/b" "gone" "user" "secret"',
        4,
        True,
        Connect(4, "dev", True, 60, (), Will("a/b", b"gone", 1, True), "user", b"secret"),
    ),
    ('10 ~ "MQTT" 04 00 0000 "dev"', 5, True, Connect(4, "dev", False, 0)),
    (
        '10 ~ "MQTT" 05 16 FFFF {11 FFFFFFFF 26 "k" "v"} "" {18 00000005} "a" 0001 00',
        4,
        True,
        Connect(
            5, "", True, 65535, (Property(P.SESSION_EXPIRY, 2**32 - 1), USER),
            Will("a", b"\0", 2, False, (Property(P.WILL_DELAY, 5),)),
        ),
    ),
    ("20 02 01 00", 4, False, Connack(True, 0)),
    ('20 ~ 00 8A {1F "no"}', 5, False, Connack(False, 0x8A, (Property(P.REASON_STRING, "no"),))),
    ('3D ~ "a/b" 1234 \'hello\'', 4, False, Publish("a/b", b"hello", 2, True, True, 0x1234)),
    (
        '33 ~ "" 0001 {23 0005 09 0002 00FF 02 00000007}',
        5,
        True,
        Publish(
            "", b"", 1, True, False, 1,
            (Property(P.TOPIC_ALIAS, 5), Property(P.CORRELATION_DATA, b"\0\xff"), Property(P.MESSAGE_EXPIRY, 7)),
        ),
    ),
    ("62 02 0102", 4, True, Ack(6, 0x0102)),
    ("40 02 0001", 5, True, Ack(4, 1)),
    ("40 03 0001 00", 5, True, Ack(4, 1, longhand=1)),
    ("40 04 0001 00 00", 5, True, Ack(4, 1, longhand=2)),
    ("50 03 0001 87", 5, True, Ack(5, 1, 0x87)),
    ("50 04 0001 87 00", 5, True, Ack(5, 1, 0x87, longhand=2)),
    ('70 ~ 0001 92 {26 "k" "v"}', 5, False, Ack(7, 1, 0x92, (USER,))),
    (
        '82 ~ 0007 "a/#" 02 "$share/g/+" 01',
        4,
        True,
        Subscribe(7, (Subscription("a/#", 2), Subscription("$share/g/+", 1))),
    ),
    (
        '82 ~ 0007 {0B 8001} "a" 2D "b" 10 "c" 08',
        5,
        True,
        Subscribe(
            7,
            (
                Subscription("a", 1, True, True, 2), Subscription("b", 0, retain_handling=1),
                Subscription("c", 0, retain_as_published=True),
            ),
            (Property(P.SUBSCRIPTION_ID, 128),),
        ),
    ),
    ("90 05 0007 02 80 00", 4, False, Suback(7, (2, 0x80, 0))),
    ("90 05 0007 00 02 87", 5, False, Suback(7, (2, 0x87))),
    ('A2 ~ 0007 "a/#" "b"', 4, True, Unsubscribe(7, ("a/#", "b"))),
    ("B0 02 0007", 4, False, Unsuback(7)),
    ("B0 05 0007 00 00 11", 5, False, Unsuback(7, (0, 0x11))),
    ("C0 00", 4, True, Ping()),
    ("D0 00", 5, False, Ping(response=True)),
    ("E0 00", 5, True, Disconnect()),
    ("E0 01 04", 5, True, Disconnect(4)),
    ("E0 01 00", 5, True, Disconnect(longhand=1)),
    ("E0 02 8E 00", 5, False, Disconnect(0x8E, longhand=2)),
    ("F0 00", 5, False, Auth()),
    ('F0 ~ 19 {15 "m"}', 5, True, Auth(0x19, (Property(P.AUTHENTICATION_METHOD, "m"),))),
]  # fmt: skip


@pytest.mark.parametrize(("text", "level", "to_broker", "packet"), MEANINGS)
def test_a_packet_means(text: str, level: int, to_broker: bool, packet: Packet) -> None:
    frame = notation.packet(text)
    assert decode(frame, level, to_broker=to_broker) == packet
    assert encode(packet, level) == frame


@pytest.mark.parametrize(
    ("packet", "level"),
    [
        (Publish("a", b"", 1), 4),
        (Publish("a", b"", 0, packet_id=1), 4),
        (Publish("a" * 65536, b""), 4),
        (Publish("\ud800", b""), 4),
        (Connect(5, "a", True, 65536), 5),
        (Ack(4, 65536), 4),
        (Connect(4, "a", True, 0, will=Will("a", bytes(65536))), 4),
        (Publish("a", b"", properties=(Property(P.SUBSCRIPTION_ID, 268_435_456),)), 5),
    ],
)
def test_nothing_is_encoded_that_does_not_fit(packet: Packet, level: int) -> None:
    with pytest.raises((ValueError, OverflowError)):
        encode(packet, level)


def test_what_a_level_does_not_have_is_left_out() -> None:
    assert encode(Ack(4, 1, 0x87, (USER,)), 4) == bytes.fromhex("40020001")
    assert encode(Disconnect(0x87, longhand=2), 4) == bytes.fromhex("e000")
    assert encode(Unsuback(1, (0, 0)), 4) == bytes.fromhex("b0020001")
    assert encode(Publish("a", b"", properties=(USER,)), 4) == bytes.fromhex("3003000161")


def test_the_level_of_the_link_decides_what_bytes_mean() -> None:
    """The property list of 5 is payload in 3.1.1."""
    frame = encode(Publish("a", b"x", properties=(Property(P.PAYLOAD_FORMAT, 1),)), 5)
    assert decode(frame, 4, to_broker=True) == Publish("a", b"\2\1\1x")


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ('10 ~ "MQTT" 05 03 0000 {} "d"', 5),  # malformed, and yet the answer has to be a CONNACK of 5
        ('10 ~ "MQTT" 05', 5),
        ('10 ~ "MQTT" 04 02 0000 "a"*200', 4),
        ('10 ~ "MQIsdp" 03 02 003C "d"', 3),
        ('10 ~ "MQTT" 84 02 003C "d"', 0x84),
        ('10 ~ "MQTT"', None),
        ("10 ~ 0005 'MQTT'", None),
        ("10 00", None),
        ("10", None),
        ("", None),
        ("10 FFFFFFFF7F", None),
        ('30 ~ "MQTT" 05 02', None),
    ],
)
def test_a_connect_claims_a_level_even_if_it_is_malformed(text: str, level: int | None) -> None:
    assert claimed_level(notation.packet(text)) == level


@pytest.mark.parametrize(
    ("text", "head"),
    [
        ('30 ~ "/"*40', (0, None)),
        ('32 ~ "/"*40 0007 {}', (1, 7)),
        ('3C ~ "/"*40 FFFF {2600000000*20}', (2, 65535)),
        ('32 ~ "/"*40 0000 {}', None),
        ('32 ~ "/"*40', None),
        ('36 ~ "/"*40 0007', None),
        ("30 01 00", None),
    ],
)
def test_a_delivery_that_is_dropped_can_be_acknowledged(text: str, head: tuple[int, int | None] | None) -> None:
    """protocols.md 2.6: no acknowledgement stalls the broker's window."""
    frame = notation.packet(text)
    assert delivery_head(frame) == head
    assert isinstance(decode(frame, 5, to_broker=False), Malformed)


def test_an_end_is_known_before_the_packet_is_there() -> None:
    frame = encode(Publish("a", bytes(20_000)), 4)
    assert [frame_end(frame[:size], 0, 1 << 20) for size in (0, 1, 2, 3, 4)] == [None, None, None, None, len(frame)]
    assert frame_end(b"xx" + frame[:5], 2, 1 << 20) == 2 + len(frame)
    assert frame_end(b"\xc0\0", 2, 100) is None


def test_a_packet_too_large_is_refused_from_its_header() -> None:
    fault = frame_end(bytes.fromhex("30ffffff7f"), 0, 262_144)
    assert fault == Malformed("a packet of 268435460 bytes, more than 262144", 0x95)
    assert isinstance(frame_end(bytes.fromhex("30 05"), 0, 6), Malformed)
    assert frame_end(bytes.fromhex("30 05"), 0, 7) == 7


def test_a_length_of_five_bytes_has_no_end() -> None:
    for data in ("3080808080", "308080808001", "30ffffffff7f"):
        assert isinstance(frame_end(bytes.fromhex(data), 0, 1 << 40), Malformed)


def test_properties_are_found_removed_and_replaced() -> None:
    some = (Property(P.TOPIC_ALIAS, 5), USER, Property(P.CONTENT_TYPE, "text"), USER)
    assert props.get(some, P.TOPIC_ALIAS) == 5
    assert props.get(some, P.RESPONSE_TOPIC) is None
    assert props.get(some, P.RESPONSE_TOPIC, "x") == "x"
    assert props.number_of(some, P.TOPIC_ALIAS, 0) == 5
    assert props.number_of(some, P.RECEIVE_MAXIMUM, 65535) == 65535
    assert props.text_of(some, P.CONTENT_TYPE) == "text"
    assert props.text_of(some, P.RESPONSE_TOPIC) is None
    assert props.without(some, P.TOPIC_ALIAS, P.USER_PROPERTY) == (Property(P.CONTENT_TYPE, "text"),)
    assert props.replaced(some, P.TOPIC_ALIAS, 6) == (Property(P.TOPIC_ALIAS, 6), *some[1:])
    assert props.replaced(some, P.RECEIVE_MAXIMUM, 9) == (*some, Property(P.RECEIVE_MAXIMUM, 9))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("$share/g/a/#", ("g", "a/#")),
        ("$share/g//a", ("g", "/a")),
        ("$sharex/g/a", (None, "$sharex/g/a")),
        ("a/#", (None, "a/#")),
    ],
)
def test_a_shared_filter_has_two_parts(text: str, parts: tuple[str | None, str]) -> None:
    assert strings.split_share(text) == parts


def test_packets_are_values() -> None:
    one = Publish("a", b"x")
    assert replace(one, topic="b") == Publish("b", b"x")
    assert len({one, Publish("a", b"x")}) == 1
