"""Mutation fuzz of OPC UA: whatever clients and servers say has a documented outcome, in little time and memory, and
nothing reaches a server that policy does not admit (T42).

A push runs 100,000 executions in shards; ``--campaign fuzz`` runs ten times as many. An execution is named by its
shard and number. Seeds are what our own tests make: messages of every service, in `corpus/opcua`.
"""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from random import Random
from typing import TYPE_CHECKING

import pytest

from proxy.core.reason import Reason
from proxy.protocols.base import UpstreamState
from proxy.protocols.opcua.channel import Broke, Closed, Opened, Renewed, Said
from proxy.protocols.opcua.decode import Malformed, UnknownService, decode, decode_inner, encode, make_extension
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.security.policies import Mode
from proxy.protocols.opcua.services import INNER, SERVICES
from proxy.protocols.opcua.services.attribute import ReadRequest, ReadValueId
from proxy.protocols.opcua.services.session import (
    ActivateSessionRequest,
    AnonymousIdentityToken,
    CreateSessionRequest,
)
from proxy.protocols.opcua.services.view import BrowseDescription, BrowseRequest, ViewDescription
from proxy.protocols.opcua.signed_sessions import PASSED
from proxy.protocols.opcua.spans import Results, join_results, split_results
from proxy.protocols.opcua.status import name_of
from proxy.protocols.opcua.values import ExtensionObject, QualifiedName
from tests.fuzz.opcua_mutate import frame_mutated, frames_mutated, mutated, pieces
from tests.fuzz.opcua_oracle import Asked, allowed
from tests.fuzz.opcua_requests import Maker
from tests.fuzz.opcua_server import Paper
from tests.fuzz.opcua_stage import Stage
from tests.house.repository import ROOT
from tests.opcua.channel_oracle import frames
from tests.opcua.channel_world import Pair, north_setting, secured_pair, south_setting
from tests.opcua.inspector_world import UNSIGNED, Policy, robot
from tests.opcua.test_signed import TOKEN, Through

if TYPE_CHECKING:
    from proxy.protocols.opcua.services.messages import Request
    from proxy.protocols.opcua.structures import Struct
    from tests.support.campaign import Campaigns

SLOWEST = 0.1
"""Seconds of one thread's CPU that an execution may take."""
FLAT = 1 << 20
"""Bytes that may be kept after warming up."""
LONG = 24
"""Executions on one inspector, if it lives so long."""
R = "nsu=urn:robot:7;s="
WIDE: dict[str, object] = {
    "read": [R + "ok.*", "i=2255"], "browse": [R + "ok.*", "i=85"], "call": [f"{R}ok.* -> {R}ok.*"],
    "write": {R + "ok.w": {"min": 0, "max": 10}, R + "ok.a": {}, "under " + R + "Cell": {"min": 0}},
    "subscribe": [R + "ok.*"], "history_read": [R + "ok.*"], "history_write": [R + "ok.*"],
    "manage_nodes": [R + "ok.*"],
}  # fmt: skip
NEVER = {"write": [R + "ok.a"], "call": [f"{R}ok.a -> {R}ok.b"], "read": [R + "ok.b"], "browse": [R + "ok.never"]}
POLICIES = (
    Policy.of(WIDE),
    Policy.of(WIDE, NEVER),
    Policy.of(WIDE, held="write call"),
    Policy.of({"read": [R + "ok.a"], "browse": "all", "subscribe": [R + "ok.b"]}),
    Policy.of(WIDE | {"users": ["operator", "anonymous"]}, NEVER, held="history-write"),
)
CORPUS = {
    file.name.removesuffix(".bin"): file.read_bytes()
    for file in sorted((ROOT / "tests" / "fuzz" / "corpus" / "opcua").glob("*.bin"))
}
POOL = tuple(CORPUS.values())
KINDS = tuple(INNER)

pytestmark = [pytest.mark.fuzz, pytest.mark.grows("fuzz")]


def shards(count: int) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("shard", range(count))


def timed(act: Callable[[], object], shard: int, number: int, shown: Callable[[], object]) -> float:
    """The CPU seconds that it took; what it raises is told with the input that did it."""
    started = time.thread_time()
    try:
        act()
    except Exception as error:
        told = str(shown())
        raise AssertionError(f"shard {shard} number {number}: {told[:4000]}") from error
    return time.thread_time() - started


