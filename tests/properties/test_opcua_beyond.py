"""What a change admits that was not admitted before (T70), held against every action of a small world."""

from __future__ import annotations

import math
from itertools import combinations_with_replacement, product
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.protocols.opcua.actions import Access, Call, OpcUaAction, Session, Write
from proxy.protocols.opcua.beyond import beyond
from proxy.protocols.opcua.node import ALL, Node, NodePattern
from proxy.protocols.opcua.rules import parse_never, parse_rule
from proxy.protocols.opcua.targets import Calls, Forbidden, Nodes, Sessions
from proxy.protocols.opcua.who import ANYBODY, Who
from proxy.protocols.opcua.window import Window
from proxy.protocols.opcua.words import VALUE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.core.action import Target

pytestmark = [pytest.mark.grows("properties"), pytest.mark.timeout(60)]

ROOT = Node("u", "s", "cell")
NODES = [Node("u", "s", "a"), Node("u", "s", "ab"), Node("u", "i", "1"), Node("v", "s", "a"), ROOT]
ABOVE: list[Any] = [{}, {"above": frozenset({ROOT})}, {"perhaps": frozenset({ROOT})}]
WHO: list[Any] = [
    {"user": user, "mode": mode}
    for user, mode in product((None, "op", "op1", "x"), ("none", "sign", "sign_and_encrypt"))
]
NUMBERS = (-1.0, 0.0, 1.0, 1.5, 2.0, 3.0, 4.0, 9.0)
VALUES: list[Any] = [
    *({"numbers": (one,)} for one in NUMBERS),
    *({"numbers": pair} for pair in combinations_with_replacement((0.0, 1.5, 3.0), 2)),
    {"numbers": None}, {"numbers": ()}, {"numbers": (math.nan,)}, {"numbers": (1.0,), "part": True},
    {"numbers": (1.0,), "status": True}, {"numbers": None, "status": True}, {"attribute": 4, "numbers": (1.0,)},
]  # fmt: skip
LOOKS: list[OpcUaAction] = [
    *(Access(verb, node, attribute, **near, **who) for node, near, who in product(NODES, ABOVE, WHO[::2])
      for verb, attribute in (("browse", 13), ("read", 1), ("read", 4), ("read", 13), ("subscribe", 13))),
    *(Access("history-read", node, **who) for node, who in product(NODES, WHO)),
    *(Session("Basic256Sha256", mode=who["mode"], user=who["user"]) for who in WHO),
]  # fmt: skip
WRITES: list[OpcUaAction] = [
    *(
        Write(node, **near, **who, **value)
        for node, near, who, value in product(NODES[:2], ABOVE[:2], WHO[::5], VALUES)
    ),
    *(Access("history-write", node, **near) for node, near in product(NODES, ABOVE)),
]
CALLS: list[OpcUaAction] = [
    Call(one, NODES[1], numbers, **near, **who)
    for one, near, who in product(NODES[:2], ABOVE[:2], WHO[::5])
    for numbers in [(), (1.0,), (None,), *product((0.0, 1.5, 3.0, None), repeat=2)]
]
"""Three worlds: of looking, writing and calling."""

patterns = st.sampled_from([
    ALL, NodePattern("u"), NodePattern("u", "s", "*"), NodePattern("u", "s", "a*"), NodePattern(*NODES[0]),
    NodePattern(*NODES[0]), NodePattern(*NODES[1]), NodePattern(*NODES[2]), NodePattern(*ROOT)._replace(under=True),
    NodePattern(*ROOT),
])  # fmt: skip
users = st.none() | st.sets(st.sampled_from(["anonymous", "op", "op*", "*", "x"]), min_size=1, max_size=3).map(
    frozenset
)
modes = st.none() | st.sets(st.sampled_from(["none", "sign", "sign_and_encrypt"]), min_size=1).map(frozenset)
whos = st.just(ANYBODY) | st.builds(Who, users, modes)
bounds = st.sampled_from([None, 0.0, 1.0, 1.5, 3.0])
windows = st.builds(Window, bounds, bounds, st.sampled_from([None, None, 1.0, 2.0]), st.sampled_from([None, None, 5.0]))
argument = st.one_of(st.none(), st.builds(Window, bounds, bounds), st.builds(Window, bounds, bounds))
few = st.sampled_from([NodePattern(*NODES[0]), NodePattern(*NODES[0]), NodePattern("u", "s", "a*"), ALL])
mostly = st.one_of(st.just(ANYBODY), st.just(ANYBODY), whos)
looks: st.SearchStrategy[Target] = st.one_of(
    st.builds(Nodes, st.sampled_from(["browse", "read", "subscribe", "history-read"]), patterns, st.none(), whos),
    st.builds(Nodes, st.sampled_from(["read", "browse"]), few, st.sampled_from([None, None, 1, VALUE]), mostly),
    st.builds(Sessions, whos),
).filter(lambda one: not (isinstance(one, Nodes) and one.verb == "browse" and one.attribute))
writes: st.SearchStrategy[Target] = st.one_of(
    st.builds(Nodes, st.just("write"), few, st.just(VALUE), mostly, windows, st.booleans()),
    st.builds(Nodes, st.just("write"), few, st.sampled_from([VALUE, VALUE, 4]), whos, st.none() | windows,
              st.booleans()),
    st.builds(Nodes, st.just("history-write"), patterns, st.none(), whos),
)  # fmt: skip
calls: st.SearchStrategy[Target] = st.one_of(
    st.builds(Calls, few, few, st.tuples(argument, argument), mostly),
    st.builds(Calls, patterns, patterns, st.none() | st.lists(argument, max_size=2).map(tuple), whos),
)
WORLDS = [(looks, LOOKS), (writes, WRITES), (calls, CALLS)]


