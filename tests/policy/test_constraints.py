"""Rules with conditions: hours, budgets, the state of the process; what is booked, and which reason is told."""

from __future__ import annotations

import pytest

from proxy.core.reason import Reason
from proxy.core.surface import Rate
from tests.policy.conditions import Conditions
from tests.policy.toy import cell, never, read, reads, rule, seen, surface, who, write, writes

TWO = Rate(2, 60.0)


def test_a_rule_counts_while_one_of_its_hours_is_open() -> None:
    on = Conditions(surface(rule("shift", ["scada"], reads(0, 9), when=["early", "stop"])))
    for wall, allowed in ((99.0, False), (100.0, True), (199.9, True), (200.0, False), (1500.0, True)):
        on.circumstances.look(wall)
        verdict = on.ask(read(1))
        assert verdict.allowed is allowed
        assert verdict.reusable, "whoever looks at the clock has links decided again"
        assert on.open().connect.allowed is allowed


def test_outside_all_hours_the_refusal_tells_when() -> None:
    on = Conditions(surface(rule("shift", ["scada"], reads(0, 9), when=["late", "early"])))
    for verdict in (on.ask(read(1)), on.open().connect):
        assert verdict.reason is Reason.OUTSIDE_HOURS
        assert verdict.rule.name == "shift"
        assert verdict.detail == "only in early (100 to 200) or late (200 to 300)"


def test_hours_are_those_of_one_rule_and_not_of_its_neighbours() -> None:
    on = Conditions(surface(rule("low", ["scada"], reads(0, 4)), rule("high", ["scada"], reads(5, 9), when=["early"])))
    assert on.ask(read(0, 5)).allowed
    assert on.ask(read(4, 2)).reason is Reason.OUTSIDE_HOURS
    assert on.ask(read(4, 2)).rule.name == "high"
    assert on.open().connect.rule.name == "low"
    on.circumstances.look(150.0)
    assert on.ask(read(4, 2)).allowed


def test_hours_that_nobody_knows_are_never_open() -> None:
    on = Conditions(surface(rule("shift", ["scada"], reads(0, 9), when=["tea"])), wall=150.0)
    assert on.ask(read(1)).reason is Reason.OUTSIDE_HOURS
    assert on.ask(read(1)).detail == "only in tea"


def test_connect_asks_for_evidence_before_it_asks_for_the_hour() -> None:
    zone = surface(rule("shift", ["scada"], reads(0, 9), needs=["tpm"], when=["early"]))
    assert Conditions(zone).open().connect.reason is Reason.EVIDENCE_TOO_WEAK
    both = surface(*zone.rules, rule("plain", ["scada"], reads(0, 1), when=["early"]))
    assert Conditions(both).open().connect.reason is Reason.OUTSIDE_HOURS
    assert Conditions(both, wall=150.0).open().connect.rule.name == "plain"


def test_a_budget_is_for_all_speakers_together_and_for_changes_alone() -> None:
    on = Conditions(surface(rule("b", ["scada", "mes"], writes(0, 9), reads(0, 9), budget=TWO)))
    assert on.ask(write(1, 1)).allowed
    assert on.ask(write(2, 1), speaker="mes", after=10).allowed
    for speaker in ("scada", "mes"):
        refused = on.ask(write(3, 1), speaker=speaker)
        assert refused.reason is Reason.RATE_SPENT
        assert refused.detail == "2 changes in 60 s, by all speakers together"
        assert not refused.reusable
        assert all(on.ask(read(1), speaker=speaker).allowed for _ in range(5))
    assert not on.ask(write(3, 1), after=49.9).allowed
    assert on.ask(write(3, 1), after=0.1).allowed
    assert not on.ask(write(3, 1)).allowed


def test_a_rate_and_a_budget_hold_both() -> None:
    on = Conditions(surface(rule("b", ["scada", "mes"], writes(0, 9), rate=Rate(1, 60.0), budget=TWO)))
    assert on.ask(write(1, 1)).allowed
    assert on.ask(write(1, 1)).detail == "1 in 60 s"
    assert on.ask(write(1, 1), speaker="mes").allowed
    assert on.ask(write(1, 1), speaker="mes").detail == "2 changes in 60 s, by all speakers together", "the longer wait"


