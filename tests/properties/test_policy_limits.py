"""The truth about limits: how much may pass in a minute to any registers together, before and after."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.surface import Rate
from proxy.policy.diff import compare
from proxy.protocols.modbus.targets import Spans
from tests.policy.test_diff import plan, zone
from tests.policy.toy import rule
from tests.policy.versions import beyond

if TYPE_CHECKING:
    from proxy.core.surface import Rule

pytestmark = [pytest.mark.grows("properties"), pytest.mark.timeout(120)]

REGISTERS = range(3)
GROUPS = [set(group) for size in (1, 2, 3) for group in combinations(REGISTERS, size)]
rates = st.sampled_from([None, Rate(2, 60.0), Rate(4, 60.0), Rate(6, 60.0)])
spans = st.sampled_from([(0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (0, 2)])


def made(name: str, span: tuple[int, int], rate: Rate | None, budget: Rate | None) -> Rule:
    return replace(rule(name, ["scada"], Spans("write", "holding", *span)), rate=rate, budget=budget)


versions = st.dictionaries(st.sampled_from("abcd"), st.tuples(spans, rates, rates), max_size=3).map(
    lambda rules: [made(name, *parts) for name, parts in rules.items()]
)


def most(rules: list[Rule], group: set[int]) -> float:
    """Changes of one speaker in a minute. Each is let through by one rule that covers it."""
    return sum(
        min(math.inf if one is None else one.count for one in (rule.rate, rule.budget))
        for rule in rules
        if group & _about(rule.targets)
    )


def _about(targets: tuple[object, ...]) -> set[int]:
    return {at for one in targets if isinstance(one, Spans) for at in range(one.first, one.last + 1)}


@given(versions, versions)
@settings(max_examples=400)
def test_more_is_never_let_through_in_silence(before: list[Rule], after: list[Rule]) -> None:
    told: set[int] = set()
    for entry in compare(plan(zone(*before)), plan(zone(*after)), beyond).widenings:
        told |= _about(entry.targets)
    for group in GROUPS:
        if most(after, group) > most(before, group):
            assert group & told, f"{group}: {most(before, group)} before, {most(after, group)} after"


@given(versions)
def test_names_alone_make_no_difference(rules: list[Rule]) -> None:
    other = [replace(one, ref=replace(one.ref, name=f"new-{one.ref.name}")) for one in rules]
    assert not compare(plan(zone(*rules)), plan(zone(*other)), beyond)