def admitted(some: Sequence[Target], action: OpcUaAction) -> bool:
    return any(target.admits(action) for target in some)


@pytest.mark.parametrize(("kind", "world"), WORLDS, ids=("looks", "writes", "calls"))
def test_nothing_that_is_new_is_left_out(kind: st.SearchStrategy[Target], world: list[OpcUaAction]) -> None:
    several = st.lists(kind, max_size=3)

    @given(several, several)
    @settings(max_examples=150)
    def hold(some: list[Target], others: list[Target]) -> None:
        left = beyond(some, others)
        for action in world:
            if admitted(left, action):
                assert admitted(some, action), (action, left)
            elif admitted(some, action):
                assert admitted(others, action), (action, left)

    hold()


@given(st.lists(st.one_of(looks, writes, calls), max_size=5))
@settings(max_examples=100)
def test_a_target_is_not_beyond_itself(some: list[Target]) -> None:
    assert beyond(some, some) == ()
    assert beyond(some, some[::-1]) == ()
    assert set(beyond(some, ())) <= set(some)


names = st.sets(st.sampled_from(["anonymous", "op", "x"]), min_size=1).map(frozenset)
MINE = st.builds(Nodes, st.just("subscribe"), st.just(NodePattern(*NODES[0])), st.none(), st.builds(Who, names, modes))
THEIRS = st.builds(Nodes, st.just("subscribe"), patterns, st.none(), st.builds(Who, st.none() | names, modes))


@given(st.lists(MINE, max_size=3), st.lists(THEIRS, max_size=3))
@settings(max_examples=100)
def test_nothing_more_is_told_of_lists_of_users_and_modes(some: list[Target], others: list[Target]) -> None:
    left = beyond(some, others)
    for who in WHO:
        action = Access("subscribe", NODES[0], **who)
        assert admitted(left, action) == (admitted(some, action) and not admitted(others, action)), (action, left)


PACED = st.builds(Window, bounds, bounds, st.just(2.0))


@given(st.lists(PACED, max_size=3), st.lists(PACED, max_size=3))
def test_numbers_that_move_in_steps_are_cut_at_the_bounds(some: list[Window], others: list[Window]) -> None:
    node = NodePattern(*NODES[0])
    mine, theirs = ([Nodes("write", node, VALUE, ANYBODY, one) for one in part] for part in (some, others))
    left = beyond(mine, theirs)
    ends = {bound for one in others for bound in (one.low, one.high)}
    for number in (one for one in NUMBERS if one not in ends):
        action = Write(NODES[0], VALUE, (number,))
        new = admitted(mine, action) and not admitted(theirs, action)
        assert admitted(left, action) == new, (number, left)


def targets(section: dict[str, Any], *, never: bool = False) -> tuple[Target, ...]:
    def report(path: object, wrong: str, mend: str = "") -> None:
        raise AssertionError(wrong)

    return (parse_never if never else parse_rule)(section, report) if section else ()


X = "nsu=urn:r;s=X"
SECURED = {"security": ["sign", "sign_and_encrypt"]}


