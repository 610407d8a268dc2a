"""Steps and ramps: how far a written value may lie from what was there before, and that nobody walks around it."""

from __future__ import annotations

import pytest

from proxy.core.reason import Reason
from proxy.core.surface import Rate
from tests.policy.conditions import Conditions
from tests.policy.toy import PacedTarget, cell, rule, surface, write, writes


def stepping(step: float | None = 50.0, ramp: float | None = None) -> Conditions:
    return Conditions(surface(rule("pace", ["scada"], PacedTarget("write", 0, 9, step=step, ramp=ramp))))


def test_a_step_is_told_from_the_last_value_seen() -> None:
    on = stepping()
    assert ("plc", cell(3)) in on.policy.watched()
    on.see(3, 100)
    assert on.ask(write(3, 150)).allowed
    for value in (151, 49):
        refused = stepping()
        refused.see(3, 100)
        verdict = refused.ask(write(3, value), after=2.0)
        assert verdict.reason is Reason.VALUE_OUTSIDE
        assert not verdict.reusable
        assert verdict.detail == (
            f"toy cell 3 = {value} is 51 from 100, which it may be now (last seen 2.0 s ago); step 50"
        )


def test_without_a_value_seen_nothing_is_known_and_nothing_goes() -> None:
    for on in (stepping(), stepping(None, 200)):
        verdict = on.ask(write(3, 1))
        assert verdict.reason is Reason.PROCESS_UNKNOWN
        assert verdict.detail == "toy cell 3 was never seen: read it first"
        on.see(4, 0)
        assert on.ask(write(3, 1)).reason is Reason.PROCESS_UNKNOWN, "another cell"


def test_each_value_has_its_own_distance_and_only_its_atom_is_blocked() -> None:
    on = stepping()
    on.see(3, 0)
    on.see(4, 1000)
    assert on.ask(write(3, 50, 1050)).allowed
    assert on.ask(write(3, 51, 1000)).reason is Reason.VALUE_OUTSIDE
    free = Conditions(
        surface(rule("pace", ["scada"], PacedTarget("write", 0, 9, step=50)), rule("free", ["scada"], writes(4, 4)))
    )
    free.see(3, 0)
    assert free.ask(write(3, 50, 9999)).allowed, "cell 4 is allowed by the rule without a step"
    assert free.ask(write(3, 101, 1)).reason is Reason.VALUE_OUTSIDE


def test_who_waits_for_the_answer_goes_step_by_step() -> None:
    on = stepping()
    on.see(3, 0)
    assert [on.confirmed(write(3, value)).allowed for value in (50, 100, 150, 201, 200)] == [True] * 3 + [False, True]


def test_what_was_not_confirmed_may_be_there_or_not() -> None:
    """A device that refuses in silence is led nowhere by many small writes, and then takes one large step."""
    on = stepping()
    on.see(3, 0)
    assert on.ask(write(3, 50)).allowed
    assert on.ask(write(3, 100)).reason is Reason.VALUE_OUTSIDE, "100 from 0, if the device did not take the 50"
    assert on.ask(write(3, -1)).reason is Reason.VALUE_OUTSIDE, "51 from 50, if it did"
    assert on.ask(write(3, 20)).allowed
    on.see(3, 0)
    assert on.ask(write(3, 100), after=1.0).reason is Reason.VALUE_OUTSIDE
    on.see(3, 20)
    assert on.ask(write(3, 70)).allowed, "confirmed: that is what it is"


def test_a_write_that_came_to_nothing_is_settled_by_a_sighting_a_minute_later() -> None:
    on = stepping()
    on.see(3, 0)
    assert on.ask(write(3, 50)).allowed
    on.now += 60.0
    assert on.ask(write(3, -50)).reason is Reason.VALUE_OUTSIDE, "not by time alone"
    on.see(3, 0)
    assert on.ask(write(3, -50)).allowed


def test_a_confirmed_value_stays_confirmed_when_it_changes_by_itself() -> None:
    on = stepping()
    on.see(3, 0)
    on.confirmed(write(3, 50))
    for value in (49, 48, 47):
        on.now += 1.0
        on.see(3, value)
    assert on.ask(write(3, 97)).allowed
    assert on.ask(write(3, 46)).reason is Reason.VALUE_OUTSIDE


