"""Mutation fuzz of the MQTT inspector: whatever a client and a broker say has a documented outcome, in little time and
memory, and nothing leaves that a strict decoder does not account for or that policy refuses.

A push runs 100,000 sessions in 20 shards; ``--campaign fuzz`` runs ten times as many. A session is named by its shard
and number. The seeds are the sessions of `tests/vectors/mqtt/streams.yaml`; what was once wrong is added there.
"""

from __future__ import annotations

import gc
import time
import tracemalloc
from random import Random
from typing import TYPE_CHECKING

import pytest

from proxy.core.reason import Reason
from proxy.protocols.base import UpstreamState
from proxy.protocols.mqtt.subscriptions import STANDING
from tests.fuzz.mqtt_mutate import mutated
from tests.mqtt.harness import Epochs, Link, Policy, service
from tests.mqtt.peers import Frames
from tests.mqtt.test_streams import CASES, STREAMS, Session, whole
from tests.mqtt.world import Auditor
from tests.support.setting import FakeSetting

if TYPE_CHECKING:
    from tests.fuzz.mqtt_mutate import Packets
    from tests.support.campaign import Campaigns

SHARDS = 20
PUSH, FULL = 5_000, 50_000
"""Sessions per shard."""
SLOWEST = 0.1
"""Seconds of one thread's CPU that a session may take."""
FLAT = 1 << 20
"""Bytes that may be kept after warming up."""
ROUND = 1200
"""Of everything that a link remembers: more than it may."""
NARROW = {"publish": "ok/a", "max_bytes": 2, "subscribe": "ok/+", "receive": "ok/a", "will": "ok/#"}
POLICIES = (
    Policy(),
    Policy(NARROW),
    Policy(record_first=True),
    Policy({"publish": "#", "receive": "#"}, {"publish": "ok/a"}, reusable=False),
)
SERVICES = (service({}), service({"receive_maximum": 2, "keep_alive": "10s", "max_packet": "1KiB", "will": "strip"}),
            service({"on_lost_subscription": "disconnect", "login": "client"}))  # fmt: skip
SETTINGS = tuple(FakeSetting(deny_style=style) for style in ("nack", "ack-and-drop", "disconnect"))
CLOSES = {None, "quietly", "BH-1001", "BH-1102", "BH-1105", "BH-1106", "BH-1108", "BH-1109", "BH-1201", "BH-1202",
          "BH-1205", "BH-1207", "BH-1209", "BH-1601", "BH-1605", "BH-1608", "BH-1711", "BH-1715"}  # fmt: skip

pytestmark = [pytest.mark.fuzz, pytest.mark.grows("fuzz")]


def packets_of(session: Session, steps: list[dict[str, object]]) -> Packets:
    found: Packets = []
    for step in steps:
        side = next(iter(step))
        if side not in STREAMS:
            continue
        data = session.bytes(step, side)
        try:
            frames = Frames().feed(data)
        except AssertionError:
            frames = []
        rest = data[sum(map(len, frames)) :]
        found += [(side, frame) for frame in (*frames, rest) if frame and len(frame) <= 300]
    return found


def seeds() -> list[Packets]:
    """Every vector's packets, each behind its CONNECT and CONNACK."""
    found = []
    for case in CASES:
        vector, level = case.values
        assert isinstance(vector, dict)
        assert isinstance(level, int)
        session = Session({**vector, "open": False}, level, whole)
        opening: Packets = []
        if vector.get("open", True) is not False:
            opening = [
                ("client", session.packet(f'10 ~ "MQTT" 0{level} 02 003C {{?}} "s1"')),
                ("broker", session.packet("20 ~ 00 00 {?}")),
            ]
        if len(packets := packets_of(session, vector["steps"])) > 0:
            found.append(opening + packets)
    return found


SEEDS = seeds()
POOL = [packet for seed in SEEDS for packet in seed]


@pytest.mark.parametrize("shard", range(SHARDS))
def test_whatever_both_sides_say(shard: int, campaigns: Campaigns) -> None:
    random = Random(f"mqtt {shard}")
    slowest = 0.0
    for number in range(campaigns.count("fuzz", push=PUSH, full=FULL)):
        packets = mutated(random.choice(SEEDS), POOL, random)
        try:
            slowest = max(slowest, one_session(packets, number, random))
        except Exception as error:
            shown = " ".join(f"{side}:{packet.hex()}" for side, packet in packets)
            raise AssertionError(f"shard {shard} number {number}: {shown}") from error
    assert slowest < SLOWEST


def joined(packets: Packets, random: Random) -> Packets:
    """In pieces: packets of one side in one go, or cut where no packet ends."""
    pieces: Packets = []
    for side, packet in packets:
        if pieces and pieces[-1][0] == side and random.random() < 0.7:
            pieces[-1] = (side, pieces[-1][1] + packet)
        else:
            pieces.append((side, packet))
    if pieces and random.random() < 0.5:
        at = random.randrange(len(pieces))
        side, data = pieces[at]
        cut = random.randrange(len(data) + 1)
        pieces[at : at + 1] = [(side, data[:cut]), (side, data[cut:])]
    return pieces


