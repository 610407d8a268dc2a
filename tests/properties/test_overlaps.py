"""Where a rule and a never meet, held against every action of a small world: no contradiction missed, none made up."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.globs import glob
from proxy.core.names import Names
from proxy.protocols.modbus.actions import Call, Span
from proxy.protocols.modbus.targets import Functions
from proxy.protocols.mqtt.actions import Connect, Message, Subscription
from proxy.protocols.mqtt.beyond import beyond
from proxy.protocols.mqtt.meeting import shortest
from proxy.protocols.mqtt.rules import parse_never, parse_rule
from tests.modbus.harness import targets

if TYPE_CHECKING:
    from proxy.core.action import Action, Target
    from proxy.protocols.base import Path

pytestmark = [pytest.mark.grows("properties"), pytest.mark.timeout(60)]

WRITES = {6: 1, 16: 1, 23: 1}
MODBUS: list[Action] = [
    *(Span("write", u, "holding", a, 1, f, (5,)) for u, a, f in product((0, 1, 2), range(5), WRITES) if u or f != 23),
    *(Span("write", u, "holding", a, 1, 22, (), m) for u, a, m in product((1, 2), range(5), ((0, 5), (0xFFFE, 1)))),
    *(Span("write", u, "holding", a, 2, 16, (0, 5)) for u, a in product((0, 1, 2), range(4))),
    *(Span("write", u, "holding", a, 2, 23, (0, 5)) for u, a in product((1, 2), range(4))),
    *(Span("write", u, "coil", a, 1, f, (1,)) for u, a, f in product((0, 1, 2), range(5), (5, 15))),
    *(Span("read", u, "holding", a, 1, f) for u, a, f in product((1, 2), range(5), (3, 23))),
    *(Call("identify", u, n, f) for u, n, f in product((1, 2), (1, 2, 3), (43, 17)) if f == 43 or n == 3),
    *(Call("diagnose", u, n, 8) for u, n in product((1, 2), (0, 11))),
    *(Call("diagnose", u, 1007, 7) for u in (1, 2)),
    *(Call("program", u, 90, 90) for u in (1, 2)),
]  # fmt: skip
UNITS = st.sampled_from([[1], [0], [2], [0, 1], [1, 2]])
SPANS = st.sampled_from(["holding 0-2", "holding 2-4", "holding 4", "coil 0-1", "coil 1-3"])
READS = st.sampled_from(["holding 0-2", "holding 3"])
MODBUS_RULES = st.fixed_dictionaries(
    {},
    optional={
        "units": UNITS,
        "write": st.one_of(
            st.lists(SPANS, min_size=1, max_size=1),
            st.just({"holding 0-1": {"type": "u32"}}),
            st.just({"holding 2": {"bits": 1}}),
            st.just({"holding 2": {"max": 9}}),
        ),
        "read": st.lists(READS, min_size=1, max_size=1),
        "identify": st.sampled_from(["basic", "extended"]),
        "diagnose": st.sampled_from([[0], [11, "function 7"]]),
        "program": st.just([90]),
    },
).filter(lambda section: set(section) - {"units"})
MODBUS_NEVERS = st.fixed_dictionaries(
    {},
    optional={
        "units": UNITS,
        "write": st.lists(SPANS, min_size=1, max_size=1),
        "read": st.lists(READS, min_size=1, max_size=1),
        "identify": st.just("basic"),
        "diagnose": st.just([0]),
        "function": st.lists(
            st.sampled_from([3, 5, 6, 7, 8, 15, 16, 17, 22, 23, 43, 90]), min_size=1, max_size=4, unique=True
        ),
    },
).filter(lambda section: set(section) - {"units"})


@given(MODBUS_RULES, MODBUS_NEVERS)
@settings(max_examples=150)
def test_modbus_meets_where_an_action_is_allowed_and_forbidden(rule: dict[str, Any], never: dict[str, Any]) -> None:
    for allow, forbid in product(targets(rule), targets(never, never=True)):
        both = [action for action in MODBUS if allow.admits(action) & forbid.covers(action)]
        if isinstance(forbid, Functions):
            whole = [action for action in both if allow.admits(action) == action.atoms]
            assert allow.overlaps(forbid) == _no_other_way(allow, whole), (allow, forbid)
        else:
            assert allow.overlaps(forbid) == bool(both), (allow, forbid)
        assert forbid.overlaps(allow) == allow.overlaps(forbid)


def _no_other_way(allow: Target, both: list[Action]) -> bool:
    """Something that the rule allows, however it is asked, is forbidden."""

    def same(action: Action) -> tuple[object, ...]:
        place = action.extent[:2] if action.extent is not None else getattr(action, "number", 0)
        return action.verb, getattr(action, "unit", 0), place

    ways = {same(action): True for action in both}
    for action in MODBUS:
        if allow.admits(action) and same(action) in ways and action not in both:
            ways[same(action)] = False
    return any(ways.values())


@pytest.mark.parametrize(
    ("rule", "never", "meets"),
    [
        ({"write": ["holding 0"]}, {"function": [16]}, False),
        ({"write": ["holding 0"]}, {"function": [22, 23]}, False),
        ({"write": ["holding 0"]}, {"function": [6, 16, 22, 23]}, True),
        ({"write": {"holding 0-1": {"type": "f32"}}}, {"function": [16, 23]}, True),
        ({"write": {"holding 0": {"bits": 1}}}, {"function": [22]}, True),
        ({"read": ["holding 0"]}, {"function": [3]}, False),
        ({"read": ["input 0"]}, {"function": [4]}, True),
        ({"units": [0], "write": ["holding 0"]}, {"function": [6, 16]}, True),
        ({"units": [1], "write": ["holding 0"]}, {"units": [5], "write": ["holding 0"]}, False),
        ({"units": [0, 1], "write": ["holding 0"]}, {"units": [5], "write": ["holding 0"]}, True),
        ({"units": [0, 1], "read": ["holding 0"]}, {"units": [5], "read": ["holding 0"]}, False),
    ],
)
def test_a_function_meets_what_nothing_else_can_carry(rule: dict[str, Any], never: dict[str, Any], meets: bool) -> None:
    (allow,), (forbid,) = targets(rule), targets(never, never=True)
    assert allow.overlaps(forbid) is meets


LEVELS = ("a", "b", "$s", "sensor-1", "hall")
TOPICS = [topic for depth in (1, 2, 3) for topic in map("/".join, product(LEVELS, repeat=depth))]
NAMES = ["", "a", "ab", "b", "a-1", "é", "a b", "sensor-1", "sensor-1-x", "sensor-1-b", "a-b"]
SPEAKERS = (Names("sensor-1", "hall"), Names("sensor-1", None), Names("a", "a/b"))
MESSAGES: list[Action] = [
    Message(verb, topic)
    for verb, topic in product(("publish", "command", "will", "receive", "reply-to", "clear-retained"), TOPICS)
]
OPENINGS: list[Action] = [Connect(id, user, level) for id, user, level in product(NAMES, (None, *NAMES), (4, 5))]
FILTERS = st.sampled_from(
    ["a", "a/b", "a/#", "+/b", "#", "+", "$s/#", "{place}/#", "{place}/{device}", "x{device}/b", "hall/+/b", "b/+"]
)
GROUPS = ("g", "g-*", "*", "*-1", "{device}")
PATTERNS = st.lists(
    st.sampled_from(["a", "a*", "*", "{device}", "{device}-*", "*b", "é", "a b"]), min_size=1, max_size=2, unique=True
)
OPTIONS = {"client_id": PATTERNS, "user": PATTERNS, "versions": st.sampled_from([["4"], ["5"], ["3.1.1", "5"]])}
CONNECTS = st.one_of(
    st.just("all"),
    st.fixed_dictionaries({}, optional={**OPTIONS, "versions": st.sampled_from([["3.1.1"], ["5"]])}).filter(bool),
)
VERBS = st.one_of(
    st.tuples(st.sampled_from(["publish", "will", "command", "receive", "reply-to", "subscribe"]), FILTERS),
    st.tuples(st.just("share"), st.builds("$share/{}/{}".format, st.sampled_from(GROUPS), FILTERS)),
    st.tuples(st.just("connect"), CONNECTS),
)


def parsed(verb: str, value: object, *, never: bool) -> Target | None:
    """The first target, without what it brings along; None if it is a slip."""
    faults: list[str] = []

    def report(path: Path, wrong: str, mend: str = "") -> None:
        faults.append(wrong)

    found = (parse_never if never else parse_rule)({verb: value}, report)
    return None if faults or not found else found[0]


def asked(target: Target) -> list[Action]:
    """Actions near a target: filters are asked for as they stand in rules, and topic by topic."""
    texts = [*TOPICS, "a/#", "#", "+/b", "hall/#", "hall/sensor-1", "xsensor-1/b", "xa/b", "a/b/a", "hall/a/b"]
    groups = ["g", "g-1", "x-1", "g-x-1", "sensor-1", "a"]
    if target.verb == "connect":
        return OPENINGS
    if target.verb == "subscribe":
        return [Subscription("subscribe", text) for text in texts]
    if target.verb == "share":
        return [Subscription("share", text, 0, group) for text, group in product(texts, groups)]
    return [Message(target.verb, text) for text in texts if "#" not in text and "+" not in text]


@given(VERBS, VERBS, st.sampled_from(SPEAKERS))
@settings(max_examples=200)
def test_mqtt_meets_where_an_action_is_allowed_and_forbidden(
    rule: tuple[str, object], never: tuple[str, object], names: Names
) -> None:
    one, other = parsed(*rule, never=False), parsed(*never, never=True)
    if one is None or other is None:
        return
    allow, forbid = one.bound(names), other.bound(names)
    both = any(allow.admits(action) and forbid.covers(action) for action in asked(allow))
    assert allow.overlaps(forbid) == both, (allow, forbid)
    assert forbid.overlaps(allow) == both


@given(st.lists(VERBS, max_size=3), st.lists(VERBS, max_size=3), st.sampled_from(SPEAKERS))
@settings(max_examples=150)
def test_mqtt_beyond_leaves_out_nothing_that_is_new(
    after: list[tuple[str, object]], before: list[tuple[str, object]], names: Names
) -> None:
    new = [target for parts in after if (target := parsed(*parts, never=False)) is not None]
    old = [target for parts in before if (target := parsed(*parts, never=False)) is not None]
    for mine, theirs in ((new, old), ([t.bound(names) for t in new], [t.bound(names) for t in old])):
        left = beyond(mine, theirs)
        for target in mine:
            for action in asked(target):
                admitted, had, told = (
                    any(t.bound(names).admits(action) for t in some) for some in (mine, theirs, left)
                )
                assert told or not admitted or had, (action, left)
                assert admitted or not told


@pytest.mark.parametrize(
    ("after", "before", "told"),
    [
        ({"connect": {"client_id": ["a", "b"]}}, {"connect": {"client_id": "a"}}, ["connect as b"]),
        ({"connect": {"versions": ["5", "3.1.1"]}}, {"connect": {"versions": "5"}}, ["connect version 3.1.1"]),
        ({"connect": "all"}, {"connect": {"client_id": "{device}"}}, ["connect"]),
        ({"connect": {"client_id": "{device}"}}, {"connect": "all"}, []),
        (
            {"connect": {"client_id": ["a", "b"], "user": ["u", "v"]}},
            {"connect": {"client_id": "a", "user": ["u", "v"]}},
            ["connect as b user u", "connect as b user v"],
        ),
        ({"publish": ["a/#", "a/b"], "qos": 1}, {}, ["publish a/# qos <= 1", "connect"]),
        ({"publish": "a/b", "max_bytes": 20}, {"publish": "a/#", "max_bytes": 10}, ["publish a/b bytes <= 20"]),
        ({"share": "$share/g/a"}, {"share": "$share/*/a"}, []),
    ],
)
def test_what_is_left_reads_well(after: dict[str, Any], before: dict[str, Any], told: list[str]) -> None:
    def every(section: dict[str, Any]) -> tuple[Target, ...]:
        def report(path: Path, wrong: str, mend: str = "") -> None:
            raise AssertionError(wrong)

        return parse_rule(section, report) if section else ()

    assert sorted(target.describe() for target in beyond(every(after), every(before))) == sorted(told)


patterns = st.text("ab*", max_size=6)
TEXTS = ["".join(letters) for size in range(7) for letters in product("ab", repeat=size)]


@given(patterns, patterns)
@settings(max_examples=150)
def test_the_shortest_text_of_two_patterns(one: str, other: str) -> None:
    fitting = (len(text) for text in TEXTS if glob(one, text) and glob(other, text))
    expected = min(fitting, default=None)
    found = shortest(one, other)
    assert found == expected or (expected is None and found is not None and found > 6)
