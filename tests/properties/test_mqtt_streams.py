"""Properties of the MQTT inspector: sessions of a strict client with a strict broker, cut anywhere, cached or not."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.protocols.mqtt.actions import Message
from proxy.protocols.mqtt.packets import Publish
from proxy.protocols.mqtt.properties import P, Property, get
from tests.mqtt.harness import USUAL, Epochs, Link, Policy, Told, service
from tests.mqtt.world import World, filter_needs, needs
from tests.support.setting import FakeSetting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proxy.core.action import Action
    from proxy.protocols.mqtt.actions import MqttAction

pytestmark = pytest.mark.grows("properties")

LAST = {"publish": "ok/last", "receive": "ok/last"}
"""Allowed in every epoch: what a session must be able to do at its end."""
RULES: list[Mapping[str, object]] = [
    {"all": {**USUAL, "receive": "ok/#"}, "last": LAST},
    {
        "small": {"publish": "ok/#", "max_bytes": 3, "qos": 1},
        "big": {"publish": "ok/a", "subscribe": "ok/a"},
        "last": LAST,
    },
    {
        "any": {"publish": "#", "retain": "ok/a", "receive": "#"},
        "some": {"subscribe": ["ok/b", "ok/fail/#"]},
        "last": LAST,
    },
    {"clear": {"publish": "ok/a", "clear-retained": "ok/#"}, "crew": {"share": "$share/crew/ok/#"}, "last": LAST},
    {"last": LAST},
]
TOPICS = ["ok/a", "ok/a", "ok/b", "no/a", "no/a", "ok/kept/a", "$SYS/a", "ok"]
FILTERS = [
    "ok/a",
    "ok/b",
    "ok/#",
    "no/a",
    "#",
    "$share/crew/ok/a",
    "$share/mob/ok/a",
    "ok/fail/x",
    "ok/+",
    "hall-1/sensor-1/x",
]
SERVICE = service({"receive_maximum": 8, "keep_alive": "300s"})


@dataclass(frozen=True)
class Step:
    """``what`` is publish, deliver, subscribe, unsubscribe, ping, pump, again."""

    what: str
    topic: str = "ok/a"
    qos: int = 0
    retain: bool = False
    size: int = 1
    alias: int = 0
    extra: int = 0
    filters: tuple[str, ...] = ()
    number: int = 0


qos = st.integers(0, 2)
topics = st.sampled_from(TOPICS)
sizes = st.sampled_from([0, 1, 2, 3, 4, 60, 130])
EXTRAS: tuple[tuple[Property, ...], ...] = (
    (),
    (Property(P.USER_PROPERTY, ("k", "v")),),
    (Property(P.RESPONSE_TOPIC, "ok/r"), Property(P.CORRELATION_DATA, b"1")),
    (Property(P.RESPONSE_TOPIC, "no/r"),),
    (Property(P.PAYLOAD_FORMAT, 1),),
)
"""Properties of a message of MQTT 5."""
extras = st.sampled_from([0, 0, 0, 0, 1, 2, 3, 4])
publishes = st.builds(
    Step, st.just("publish"), topics, qos, st.booleans(), sizes, st.sampled_from([0, 0, 0, 1, 2]), extras
)
"""Alias 1 and 2: set it, or use it alone once it stands for that topic."""
deliveries = st.builds(Step, st.just("deliver"), topics, qos, st.booleans(), sizes, extra=extras)
subscribes = st.builds(
    Step, st.sampled_from(["subscribe", "subscribe", "unsubscribe"]), qos=qos,
    filters=st.lists(st.sampled_from(FILTERS), min_size=1, max_size=4).map(tuple),
)  # fmt: skip
pumps = st.builds(Step, st.just("pump"), number=st.integers(1, 12))
pings = st.just(Step("ping"))
agains = st.builds(Step, st.just("again"), number=st.integers(0, len(RULES) - 1))
steps = st.lists(st.one_of(publishes, publishes, deliveries, deliveries, subscribes, pumps, pumps, pings), max_size=30)
epochs_too = st.lists(st.one_of(publishes, deliveries, subscribes, pumps, pings, agains), max_size=30)
levels = st.sampled_from([4, 5])
rules = st.sampled_from(RULES)
styles = st.sampled_from(["nack", "nack", "ack-and-drop"])
randoms = st.integers(0, 2**32).map(Random)
"""Not drawn number by number: a session takes hundreds of them."""


class Play:
    """A world, and what was asked of it."""

    def __init__(self, world: World, epochs: Epochs | None = None) -> None:
        self.world = world
        self.published: list[Publish] = []
        self.delivered: list[Publish] = []
        self._aliases: dict[int, str] = {}
        self._serial = 0
        world.connect()

    def run(self, steps: Sequence[Step]) -> None:
        for step in steps:
            self._take(step)
        self.world.pump()

    def _payload(self, size: int) -> bytes:
        """Tells its message from others, as far as there is room."""
        self._serial += 1
        return (self._serial % 251 + 1).to_bytes(1, "big") * size

    def _take(self, step: Step) -> None:
        world, client, broker = self.world, self.world.client, self.world.broker
        match step.what:
            case "publish" if client.may_publish:
                self._publish(step)
            case "deliver" if broker.may_publish:
                payload = self._payload(step.size)
                extra = EXTRAS[step.extra] if broker.level == 5 else ()
                broker.deliver(step.topic, payload, step.qos, retain=step.retain, properties=extra)
                self.delivered.append(Publish(step.topic, payload, step.qos, step.retain))
            case "subscribe":
                client.subscribe([(text, step.qos) for text in step.filters])
            case "unsubscribe":
                client.unsubscribe(list(step.filters))
            case "ping":
                client.ping()
            case "pump":
                world.pump(step.number)
            case "again":
                world.auditor.epochs.exchange(Policy(RULES[step.number]))
                world.again()

    def _publish(self, step: Step) -> None:
        client, payload = self.world.client, self._payload(step.size)
        properties = EXTRAS[step.extra] if client.level == 5 else ()
        self.published.append(Publish(step.topic, payload, step.qos, step.retain, properties=properties))
        topic = step.topic
        if client.level == 5 and step.alias:
            properties = (*properties, Property(P.TOPIC_ALIAS, step.alias))
            if self._aliases.get(step.alias) == topic:
                topic = ""
            else:
                self._aliases[step.alias] = topic
        client.publish(topic, payload, step.qos, retain=step.retain, properties=properties)

    def must_end_well(self) -> None:
        """An allowed QoS 2 exchange each way, and a ping."""
        world = self.world
        world.client.publish("ok/last", b"up", 2)
        world.broker.deliver("ok/last", b"down", 2)
        world.client.ping()
        world.pump()
        assert (world.link.closed, world.client.idle, world.broker.idle) == (False, True, True), vars(world)
        assert world.broker.got[-1].payload == b"up"
        assert world.client.got[-1].payload == b"down"
        assert not world.broker.busy


def is_text(message: Publish) -> bool:
    """Unless it does not say so: Payload Format Indicator."""
    if get(message.properties, P.PAYLOAD_FORMAT) != 1:
        return True
    return message.payload.decode(errors="replace").encode() == message.payload


def brief(messages: Sequence[Publish]) -> list[tuple[str, bytes, int, bool]]:
    return [(one.topic, one.payload, one.qos, one.retain) for one in messages]


@given(levels, rules, styles, steps, randoms)
def test_what_is_allowed_arrives_once_and_in_order_and_nothing_else(
    level: int, rule: Mapping[str, object], style: str, program: list[Step], random: Random
) -> None:
    policy = Policy(rule)

    def allowed(actions: Sequence[MqttAction]) -> bool:
        return all(policy.judge((action,)).allowed for action in actions)

    world = World(level, Epochs(policy), random, SERVICE, deny_style=style)
    play = Play(world)
    play.run(program)
    arrived = brief([one for one in play.published if allowed(needs(one)) and is_text(one)])
    received = [one for one in play.delivered if allowed([Message("receive", one.topic, one.qos, len(one.payload))])]
    assert brief(world.broker.got) == arrived
    assert brief(world.client.got) == brief(received)
    granted = [
        (step.filters, tuple(allowed([filter_needs(text, step.qos)]) and "fail" not in text for text in step.filters))
        for step in program
        if step.what == "subscribe"
    ]
    told = [(filters, tuple(code < 0x80 for code in codes)) for filters, codes in world.client.granted]
    assert sorted(told) == sorted(granted)
    play.must_end_well()


@given(levels, styles, epochs_too, randoms)
def test_every_epoch_leaves_the_session_whole(level: int, style: str, program: list[Step], random: Random) -> None:
    """Whatever leaves is held against the policy of that moment by the world's auditor."""
    world = World(level, Epochs(Policy(RULES[0])), random, SERVICE, deny_style=style)
    play = Play(world)
    play.run(program)
    play.must_end_well()


