"""What a session may hold of each thing, and what happens at the limit (protocols.md 2.2; threats.md T47, T48)."""

from __future__ import annotations

import time

import pytest

from proxy.protocols.mqtt.inspector import PARKED_LIMIT
from proxy.protocols.mqtt.packets import (
    Ack,
    Publish,
    Suback,
    Subscribe,
    Subscription,
    Unsubscribe,
    decode,
    encode,
)
from proxy.protocols.mqtt.publishing import REFUSED
from proxy.protocols.mqtt.session import EARLY_LIMIT
from proxy.protocols.mqtt.subscriptions import STANDING
from tests.mqtt.harness import Epochs, Link, Policy, service
from tests.mqtt.notation import packet

CONNECT = {4: '10 ~ "MQTT" 04 02 003C "s1"', 5: '10 ~ "MQTT" 05 02 003C {} "s1"'}
CONNACK = {4: "20 02 00 00", 5: "20 ~ 00 00 {}"}
both = pytest.mark.parametrize("level", [4, 5])


def opened(level: int, decide: Policy | Epochs | None = None, **options: str) -> Link:
    link = Link(decide or Policy(), service=service(options))
    link.send(packet(CONNECT[level]))
    link.reply(packet(CONNACK[level]))
    link.look()
    return link


def subscribe(link: Link, level: int, number: int, texts: list[str]) -> list[int]:
    """The codes that the client gets, from a broker that grants everything."""
    link.send(encode(Subscribe(number, tuple(Subscription(text, 0) for text in texts)), level))
    told = link.look()
    if told.broker:
        sent = decode(told.broker, level, to_broker=True)
        assert isinstance(sent, Subscribe)
        link.reply(encode(Suback(number, (0,) * len(sent.filters)), level))
        told = link.look()
    answer = decode(told.client, level, to_broker=False)
    assert isinstance(answer, Suback)
    return list(answer.codes)


@both
def test_filters_of_a_session(level: int) -> None:
    link = opened(level)
    texts = [f"ok/{number}" for number in range(STANDING)]
    for at in range(0, STANDING, 64):
        assert subscribe(link, level, at + 1, texts[at : at + 64]) == [0] * 64
    too_many = 0x97 if level == 5 else 0x80
    assert subscribe(link, level, 1, ["ok/more", "ok/0", "ok/other"]) == [too_many, 0, too_many]
    assert [event.reason.code for event in link.all_events if event.reason] == ["BH-1605"] * 2
    link.send(encode(Unsubscribe(2, ("ok/1",)), level))
    link.look()
    assert subscribe(link, level, 3, ["ok/more", "ok/other"]) == [0, too_many]


@both
def test_answers_that_wait_for_a_broker_that_does_not_answer(level: int) -> None:
    link = Link(Policy())
    link.send(packet(CONNECT[level]))
    for number in range(1, EARLY_LIMIT + 1):
        link.send(encode(Publish("no/a", b"", 1, packet_id=number), level))
    told = link.look()
    assert (told.client, told.closes) == (b"", None)
    link.send(encode(Publish("no/a", b"", 1, packet_id=EARLY_LIMIT + 1), level))
    assert link.look().closes == "BH-1605"


@both
def test_input_behind_a_packet_that_waits(level: int) -> None:
    link = opened(level, Policy(record_first=True))
    link.send(encode(Publish("spBv1.0/ok/NCMD/e", b""), level))
    piece = encode(Publish("ok/a", b"x" * 1000), level)
    for _ in range(PARKED_LIMIT // len(piece)):
        link.send(piece)
    assert link.look().closes is None
    link.send(piece)
    assert link.look().closes == "BH-1605"


def test_refused_exchanges_whose_pubrel_is_awaited() -> None:
    """The oldest is forgotten; its PUBREL goes to the broker, which has an answer for it."""
    link = opened(5)
    for number in range(1, REFUSED + 2):
        link.send(encode(Publish("no/a", b"", 2, packet_id=number), 5))
    link.look()
    link.send(encode(Ack(6, 1), 5))
    assert link.look().broker == encode(Ack(6, 1), 5)
    link.send(encode(Ack(6, 2), 5))
    assert link.look().client == encode(Ack(7, 2, 0x92), 5)


@both
def test_a_large_packet_in_small_pieces_costs_little(level: int) -> None:
    link = opened(level, max_packet="16MiB")
    large = encode(Publish("ok/a", b"x" * (16 * 1024 * 1024 - 100)), level)
    started = time.thread_time()
    for at in range(0, len(large), 2048):
        link.send(large[at : at + 2048])
    assert link.look().broker == large
    assert time.thread_time() - started < 2.0


@both
def test_a_delivery_in_small_pieces_costs_little(level: int) -> None:
    link = opened(level, max_packet="16MiB")
    large = encode(Publish("ok/a", b"x" * (16 * 1024 * 1024 - 100)), level)
    started = time.thread_time()
    for at in range(0, len(large), 2048):
        link.reply(large[at : at + 2048])
    assert link.look().client == large
    assert time.thread_time() - started < 2.0


@both
def test_subscriptions_that_are_lost_fit_the_brokers_packets(level: int) -> None:
    """As many filters as one packet may have; a broker that said what it takes gets no more."""
    epochs = Epochs(Policy(), Policy({"publish": "ok/#"}))
    link = Link(epochs)
    link.send(packet(CONNECT[level]))
    link.reply(packet("20 02 00 00" if level == 4 else "20 ~ 00 00 {27 00000400}"))
    link.look()
    texts = [f"ok/{number:020}" for number in range(130)]
    for at in range(0, 130, 26):
        subscribe(link, level, at + 1, texts[at : at + 26])
    epochs.next()
    link.again()
    taken: list[str] = []
    data = link.look().broker
    while data:
        size = 2 + data[1] if data[1] < 128 else 3 + (data[1] & 127) + (data[2] << 7)
        one = decode(data[:size], level, to_broker=True)
        assert isinstance(one, Unsubscribe), one
        assert level == 4 or size <= 1024
        taken += one.filters
        data = data[size:]
    assert sorted(taken) == texts