def one_session(packets: Packets, number: int, random: Random) -> float:
    """Plays it, now and then with a new epoch or the passing of time, and ends it; the CPU seconds that it took, with
    what the checks take."""
    policy = POLICIES[number % len(POLICIES)]
    for one in POLICIES:
        one.asked.clear()
        one.recorded.clear()
    epochs = Epochs(policy)
    link = Link(epochs, SETTINGS[number // 4 % 3], SERVICES[number // 12 % 3])
    pieces = joined(packets, random)
    change = random.randrange(3 * len(pieces) + 3)
    auditor: Auditor | None = None
    started = time.thread_time()
    for at, (side, data) in enumerate(pieces):
        (link.send if side == "client" else link.reply)(data)
        auditor = look(link, epochs, auditor)
        while link.told.holds:
            link.resume(link.told.holds.pop(), random.random() < 0.9)
            auditor = look(link, epochs, auditor)
        if at == change:
            happen(link, epochs, random)
            auditor = look(link, epochs, auditor)
    end = random.randrange(4)
    if end == 0:
        link.eof()
    elif end == 1:
        link.end(Reason.DRAINING)
    elif end == 2:
        link.upstream_is(UpstreamState.LOST)
    else:
        link.at(link.now + 2000.0)
    look(link, epochs, auditor)
    took = time.thread_time() - started
    check(link)
    return took


def happen(link: Link, epochs: Epochs, random: Random) -> None:
    if random.random() < 0.5:
        link.at(link.now + random.choice((1.0, 8.0, 50.0)))
    else:
        epochs.exchange(random.choice(POLICIES))
        link.again()


def look(link: Link, epochs: Epochs, auditor: Auditor | None) -> Auditor | None:
    """What left is held against the policy of this moment. The version is known from the CONNECT that left."""
    told = link.told
    if auditor is None and told.broker:
        auditor = Auditor(epochs, told.broker[8])
    if auditor is not None:
        auditor.look(told.broker, told.client)
    told.broker = told.client = b""
    return auditor


def check(link: Link) -> None:
    assert link.told.closes in CLOSES, link.told.closes
    assert link.closed == (link.told.closes is not None)
    assert link.inspector.deadline() is None or not link.closed
    for event in link.all_events:
        assert event.what in ("refuse", "malformed", "device"), event.what
        assert event.reason is not None
        assert len(event.action) < 700, len(event.action)
        assert len(event.detail) <= 120
        assert event.action.isascii()
        assert (event.action + event.detail).isprintable()
    tally = link.inspector.tally()
    assert all(count > 0 for count in tally.values())


def test_every_seed_is_replayed_as_it_is() -> None:
    for at, packets in enumerate(SEEDS):
        for number in range(4):
            one_session(packets, number + 4 * at, Random(at))


def test_the_seeds_hold_every_packet_of_both_versions() -> None:
    kinds = {(side, packet[0] >> 4) for side, packet in POOL}
    assert {kind for side, kind in kinds if side == "client"} >= {1, 3, 4, 5, 6, 7, 8, 10, 12, 14, 15}
    assert {kind for side, kind in kinds if side == "broker"} >= {2, 3, 4, 5, 6, 7, 9, 11, 13, 14, 15}


@pytest.mark.timeout(90)
def test_memory_is_flat_after_warming_up() -> None:
    """Links that come and go, and one that stays and is told ever new topics, ids and filters. The peaks are compared,
    because bounded memories that are emptied when they are full go up and down."""
    random = Random("memory")
    policy = Policy({"publish": "#", "receive": "#", "subscribe": "#"})
    lasting = Link(policy)
    lasting.send(b"\x10\x0e\0\4MQTT\5\2\0\x3c\0\0\1s")
    lasting.reply(b"\x20\3\0\0\0")
    rounds = 0

    def publish(first: int, topic: bytes, number: int, content: bytes) -> bytes:
        name = len(topic).to_bytes(2, "big") + topic
        body = name + (number.to_bytes(2, "big") if first & 6 else b"") + content
        return bytes((first, len(body))) + body

    def fill() -> None:
        for number in range(1, ROUND):
            topic = f"t/{rounds}/{number}".encode()
            lasting.send(
                publish(0x30, topic, 0, b"\0x")
                + publish(0x30, b"no/$", 0, b"\3\x23\0" + bytes((number % 32 + 1,)) + b"x")
            )
            lasting.send(publish(0x34, b"$no/" + topic, number, b"\0x"))
            lasting.reply(publish(0x32, topic, number, b"\0x") + publish(0x34, b"$no/" + topic, number + 3000, b"\0x"))
            lasting.send(b"\x82\x0b" + number.to_bytes(2, "big") + b"\0\0\5" + f"{number:05}".encode() + b"\0")
            for some in (policy.asked, policy.recorded, lasting.all_events):
                some.clear()
            closes = lasting.look().closes
            assert closes is None, closes
        for number in range(1, ROUND):
            lasting.send(b"\x40\2" + number.to_bytes(2, "big"))
            if number <= STANDING:
                lasting.reply(b"\x90\4" + number.to_bytes(2, "big") + b"\0\0")
            lasting.reply(b"\x62\2" + (number + ROUND).to_bytes(2, "big"))
            closes = lasting.look().closes
            assert closes is None, closes

    def peak(count: int) -> int:
        nonlocal rounds
        gc.collect()
        tracemalloc.reset_peak()
        rounds += 1
        fill()
        for number in range(count):
            one_session(mutated(random.choice(SEEDS), POOL, random), number, random)
        return tracemalloc.get_traced_memory()[1]

    tracemalloc.start()
    try:
        peak(50)
        before = peak(100)
        growth = [peak(100) - before for _ in range(2)]
    finally:
        tracemalloc.stop()
    assert max(growth) <= FLAT, growth