@given(
    levels,
    st.lists(
        st.one_of(
            st.builds(Step, st.just("publish"), st.just("ok/last"), st.integers(1, 2)),
            st.builds(Step, st.sampled_from(["subscribe", "unsubscribe"]), filters=st.just(("ok/x",))),
            st.builds(Step, st.just("pump"), number=st.integers(1, 4)),
        ),
        min_size=4,
        max_size=12,
    ),
    randoms,
)
def test_packet_ids_of_the_client_never_meet_ours(level: int, program: list[Step], random: Random) -> None:
    """While what was lost is taken back."""
    world = World(level, Epochs(Policy(RULES[0])), random, SERVICE)
    play = Play(world)
    play.run([Step("subscribe", filters=(f"ok/{number}",)) for number in range(3)])
    world.auditor.epochs.exchange(Policy({"last": LAST, "x": {"subscribe": "ok/x"}}))
    world.again()
    play.run(program)
    play.must_end_well()


@given(levels, steps, randoms)
def test_held_commands_leave_the_session_whole(level: int, program: list[Step], random: Random) -> None:
    commands = [
        Step("publish", "spBv1.0/ok/NCMD/e", step.qos, size=step.size)
        if step.what == "publish" and step.alias
        else step
        for step in program
    ]
    epochs = Epochs(Policy({"all": {**USUAL, "receive": "ok/#"}, "last": LAST}, record_first=True))
    world = World(level, epochs, random, SERVICE)
    play = Play(world)
    play.run(commands)
    sent = [
        one
        for one in play.published
        if is_text(one) and all(epochs.now.judge((action,)).allowed for action in needs(one))
    ]
    assert brief(world.broker.got) == brief(sent)
    play.must_end_well()