@pytest.mark.parametrize(
    ("after", "before", "told"),
    [
        ({"read": [X]}, {}, [f"read {X}", "session"]),
        ({"read": [X, "nsu=urn:r;s=Y"]}, {"read": [X]}, ["read nsu=urn:r;s=Y"]),
        ({"read": [X]}, {"read": ["nsu=urn:r"]}, []),
        ({"read": ["nsu=urn:r;s=X*"]}, {"read": ["nsu=urn:r;s=*"]}, []),
        ({"read": "all"}, {"read": ["nsu=urn:r"]}, ["read all"]),
        ({"read": [f"{X} @ DisplayName"]}, {"browse": [X]}, []),
        ({"read": [X]}, {"browse": "all"}, [f"read {X} @ Value"]),
        ({"read": [X]}, {"read": [f"{X} @ DisplayName"]}, [f"read {X}"]),
        ({"read": [X]}, {"read": [f"{X} @ NodeId"]}, [f"read {X}"]),
        ({"browse": [X]}, {"read": [X]}, [f"browse {X}"]),
        ({"read": [X]}, {"read": [X], "users": ["operator"]}, [f"read {X}", "session"]),
        ({"read": [X], "users": ["operator", "anonymous"]}, {"read": [X], "users": ["operator"]},
         [f"read {X} for anonymous", "session for anonymous"]),
        ({"read": [X]}, {"read": [X], "users": ["*"]}, [f"read {X} for anonymous", "session for anonymous"]),
        ({"read": [X], "users": ["op1"]}, {"read": [X], "users": ["op*"]}, []),
        ({"read": [X]}, {"read": [X], **SECURED}, [f"read {X} over none", "session over none"]),
        ({"read": [X], "users": ["a", "b"], "security": "sign"}, {"read": [X], "users": ["a"], **SECURED},
         [f"read {X} for b over sign", "session for b over sign"]),
        ({"read": [X], "users": ["a", "b"], **SECURED}, {"read": [X], "users": ["a", "b"], "security": "sign"},
         [f"read {X} for a, b over sign_and_encrypt", "session for a, b over sign_and_encrypt"]),
        ({"write": {X: {"max": 100}}}, {"write": {X: {"max": 80}}}, [f"write {X} in ..100"]),
        ({"write": {X: {"max": 100, "step": 5}}}, {"write": {X: {"max": 80, "step": 5}}},
         [f"write {X} in 80..100 step 5"]),
        ({"write": {X: {"min": -9, "max": 9, "ramp": 1}}}, {"write": {X: {"min": -5, "max": 5, "ramp": 2}}},
         [f"write {X} in -9..-5 ramp 1/min", f"write {X} in 5..9 ramp 1/min"]),
        ({"write": {X: {"max": 100, "step": 5}}}, {"write": {X: {"max": 80, "step": 4}}},
         [f"write {X} in ..100 step 5"]),
        ({"write": {X: {"max": 9, "status": "any"}}}, {"write": {X: {"max": 9}}},
         [f"write {X} in ..9 with any status"]),
        ({"write": {X: {"max": 9}}}, {"write": {X: {"max": 9, "status": "any"}}}, []),
        ({"write": [X]}, {"write": {X: {"max": 9}}}, [f"write {X}"]),
        ({"call": [f"{X} -> {X}"]}, {"call": [f"nsu=urn:r -> {X}"]}, []),
        ({"call": [f"under {X} -> {X}"]}, {"call": [f"{X} -> {X}"]}, [f"call under {X} -> {X}"]),
        ({"call": {f"{X} -> {X}": {"args": [{"max": 5}, "any"]}}},
         {"call": {f"{X} -> {X}": {"args": [{"max": 3}, "any"]}}},
         [f"call {X} -> {X} (3..5, any)"]),
        ({"call": {f"{X} -> {X}": {"args": [{"min": 0, "max": 9}, {"min": 0, "max": 9}]}}},
         {"call": {f"{X} -> {X}": {"args": [{"min": 0, "max": 5}, {"min": 5, "max": 9}]}}},
         [f"call {X} -> {X} (5..9, 0..9)", f"call {X} -> {X} (0..5, 0..5)"]),
        ({"call": {f"{X} -> {X}": {"args": [{"min": 1, "max": 2}, {"max": 3}]}}},
         {"call": {f"{X} -> {X}": {"args": [{"min": 0, "max": 9}, {"max": 2}]}}},
         [f"call {X} -> {X} (1..2, 2..3)"]),
        ({"call": {f"{X} -> {X}": {"args": ["any"]}}}, {"call": {f"{X} -> {X}": {"args": [{"max": 3}]}}},
         [f"call {X} -> {X} (any)"]),
        ({"manage_nodes": [f"under {X}"]}, {"manage_nodes": ["nsu=urn:r"]}, [f"manage-nodes under {X}"]),
    ],
)  # fmt: skip
def test_what_is_left_reads_well(after: dict[str, Any], before: dict[str, Any], told: list[str]) -> None:
    left = beyond(targets(after), targets(before))
    assert sorted(target.describe() for target in left) == sorted(told)


def test_prohibitions_are_compared_as_well() -> None:
    old = targets({"read": ["nsu=urn:r"], "write": [X], "call": [f"all -> {X}"]}, never=True)
    new = targets({"subscribe": [X], "history_read": [X], "write": [X], "call": [f"{X} -> {X}"]}, never=True)
    assert [target.describe() for target in beyond(old, new)] == [
        "read touching nsu=urn:r",
        f"call touching all -> {X}",
    ]
    assert beyond(new, old) == ()
    assert isinstance(old[0], Forbidden)


def test_many_nodes_do_not_take_long() -> None:
    """5000 lines against 5000 others, of which half are new: a reload waits for this."""
    made = [Nodes("read", NodePattern("u", "s", f"n{n}"), None, Who(frozenset({"op"}))) for n in range(7500)]
    left = beyond(made[2500:], made[:5000])
    assert left == tuple(made[5000:])