# The codec.


@shards(8)
def test_whatever_a_message_says(shard: int, campaigns: Campaigns) -> None:
    random, slowest = Random(f"codec {shard}"), 0.0
    for number in range(campaigns.count("fuzz", push=5_000, full=50_000)):
        body = mutated(random.choice(POOL), POOL, random)
        slowest = max(slowest, timed(partial(read, body, random), shard, number, partial(repr, body)))
    assert slowest < SLOWEST


def read(body: bytes, random: Random) -> None:
    """Read as it stands or not at all, by the decoder and by the quick way alike."""
    found = decode(body)
    if not isinstance(found, Malformed | UnknownService):
        assert encode(found) == body
    elif isinstance(found, Malformed):
        assert name_of(found.status).startswith("Bad")
        assert found.why.isprintable()
    split = split_results(body)
    if isinstance(split, Results):
        assert join_results(split.head, split.results, split.diagnostics) == body
    holder = ExtensionObject(NodeId(0, random.choice(KINDS), 1), 1, body[random.randrange(len(body) + 1) :])
    made = decode_inner(holder)
    if isinstance(made, Malformed):
        assert name_of(made.status).startswith("Bad")
    else:
        assert made is not None
        assert make_extension(made).body == holder.body


# Channels.

BODIES = [body for name, body in CORPUS.items() if name.startswith("asked") or "Request" in name]


NORTH = replace(north_setting(), policies=frozenset({"None"}))
SOUTH = south_setting("None")


def plain_pair() -> Pair:
    """Open, with security None."""
    return Pair(NORTH, SOUTH).open()


def stream(pair: Pair, random: Random) -> list[bytes]:
    """What an honest client says behind its OPN, frame by frame; a renewal among it."""
    out = bytearray()
    for request in range(2, 6):
        assert pair.south.send(request, random.choice(BODIES), out)
    pair.south.close(out)
    return frames(bytes(out))


@shards(4)
def test_whatever_a_client_does_to_its_frames(shard: int, campaigns: Campaigns) -> None:
    random, slowest = Random(f"north {shard}"), 0.0
    for number in range(campaigns.count("fuzz", push=3_000, full=30_000)):
        pair = plain_pair()
        pair.north.in_session = random.random() < 0.8
        found = frames_mutated(stream(pair, random), random)
        slowest = max(slowest, timed(partial(heard, pair, found, random), shard, number, partial(repr, found)))
    assert slowest < SLOWEST


def heard(pair: Pair, found: list[bytes], random: Random) -> list[Said]:
    """What the server's end makes of the frames; behind the end it makes nothing of anything."""
    said: list[Said] = []
    over = False
    for piece in pieces(b"".join(found), random):
        events = pair.north.receive(piece, 1.0, pair.down)
        assert not over or not events
        for event in events:
            assert isinstance(event, Said | Renewed | Opened | Closed | Broke)
            assert not over, "something behind the end"
            over = isinstance(event, Closed | Broke)
            if isinstance(event, Broke):
                assert name_of(event.status).startswith("Bad")
                assert event.reason in (Reason.MALFORMED, Reason.CHANNEL_REFUSED, Reason.OVERLOAD, Reason.TOO_SLOW)
            if isinstance(event, Said):
                said.append(event)
    assert sum(map(len, found)) < 300_000 or not said
    return said


@shards(2)
def test_nothing_is_said_on_a_secured_channel_but_by_its_client(shard: int, campaigns: Campaigns) -> None:
    """T42, T51: of frames that were changed, left out, swapped or said twice, what is taken is a beginning of what the
    client said."""
    random, slowest = Random(f"secured {shard}"), 0.0
    mode = Mode.SIGN if shard % 2 else Mode.SIGN_AND_ENCRYPT
    for number in range(campaigns.count("fuzz", push=250, full=2_500)):
        pair = secured_pair(mode=mode)
        honest = stream(pair, random)
        found = frames_mutated(honest, random)

        def act(pair: Pair = pair, found: list[bytes] = found, honest: list[bytes] = honest) -> None:
            said = heard(pair, found, random)
            same = sum(1 for _ in _prefix(found, honest))
            assert len(said) <= same

        slowest = max(slowest, timed(act, shard, number, partial(repr, found)))
    assert slowest < SLOWEST