def test_a_message_is_charged_once_and_only_when_it_goes() -> None:
    rules = [rule("b", ["scada"], writes(0, 4), writes(5, 9), budget=TWO, rate=Rate(3, 60.0))]
    on = Conditions(surface(*rules, nevers=[never("n", writes(9, 9))]))
    for _ in range(3):
        assert not on.ask(write(9, 1)).allowed
        assert not on.ask(write(8, 1, 1)).allowed
        assert not on.ask(write(1, 1), write(50, 1)).allowed
    assert on.ask(write(1, 1), write(4, 1, 1), write(6, 1)).allowed, "one message, however many rules and actions"
    assert on.ask(write(1, 1)).allowed
    assert on.ask(write(1, 1)).reason is Reason.RATE_SPENT


def test_what_is_recorded_first_is_charged_the_second_time() -> None:
    on = Conditions(surface(rule("b", ["scada"], writes(0, 9), budget=Rate(1, 60.0)), record_first=True))
    for _ in range(3):
        assert on.ask(write(1, 1)).record_first
    assert on.ask(write(1, 1), recorded=True).allowed
    assert on.ask(write(1, 1)).reason is Reason.RATE_SPENT


def test_budgets_outlive_a_reload_that_leaves_them_as_they_were() -> None:
    zone = surface(rule("b", ["scada"], writes(0, 9), budget=Rate(1, 60.0)))
    on = Conditions(zone)
    assert on.ask(write(1, 1)).allowed
    on.take_into_use(surface(*zone.rules, rule("more", ["mes"], reads(0, 9))))
    assert not on.ask(write(1, 1)).allowed
    on.take_into_use(surface(rule("b", ["scada"], writes(0, 9), budget=TWO)))
    assert on.ask(write(1, 1)).allowed, "another budget is another account"


def test_a_rule_holds_while_the_process_is_in_a_state() -> None:
    on = Conditions(surface(rule("safe", ["scada"], writes(0, 4), whilst=[seen("plc", 7, "==", 0)])))
    assert on.policy.watched() == {("plc", cell(7))}
    unknown = on.ask(write(1, 1))
    assert unknown.reason is Reason.PROCESS_UNKNOWN
    assert unknown.detail == "plc toy cell 7 == 0 within 5 s: never seen"
    on.see(7, 0)
    allowed = on.ask(write(1, 1), after=5.0)
    assert allowed.allowed
    assert not allowed.reusable
    on.see(7, 1)
    wrong = on.ask(write(1, 1), after=1.25)
    assert wrong.reason is Reason.PROCESS_STATE
    assert wrong.detail == "plc toy cell 7 == 0 within 5 s: it was 1, seen 1.2 s ago"
    assert not wrong.reusable


def test_what_was_seen_too_long_ago_is_not_known() -> None:
    on = Conditions(surface(rule("safe", ["scada"], writes(0, 4), whilst=[seen("plc", 7, "==", 0)])))
    on.see(7, 0)
    stale = on.ask(write(1, 1), after=5.1)
    assert stale.reason is Reason.PROCESS_UNKNOWN
    assert stale.detail == "plc toy cell 7 == 0 within 5 s: it was 0, seen 5.1 s ago"
    on.see(7, 0)
    assert on.ask(write(1, 1)).allowed


def test_all_that_is_asked_of_the_process_must_hold_and_may_be_about_another_device() -> None:
    asked = [seen("other", 1, ">=", 20), seen("plc", 2, "<", 5, fresh=60)]
    on = Conditions(surface(rule("safe", ["scada"], writes(5, 9), whilst=asked)))
    on.see(1, 20, device="plc")
    on.see(2, 4)
    assert on.ask(write(5, 1)).reason is Reason.PROCESS_UNKNOWN, "cell 1 of another device"
    on.see(1, 20, device="other")
    assert on.ask(write(5, 1)).allowed
    on.see(2, 5)
    assert on.ask(write(5, 1), after=30.0).reason is Reason.PROCESS_STATE, "no freshness would mend that"


