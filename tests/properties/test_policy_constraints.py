"""The promises of budgets, steps and ramps, held against every sequence of writes, answers, failures and waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.surface import Rate
from proxy.policy.trail import Trail
from tests.policy.conditions import Conditions
from tests.policy.toy import PacedTarget, read, reads, rule, surface, write, writes

if TYPE_CHECKING:
    from proxy.core.verdict import Verdict

WAITS = st.sampled_from([0.0, 0.1, 1.0, 7.0, 29.0, 59.9, 60.0, 61.0, 200.0])
ASKED = st.tuples(
    st.sampled_from(["scada", "mes"]), st.sampled_from(["write", "write", "read", "both", "outside"]), WAITS
)


@settings(max_examples=150, deadline=None)
@given(st.lists(ASKED, max_size=40), st.integers(1, 4), st.booleans())
def test_a_budget_is_kept_and_never_refuses_without_need(
    asked: list[tuple[str, str, float]], count: int, record_first: bool
) -> None:
    budget = Rate(count, 60.0)
    zone = surface(rule("b", ["scada", "mes"], writes(0, 9), reads(0, 9), budget=budget), record_first=record_first)
    on = Conditions(zone)
    passed: list[float] = []
    acts = {"write": (write(1, 1),), "read": (read(1),), "both": (read(1), write(1, 1)), "outside": (write(9, 1, 1),)}
    for speaker, kind, wait in asked:
        verdict = on.ask(*acts[kind], speaker=speaker, after=wait)
        if verdict.record_first:
            verdict = on.ask(*acts[kind], speaker=speaker, recorded=True)
        spent = sum(1 for at in passed if on.now - at < 60.0) >= count
        assert verdict.allowed == (kind == "read" or (kind != "outside" and not spent))
        if verdict.allowed and kind != "read":
            passed.append(on.now)
    assert all(sum(1 for other in passed if at <= other < at + 60.0) <= count for at in passed)


class Machine:
    """One cell behind the gateway that nobody else touches: takes what it is sent, unless it refuses."""

    def __init__(self, step: float | None, ramp: float | None) -> None:
        self.on = Conditions(surface(rule("p", ["scada"], PacedTarget("write", 0, 0, step=step, ramp=ramp))))
        self.value = 0
        self.history = [(self.on.now, 0)]
        self.on.see(0, 0)

    def write(self, value: int, outcome: str) -> Verdict:
        """The device may refuse, and its answer may be lost on the way."""
        verdict = self.on.ask(write(0, value))
        if verdict.allowed and outcome != "refused":
            self.value = value
            self.history.append((self.on.now, value))
            if outcome == "confirmed":
                self.on.see(0, value)
        return verdict

    def within_a_minute(self) -> int:
        """The largest distance between two values that it had within one minute."""
        farthest = 0
        for at, (_, value) in enumerate(self.history):
            left = self.history[at + 1][0] if at + 1 < len(self.history) else self.on.now
            for when, other in self.history[at + 1 :]:
                if when - left < 60.0:
                    farthest = max(farthest, abs(other - value))
        return farthest


FAR = st.sampled_from([-30, -25, -20, -15, -10, -9, -1, 0, 1, 5, 10, 11, 15, 25, 26, 30])
"""From where the machine is: most of it near what is allowed."""
MOVES = st.tuples(FAR, st.sampled_from(["confirmed", "confirmed", "lost", "refused", "read"]), WAITS)


@settings(max_examples=250, deadline=None)
@given(st.lists(MOVES, max_size=40), st.sampled_from([None, 10, 25]), st.sampled_from([None, 30, 50]))
def test_no_sequence_of_writes_walks_around_a_step_or_a_ramp(
    moves: list[tuple[int, str, float]], step: int | None, ramp: int | None
) -> None:
    machine = Machine(step, ramp)
    for far, outcome, wait in moves:
        machine.on.now += wait
        if outcome == "read":
            machine.on.see(0, machine.value)
            continue
        before = machine.value
        verdict = machine.write(before + far, outcome)
        if verdict.allowed and step is not None:
            assert abs(far) <= step
    if ramp is not None:
        assert machine.within_a_minute() <= ramp


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(FAR, WAITS), max_size=40), st.sampled_from([10, 25]), st.sampled_from([30, 50]))
def test_what_is_within_step_and_ramp_is_not_refused(moves: list[tuple[int, float]], step: int, ramp: int) -> None:
    """Where each answer comes before the next write. A second of grace: the minute is kept by whole seconds."""
    machine = Machine(step, ramp)
    for far, wait in moves:
        machine.on.now += wait
        value = machine.value + far
        begin = machine.on.now - 61.0
        ends = [when for when, _ in machine.history[1:]] + [machine.on.now]
        known = [had for (_, had), end in zip(machine.history, ends, strict=True) if end >= begin]
        near = abs(value - machine.value) <= step and all(abs(value - had) <= ramp for had in known)
        assert machine.write(value, "confirmed").allowed or not near


@given(st.lists(st.tuples(st.integers(-5, 5), st.floats(0.0, 40.0)), min_size=1, max_size=60), st.floats(0.0, 60.0))
def test_a_trail_tells_at_least_what_was_and_hardly_more(seen: list[tuple[int, float]], back: float) -> None:
    trail, now = Trail(), 1000.0
    story: list[tuple[float, float]] = []
    for value, wait in seen:
        now += wait
        trail.note(value, now)
        story.append((now, value))
    assert trail.last == (story[-1][1], now)

    def had(begin: float) -> list[float]:
        ends = [when for when, _ in story[1:]] + [now]
        return [value for (_, value), end in zip(story, ends, strict=True) if end >= begin]

    low, high = trail.since(now - back)
    assert low <= min(had(now - back)) and max(had(now - back)) <= high
    assert low >= min(had(now - back - 1.0)) and high <= max(had(now - back - 1.0))
    assert len(trail._seconds) <= 63


def test_a_trail_is_bounded_however_often_a_point_is_seen() -> None:
    trail = Trail()
    for at in range(200_000):
        trail.note(at % 977, at / 1000.0)
    assert len(trail._seconds) <= 63 and len(trail._recent) <= 8