def _prefix(one: list[bytes], other: list[bytes]) -> list[bytes]:
    """The frames that both begin with."""
    same = []
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        same.append(left)
    return same


@shards(2)
def test_a_token_opens_what_it_sealed_and_nothing_else(shard: int, campaigns: Campaigns) -> None:
    random = Random(f"token {shard}")
    pair = secured_pair(mode=Mode.SIGN if shard else Mode.SIGN_AND_ENCRYPT)
    token = pair.north._token
    assert token is not None
    honest = stream(pair, random)
    slowest = 0.0
    for number in range(campaigns.count("fuzz", push=8_000, full=80_000)):
        frame = frame_mutated(random.choice(honest), random)

        def act(frame: bytes = frame) -> None:
            assert (token.open(frame) is not None) == (frame in honest)

        slowest = max(slowest, timed(act, shard, number, partial(repr, frame)))
    assert slowest < SLOWEST


@shards(2)
def test_whatever_a_server_does_to_its_frames(shard: int, campaigns: Campaigns) -> None:
    random, slowest = Random(f"south {shard}"), 0.0
    for number in range(campaigns.count("fuzz", push=3_000, full=30_000)):
        pair = plain_pair()
        out = bytearray()
        for request in range(2, 6):
            assert pair.north.send(request, random.choice(BODIES), out)
        found = frames_mutated(frames(bytes(out)), random)

        def act(pair: Pair = pair, found: list[bytes] = found) -> None:
            over = False
            for piece in pieces(b"".join(found), random):
                for event in pair.south.receive(piece, 1.0, pair.up):
                    assert not over
                    over = isinstance(event, Broke | Closed)

        slowest = max(slowest, timed(act, shard, number, partial(repr, found)))
    assert slowest < SLOWEST


# The inspector.


@shards(16)
def test_whatever_both_sides_say_in_sessions(shard: int, campaigns: Campaigns) -> None:
    random, slowest, number = Random(f"inspector {shard}"), 0.0, 0
    count = campaigns.count("fuzz", push=1_700, full=17_000)
    while number < count:
        stage = Stage(POLICIES, random, POOL)
        maker = Maker(random, stage.tokens)
        for _ in range(LONG):
            if stage.over or number >= count:
                break
            slowest = max(slowest, timed(partial(one, stage, maker, random), shard, number, stage.shown))
            number += 1
        end(stage, random)
    assert slowest < SLOWEST


def one(stage: Stage, maker: Maker, random: Random) -> None:
    """One message, of good form or not; and something that happens beside it."""
    body = encode(maker.one())
    if random.random() < 0.15:
        body = mutated(body, POOL, random)
    stage.last = body
    stage.throw(body, request=random.choice((1, 2, 3)) if random.random() < 0.05 else None)
    if not stage.over and random.random() < 0.3:
        happen(stage, random)


def happen(stage: Stage, random: Random) -> None:
    kind = random.randrange(4)
    if kind == 0:
        stage.exchange(random.choice(POLICIES))
    elif kind == 1:
        stage.pass_time(random.choice((0.5, 4.0, 11.0)))
    elif kind == 2:
        stage.throw(random.choice(BODIES))
    else:
        stage.late()


def end(stage: Stage, random: Random) -> None:
    if not stage.over:
        kind = random.randrange(4)
        if kind == 0:
            stage.inspector.eof(stage.now, stage.out)
        elif kind == 1:
            stage.inspector.upstream_is(UpstreamState.LOST, stage.now, stage.out)
        elif kind == 2:
            stage.inspector.end(Reason.DRAINING, stage.now, stage.out)
        else:
            stage.inspector.end(Reason.POLICY_CHANGED, stage.now, stage.out)
        stage.settle()
    stage.finish()


# A channel that is only read.

CUT_BY = (Reason.MALFORMED, Reason.CHANNEL_REFUSED, Reason.PART_REFUSED, Reason.UNKNOWN_FUNCTION, Reason.OVERLOAD,
          Reason.DEFAULT_DENY, Reason.NEVER_RULE, Reason.UPSTREAM_INVALID, Reason.POLICY_CHANGED)  # fmt: skip


OWN = (CreateSessionRequest, ActivateSessionRequest, ReadRequest)
"""What `Through` answers itself."""


