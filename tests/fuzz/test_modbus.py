"""Mutation fuzz of the Modbus machines: any input has one of the documented outcomes, in little time and memory.

A push runs 50,000 inputs of clients and 50,000 of devices in 20 shards; ``--campaign fuzz`` runs a million of each.
An input is named by its shard and number; `tests/fuzz/corpus/modbus` holds the seeds and every past failure.
"""

from __future__ import annotations

import gc
import time
import tracemalloc
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from proxy.core.reason import Reason
from proxy.protocols.modbus.service import ModbusService
from tests.fuzz.mutate import loose_frames, mutated, pieces
from tests.modbus import oracle
from tests.modbus.frames import frame
from tests.modbus.harness import Client, Device, Policy
from tests.support.setting import FakeSetting

if TYPE_CHECKING:
    from tests.support.campaign import Campaigns

CORPUS = Path(__file__).parent / "corpus" / "modbus"
CLIENTS = {path.name: path.read_bytes() for path in sorted(CORPUS.glob("*.client.bin"))}
ASKS = {path.name.removesuffix(".asks.bin"): path.read_bytes() for path in sorted(CORPUS.glob("*.asks.bin"))}
ANSWERS = {name: (CORPUS / f"{name}.answers.bin").read_bytes() for name in ASKS}
STREAMS = [*CLIENTS.values(), *ASKS.values()]
SHARDS = 20
PUSH, FULL = 2_500, 50_000
"""Inputs per shard and side."""
SLOWEST = 0.1
"""Seconds of one thread's CPU that an input may take."""
FLAT = 1 << 20
"""Bytes that may be kept after warming up."""
SIXTEEN = ModbusService(pipeline=64)
TABLES = {"read": ["holding 0-99", "coil 0-99"], "write": {"holding 0-99": {"max": 1500}, "coil 0-99": {}}}
POLICIES = (
    Policy(),
    Policy(TABLES),
    Policy(record_first=True),
    Policy(never={"write": ["holding 0-99"], "function": [90, 23]}, reusable=False),
)

pytestmark = [pytest.mark.fuzz, pytest.mark.grows("fuzz")]


@pytest.mark.parametrize("shard", range(SHARDS))
def test_whatever_a_client_sends(shard: int, campaigns: Campaigns) -> None:
    random = Random(f"client {shard}")
    slowest = 0.0
    for number in range(campaigns.count("fuzz", push=PUSH, full=FULL)):
        stream = mutated(random.choice(STREAMS), STREAMS, random)
        policy = POLICIES[number % len(POLICIES)]
        try:
            slowest = max(slowest, one_client(stream, policy, random))
        except Exception as error:
            raise AssertionError(f"shard {shard} number {number}: {stream.hex()}") from error
    assert slowest < SLOWEST


@pytest.mark.parametrize("shard", range(SHARDS))
def test_whatever_a_device_sends(shard: int, campaigns: Campaigns) -> None:
    random = Random(f"device {shard}")
    names, others = list(ASKS), list(ANSWERS.values())
    slowest = 0.0
    for number in range(campaigns.count("fuzz", push=PUSH, full=FULL)):
        name = random.choice(names)
        answers = mutated(ANSWERS[name], others, random)
        try:
            slowest = max(slowest, one_device(ASKS[name], answers, random))
        except Exception as error:
            raise AssertionError(f"shard {shard} number {number}: {name} {answers.hex()}") from error
    assert slowest < SLOWEST


def one_client(stream: bytes, policy: Policy, random: Random) -> float:
    """Feeds one stream, now and then answers and records, then ends it; returns the CPU seconds it took."""
    policy.asked.clear()
    client = Client(policy, FakeSetting(secured=random.random() < 0.5, deny_style="device"))
    held: list[int] = []
    device: list[bytes] = []
    answers: list[bytes] = []
    closes: set[str | None] = set()
    parts = pieces(stream, random)
    started = time.thread_time()
    for part in parts:
        client.send(part)
        told = client.look()
        device += told.device
        answers += told.answers
        held += told.holds
        closes.add(told.closes)
        while held and random.random() < 0.7:
            client.resume(held.pop(), random.random() < 0.8)
        for one in told.device[:4]:
            if random.random() < 0.5:
                client.reply(one)
    if random.random() < 0.5:
        client.eof()
    else:
        client.end(Reason.DRAINING)
    took = time.thread_time() - started
    told = client.look()
    check_client(stream, client, device + told.device, answers + told.answers, closes | {told.closes})
    return took