def test_what_somebody_writes_was_not_seen() -> None:
    zone = surface(
        rule("w", ["scada"], writes(7, 7)), rule("safe", ["scada"], writes(0, 4), whilst=[seen("plc", 7, "==", 0)])
    )
    on = Conditions(zone)
    assert on.ask(write(7, 0)).allowed
    assert on.ask(write(1, 1)).reason is Reason.PROCESS_UNKNOWN


def test_a_state_of_one_rule_leaves_the_rules_beside_it_alone() -> None:
    free, safe = (
        rule("free", ["scada"], writes(0, 4)),
        rule("safe", ["scada"], writes(3, 9), whilst=[seen("plc", 7, "==", 0)]),
    )
    on = Conditions(surface(safe, free))
    assert on.ask(write(3, 1)).rule.name == "free"
    assert on.ask(write(3, 1)).reusable, "what needs no condition is asked first"
    assert on.ask(write(4, 1, 1)).reason is Reason.PROCESS_UNKNOWN
    on.see(7, 0)
    both = on.ask(write(4, 1, 1))
    assert both.allowed
    assert not both.reusable


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_was_not_seen(value: float) -> None:
    on = Conditions(surface(rule("safe", ["scada"], writes(0, 4), whilst=[seen("plc", 7, "!=", 5)])))
    on.see(7, value)
    assert on.ask(write(1, 1)).reason is Reason.PROCESS_UNKNOWN


def test_one_reason_of_many_is_told_by_the_dearest_mend_that_it_takes() -> None:
    """Each atom is refused by another condition; the more atoms are asked for, the dearer the mend."""
    rules = [
        rule("unknown", ["scada"], writes(0, 0), whilst=[seen("plc", 20, "==", 0)]),
        rule("spent", ["scada"], writes(1, 1), budget=Rate(1, 60.0)),
        rule("state", ["scada"], writes(2, 2), whilst=[seen("plc", 21, "==", 0)]),
        rule("closed", ["scada"], writes(3, 3), when=["early"]),
        rule("weak", ["scada"], writes(4, 4), needs=["tpm"]),
        rule("window", ["scada"], writes(5, 5, top=0)),
    ]
    expected = [
        ("unknown", Reason.PROCESS_UNKNOWN),
        ("spent", Reason.RATE_SPENT),
        ("state", Reason.PROCESS_STATE),
        ("closed", Reason.OUTSIDE_HOURS),
        ("weak", Reason.EVIDENCE_TOO_WEAK),
        ("window", Reason.VALUE_OUTSIDE),
        ("default", Reason.DEFAULT_DENY),
    ]
    for order in (rules, rules[::-1]):
        on = Conditions(surface(*order))
        on.see(21, 1)
        assert on.ask(write(1, 1)).allowed
        told = [on.ask(write(0, *[1] * count)) for count in range(1, 8)]
        assert [(verdict.rule.name, verdict.reason) for verdict in told] == expected
        assert [verdict.reusable for verdict in told] == [False] * 3 + [True] * 4
        for at, (name, reason) in enumerate(expected):
            alone = on.ask(write(at, 1))
            assert (alone.rule.name, alone.reason) == (name, reason)


def test_never_comes_before_every_condition() -> None:
    zone = surface(
        rule("w", ["scada"], writes(0, 9), when=["early"], whilst=[seen("plc", 7, "==", 0)]),
        nevers=[never("n", writes(5, 5))],
    )
    assert Conditions(zone).ask(write(4, 1, 1)).reason is Reason.NEVER_RULE


def test_a_question_spends_nothing_and_may_bring_circumstances_of_its_own() -> None:
    on = Conditions(surface(rule("b", ["scada"], writes(0, 9), budget=Rate(1, 60.0), when=["early"])), wall=150.0)
    other = Conditions(surface(), wall=50.0)
    rehearsal = on.policy.rehearsal()
    assert rehearsal.open(who("scada", "x509"), "plc", "toy").decide(write(1, 1), 0.0).allowed
    elsewhere = on.policy.rehearsal(other.circumstances).open(who("scada", "x509"), "plc", "toy")
    assert elsewhere.decide(write(1, 1), 0.0).reason is Reason.OUTSIDE_HOURS
    assert on.ask(write(1, 1)).allowed
