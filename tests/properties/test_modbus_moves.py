"""Steps and ramps of targets: what they are about, and when one target is as strict as another."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.protocols.modbus.actions import Span
from proxy.protocols.modbus.points import parse_register
from proxy.protocols.modbus.service import ModbusService
from proxy.protocols.modbus.targets import Spans, Window
from tests.modbus.harness import targets
from tests.modbus.strategies import rules, windows
from tests.properties.test_modbus_targets import acts, writes

if TYPE_CHECKING:
    from proxy.core.process import Move

pytestmark = pytest.mark.grows("properties")


units = st.sampled_from([0, 1, 1, 2, 247, 255])


def spans(section: dict[str, Any]) -> list[Spans]:
    return [target for target in targets(section) if isinstance(target, Spans)]


@given(windows(), windows(), writes, units)
def test_moves_are_the_values_that_are_written(
    one: dict[str, Any], other: dict[str, Any], data: bytes, unit: int
) -> None:
    for target in spans({"write": {"holding 0-7": one, "holding 2-9": other, "coil 0": {}}}):
        window = target.window or Window()
        for action in acts(data, unit):
            if not isinstance(action, Span) or action.verb != "write" or not target.covers(action):
                assert target.moves(action) == ()
                continue
            moves = target.moves(action)
            assert bool(window.step or window.ramp) == target.paced
            assert not moves or target.paced
            told = 0
            for move in moves:
                register = parse_register(move.point.name)
                told |= move.atoms
                assert (register.kind, register.unit, register.space) == (window.kind, unit, "holding")
                assert (move.step, move.ramp) == (window.step, window.ramp)
                assert move.atoms == ((1 << register.width) - 1) << (register.address - action.first)
                assert move.atoms & ~target.covers(action) == 0
                if action.values and window.kind == "u16":
                    assert move.value == action.values[register.address - action.first] * window.scale
            if target.paced:
                assert target.admits(action) & ~told == 0, "no admitted value goes without"


@given(windows(), st.sampled_from([None, frozenset({1}), frozenset({2, 255})]), writes)
def test_what_moves_can_be_about_is_watched(window: dict[str, Any], behind: frozenset[int] | None, data: bytes) -> None:
    for target in spans({"write": {"holding 0-7": window}}):
        service = ModbusService(units=behind)
        watched = set(target.points(service))
        assert bool(watched) == target.paced
        for action in acts(data, min(behind or {7})):
            assert {move.point for move in target.moves(action)} <= watched
    (own,) = spans({"units": [0, 3], "write": {"holding 5": {"step": 1}}})
    assert {parse_register(point.name).unit for point in own.points(None)} == {3}


@given(rules(), windows(), windows(), writes, units)
def test_what_is_within_another_moves_no_further(
    section: dict[str, Any], one: dict[str, Any], other: dict[str, Any], data: bytes, unit: int
) -> None:
    """Else a wider step would be called no widening."""
    loose = {key: value for key, value in one.items() if key not in ("step", "ramp")}
    drawn = [{"write": {"holding 0-7": window}} for window in (one, other, loose, {})]
    some = [target for each in (*drawn, section) for target in spans(each)]
    for inner in some:
        for outer in some:
            if inner.within(outer):
                for action in acts(data, unit):
                    assert no_further(inner.moves(action), outer.moves(action), inner.admits(action)), (inner, outer)


def no_further(inner: tuple[Move, ...], outer: tuple[Move, ...], admitted: int) -> bool:
    """Of what the inner one admits, each move that the outer one limits the inner one limits as much or more."""
    own = {move.point: move for move in inner}
    return all(
        (mine := own.get(theirs.point)) is not None
        and mine.value == theirs.value
        and (theirs.step is None or (mine.step is not None and mine.step <= theirs.step))
        and (theirs.ramp is None or (mine.ramp is not None and mine.ramp <= theirs.ramp))
        for theirs in outer
        if theirs.atoms & admitted
    )


def test_a_tighter_step_and_ramp_lie_within_a_wider_one() -> None:
    def window(**more: float) -> Spans:
        (made,) = spans({"write": {"holding 40": {"min": 0, "max": 100, **more}}})
        return made

    free, step, ramp, both = window(), window(step=50), window(ramp=200), window(step=20, ramp=100)
    assert both.within(step) and both.within(ramp) and both.within(free)
    assert step.within(free) and not free.within(step)
    assert not step.within(ramp) and not ramp.within(step)
    assert not step.within(both) and not window(step=51).within(step)
    assert window(step=50, max=99).within(step)
    assert not window(step=50, max=101).within(step)


def test_a_mask_of_all_bits_is_a_move_and_one_of_some_is_not_admitted() -> None:
    (target,) = spans({"write": {"holding 5": {"step": 10}}})
    (whole,) = acts(struct.pack(">BHHH", 22, 5, 0, 300), 1)
    (move,) = target.moves(whole)
    assert (move.value, move.atoms, str(move.point)) == (300.0, 1, "modbus holding 5 u16 (unit 1)")
    (part,) = acts(struct.pack(">BHHH", 22, 5, 0xFF00, 300), 1)
    assert target.admits(part) == 0