@pytest.mark.parametrize("level", [4, 5])
def test_much_that_waited_goes_on_in_order(level: int) -> None:
    """Behind a held command: hundreds of packets that are not known, and more bytes than one turn takes."""
    epochs = Epochs(Policy({"all": {**USUAL, "publish": "ok/#"}, "last": LAST}, record_first=True))
    world = World(level, epochs, Random(level), SERVICE)
    play = Play(world)
    play.run(
        [Step("publish", "spBv1.0/ok/NCMD/e")]
        + [Step("publish", f"ok/{number}", size=number) for number in range(300)]
        + [Step("publish", "spBv1.0/ok/NCMD/e")]
        + [Step("publish", "ok/a", size=130) for _ in range(300)]
    )
    assert brief(world.broker.got) == brief(play.published)
    play.must_end_well()


Outcome = tuple[Told, dict[str, int], "list[tuple[Action, ...]]"]

# One transcript, fed again in other ways.


def transcript(
    level: int, program: Sequence[Step], rule: Mapping[str, object], random: Random
) -> list[tuple[str, bytes]]:
    world = World(level, Epochs(Policy(rule)), random, SERVICE, cutting=False)
    Play(world).run(program)
    return world.transcript


def replay(pieces: Sequence[tuple[str, bytes]], *policies: Policy) -> Outcome:
    epochs = Epochs(*policies)
    link = Link(epochs, FakeSetting(deny_style="nack"), SERVICE)
    for side, data in pieces:
        if side == "again":
            epochs.next()
            link.again()
        else:
            (link.send if side == "client" else link.reply)(data)
    tally = {str(tag): count for tag, count in link.inspector.tally().items()}
    return link.look(), tally, [asked for policy in policies for asked in policy.asked]


def recut(packets: Sequence[tuple[str, bytes]], random: Random) -> list[tuple[str, bytes]]:
    """In other pieces. Packets become whole in the same order, but each may begin to come right behind the one of its
    side before it, however much the other side says in between."""
    following = {side: deque(frame for which, frame in packets if which == side) for side in ("client", "broker")}
    early = {"client": 0, "broker": 0}
    pieces: list[tuple[str, bytes]] = []
    for side, frame in packets:
        if side == "again":
            pieces.append((side, b""))
            continue
        following[side].popleft()
        rest, early[side] = frame[early[side] :], 0
        while len(rest) > 1 and random.random() < 0.4:
            cut = random.randrange(1, len(rest))
            pieces.append((side, rest[:cut]))
            rest = rest[cut:]
        pieces.append((side, rest))
        if following[side] and random.random() < 0.6:
            early[side] = random.randrange(len(following[side][0]))
            pieces.append((side, following[side][0][: early[side]]))
    joined: list[tuple[str, bytes]] = []
    for side, piece in pieces:
        if joined and joined[-1][0] == side and side != "again" and random.random() < 0.6:
            joined[-1] = (side, joined[-1][1] + piece)
        else:
            joined.append((side, piece))
    return joined