def check_client(
    stream: bytes, client: Client, device: list[bytes], answers: list[bytes], closes: set[str | None]
) -> None:
    sent, _ = oracle.frames(stream)
    left = iter(sent)
    assert all(one in left for one in device), "forwarded what was not sent, or in another order"
    assert all(isinstance(oracle.judge(one[7:]), list) for one in device), "forwarded what is no request"
    assert not any(248 <= one[6] <= 254 for one in device)
    known = {(one[:2], one[6], one[7]) for one in sent}
    for one in answers:
        refusal = (one[:2], one[6], one[7] & 0x7F) in known or (one[:2], one[6], one[7]) in known
        assert one in device or (refusal and one[2:6] == b"\0\0\0\3" and one[8] in (1, 2, 3, 6, 11)), one.hex()
    assert len(closes - {None}) <= 1
    assert closes <= {None, "quietly", "BH-1102", "BH-1608"}
    for event in client.all_events:
        assert event.what in ("refuse", "malformed")
        assert event.reason is not None
        assert len(event.action) < 700
        assert event.action.isprintable()
        assert event.detail.isprintable()
    assert client.inspector.deadline() is None or not client.closed
    assert sum(client.inspector.tally().values()) == len(device)


def one_device(asks: bytes, answers: bytes, random: Random) -> float:
    """Asks, feeds what the device says, lets time run out; returns the CPU seconds of what was fed."""
    device = Device(SIXTEEN)
    asked = dict(enumerate(map(bytes, loose_frames(asks)), 1))
    for master, one in asked.items():
        device.submit(master, one)
    device.opened(0)
    sent = device.look().sends[0]
    assert sent == [master.to_bytes(2, "big") + one[2:] for master, one in asked.items()]
    parts = pieces(answers, random)
    started = time.thread_time()
    for part in parts:
        device.receive(0, part)
    took = time.thread_time() - started
    device.tick(5.0)
    device.lost(0)
    told = device.look()
    assert (told.sends, told.dials) == ({}, [])
    assert told.hangs_up in ([], [0])
    assert set(told.events) <= {"device BH-1107", "device BH-1108"}
    assert sorted(master for master, _ in told.answers) == sorted(asked), "everybody once"
    for master, one in told.answers:
        request = asked[master]
        assert one == frame(int.from_bytes(request[:2], "big"), request[6], one[7:])
        assert oracle.answers(request[7:], one[7:]), one.hex()
    return took


def test_every_seed_is_replayed_as_it_is() -> None:
    for stream in STREAMS:
        for policy in POLICIES:
            one_client(stream, policy, Random(1))
    for name, asks in ASKS.items():
        device = Device(SIXTEEN)
        requests = [bytes(one) for one in loose_frames(asks)]
        for master, one in enumerate(requests):
            device.submit(master, one)
        device.opened(0)
        device.receive(0, ANSWERS[name])
        told = device.look()
        assert [one[8:] for _, one in told.answers] == [bytes(one[8:]) for one in loose_frames(ANSWERS[name])], name
        assert told.hangs_up == []


def test_the_seeds_hold_every_function() -> None:
    functions = {frame[7] for stream in STREAMS for frame in loose_frames(stream) if len(frame) > 7}
    assert {*range(1, 9), 11, 12, 15, 16, 17, 20, 21, 22, 23, 24, 43, 90} <= functions
    assert {frame[7] for answers in ANSWERS.values() for frame in loose_frames(answers)} >= {3, 20, 23, 24, 43, 0x83}


@pytest.mark.timeout(90)
def test_memory_is_flat_after_warming_up() -> None:
    """One link, one epoch and one device that live on, and links that come and go. The peaks are compared, because
    bounded memories that are emptied when they are full go up and down."""
    random = Random("memory")
    filled = 0
    policy = Policy()
    lasting = Client(policy)
    device = Device(SIXTEEN)
    device.submit(0, frame(1, 0, b"\x06\0\0\0\0"))
    device.opened(0)

    def work(count: int) -> None:
        nonlocal lasting
        for number in range(count):
            stream = mutated(random.choice(STREAMS), STREAMS, random)
            one_client(stream, POLICIES[number % len(POLICIES)], random)
            lasting.send(stream)
            for one in lasting.look().device:
                lasting.reply(one)
                device.submit(1, one)
            if lasting.closed:
                lasting = Client(policy)
            for sent in device.look().sends.get(0, []):
                device.receive(0, sent[:2] + b"\0\0\0\3" + sent[6:7] + bytes((sent[7] | 0x80, 1)))
            for some in (policy.asked, lasting.all_events, device.look().events):
                some.clear()

    def peak(count: int) -> int:
        nonlocal filled
        gc.collect()
        tracemalloc.reset_peak()
        filled += 1
        fill(device, lasting, filled)
        policy.asked.clear()
        work(count)
        return tracemalloc.get_traced_memory()[1]

    tracemalloc.start()
    try:
        peak(50)
        before = peak(100)
        growth = [peak(100) - before for _ in range(2)]
    finally:
        tracemalloc.stop()
    assert max(growth) <= FLAT, growth


def fill(device: Device, client: Client, value: int) -> None:
    """The bounded memories of link and device, to their brim and over it, with requests not seen before."""
    for number in range(4200):
        one = frame(number, 1, b"\x06" + number.to_bytes(2, "big") + value.to_bytes(2, "big"))
        client.send(one)
        client.reply(one)
        device.submit(1, one)
        device.receive(0, b"".join(sent[:2] + one[2:] for sent in device.look().sends.get(0, [])))
    client.look()
    device.look()
