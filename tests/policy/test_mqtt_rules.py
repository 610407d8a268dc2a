"""The three evaluators agree on the vocabulary of MQTT: placeholders, caps, groups, `never`, speakers without place."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.reason import Reason
from proxy.policy import reference
from proxy.policy.compile import compile_policy
from proxy.policy.plain import Plain
from proxy.protocols.mqtt.actions import Connect, Message, Subscription
from proxy.protocols.mqtt.rules import parse_never, parse_rule
from proxy.protocols.mqtt.targets import FORBIDS, Connects, Filters, Forbidden, Topics
from tests.policy.toy import devices, never, role, rule, surface, who

if TYPE_CHECKING:
    from proxy.core.action import Action, Target
    from proxy.core.principal import Principal
    from proxy.core.surface import Surface

pytestmark = pytest.mark.timeout(60)

Probe = tuple["Principal", "Action"]
BROKER = "uns"
ROLES = (role("sensors", "sensor-1", "sensor-2"), role("all", "sensor-1", "scada", "mbaps:Viewer"))
INVENTORY = devices(BROKER, "sensor-1", "sensor-2", "scada")
PLACES = (None, "hall", "hall/cell-3")
LEVELS = st.sampled_from(["hall", "cell-3", "sensor-1", "sensor-2", "$SYS", "NCMD", "+", "{device}", "{place}"])
FILTERS = st.tuples(st.lists(LEVELS, max_size=3), st.one_of(LEVELS, st.just("#"))).map(
    lambda p: "/".join((*p[0], p[1]))
)
SHARED = st.tuples(st.sampled_from(["g", "g-*", "*", "{device}"]), FILTERS).map(lambda p: f"$share/{p[0]}/{p[1]}")
OF_TOPICS = ("will", "publish", "command", "retain", "clear-retained", "receive", "reply-to", "subscribe")
CLIENT_IDS = st.lists(st.sampled_from(["{device}", "{device}-*", "sensor-1", "*"]), min_size=1, max_size=2)
CONNECTS = st.one_of(
    st.just("all"),
    st.fixed_dictionaries({"client_id": CLIENT_IDS}, optional={"versions": st.just("5"), "user": st.just("u")}),
)


def words(filters: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(filters, min_size=1, max_size=2, unique=True)


VERBS = st.one_of(
    *(st.tuples(st.just(verb), words(FILTERS)) for verb in OF_TOPICS),
    st.tuples(st.just("share"), words(SHARED)),
    st.tuples(st.just("connect"), CONNECTS),
)
SECTIONS = st.lists(VERBS, min_size=1, max_size=3).map(dict)
CAPS = st.fixed_dictionaries({}, optional={"qos": st.integers(0, 1), "max_bytes": st.sampled_from([10, "1KiB"])})

ASKED_LEVELS = st.sampled_from(["hall", "cell-3", "sensor-1", "sensor-2", "$SYS", "NCMD", "x"])
TOPICS = st.lists(ASKED_LEVELS, min_size=1, max_size=4).map("/".join)
ASKED_FILTERS = st.one_of(
    TOPICS, TOPICS.map(lambda topic: f"{topic}/#"), TOPICS.map(lambda topic: f"+/{topic}"), st.just("#")
)
MESSAGES = st.builds(
    Message,
    st.sampled_from(OF_TOPICS[:-1]),
    TOPICS,
    st.integers(0, 2),
    st.sampled_from([0, 10, 11, 5000]),
)
SUBSCRIPTIONS = st.builds(Subscription, st.just("subscribe"), ASKED_FILTERS, st.integers(0, 2))
SHARES = st.builds(Subscription, st.just("share"), ASKED_FILTERS, st.integers(0, 2), st.sampled_from(["g", "g-1", "h"]))
OPENINGS = st.builds(
    Connect,
    st.sampled_from(["", "sensor-1", "sensor-1-7", "scada", "a b"]),
    st.sampled_from([None, "u"]),
    st.sampled_from([4, 5]),
)
ACTIONS: st.SearchStrategy[Action] = st.one_of(MESSAGES, MESSAGES, SUBSCRIPTIONS, SHARES, OPENINGS)
SPEAKERS = st.builds(
    lambda id, place, kinds, attributes: _placed(who(id, *kinds, attributes=attributes), place),
    st.sampled_from([None, "sensor-1", "sensor-1", "sensor-2", "scada"]),
    st.sampled_from(PLACES),
    st.sampled_from([("x509",), ("x509",), ("mac_ip",), ()]),
    st.sampled_from([(), (), ("mbaps:Viewer",)]),
)
NAMED = st.lists(st.sampled_from(["sensor-1", "role:sensors", "role:all", "mbaps:Viewer"]), min_size=1, max_size=2)


def _placed(principal: Principal, place: str | None) -> Principal:
    return type(principal)(principal.id, principal.attributes, principal.evidence, place)


def parsed(section: dict[str, Any], caps: dict[str, Any]) -> tuple[Target, ...]:
    """Caps that have nothing to cap are a mistake of their own, and left out."""
    found = {**section}
    if any(verb in section for verb in ("will", "publish", "command", "subscribe", "share")) and "qos" in caps:
        found["qos"] = caps["qos"]
    if any(verb in section for verb in ("will", "publish", "command")) and "max_bytes" in caps:
        found["max_bytes"] = caps["max_bytes"]
    return parse_rule(found, must_not_report)


def must_not_report(path: object, wrong: str, mend: str = "") -> None:
    raise AssertionError(f"{path}: {wrong}")


RULES = st.lists(st.tuples(NAMED, SECTIONS, CAPS, st.booleans()), min_size=1, max_size=4)
NEVERS = st.lists(st.tuples(st.none() | NAMED, SECTIONS), max_size=2)


@st.composite
def zones(draw: st.DrawFn) -> Surface:
    rules = [
        rule(f"r{at}", names, *parsed(section, caps), to=[BROKER], needs=["x509"] if proof else [])
        for at, (names, section, caps, proof) in enumerate(draw(RULES))
    ]
    nevers = [
        never(f"n{at}", *parse_never(section, must_not_report), speakers=names, to=[BROKER])
        for at, (names, section) in enumerate(draw(NEVERS))
    ]
    return surface(*rules, nevers=nevers, members=[BROKER], unsafe=draw(st.booleans()))


@st.composite
def questions(draw: st.DrawFn) -> tuple[Surface, list[Probe]]:
    """Half of the probes are aimed at what some rule or never is about: a random topic is hardly ever allowed."""
    zone = draw(zones())
    targets = [target for one in zone.rules for target in one.targets]
    targets += [target for one in zone.nevers for target in one.targets]
    probes = []
    for _ in range(draw(st.integers(4, 10))):
        principal, action = draw(SPEAKERS), draw(ACTIONS)
        if draw(st.integers(0, 3)):
            action = draw(aimed(draw(st.sampled_from(targets)), principal))
        probes.append((principal, action))
    return zone, probes


@st.composite
def aimed(draw: st.DrawFn, target: Target, principal: Principal) -> Action:
    bound = target.bound(principal.names)
    if isinstance(bound, Connects):
        return draw(OPENINGS)
    assert isinstance(bound, Topics | Filters | Forbidden)
    verb = draw(st.sampled_from([bound.verb, *sorted(FORBIDS.get(bound.verb, ()))]))
    levels = bound.filter.text.split("/")
    qos = draw(st.integers(0, 2))
    if verb in ("subscribe", "share"):
        if levels[-1] == "#" and draw(st.booleans()):
            levels[-1:] = draw(st.lists(st.sampled_from(["hall", "+"]), min_size=1, max_size=2))
        group = draw(st.sampled_from(["g", "g-1", "sensor-1"])) if verb == "share" else None
        return Subscription(verb, "/".join(levels), qos, group)
    rest = draw(st.lists(ASKED_LEVELS, max_size=2)) if levels[-1] == "#" else []
    topic = [draw(ASKED_LEVELS) if level == "+" else level for level in levels[: len(levels) - (levels[-1] == "#")]]
    return Message(verb, "/".join((*topic, *rest)) or "hall", qos, draw(st.sampled_from([0, 10, 11, 5000])))


@settings(max_examples=80, deadline=None)
@given(questions())
def test_index_plain_casbin_and_reference_agree(question: tuple[Surface, list[Probe]]) -> None:
    zone, asked = question
    policy, plain = compile_policy([zone], ROLES, INVENTORY), Plain([zone], ROLES)
    for principal, action in asked:
        verdict = policy.open(principal, BROKER, "mqtt").decide(action, 0.0)
        by_reference = reference.allows([zone], ROLES, principal, BROKER, action)
        assert verdict.allowed == plain.allows(principal, BROKER, action) == by_reference, (principal, action)
        forbidden = any(reference.forbidding([zone], ROLES, principal, BROKER, action))
        assert (verdict.reason is Reason.NEVER_RULE) == forbidden
    assert policy.faults.count == 0, policy.faults.last


@settings(max_examples=50, deadline=None)
@given(questions())
def test_nobody_is_judged_by_the_names_of_another(question: tuple[Surface, list[Probe]]) -> None:
    """Authorities are remembered per speaker: the same question from two places may have two answers."""
    zone, asked = question
    policy = compile_policy([zone], ROLES, INVENTORY)
    for principal, action in asked[:3]:
        for place in PLACES:
            speaker = _placed(principal, place)
            fresh = compile_policy([zone], ROLES, INVENTORY).open(speaker, BROKER, "mqtt").decide(action, 0.0)
            again = policy.open(speaker, BROKER, "mqtt").decide(action, 0.0)
            assert repr(again) == repr(fresh)


@settings(max_examples=50, deadline=None)
@given(questions())
def test_a_never_only_takes_away(question: tuple[Surface, list[Probe]]) -> None:
    zone, asked = question
    free = surface(*zone.rules, members=[BROKER], unsafe=zone.writes_without_proof)
    with_it, without = (compile_policy([one], ROLES, INVENTORY) for one in (zone, free))
    for principal, action in asked:
        if with_it.open(principal, BROKER, "mqtt").decide(action, 0.0).allowed:
            assert without.open(principal, BROKER, "mqtt").decide(action, 0.0).allowed


@settings(max_examples=30, deadline=None)
@given(st.lists(FILTERS, min_size=12, max_size=30, unique=True), st.lists(TOPICS | FILTERS, min_size=5, max_size=12))
def test_a_speaker_with_many_filters_is_judged_as_one_with_few(filters: list[str], asked: list[str]) -> None:
    """Past a handful only those are asked that begin like the topic."""
    rules = [rule("r", ["sensor-1"], *parsed({"publish": filters, "subscribe": filters}, {}), to=[BROKER])]
    nevers = [never("n", *parse_never({"publish": filters[:3] * 4}, must_not_report), to=[BROKER])]
    speaker = _placed(who("sensor-1", "x509"), "hall")
    for zone in (surface(*rules, members=[BROKER]), surface(*rules, nevers=nevers, members=[BROKER])):
        authority = compile_policy([zone], ROLES, INVENTORY).open(speaker, BROKER, "mqtt")
        for text in asked:
            text = text.replace("{device}", "sensor-1").replace("{place}", "hall")
            actions: list[Action] = [Subscription("subscribe", text)]
            actions += [] if set("+#") & set(text) else [Message("publish", text), Message("receive", text)]
            for action in actions:
                expected = reference.allows([zone], ROLES, speaker, BROKER, action)
                assert authority.decide(action, 0.0).allowed == expected


def test_a_miss_among_many_filters_costs_little() -> None:
    """20 us are promised; held to 100 here, for machines that do other things as well. Asking all 2,000 takes 1 ms."""
    filters = [f"hall/line-{at}/#" for at in range(2000)]
    zone = surface(rule("r", ["scada"], *parsed({"subscribe": filters}, {}), to=[BROKER]), members=[BROKER])
    authority = compile_policy([zone], ROLES, INVENTORY).open(who("scada", "x509"), BROKER, "mqtt")
    action = Message("receive", "hall/line-1321/a/b")
    assert authority.decide(action, 0.0).allowed
    best = 1.0
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(100):
            authority.decide(action, 0.0)
        best = min(best, (time.perf_counter() - start) / 100)
    print(f"{best * 1e6:.1f} us")
    assert best < 100e-6
