"""Properties of targets: coverage and windows, held register by register against the meaning of the YAML itself."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.protocols.modbus import pdu
from proxy.protocols.modbus.actions import ModbusAction, actions
from tests.modbus.harness import targets
from tests.modbus.meaning import allows, forbids
from tests.modbus.oracle import Touch
from tests.modbus.strategies import (
    bit_windows,
    mask_writes,
    nevers,
    read_writes,
    ready_made,
    register_writes,
    registers,
    requests,
    rules,
    unit_rules,
    units,
    windows,
)
from tests.properties.test_modbus_codec import touches

pytestmark = pytest.mark.grows("properties")

writes = st.one_of(register_writes(), register_writes(), mask_writes(), read_writes())


def acts(data: bytes, unit: int) -> tuple[ModbusAction, ...]:
    request = pdu.decode(data)
    if isinstance(request, pdu.Malformed | pdu.Wrong | pdu.Unknown):
        return ()
    return actions(unit, request)


def union(section: dict[str, Any], action: ModbusAction, *, admits: bool, never: bool = False) -> int:
    mask = 0
    for target in targets(section, never=never):
        mask |= target.admits(action) if admits else target.covers(action)
    return mask


def bits(mask: int, action: ModbusAction) -> list[bool]:
    return [bool(mask >> at & 1) for at in range(len(touches(action)))]


@given(rules(), st.one_of(requests, writes), units)
def test_what_a_rule_admits_is_what_its_yaml_says(section: dict[str, Any], data: bytes, unit: int) -> None:
    for action in acts(data, unit):
        touched = touches(action)
        meant = [allows(section, unit, touched, at) for at in range(len(touched))]
        assert bits(union(section, action, admits=True), action) == meant


@given(windows(), st.sampled_from([0, 1, 7]), st.sampled_from([0, 1, 7]), st.lists(registers, min_size=1, max_size=6))
@example({"type": "f32", "min": 0}, 0, 0, [0x7F80, 0])
@example({"type": "f32", "max": 0}, 0, 0, [0xFF80, 0])
@example({"type": "f32"}, 0, 0, [0x7FC0, 0])
@example({"type": "f32", "order": "little"}, 0, 0, [0, 0x7F80])
@example({"scale": 1e300, "type": "u32", "min": 0}, 0, 0, [0xFFFF, 0xFFFF])
@example({"type": "i16", "max": 5}, 0, 0, [0x8000])
@example({"min": 0, "max": 100, "scale": -1}, 0, 0, [1])
def test_windows_register_by_register(window: dict[str, Any], start: int, at: int, values: list[int]) -> None:
    section = {"write": {f"holding {start}-{start + 5}": window}}
    data = struct.pack(f">BHHB{len(values)}H", 16, at, len(values), 2 * len(values), *values)
    (action,) = acts(data, 1)
    touched = touches(action)
    meant = [allows(section, 1, touched, at) for at in range(len(touched))]
    assert bits(union(section, action, admits=True), action) == meant


@given(rules(), st.one_of(requests, writes), units)
def test_what_a_rule_covers_is_what_it_admits_without_windows(section: dict[str, Any], data: bytes, unit: int) -> None:
    bare = dict(section)
    if isinstance(bare.get("write"), dict):
        bare["write"] = list(bare["write"])
    for action in acts(data, unit):
        covered = union(section, action, admits=False)
        assert covered == union(bare, action, admits=True)
        assert union(section, action, admits=True) & ~covered == 0
        assert covered & ~action.atoms == 0


@given(nevers, st.one_of(requests, writes), units)
def test_a_never_touches_what_its_yaml_says(section: dict[str, Any], data: bytes, unit: int) -> None:
    for action in acts(data, unit):
        meant = [forbids(section, unit, data[0], touch) for touch in touches(action)]
        assert bits(union(section, action, admits=False, never=True), action) == meant


@given(rules(), rules(), st.lists(st.tuples(st.one_of(ready_made, writes), units), min_size=1, max_size=8))
def test_what_is_within_another_admits_no_more(
    one: dict[str, Any], other: dict[str, Any], asked: list[tuple[bytes, int]]
) -> None:
    """Wrong containment would call a rule redundant that is not, or a widening none."""
    actions = [action for data, unit in asked for action in acts(data, unit)]
    for inner in (*targets(one), *targets(other)):
        assert inner.within(inner)
        for outer in targets(other):
            if inner.within(outer):
                for action in actions:
                    assert inner.admits(action) & ~outer.admits(action) == 0, (inner, outer)


@given(st.integers(0, 6), st.integers(0, 6), windows(), register_writes())
def test_a_shifted_window_is_not_within_another(inner: int, outer: int, window: dict[str, Any], data: bytes) -> None:
    """Pairs of registers that start at odd places are other values."""
    (small,) = targets({"write": {f"holding {inner}-{inner + 3}": window}})
    (large,) = targets({"write": {f"holding {outer}-{outer + 13}": window}})
    if small.within(large):
        for action in acts(data[:1] + inner.to_bytes(2, "big") + data[3:], 1):
            assert small.admits(action) & ~large.admits(action) == 0


@given(rules(), requests, units)
def test_a_target_keeps_to_its_verb_and_says_where_values_matter(
    section: dict[str, Any], data: bytes, unit: int
) -> None:
    for target in targets(section):
        assert target.protocol == "modbus"
        assert target.values_matter == (getattr(target, "window", None) is not None)
        for action in acts(data, unit):
            covered = target.covers(action)
            assert not covered or target.verb == action.verb
            assert not covered or target.changes == action.changes
            assert target.values_matter or target.admits(action) == covered


@given(rules(), requests, units)
def test_extents_promise_no_more_than_they_keep(section: dict[str, Any], data: bytes, unit: int) -> None:
    """`proxy.policy.extent`: what covers something overlaps it, or says nothing of where it lies."""
    for target in targets(section):
        for action in acts(data, unit):
            mine, its = getattr(target, "extent", None), getattr(action, "extent", None)
            if mine is not None and its is not None and target.covers(action):
                assert mine[0] == its[0]
                assert mine[1] <= its[2]
                assert its[1] <= mine[2]


@given(st.lists(st.one_of(windows(), bit_windows()), min_size=2, max_size=6), st.lists(unit_rules, max_size=3))
def test_targets_have_the_same_text_exactly_when_they_are_the_same(
    some: list[dict[str, Any]], to: list[list[int]]
) -> None:
    """The text goes into the digest of a policy: two different targets under one text would hide a change."""
    sections: list[dict[str, Any]] = [{"write": {"holding 0-1": window}} for window in [*some, {}]]
    sections += [{"units": units, "write": {"holding 0-1": some[0]}, "read": ["holding 0-1"]} for units in to]
    everything = [target for section in sections for target in targets(section)]
    for left in everything:
        for right in everything:
            assert (left.describe() == right.describe()) == (left == right), (left, right)


@given(st.integers(-(10**9), 10**9), st.integers(1, 1000))
def test_neighbouring_windows_have_different_texts(low: int, step: int) -> None:
    one, other = (targets({"write": {"holding 0-1": {"type": "i32", "min": at}}})[0] for at in (low, low + step))
    assert one.describe() != other.describe()


def test_a_forbidden_function_is_forbidden_whatever_it_writes() -> None:
    (target,) = targets({"function": [6]}, never=True)
    assert not target.values_matter


def test_a_broadcast_is_covered_only_where_unit_0_is_named() -> None:
    (action,) = acts(bytes.fromhex("06 0000 0001"), 0)
    assert union({"write": "all"}, action, admits=True) == 0
    assert union({"units": [1, 2, 255], "write": "all"}, action, admits=True) == 0
    assert union({"units": [0], "write": "all"}, action, admits=True) == 1
    for section in (
        {"write": "all"},
        {"units": [1], "write": "all"},
        {"function": [6]},
        {"units": [9], "function": [6]},
    ):
        assert union(section, action, admits=False, never=True) == 1


def test_touch_is_what_it_says() -> None:
    (action,) = acts(bytes.fromhex("10 0005 0002 04 0001 0002"), 1)
    assert touches(action) == [Touch("write", "holding", 5, 1), Touch("write", "holding", 6, 2)]
