"""How far rules go, held against every action of a small world."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.process import Move, Point
from proxy.protocols.opcua.actions import ACCESS, Access, Call, OpcUaAction, Session, Write
from proxy.protocols.opcua.node import ALL, Node, NodePattern
from proxy.protocols.opcua.rules import parse_rule
from proxy.protocols.opcua.targets import Calls, Forbidden, Nodes, OpcUaTarget, Sessions
from proxy.protocols.opcua.who import ANYBODY, Who
from proxy.protocols.opcua.window import Window
from tests.mqtt.reports import Reports
from tests.opcua.vocabulary_world import (
    ACTS,
    ANYONE,
    ANYWHERE,
    NODES,
    NUMBERS,
    ROOT,
    USERS,
    WINDOWS,
    B,
    calls,
    forbidden,
    forbidden_calls,
    pairs,
    placed,
    rule_nodes,
    sessions,
    whos,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.grows("properties"), pytest.mark.timeout(60)]

SOMEBODY = ("op1", "sign")
VALUES = [
    Write(ROOT, at, numbers, part, status)
    for at, numbers, part, status in product((13, 17), NUMBERS, (False, True), (False, True))
]
SESSIONS = [Session("None", mode, "anonymous", user) for user, mode in ANYONE]


def probes(one: OpcUaTarget) -> Iterator[OpcUaAction]:
    """Every act at every place by anybody, as far as ``one`` covers it; and each value at one of these places, since
    values do not depend on places."""
    asked = (
        placed(act, node, *somebody, above, maybe)
        for act, (node, above, maybe), somebody in product(ACTS, ANYWHERE, ANYONE)
    )
    found = [act for act in asked if one.covers(act)]
    yield from found
    for act in [act for act in found if isinstance(act, Write)][:1]:
        for value in VALUES:
            yield replace(act, attribute=value.attribute, numbers=value.numbers, part=value.part, status=value.status)


@settings(max_examples=60, deadline=None)
@given(pairs)
def test_within_means_that_the_other_admits_it_too(pair: tuple[OpcUaTarget, OpcUaTarget]) -> None:
    one, other = pair
    if not one.within(other):
        return
    for act in probes(one):
        assert not one.admits(act) or other.admits(act), act


@settings(max_examples=60, deadline=None)
@given(rule_nodes | forbidden)
def test_within_itself_and_within_more(one: Nodes | Forbidden) -> None:
    assert one.within(one)
    assert one.within(replace(one, pattern=ALL))
    assert one.within(replace(one, who=ANYBODY))
    if isinstance(one, Nodes):
        assert one.within(replace(one, window=None, status=True))
        assert one.within(Forbidden(one.verb, one.pattern, one.attribute, one.who))


@settings(max_examples=120, deadline=None)
@given(pairs)
def test_overlaps_is_exact(pair: tuple[OpcUaTarget, OpcUaTarget]) -> None:
    """Of what lies below a node only that is counted which nobody can doubt: with nothing known to lie above."""
    one, other = pair
    acts = (placed(act, node, *somebody) for act, node, somebody in product(ACTS, NODES, ANYONE))
    met = any(one.covers(act) and other.covers(act) for act in acts)
    assert one.overlaps(other) == met
    assert other.overlaps(one) == met


@settings(max_examples=60, deadline=None)
@given(calls, calls | forbidden_calls)
def test_calls_by_brute_force(one: Calls, other: Calls) -> None:
    numbers: tuple[tuple[float | None, ...], ...] = ((), (3.0,), (6.0,), (11.0,), (None,), (3.0, 6.0), (6.0, None))
    acts = [
        Call(obj, method, args, user, above, maybe, mode)
        for args, (obj, above, maybe), method, (user, mode) in product(numbers[:1], ANYWHERE[::3], NODES, ANYONE[::2])
    ]
    acts += [Call(obj, method, args, "op1", mode="sign") for args, obj, method in product(numbers, NODES, NODES)]
    if one.within(other):
        assert all(other.admits(act) for act in acts if one.admits(act))
    sure = (Call(obj, method, (), user, mode=mode) for obj, method, (user, mode) in product(NODES, NODES, ANYONE))
    met = any(one.covers(act) and other.covers(act) for act in sure)
    assert one.overlaps(other) == other.overlaps(one) == met
    assert one.within(one)
    assert one.within(replace(one, args=None))
    assert one.within(replace(one, never=True))
    assert all(not one.admits(act) or one.covers(act) for act in acts)


@given(sessions, sessions)
def test_sessions_by_brute_force(one: Sessions, other: Sessions) -> None:
    met = any(one.covers(act) and other.covers(act) for act in SESSIONS)
    assert one.overlaps(other) == met
    if one.within(other):
        assert all(other.admits(act) for act in SESSIONS if one.admits(act))
    assert not one.overlaps(Nodes("read", ALL))
    assert not Nodes("read", ALL).overlaps(one)


@given(whos, whos)
def test_people_by_brute_force(one: Who, other: Who) -> None:
    both = [one.fits(*somebody) and other.fits(*somebody) for somebody in ANYONE]
    assert one.meets(other) == any(both)
    if one.within(other):
        assert all(other.fits(*somebody) for somebody in ANYONE if one.fits(*somebody))


def test_anonymous_is_a_session_without_user_and_no_name() -> None:
    anonymous = Who(frozenset(["anonymous"]))
    assert [anonymous.fits(user, "none") for user in USERS] == [True, False, False, False, False]
    assert [Who(frozenset("*")).fits(user, "none") for user in USERS] == [False, True, True, True, True]


@pytest.mark.parametrize("window", [one for one in WINDOWS if one is not None], ids=lambda one: one.describe())
def test_a_window_takes_numbers_inside_and_nothing_else(window: Window) -> None:
    target = Nodes("write", ALL, 13, window=window)
    low = float("-inf") if window.low is None else window.low
    high = float("inf") if window.high is None else window.high
    for act in VALUES:
        numbers = act.numbers or ()
        meant = (
            act.attribute == 13
            and not act.part
            and not act.status
            and bool(numbers)
            and all(low <= one <= high and abs(one) != float("inf") for one in numbers)
            and not (window.paced and len(numbers) > 1)
        )
        assert target.admits(act) == meant, act
        assert target.covers(act) == (act.attribute == 13)


@given(st.sampled_from(VALUES), st.booleans())
def test_without_a_window_only_the_status_is_looked_at(act: Write, status: bool) -> None:
    target = Nodes("write", ALL, 13, status=status)
    assert target.admits(act) == (act.attribute == 13 and (status or not act.status))
    assert target.values_matter == (not status)


def test_whatever_is_not_looked_at_does_not_matter() -> None:
    """`Target.values_matter`: where it is False, `admits` is the same for every value."""
    for window, status in product(WINDOWS, (False, True)):
        target = Nodes("write", ALL, 13, window=window, status=status)
        answers = {target.admits(act) for act in VALUES if act.attribute == 13}
        assert target.values_matter == (len(answers) == 2)


def test_browse_is_reading_what_is_shown() -> None:
    """In a target of its own: policy looks rules up by their verb, and would never ask a `browse` about a `read`."""
    browse, shown, session = parse_rule({"browse": "all"}, Reports())
    assert [target.verb for target in (browse, shown, session)] == ["browse", "read", "session"]
    assert shown.covers(Access("read", ROOT, 4))
    assert not shown.covers(Access("read", ROOT, 13))
    assert not browse.covers(Access("read", ROOT, 4))
    assert Nodes("read", ALL, 4).within(shown)
    assert not Nodes("read", ALL).within(shown)
    assert shown.describe() == "read all but for its Value"


@pytest.mark.parametrize(
    ("verb", "attribute", "shut"),
    [
        ("read", None, ["read 13", "read 4", "subscribe 13", "subscribe 4", "history-read 13"]),
        ("read", 13, ["read 13", "subscribe 13", "history-read 13"]),
        ("read", 4, ["read 4", "subscribe 4"]),
        ("write", None, ["write 4", "write 13", "write 17", "history-write 13"]),
        ("write", 17, ["write 17"]),
        ("browse", None, ["browse 13", "read 4"]),
        ("subscribe", None, ["subscribe 13", "subscribe 4"]),
        ("history-read", None, ["history-read 13"]),
        ("history-write", None, ["history-write 13"]),
        ("manage-nodes", None, ["manage-nodes 13"]),
    ],
)
def test_what_a_never_forbids(verb: str, attribute: int | None, shut: list[str]) -> None:
    never = Forbidden(verb, ALL, attribute)
    acts = [act for act in ACTS if isinstance(act, Access | Write) and act.attribute != 12]
    found = [f"{act.verb} {act.attribute}" for act in acts if never.covers(act)]
    assert sorted(found) == sorted(shut)
    assert never.changes == any(one.startswith(("write", "history-write", "manage")) for one in shut)


def test_a_never_counts_what_nobody_can_tell() -> None:
    below = NodePattern(*ROOT, under=True)
    act = Access("read", Node(B, "s", "q"), perhaps=frozenset({ROOT}))
    assert Forbidden("read", below).covers(act)
    assert not Nodes("read", below).covers(act)
    call = Call(act.node, ROOT, perhaps=act.perhaps)
    assert Calls(below, ALL, never=True).covers(call)
    assert not Calls(below, ALL).covers(call)


def test_pace_is_of_single_nodes() -> None:
    window = Window(0, 100, 5, 20)
    target = Nodes("write", NodePattern(*ROOT), 13, window=window)
    point = Point("opcua", "nsu=urn:a;s=a")
    assert target.paced
    assert target.moves(Write(ROOT, numbers=(7.0,))) == (Move(point, 7.0, 5, 20, 1),)
    assert list(target.points(None)) == [point]
    assert target.moves(Write(ROOT, numbers=(7.0, 8.0))) == target.moves(Write(ROOT)) == ()
    assert target.moves(Write(NODES[2], numbers=(7.0,))) == ()
    plain = replace(target, window=Window(0, 100))
    assert not plain.paced
    assert not list(plain.points(None))
    assert not plain.moves(Write(ROOT, numbers=(7.0,)))


def test_a_subtree_names_what_has_to_be_browsed() -> None:
    below = NodePattern(*ROOT, under=True)
    wanted = Point("opcua", "under nsu=urn:a;s=a")
    found = [
        one.root for one in (Nodes("read", below), Forbidden("read", below), Calls(below, ALL), Nodes("read", ALL))
    ]
    assert found == [wanted, wanted, wanted, None]
    assert Sessions().root is None


@given(rule_nodes | forbidden | calls | forbidden_calls | sessions, rule_nodes | forbidden | calls | sessions)
def test_texts_tell_targets_apart(one: OpcUaTarget, other: OpcUaTarget) -> None:
    assert (one.describe() == other.describe()) == (one == other)
    assert one.describe().isprintable()
    assert len({one, one}) == 1


@settings(max_examples=100, deadline=None)
@given(rule_nodes | forbidden | calls | forbidden_calls)
def test_what_a_target_covers_lies_in_its_extent(target: Nodes | Forbidden | Calls) -> None:
    acts: list[OpcUaAction] = [placed(act, node, *SOMEBODY) for act, node in product(ACTS, NODES)]
    acts += [Call(node, ROOT, user="op1", mode="sign") for node in NODES]
    for act in acts:
        if target.covers(act) and target.extent is not None and act.extent is not None:
            assert target.extent[0] == act.extent[0]
            assert max(target.extent[1], act.extent[1]) <= min(target.extent[2], act.extent[2])


def test_every_pair_of_verbs_and_attributes() -> None:
    """Exhaustive, and exact in both directions: of all nodes and anybody only verb and attribute are left."""
    written = product(("write", "read", "subscribe"), (None, 4, 12, 13))
    kinds = [*written, *((verb, None) for verb in ACCESS)]
    targets = [made(verb, ALL, at) for made, (verb, at) in product((Nodes, Forbidden), kinds)]
    taken = {target: frozenset(act for act in ACTS if target.covers(act)) for target in targets}
    for one, other in product(targets, targets):
        assert one.overlaps(other) == bool(taken[one] & taken[other]), (one, other)
        if isinstance(one, Nodes) and not (one.verb == "write" and isinstance(other, Nodes)):
            assert one.within(other) == (taken[one] <= taken[other]), (one, other)


def test_every_pair_of_limits() -> None:
    targets = [Nodes("write", ALL, 13, ANYBODY, *limits) for limits in product(WINDOWS, (False, True))]
    taken = {target: frozenset(act for act in VALUES if target.admits(act)) for target in targets}
    for one, other in product(targets, targets):
        assert not one.within(other) or taken[one] <= taken[other], (one, other)
    slow, quick = (Nodes("write", ALL, 13, window=Window(0, 10, *pace)) for pace in ((2, 10), (3, 10)))
    steady = replace(slow, window=Window(0, 10, 2, 9))
    assert slow.within(quick)
    assert steady.within(slow)
    assert not quick.within(slow)
    assert not slow.within(steady)
    assert not replace(slow, window=Window(0, 10)).within(slow)
    assert slow.within(replace(slow, window=Window(0, 10)))


def test_every_pair_of_arguments() -> None:
    windows = (None, Window(0, 10), Window(5))
    lists = [None, (), *((one,) for one in windows), *product(windows, windows)]
    told = (None, -1.0, 3.0, 6.0, 11.0)
    acts = [Call(ROOT, ROOT, numbers) for length in range(3) for numbers in product(told, repeat=length)]
    targets = [Calls(ALL, ALL, args) for args in lists]
    taken = {target: frozenset(act for act in acts if target.admits(act)) for target in targets}
    for one, other in product(targets, targets):
        assert not one.within(other) or taken[one] <= taken[other], (one, other)
        assert one.within(other) or one.args != other.args


def test_a_never_is_not_within_a_rule() -> None:
    """It counts what may lie below as well."""
    below = NodePattern(*ROOT, under=True)
    assert not Calls(below, ALL, never=True).within(Calls(below, ALL))
    assert Calls(below, ALL).within(Calls(below, ALL, never=True))
    assert not Forbidden("read", below).within(Nodes("read", below))
