"""The agreement of the three evaluators with the real vocabulary of Modbus, and what the index relies on in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.policy import reference
from proxy.policy.plain import Plain
from proxy.protocols.modbus.actions import Call, Span
from proxy.protocols.modbus.targets import ANY_UNIT, Calls, Functions, Spans, Window
from tests.policy.probes import Plant
from tests.policy.toy import never, rule, surface, who

if TYPE_CHECKING:
    from proxy.core.action import Action, Target

SPACES = st.sampled_from(["holding", "coil"])
UNITS = st.sampled_from([None, None, frozenset({1}), frozenset({0, 1})])
WINDOWS = st.sampled_from([None, None, Window(0, 5), Window(3, None, "i16"), Window(0, 70_000, "u32"), Window(bits=3)])


def spans(first: int, more: int, verb: str, space: str, units: frozenset[int] | None, window: Window | None) -> Target:
    width = window.width if window and verb == "write" and space == "holding" else 1
    kept = window if verb == "write" and (space == "holding" or (window and window.kind == "u16")) else None
    return Spans(verb, space, first, first + (more + 1) * width - 1, units, kept)


SPANS = st.builds(
    spans, st.integers(0, 9), st.integers(0, 6), st.sampled_from(["read", "write"]), SPACES, UNITS, WINDOWS
)
CALLS: st.SearchStrategy[Target] = st.builds(
    Calls, st.sampled_from(["identify", "diagnose"]), st.frozensets(st.integers(1, 3), min_size=1), UNITS
)
FUNCTIONS: st.SearchStrategy[Target] = st.builds(
    Functions, st.frozensets(st.sampled_from([3, 6, 16, 22, 43]), min_size=1), st.just(ANY_UNIT)
)
VALUES = st.lists(st.sampled_from([0, 0, 1, 4, 9]), min_size=1, max_size=4)


@st.composite
def actions(draw: st.DrawFn) -> Action:
    kind, unit, values = draw(st.integers(0, 5)), draw(st.sampled_from([1, 1, 1, 0, 2])), tuple(draw(VALUES))
    first, space = draw(st.integers(0, 12)), draw(SPACES)
    if kind == 0:
        return Call(draw(st.sampled_from(["identify", "diagnose"])), unit, draw(st.integers(1, 3)), 43)
    if kind == 1:
        return Span("write", unit, "holding", first, 1, 22, (), (0xFFFC, values[0]))
    if kind <= 3:
        return Span("read", unit, space, first, len(values), 3)
    return Span("write", unit, space, first, len(values), 16, values)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(SPANS | CALLS, min_size=1, max_size=12),
    st.lists(SPANS | FUNCTIONS, max_size=2),
    st.lists(actions(), min_size=1, max_size=4),
    st.sampled_from([("x509",), ("mac_ip",)]),
)
def test_the_three_agree(
    goals: list[Target], guards: list[Target], asked: list[Action], kinds: tuple[str, ...]
) -> None:
    zone = surface(
        *(rule(f"r{at}", ["scada"], goal) for at, goal in enumerate(goals)),
        nevers=[never(f"n{at}", guard) for at, guard in enumerate(guards)],
    )
    plant, scada = Plant((zone,)), who("scada", *kinds)
    policy, plain = plant.policy(), Plain(plant.surfaces, plant.roles)
    authority = policy.open(scada, "plc", "modbus")
    for action in asked:
        expected = reference.allows(plant.surfaces, plant.roles, scada, "plc", action)
        assert authority.decide(action, 0.0).allowed == expected
        assert plain.allows(scada, "plc", action) == expected
    assert policy.faults.count == 0, policy.faults.last


@settings(max_examples=300, deadline=None)
@given(SPANS | CALLS | FUNCTIONS, actions())
def test_targets_keep_the_contract_that_the_index_stands_on(target: Target, action: Action) -> None:
    covered, admitted = target.covers(action), target.admits(action)
    assert admitted & ~covered == 0
    assert covered & ~action.atoms == 0
    assert target.values_matter or admitted == covered
    assert target.verb == action.verb or not covered or isinstance(target, Functions)
    here, there = getattr(target, "extent", None), getattr(action, "extent", None)
    if covered and here is not None and there is not None:
        assert here[0] == there[0]
        assert here[1] <= there[2]
        assert there[1] <= here[2]