def test_a_refused_write_is_no_value_of_the_point() -> None:
    on = Conditions(
        surface(rule("pace", ["scada"], PacedTarget("write", 0, 9, step=50), rate=Rate(1, 60.0)), record_first=True)
    )
    on.see(3, 0)
    assert on.ask(write(3, 50)).record_first, "held, and perhaps never sent"
    assert on.ask(write(3, -50)).allowed
    assert not on.ask(write(3, 40), write(99, 1), recorded=True).allowed
    assert on.ask(write(3, -50), recorded=True).allowed
    assert on.ask(write(3, -50)).reason is Reason.RATE_SPENT
    assert on.ask(write(3, 1)).reason is Reason.RATE_SPENT, "the dearer mend of the two"


@pytest.mark.parametrize("polled", [False, True])
def test_many_small_writes_come_no_further_in_a_minute_than_the_ramp(polled: bool) -> None:
    on = stepping(None, 200)
    on.see(3, 0)
    reached, refused = 0, 0
    history = [(on.now, 0)]
    for _ in range(1800):
        on.now += 0.1
        if polled:
            on.see(3, reached)
        if on.confirmed(write(3, reached + 5)).allowed:
            reached += 5
        else:
            refused += 1
        history.append((on.now, reached))
    for at, value in history:
        assert all(other - value <= 200 for later, other in history if at <= later < at + 60)
    assert refused
    assert 590 <= reached <= 800, "and it is no slower than it says"


def test_a_ramp_reckons_with_the_value_that_the_minute_began_with() -> None:
    on = stepping(None, 200)
    on.see(3, 0)
    on.now += 3600.0
    assert on.confirmed(write(3, 201)).reason is Reason.VALUE_OUTSIDE, "who waited an hour has no more than a minute's"
    assert on.confirmed(write(3, 200)).allowed
    assert on.confirmed(write(3, 201), after=59.0).reason is Reason.VALUE_OUTSIDE
    assert on.confirmed(write(3, 201), after=3.0).allowed


def test_a_ramp_holds_downwards_and_there_and_back() -> None:
    on = stepping(None, 200)
    on.see(3, 1000)
    assert on.confirmed(write(3, 1100)).allowed
    assert on.confirmed(write(3, 899)).reason is Reason.VALUE_OUTSIDE
    detail = "toy cell 3 = 899 is 201 from 1100, which it was within the minute; ramp 200 per minute"
    assert on.confirmed(write(3, 899)).detail == detail
    assert on.confirmed(write(3, 900)).allowed
    assert on.confirmed(write(3, 1100)).allowed
    assert on.confirmed(write(3, 1101)).reason is Reason.VALUE_OUTSIDE


def test_step_and_ramp_hold_both() -> None:
    on = stepping(50, 80)
    on.see(3, 0)
    assert "step 50" in on.confirmed(write(3, 60)).detail
    assert on.confirmed(write(3, 50)).allowed
    assert "ramp 80" in on.confirmed(write(3, 100)).detail
    assert on.confirmed(write(3, 80)).allowed


def test_everybody_moves_the_same_point() -> None:
    target = PacedTarget("write", 0, 9, ramp=100)
    on = Conditions(surface(rule("pace", ["scada", "mes"], target)))
    on.see(3, 0)
    assert on.ask(write(3, 60), speaker="scada").allowed
    on.see(3, 60)
    assert on.ask(write(3, 101), speaker="mes").reason is Reason.VALUE_OUTSIDE
    assert on.ask(write(3, 100), speaker="mes").allowed


def test_what_goes_on_is_known_after_a_reload() -> None:
    on = stepping()
    on.see(3, 0)
    assert on.ask(write(3, 50)).allowed
    on.take_into_use(surface(rule("other", ["scada"], PacedTarget("write", 0, 9, step=60))))
    assert on.ask(write(3, -11)).reason is Reason.VALUE_OUTSIDE
    assert on.ask(write(3, -10)).allowed


def test_a_scaled_value_may_move_by_its_step() -> None:
    on = stepping(0.1)
    on.see(3, 0.7)
    assert on.ask(write(3, 0.8)).allowed  # type: ignore[arg-type]


def test_a_value_that_may_have_been_there_counts_for_a_minute_after_it_is_settled() -> None:
    on = stepping(None, 30)
    on.see(3, 0)
    assert on.ask(write(3, 25)).allowed, "and nobody ever hears what became of it"
    assert on.confirmed(write(3, -5), after=100.0).allowed
    assert on.confirmed(write(3, -5)).allowed
    assert on.confirmed(write(3, -6)).reason is Reason.VALUE_OUTSIDE, "31 from 25"
    assert on.confirmed(write(3, -6), after=62.0).allowed
