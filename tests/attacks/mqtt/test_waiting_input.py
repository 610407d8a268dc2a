"""T47, T48: what a client sends while one of its packets waits.

A SUBSCRIBE whose id is in use waits for the SUBACK of the one before, and a client that does not read its answers makes
that last. All that was behind it, 1 MiB of refusals, was then gone through at once: seconds in which nobody else was
served.
"""

from __future__ import annotations

import random
import time
import tracemalloc

import pytest

from tests.mqtt.harness import Link, Policy
from tests.support import mqtt
from tests.support.mqtt import SUBACK

REFUSED = mqtt.publish("n")
SUBACK_1 = mqtt.packet(SUBACK << 4, b"\0\1\0")


def parked() -> Link:
    link = Link(Policy())
    link.send(mqtt.connect("sensor-1"))
    link.reply(b"\x20\2\0\0")
    link.send(mqtt.subscribe(1, ("ok/a", 0)) + mqtt.subscribe(1, ("ok/b", 0)))
    assert link.look().broker.endswith(mqtt.subscribe(1, ("ok/a", 0)))
    return link


def test_t47_what_waited_is_gone_through_in_turns() -> None:
    link = parked()
    for _ in range(20):
        link.send(REFUSED * 1000)
    begun = time.perf_counter()
    link.reply(SUBACK_1)
    assert time.perf_counter() - begun < 0.1
    first = link.look()
    assert first.broker == mqtt.subscribe(1, ("ok/b", 0)) and 0 < len(first.events) < 100
    now, found = link.now, len(first.events)
    while found < 20_000:
        link.send(b"")
        now += 0.001
        link.at(now)
        step = len(link.look().events)
        assert 0 < step < 100
        found += step
    link.send(mqtt.publish("ok/a"))
    assert link.look().broker == mqtt.publish("ok/a")


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_lost_and_nothing_overtakes(seed: int) -> None:
    """In any cut, with input that comes in between, and a packet larger than a turn."""
    dice = random.Random(seed)
    link = parked()
    asked = mqtt.subscribe(1, ("ok/b", 0))
    stream = b""
    for number in range(400):
        stream += mqtt.publish("ok/a", b"%d" % number * dice.choice((1, 1, 1, 5000)), qos=1, pid=2 + number)
        stream += REFUSED * dice.randrange(5)
        if dice.random() < 0.05:
            stream += asked
    wanted = asked + stream.replace(REFUSED, b"")
    sent, got, now, waits = 0, b"", 0.0, 1
    while len(got) < len(wanted) and now < 100:
        now += 0.0005
        size = dice.choice((1, 700, 30_000))
        link.send(stream[sent : sent + size])
        sent += size
        link.at(now)
        if waits and dice.random() < 0.3:
            waits -= 1
            link.reply(SUBACK_1)
        told = link.look()
        assert told.closes is None
        waits += told.broker.count(asked)
        got += told.broker
    assert got == wanted


def test_a_client_that_goes_on_sending_gets_through_it() -> None:
    """As fast as what waited is gone through, so that it is never cut for it."""
    link = parked()
    known = mqtt.publish("ok/a", bytes(1000))
    link.send(known * 200)
    link.reply(SUBACK_1)
    got, sent = link.look().broker, 200
    while sent < 2000:
        link.now += 0.001  # no tick
        link.send(known * 10)
        sent += 10
        got += link.look().broker
    link.at(link.now + 0.001)
    got += link.look().broker
    assert got == mqtt.subscribe(1, ("ok/b", 0)) + known * 2000


def test_the_end_of_a_client_comes_behind_what_it_sent() -> None:
    link = parked()
    link.send(REFUSED * 10_000 + mqtt.publish("ok/last"))
    link.eof()
    link.reply(SUBACK_1)
    assert link.look().closes is None
    link.at(link.now + 1)
    told = link.look()
    assert told.broker == mqtt.publish("ok/last") and told.closes == "quietly"


def test_t48_pieces_cost_no_more_than_their_bytes() -> None:
    link = parked()
    tracemalloc.start()
    try:
        for _ in range(50_000):
            link.send(b"0\2" + bytes(2))
        assert tracemalloc.get_traced_memory()[0] < 400_000
    finally:
        tracemalloc.stop()
    link.send(bytes(900_000))
    assert link.look().closes == "BH-1605"


def test_t48_questions_that_are_not_answered_do_not_pile_up() -> None:
    """64 filters of 1 KiB each, again and again, by a client that does not read: 64 KiB stayed for each."""
    link = Link(Policy())
    link.send(mqtt.connect("sensor-1"))
    link.reply(b"\x20\2\0\0")
    filters = [(f"ok/{number:02}/{'x' * 1000}", 0) for number in range(64)]
    link.send(mqtt.subscribe(65000, *filters) + mqtt.subscribe(65001, *filters))
    link.look()
    tracemalloc.start()
    try:
        for pid in range(1, 15):
            link.send(mqtt.subscribe(pid, *filters))
        assert link.look().broker == b""
        assert tracemalloc.get_traced_memory()[0] < 1_200_000
    finally:
        tracemalloc.stop()
    codes = bytes(64)
    for pid in (65000, 65001, *range(1, 15)):
        link.reply(mqtt.packet(0x90, pid.to_bytes(2, "big") + codes))
        link.at(link.now + 1)
    told = link.look()
    assert told.closes is None
    assert told.broker == b"".join(mqtt.subscribe(pid, *filters) for pid in range(1, 15))


def test_as_many_questions_at_once_as_anybody_has() -> None:
    """256 filters, one SUBSCRIBE each, then one UNSUBSCRIBE each, before any answer."""
    link = Link(Policy())
    link.send(mqtt.connect("sensor-1"))
    link.reply(b"\x20\2\0\0")
    link.look()
    asked = b"".join(mqtt.subscribe(1 + n, (f"ok/{n}/{'x' * 60}", 0)) for n in range(256))
    left = b"".join(mqtt.unsubscribe(1000 + n, f"ok/{n}/{'x' * 60}") for n in range(256))
    link.send(asked + left)
    assert link.look().broker == asked + left