@given(levels, rules, steps, randoms)
def test_cutting_both_streams_changes_nothing(
    level: int, rule: Mapping[str, object], program: list[Step], random: Random
) -> None:
    packets = transcript(level, program, rule, random)
    whole = replay(packets, Policy(rule))
    assert replay(recut(packets, random), Policy(rule)) == whole


@given(levels, epochs_too, randoms)
def test_cutting_around_a_new_epoch_changes_nothing(level: int, program: list[Step], random: Random) -> None:
    packets = transcript(level, program, RULES[0], random)
    after = RULES[random.randrange(len(RULES))]
    at = random.randrange(1, len(packets) + 1)
    packets.insert(at, ("again", b""))
    packets = [each for number, each in enumerate(packets) if each[0] != "again" or number == at]
    whole = replay(packets, Policy(RULES[0]), Policy(after))
    assert replay(recut(packets, random), Policy(RULES[0]), Policy(after)) == whole


of_few = st.sampled_from(["ok/a", "ok/a", "ok/kept/a", "no/a"])
seldom = st.sampled_from([False, False, False, True])
alike = st.one_of(
    st.builds(Step, st.just("publish"), of_few, st.sampled_from([0, 0, 0, 1, 2]), seldom, sizes),
    st.builds(Step, st.just("publish"), of_few, st.sampled_from([0, 0, 0, 1, 2]), seldom, sizes, extra=extras),
    st.builds(Step, st.just("deliver"), of_few, st.sampled_from([0, 1, 2]), seldom, sizes),
)
"""Messages that meet in the cache."""


@given(levels, rules, st.lists(alike, min_size=8, max_size=40), randoms)
def test_cached_equals_uncached(level: int, rule: Mapping[str, object], program: list[Step], random: Random) -> None:
    """Also by rule: the record of a connection says which rule let how much through. But a refusal that is remembered
    is recorded with the size that was refused first."""
    packets = transcript(level, program, rule, random)
    cached, tally, asked = replay(recut(packets, random), Policy(rule))
    uncached, plain_tally, always_asked = replay(packets, Policy(rule, reusable=False))
    for told in (cached, uncached):
        told.events = [re.sub(r" bytes \d+", "", event) for event in told.events]
    assert (cached, tally) == (uncached, plain_tally)
    left = iter(always_asked)
    assert all(one in left for one in asked), "it asks what it must, in order, and not more"


@given(levels, epochs_too, randoms)
def test_after_a_new_epoch_nothing_comes_from_the_cache(level: int, program: list[Step], random: Random) -> None:
    world = World(level, Epochs(Policy(RULES[0])), random, SERVICE)
    play = Play(world)
    play.run([step for step in program if step.what != "again"])
    nothing = Policy({"last": LAST})
    world.auditor.epochs.exchange(nothing)
    world.again()
    before = (len(world.broker.got), len(world.client.got))
    play.run([step for step in program if step.what in ("publish", "deliver")])
    after = [one for one in world.broker.got[before[0] :] + world.client.got[before[1] :] if one.topic != "ok/last"]
    assert after == []
    play.must_end_well()


def test_the_cache_is_used() -> None:
    """What the properties say about it would be said about nothing."""
    for level in (4, 5):
        policy = Policy(RULES[0])
        world = World(level, Epochs(policy), Random(1), SERVICE)
        play = Play(world)
        play.run([Step("publish", "ok/a", qos=number) for number in (0, 1, 2)])
        asked = len(policy.asked)
        play.run([Step("publish", "ok/a", qos=number) for number in (0, 1, 2)] * 2)
        assert len(policy.asked) == asked
        play.run([Step("deliver", "ok/a", qos=number) for number in (0, 1, 2)])
        asked = len(policy.asked)
        play.run([Step("deliver", "ok/a", qos=number) for number in (0, 1, 2)] * 2)
        assert len(policy.asked) == asked


def test_what_must_not_be_reused_is_asked_each_time() -> None:
    for level in (4, 5):
        policy = Policy(RULES[0], reusable=False)
        play = Play(World(level, Epochs(policy), Random(1), SERVICE))
        asked = len(policy.asked)
        play.run([Step(what, "ok/a", qos=number) for what in ("publish", "deliver") for number in (0, 1, 2)] * 3)
        assert len(policy.asked) == asked + 18
        play.run([Step("publish", "no/a", qos=number) for number in (0, 1, 2)] * 3)
        assert len(policy.asked) == asked + 27
