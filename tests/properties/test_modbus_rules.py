"""Properties of the parsers of what operators write: total, and every report stands at a place that exists."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.protocols.modbus.rules import parse_never, parse_rule
from proxy.protocols.modbus.service import parse_service
from proxy.protocols.modbus.texts import parse_actions
from tests.modbus.strategies import nevers, rules

pytestmark = pytest.mark.grows("properties")

VERBS = [
    "units", "read", "write", "read-fifo", "read-file", "write-file", "identify", "diagnose", "control", "program",
    "vendor", "function",
]  # fmt: skip
WORDS = st.sampled_from(
    [
        "all",
        "holding 0-9",
        "coil 5",
        "holding 9-1",
        "input 70000",
        "4 0-9",
        "basic",
        "function 7",
        "",
        "min",
        "max",
        "f32",
    ]
)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-10, 300), st.integers(), st.floats(), WORDS, st.text(max_size=12)
)
keys = st.one_of(st.sampled_from([*VERBS, "min", "max", "type", "order", "scale", "bits"]), WORDS, st.text(max_size=8))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4)),
    max_leaves=12,
)
sections = st.one_of(values, st.dictionaries(st.sampled_from(VERBS), values, max_size=4))
window_like = st.dictionaries(
    st.sampled_from(["min", "max", "type", "order", "scale", "bits"]),
    st.one_of(scalars, st.sampled_from(["u16", "i16", "u32", "i32", "f32", "big", "little"])),
    max_size=4,
)
written = st.dictionaries(st.sampled_from(["holding 0-1", "coil 3", "holding 5", "input 1"]), window_like, max_size=3)


class Reports:
    def __init__(self, value: object) -> None:
        self._value = value
        self.count = 0

    def __call__(self, path: tuple[str | int, ...], wrong: str, mend: str = "") -> None:
        self.count += 1
        assert wrong
        at: Any = self._value
        for step in path:
            assert step in at if isinstance(at, dict) else isinstance(at, list) and 0 <= int(step) < len(at), path
            at = at[step]


@given(sections, st.booleans())
@example({"write": {"holding 0": {"min": 10**400}}}, False)
@example({"write": {"holding 0": {"max": -(10**400), "min": 10**400}}}, False)
@example({"write": {"holding 0": {"scale": 10**400}}}, False)
@example({"write": {"holding 0": {"max": math.inf}}}, False)
@example({"units": [[]], "read": [{}]}, True)
def test_a_section_is_taken_or_reported(value: object, never: bool) -> None:
    reports = Reports(value)
    targets = (parse_never if never else parse_rule)(value, reports)
    assert targets or reports.count
    for target in targets:
        assert target.describe().isprintable()


@given(written)
def test_a_window_is_taken_or_reported(value: object) -> None:
    section = {"write": value}
    reports = Reports(section)
    targets = parse_rule(section, reports)
    assert targets or reports.count
    for target in targets:
        assert target.describe().isprintable()


@given(st.one_of(values, st.dictionaries(st.sampled_from(["units", "connections", "pipeline", "timeout"]), values)))
def test_a_service_is_taken_or_reported(value: object) -> None:
    reports = Reports(value)
    assert (parse_service(value, reports) is None) == bool(reports.count)


@given(rules(), nevers)
def test_what_is_right_is_not_reported(rule: dict[str, Any], never: dict[str, Any]) -> None:
    reports = Reports(None)
    assert parse_rule(rule, reports)
    assert parse_never(never, reports)
    assert reports.count == 0


@given(rules())
def test_the_same_yaml_gives_equal_targets(rule: dict[str, Any]) -> None:
    reports = Reports(None)
    assert parse_rule(rule, reports) == parse_rule(rule, reports)


@given(
    st.one_of(
        st.text(max_size=40),
        st.lists(
            st.sampled_from(
                ["read", "write", "mask", "holding", "coil", "5", "5-9", "=", "77", "1,2", "unit", "0x10", "and", "or",
                 "identify", "basic", "diagnose", "function", "program", "90", "read-file", "file", "4", "-1", "99999"]
            ),
            max_size=8,
        ).map(" ".join),
    )
)  # fmt: skip
@example("read-file 4")
def test_a_question_is_actions_or_a_value_error(text: str) -> None:
    try:
        actions = parse_actions(text)
    except ValueError as error:
        assert str(error)
        return
    for action in actions:
        assert action.atoms
        assert len(action.describe()) <= 120