class Signed(Through):
    """Whatever reaches the server, in its own words, is held against the policy."""

    def __init__(self, rule: dict[str, object]) -> None:
        self.paper = Paper()
        self.last = b""
        super().__init__(rule)

    def shown(self) -> str:
        return self.last.hex()

    def answer(self, request: Request) -> Struct | None:
        if not isinstance(request, PASSED):
            for action in Asked(self.paper, None, {}).of(unsigned(request)):
                assert allowed(self.policy, action), action.describe()
        return self.paper.answer(request) if type(request) not in OWN else super().answer(request)


def unsigned(request: Request) -> Request:
    """Session services go through as they came, so what we would take out of them is in them."""
    if isinstance(request, CreateSessionRequest):
        return replace(request, client_nonce=None, client_certificate=None)
    if isinstance(request, ActivateSessionRequest):
        user = make_extension(AnonymousIdentityToken(""))
        return replace(request, client_signature=UNSIGNED, user_token_signature=UNSIGNED, user_identity_token=user)
    return request


@shards(2)
def test_whatever_is_said_on_a_channel_that_is_only_read(shard: int, campaigns: Campaigns) -> None:
    random, slowest, number = Random(f"signed {shard}"), 0.0, 0
    count = campaigns.count("fuzz", push=200, full=4_000)
    while number < count:
        through = Signed(WIDE)
        through.session()
        maker = Maker(random, (TOKEN,))
        while not through.out.closing and number < count:
            slowest = max(slowest, timed(partial(signed, through, maker, random), shard, number, through.shown))
            number += 1
        assert not through.out.closing or through.out.why in CUT_BY, through.out.why
    assert slowest < SLOWEST


def signed(through: Signed, maker: Maker, random: Random) -> None:
    body = encode(maker.one())
    if random.random() < 0.2:
        body = mutated(body, POOL, random)
    through.last = body
    through._requests += 1
    assert through.pair.south.send(through._requests, body, through.pair.up)
    through.pump(random.choice((0, 0, 0, 100)))


# Of the whole.


def test_every_seed_is_taken_as_it_is() -> None:
    for body in POOL:
        read(body, Random(0))
        stage = Stage(POLICIES, Random(body[:9].hex()), POOL)
        stage.throw(body)
        stage.finish()


def test_the_seeds_hold_every_service() -> None:
    kinds = {type(decode(body)) for body in POOL}
    assert kinds >= set(SERVICES.values())


@pytest.mark.timeout(90)
def test_memory_is_flat_after_warming_up() -> None:
    """Links that come and go, and one that stays and is asked ever new things. Peaks are compared, because bounded
    memories that are emptied when they are full go up and down."""
    random = Random("memory")
    lasting = Stage(POLICIES[:1], random, POOL)
    lasting.honest = True
    rounds = 0

    def fill() -> None:
        token = lasting.tokens[0]
        for number in range(100):
            names = [f"ok.{rounds}.{number}.{at}" for at in range(20)]
            items = tuple(ReadValueId(robot(name), 13, None, QualifiedName.NULL) for name in names)
            lasting.throw(encode(ReadRequest(lasting.header(token), 0.0, 2, items)))
            lasting.throw(encode(BrowseRequest(lasting.header(token), NO_VIEW, 0, (described(names[0]),))))
            lasting.heard.clear()
            lasting.reached.clear()
            lasting.paper.points.clear()
            lasting.events.clear()
        assert not lasting.over

    def peak(count: int) -> int:
        nonlocal rounds
        gc.collect()
        tracemalloc.reset_peak()
        rounds += 1
        fill()
        for _ in range(count):
            stage = Stage(POLICIES, random, POOL)
            maker = Maker(random, stage.tokens)
            for _ in range(8):
                if not stage.over:
                    one(stage, maker, random)
            end(stage, random)
        return tracemalloc.get_traced_memory()[1]

    tracemalloc.start()
    try:
        peak(10)
        before = peak(20)
        growth = [peak(20) - before for _ in range(2)]
    finally:
        tracemalloc.stop()
    assert max(growth) <= FLAT, growth


NO_VIEW = ViewDescription(NodeId.NULL, 0, 0)


def described(name: str) -> BrowseDescription:
    return BrowseDescription(robot(name), 0, NodeId.NULL, True, 0, 63)
