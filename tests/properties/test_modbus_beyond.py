"""What a change admits that was not admitted before, held against every action of a small world, atom by atom."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.protocols.modbus.actions import Call, Span
from proxy.protocols.modbus.beyond import beyond, merged, window_within
from proxy.protocols.modbus.targets import Calls, Functions, Spans, Window
from tests.modbus.harness import targets

pytestmark = [pytest.mark.grows("properties"), pytest.mark.timeout(60)]

LAST = 5
UNITS = (0, 1, 2)
VALUES = (0, 1, 2, 3, 0x8000, 0xFFFF)
MASKS = ((0x0000, 0), (0x0000, 2), (0xFFF0, 1), (0x00FF, 0), (0xFFFF, 0))
ONE = [Span("write", u, "holding", a, 1, 6, (v,)) for u, a, v in product(UNITS, range(LAST + 1), VALUES)]
TWO = [
    Span("write", u, "holding", a, 2, 16, pair) for u, a, pair in product((1,), range(LAST), product(VALUES, VALUES))
]
MASKED = [Span("write", u, "holding", a, 1, 22, (), mask) for u, a, mask in product((0, 1), range(LAST + 1), MASKS)]
READS = [Span("read", u, s, a, 2, 3) for u, s, a in product(UNITS, ("holding", "input"), range(LAST))]
CALLS = [Call("diagnose", u, n, 8) for u, n in product(UNITS, (0, 2, 11))]
WORLD: list[Span | Call] = [*ONE, *TWO, *MASKED, *READS, *CALLS]

units = st.sampled_from([None, None, frozenset({1}), frozenset({0, 1}), frozenset({0}), frozenset({1, 2})])
bounds = st.sampled_from([None, 0.0, 1.0, 1.5, 2.0, 3.0, 65535.0])
plain = st.builds(Window, bounds, bounds)
windows = st.one_of(
    st.none(),
    plain,
    plain,
    st.builds(
        Window,
        bounds,
        bounds,
        st.sampled_from(["u16", "i16", "u32", "f32"]),
        st.booleans(),
        st.sampled_from([1.0, 1.0, 0.5, -1.0]),
        st.sampled_from([None, None, 0, 0x0F, 0xFF, 0xFFFF]),
    ),
)


def spans(values: st.SearchStrategy[Window | None]) -> st.SearchStrategy[Spans]:
    def made(verb: str, space: str, first: int, more: int, to: frozenset[int] | None, window: Window | None) -> Spans:
        if verb == "read":
            return Spans(verb, space, first, first + more, to)
        return Spans(verb, "holding", first, first + more, to, window)

    return st.builds(
        made, st.sampled_from(["write", "write", "read"]), st.sampled_from(["holding", "input"]),
        st.integers(0, LAST), st.integers(0, 4), units, values,
    )  # fmt: skip


calls = st.builds(Calls, st.just("diagnose"), st.sets(st.sampled_from([0, 2, 11]), min_size=1).map(frozenset), units)
everything = st.lists(st.one_of(spans(windows), spans(windows), calls), max_size=4)
simple = st.lists(st.one_of(spans(st.none() | plain), calls), max_size=4)


def admitted(some: list[Spans | Calls], action: Span | Call) -> int:
    mask = 0
    for target in some:
        mask |= target.admits(action)
    return mask


def left_of(some: list[Spans | Calls], others: list[Spans | Calls]) -> list[Spans | Calls]:
    return [target for target in beyond(some, others) if isinstance(target, Spans | Calls)]


@given(everything, everything)
@settings(max_examples=300)
def test_nothing_that_is_new_is_left_out(some: list[Spans | Calls], others: list[Spans | Calls]) -> None:
    left = left_of(some, others)
    for action in WORLD:
        new = admitted(some, action) & ~admitted(others, action)
        assert new & ~admitted(left, action) == 0, (action, left)
        assert admitted(left, action) & ~admitted(some, action) == 0, (action, left)


@given(simple, simple)
@settings(max_examples=300)
def test_nothing_more_is_told_where_values_compare(some: list[Spans | Calls], others: list[Spans | Calls]) -> None:
    """Ranges, units and numbers between bounds are cut exactly. Where a window stands against none, the whole is
    told: an unlimited write admits masks as well, which no window can say."""
    windowed = {target.window is None for target in (*some, *others) if isinstance(target, Spans)}
    left = left_of(some, others)
    comparable: list[Span | Call] = WORLD if len(windowed) < 2 else [*READS, *CALLS]
    for action in comparable:
        new = admitted(some, action) & ~admitted(others, action)
        assert admitted(left, action) == new, (action, left)


@given(everything)
def test_a_target_is_not_beyond_itself(some: list[Spans | Calls]) -> None:
    assert beyond(some, some) == ()
    assert beyond(some, list(reversed(some))) == ()


@given(st.lists(spans(windows), max_size=6))
def test_joining_neighbours_changes_nothing(some: list[Spans]) -> None:
    joined = merged(some)
    assert len(joined) <= len(set(some))
    for action in WORLD:
        assert admitted([*joined], action) == admitted([*some], action)


@given(windows.filter(bool), windows.filter(bool))
@settings(max_examples=500)
def test_a_window_within_another_admits_no_more(one: Window, other: Window) -> None:
    if window_within(one, other):
        small, large = (Spans("write", "holding", 0, 1, None, window) for window in (one, other))
        for action in WORLD:
            assert small.admits(action) & ~large.admits(action) == 0, action


@pytest.mark.parametrize(
    ("after", "before", "told"),
    [
        ({"read": ["holding 0-149"]}, {"read": ["holding 0-99"]}, ["read holding 100-149"]),
        ({"read": ["holding 0-99"]}, {"read": ["holding 20-39", "holding 50"]}, [
            "read holding 0-19", "read holding 40-49", "read holding 51-99",
        ]),
        ({"read": ["holding 0-9", "holding 10-19"]}, {}, ["read holding 0-19"]),
        ({"read": ["holding 0-9"]}, {"units": [1], "read": ["holding 0-9"]}, ["read holding 0-9 on unit 2-255"]),
        ({"units": [1, 2], "read": ["input 3"]}, {"units": [1], "read": ["input 3"]}, ["read input 3 on unit 2"]),
        ({"units": [0, 1], "write": ["coil 3"]}, {"write": ["coil 3"]}, ["write coil 3 on unit 0"]),
        ({"write": {"holding 40": {"min": 0, "max": 2000}}}, {"write": {"holding 40": {"min": 0, "max": 1500}}}, [
            "write holding 40 in 1501..2000",
        ]),
        ({"write": {"holding 40": {"max": 9, "min": -9, "type": "i16"}}}, {
            "write": {"holding 40": {"max": 5, "min": -5, "type": "i16"}}
        }, ["write holding 40 in i16 -9..-6", "write holding 40 in i16 6..9"]),
        ({"write": {"holding 40-41": {"max": 9.5, "type": "f32"}}}, {
            "write": {"holding 40-41": {"max": 8.5, "type": "f32"}}
        }, ["write holding 40-41 in f32 8.5..9.5"]),
        ({"write": {"holding 40-43": {"type": "u32", "max": 9}}}, {"write": ["holding 41-42"]}, [
            "write holding 40-43 in u32 ..9",
        ]),
        ({"write": {"holding 40-45": {"type": "u32", "max": 9}}}, {"write": ["holding 41-43"]}, [
            "write holding 40-41 in u32 ..9", "write holding 44-45 in u32 ..9",
        ]),
        ({"write": ["holding 40"]}, {"write": {"holding 40": {"max": 9}}}, ["write holding 40"]),
        ({"write": {"holding 40": {"max": 9}}}, {"write": ["holding 0-99"]}, []),
        ({"write": {"holding 1": {"bits": 0x0F}}}, {"write": {"holding 1": {"bits": 0xFF}}}, []),
        ({"diagnose": [0, 2, 11]}, {"diagnose": [2]}, ["diagnose 0, 11"]),
        ({"identify": "regular"}, {"identify": "basic"}, ["identify 2"]),
        ({"read-file": ["4 0-9"]}, {"read-file": ["4 5-9", "3 0-9"]}, ["read-file file 4 0-4"]),
    ],
)  # fmt: skip
def test_what_is_left_reads_well(after: dict[str, object], before: dict[str, object], told: list[str]) -> None:
    old = targets(before) if before else ()
    assert [target.describe() for target in beyond(targets(after), old)] == told


def test_prohibitions_are_compared_as_well() -> None:
    old = targets({"function": [90, 125], "write": ["holding 900-999"]}, never=True)
    new = targets({"function": [90], "write": ["holding 900-949"]}, never=True)
    assert [target.describe() for target in beyond(old, new)] == ["write holding 950-999", "function 125"]
    assert beyond(new, old) == ()
    some = targets({"units": [1], "function": [90]}, never=True)
    assert beyond(some, old) == ()
    assert Functions(frozenset({90})).covers(Call("program", 0, 90, 90)), "broadcast is meant where no unit is named"
    assert not beyond((Functions(frozenset({90})),), old)
