"""What is monitored changes no answer and is counted; what is in force decides as if it were not there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.reason import Reason
from proxy.core.surface import Monitor, Rate, Rule, Surface
from proxy.policy import reference
from proxy.policy.compile import compile_policy
from proxy.policy.shadow import candidate, enforced, lenient, next_end, split
from proxy.policy.shadowed import Shadowed, compile_shadowed
from tests.policy.probes import INVENTORY, QUESTIONS, ROLES, Plant, Probe
from tests.policy.toy import Broken, devices, never, origin, read, reads, rule, surface, who, write, writes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.core.origin import RuleRef
    from proxy.core.surface import Never, Role

INSIDE = devices("plc", "robot", "scada", "mes")
NOW = 1_000.0
UNTIL = 2_000.0
WATCH = Monitor(UNTIL, "new recipe", "enforce", origin(5))
SCADA = who("scada", "x509")
MES = who("mes", "x509")


def monitored(one: Any, then: str = "enforce", replaces: tuple[str, ...] = ()) -> Any:
    more = {"replaces": replaces} if replaces else {}
    return replace(one, monitor=replace(WATCH, then=then), **more)


def side_by_side(
    surfaces: Sequence[Surface], now: float = NOW, roles: Sequence[Role] = (), inventory: Any = None
) -> Shadowed:
    return compile_shadowed(surfaces, roles, inventory or INSIDE, now=now)


def counted(shadowed: Shadowed, ref: RuleRef) -> tuple[int, int]:
    figures = shadowed.counts.of(ref)
    return figures.would_refuse, figures.would_allow


READS = rule("reads", ["scada"], reads(0, 9))
SETPOINT = rule("setpoint", ["scada"], writes(40, 41), line=11)
NARROW = monitored(rule("narrow", ["scada"], writes(40, 40, top=100), line=12), replaces=("setpoint",))


class TestRule:
    def test_one_that_is_monitored_allows_nothing_and_leaves_the_others_in_force(self) -> None:
        more = monitored(rule("more", ["mes"], reads(0, 9)))
        shadowed = side_by_side([surface(READS, SETPOINT, more)])
        scada, mes = shadowed.open(SCADA, "plc", "toy"), shadowed.open(MES, "plc", "toy")
        assert scada.decide_all((read(5),), 0.0).allowed
        assert scada.decide_all((read(50),), 0.0).reason is Reason.DEFAULT_DENY
        verdict = mes.decide_all((read(5),), 0.0)
        assert verdict.reason is Reason.DEFAULT_DENY
        assert verdict.would is not None and verdict.would.allowed and verdict.would.rule == more.ref
        # Once at the door, where nobody lets it in, and once for what it asked nevertheless.
        assert counted(shadowed, more.ref) == (0, 2)

    def test_what_it_replaces_stays_in_force_and_the_difference_is_its_own(self) -> None:
        shadowed = side_by_side([surface(READS, SETPOINT, NARROW)])
        scada = shadowed.open(SCADA, "plc", "toy")
        fits, high, beside = (scada.decide_all((write(*words),), 0.0) for words in ((40, 7), (40, 101), (41, 7)))
        assert fits.allowed and high.allowed and beside.allowed
        assert fits.would is None
        assert high.would is not None and high.would.reason is Reason.VALUE_OUTSIDE
        assert high.would.rule == NARROW.ref
        # No rule of the candidate is about cell 41; it is to blame that takes the other's place.
        assert beside.would is not None and beside.would.reason is Reason.DEFAULT_DENY
        assert beside.would.rule == NARROW.ref
        assert counted(shadowed, NARROW.ref) == (2, 0)

    def test_a_never_that_is_monitored_only_counts(self) -> None:
        guard = monitored(never("guard", writes(40, 40)))
        shadowed = side_by_side([surface(SETPOINT, nevers=[guard])])
        verdict = shadowed.open(SCADA, "plc", "toy").decide_all((write(40, 1),), 0.0)
        assert verdict.allowed
        assert verdict.would is not None and verdict.would.rule == guard.ref
        assert counted(shadowed, guard.ref) == (1, 0)

    def test_a_never_in_force_stands_whatever_is_monitored(self) -> None:
        guard = never("guard", writes(40, 40))
        shadowed = side_by_side([surface(SETPOINT, NARROW, nevers=[guard])])
        verdict = shadowed.open(SCADA, "plc", "toy").decide_all((write(40, 1),), 0.0)
        assert verdict.reason is Reason.NEVER_RULE and verdict.would is None


class TestTime:
    def test_when_it_is_over_it_is_enforced_with_what_it_replaces(self) -> None:
        zone = surface(READS, SETPOINT, NARROW)
        shadowed = side_by_side([zone], UNTIL)
        scada = shadowed.open(SCADA, "plc", "toy")
        assert not shadowed.monitored
        assert scada.decide_all((write(40, 7),), 0.0).rule == NARROW.ref
        assert scada.decide_all((write(40, 101),), 0.0).reason is Reason.VALUE_OUTSIDE
        assert scada.decide_all((write(41, 7),), 0.0).reason is Reason.DEFAULT_DENY
        assert next_end([zone], NOW) == UNTIL
        assert next_end([zone], UNTIL) is None

    def test_one_that_alarms_is_watched_on(self) -> None:
        zone = surface(READS, monitored(rule("more", ["mes"], reads(0, 9)), then="alarm"))
        shadowed = side_by_side([zone], UNTIL + 1)
        assert [one.overdue(UNTIL + 1) for one in shadowed.monitored] == [True]
        assert not shadowed.open(MES, "plc", "toy").decide_all((read(5),), 0.0).allowed

    def test_a_surface_when_its_time_is_over_is_enforced(self) -> None:
        zone = replace(surface(READS), monitor=WATCH)
        assert lenient([zone], NOW) and not lenient([zone], UNTIL)
        assert not side_by_side([zone], UNTIL).open(SCADA, "plc", "toy").decide_all((read(50),), 0.0).allowed


class TestSurface:
    ZONE = replace(surface(READS, nevers=[never("guard", writes(90, 90))], record_first=True), monitor=WATCH)

    def test_everything_but_a_never_passes_and_the_rules_only_count(self) -> None:
        shadowed = side_by_side([self.ZONE])
        stranger = shadowed.open(who(None), "plc", "toy")
        assert stranger.connect.allowed and str(stranger.connect.rule) == "cell/monitor"
        assert stranger.decide_all((write(3, 1),), 0.0).allowed
        assert stranger.decide_all((write(90, 1),), 0.0).reason is Reason.NEVER_RULE
        scada = shadowed.open(SCADA, "plc", "toy")
        assert scada.decide_all((read(5),), 0.0).would is None
        would = scada.decide_all((read(50),), 0.0).would
        assert would is not None and str(would.rule) == "cell/default"
        assert counted(shadowed, shadowed.monitored[0].ref) == (1, 0)

    def test_a_never_hides_behind_no_other_part_of_a_request(self) -> None:
        scada = side_by_side([self.ZONE]).open(SCADA, "plc", "toy")
        verdict = scada.decide_all((write(50, 1), write(90, 1)), 0.0)
        assert verdict.reason is Reason.PART_REFUSED
        assert "write cell 90" in verdict.detail and "BH-1202" in verdict.detail

    def test_a_change_is_recorded_first_where_the_surface_says_so_and_counted_once(self) -> None:
        shadowed = side_by_side([self.ZONE])
        scada = shadowed.open(SCADA, "plc", "toy")
        assert scada.decide_all((write(50, 1),), 0.0).record_first
        assert not scada.decide_all((read(5),), 0.0).record_first
        assert counted(shadowed, shadowed.monitored[0].ref) == (0, 0)
        scada.decide_all((write(50, 1),), 0.1, recorded=True)
        assert counted(shadowed, shadowed.monitored[0].ref) == (1, 0)

    def test_a_device_that_is_in_a_surface_in_force_too_is_not_weakened(self) -> None:
        other = surface(rule("own", ["scada"], reads(0, 0), surface="other"), name="other")
        scada = side_by_side([self.ZONE, other]).open(SCADA, "plc", "toy")
        assert scada.decide_all((read(0),), 0.0).allowed
        verdict = scada.decide_all((read(5),), 0.0)
        assert verdict.reason is Reason.DEFAULT_DENY
        assert verdict.would is not None and verdict.would.allowed

    def test_a_message_without_any_action_is_still_a_bug(self) -> None:
        assert side_by_side([self.ZONE]).open(SCADA, "plc", "toy").decide_all((), 0.0).reason is Reason.ENGINE_ERROR


class TestCost:
    def test_what_nothing_monitored_touches_is_asked_once_and_may_be_remembered(self) -> None:
        other = surface(rule("own", ["scada"], reads(0, 9), to=["robot"], surface="b"), name="b", members=["robot"])
        zones = [surface(READS, NARROW), other]
        shadowed = side_by_side(zones)
        assert split(zones, NOW).touched == {"plc"}
        assert shadowed.open(SCADA, "robot", "toy") is shadowed.enforced.open(SCADA, "robot", "toy")
        assert shadowed.open(SCADA, "robot", "toy").decide_all((read(1),), 0.0).reusable
        assert not shadowed.open(SCADA, "plc", "toy").decide_all((read(1),), 0.0).reusable
        assert enforced(zones, NOW)[1] is other

    def test_nothing_monitored_means_no_candidate(self) -> None:
        assert candidate([surface(READS)], NOW) == ()

    def test_a_rate_that_is_spent_at_two_devices_is_asked_for_both(self) -> None:
        both = rule("both", ["scada"], reads(0, 9), to=["plc", "robot"], rate=Rate(1, 60.0))
        zones = [surface(both, NARROW, members=["plc", "robot"])]
        assert split(zones, NOW).touched == {"plc", "robot"}

    def test_a_surface_keeps_its_mark_only_where_it_stays_what_it_was(self) -> None:
        zone = replace(surface(READS, SETPOINT, NARROW), mark="abc")
        before, after, beside = enforced([zone], NOW)[0], enforced([zone], UNTIL)[0], candidate([zone], NOW)[0]
        assert len({zone.mark, before.mark, after.mark}) == 3
        assert enforced([zone], NOW + 1)[0].mark == before.mark
        assert beside == after


class TestRates:
    def test_the_candidate_spends_its_own(self) -> None:
        slow = monitored(rule("slow", ["scada"], writes(40, 41), rate=Rate(1, 60.0)), replaces=("setpoint",))
        shadowed = side_by_side([surface(SETPOINT, slow)])
        scada = shadowed.open(SCADA, "plc", "toy")
        verdicts = [scada.decide_all((write(40, 1),), now) for now in (0.0, 1.0, 2.0)]
        assert all(verdict.allowed for verdict in verdicts)
        assert [v.would and v.would.reason for v in verdicts] == [None, Reason.RATE_SPENT, Reason.RATE_SPENT]
        assert counted(shadowed, slow.ref) == (2, 0)

    def test_a_rate_in_force_is_not_spent_by_it(self) -> None:
        limited = rule("limited", ["scada"], writes(40, 40), rate=Rate(2, 60.0))
        more = monitored(rule("more", ["scada"], writes(41, 41)))
        scada = side_by_side([surface(limited, more)]).open(SCADA, "plc", "toy")
        allowed = [scada.decide_all((write(40, 1),), now).allowed for now in (0.0, 1.0, 2.0)]
        assert allowed == [True, True, False]

    def test_a_held_write_is_booked_once(self) -> None:
        slow = monitored(rule("slow", ["scada"], writes(40, 41), rate=Rate(1, 60.0)), replaces=("setpoint",))
        scada = side_by_side([surface(SETPOINT, slow, record_first=True)]).open(SCADA, "plc", "toy")
        first = scada.decide_all((write(40, 1),), 0.0)
        again = scada.decide_all((write(40, 1),), 0.1, recorded=True)
        assert first.record_first and again.allowed and again.would is None


class TestErrors:
    def test_of_the_candidate_change_nothing_and_are_counted(self) -> None:
        bad = monitored(rule("bad", ["scada"], Broken("read", 0, 99)))
        shadowed = side_by_side([surface(READS, bad)])
        scada = shadowed.open(SCADA, "plc", "toy")
        assert scada.decide_all((read(5),), 0.0).allowed
        refused = scada.decide_all((read(50),), 0.0)
        assert refused.reason is Reason.DEFAULT_DENY and refused.would is None
        assert shadowed.candidate is not None and shadowed.candidate.faults.count >= 1
        assert shadowed.enforced.faults.count == 0
        assert counted(shadowed, bad.ref) == (0, 0)

    def test_a_candidate_that_fails_refuses_nothing(self) -> None:
        bad = monitored(rule("bad", ["scada"], Broken("read", 0, 99)), replaces=("reads",))
        shadowed = side_by_side([surface(READS, bad)])
        verdict = shadowed.open(SCADA, "plc", "toy").decide_all((read(5),), 0.0)
        assert verdict.allowed and verdict.would is None
        assert shadowed.candidate is not None and shadowed.candidate.faults.count == 1
        assert counted(shadowed, bad.ref) == (0, 0)

    def test_a_candidate_that_cannot_even_be_opened_is_silent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        shadowed = side_by_side([surface(READS, NARROW)])
        assert shadowed.candidate is not None
        monkeypatch.setattr(shadowed.candidate, "_open", lambda *asked: 1 / 0)
        scada = shadowed.open(SCADA, "plc", "toy")
        assert scada.decide_all((read(5),), 0.0).allowed
        assert scada.decide_all((read(5),), 0.0).would is None
        assert shadowed.candidate.faults.count == 1


class TestReload:
    def test_counts_and_rates_go_on(self) -> None:
        slow = monitored(rule("slow", ["scada"], writes(40, 41), rate=Rate(1, 60.0)), replaces=("setpoint",))
        before = side_by_side([surface(READS, SETPOINT, slow)])
        before.open(SCADA, "plc", "toy").decide_all((write(41, 1),), 0.0)
        after = before.replaced([surface(SETPOINT, slow)], (), INSIDE, now=NOW)
        verdict = after.open(SCADA, "plc", "toy").decide_all((write(41, 1),), 1.0)
        assert verdict.would is not None and verdict.would.reason is Reason.RATE_SPENT
        assert counted(after, slow.ref) == (1, 0)

    def test_links_are_decided_again_where_something_is_monitored_anew_or_no_more(self) -> None:
        other = surface(rule("own", ["scada"], reads(0, 9), to=["robot"], surface="b"), name="b", members=["robot"])
        plain = [replace(surface(READS, SETPOINT), mark="1"), other]
        watching = [replace(surface(READS, SETPOINT, NARROW), mark="2"), other]
        before = side_by_side(plain)
        begun = before.replaced(watching, (), INSIDE, now=NOW)
        ended = begun.replaced(plain, (), INSIDE, now=NOW)
        in_force = begun.replaced(watching, (), INSIDE, now=UNTIL)
        assert begun.concerned(before) == ended.concerned(begun) == in_force.concerned(begun) == {"plc"}
        assert begun.replaced(watching, (), INSIDE, now=NOW + 1).concerned(begun) == frozenset()
        assert in_force.digest == begun.digest != before.digest == ended.digest
        assert begun.digest == compile_policy(watching, (), INSIDE).digest, "it names the files"

    def test_a_surface_that_goes_into_monitor_concerns_its_devices(self) -> None:
        zone = surface(READS)
        before = side_by_side([zone])
        after = before.replaced([replace(zone, monitor=WATCH)], (), INSIDE, now=NOW)
        assert after.concerned(before) == {"plc"}
        assert after.open(SCADA, "plc", "toy").decide_all((read(50),), 0.0).allowed
        again = after.replaced([zone], (), INSIDE, now=NOW)
        assert not again.open(SCADA, "plc", "toy").decide_all((read(50),), 0.0).allowed


def _mixed(plant: Plant, picks: list[int]) -> Plant:
    """Some rules and nevers of it are monitored; a rule may take the place of the one before it."""
    turn = iter(picks * 20)

    def rules_of(zone: Surface) -> tuple[Rule, ...]:
        found: list[Rule] = []
        for one in zone.rules:
            pick = next(turn)
            replaces = (found[-1].ref.name,) if pick == 2 and found else ()
            found.append(one if pick == 0 else monitored(one, replaces=replaces))
        return tuple(found)

    def nevers_of(zone: Surface) -> tuple[Never, ...]:
        return tuple(one if next(turn) == 0 else monitored(one) for one in zone.nevers)

    zones = tuple(replace(zone, rules=rules_of(zone), nevers=nevers_of(zone)) for zone in plant.surfaces)
    return Plant(zones, plant.roles)


def _without(zone: Surface) -> Surface:
    return replace(
        zone,
        rules=tuple(one for one in zone.rules if one.monitor is None),
        nevers=tuple(one for one in zone.nevers if one.monitor is None),
    )


def _promoted(zone: Surface) -> Surface:
    gone = {name for one in zone.rules for name in one.replaces}
    return replace(
        zone,
        rules=tuple(replace(one, monitor=None) for one in zone.rules if one.ref.name not in gone),
        nevers=tuple(replace(one, monitor=None) for one in zone.nevers),
    )


@settings(max_examples=200, deadline=None)
@given(QUESTIONS, st.lists(st.sampled_from([0, 0, 1, 2]), min_size=3, max_size=9))
def test_the_answers_are_those_of_the_policy_without_what_is_monitored(
    question: tuple[Plant, list[Probe]], picks: list[int]
) -> None:
    plant, asked = _mixed(question[0], picks), question[1]
    shadowed = side_by_side(plant.surfaces, roles=ROLES, inventory=INVENTORY)
    plain = Plant(tuple(map(_without, plant.surfaces)), plant.roles).policy()
    promoted = tuple(map(_promoted, plant.surfaces))
    for probe in asked:
        principal, device, action = probe
        verdict = shadowed.open(principal, device, action.protocol).decide_all((action,), 0.0)
        expected = plain.open(principal, device, action.protocol).decide(action, 0.0)
        assert repr(verdict) == repr(expected)
        would = reference.allows(promoted, plant.roles, *probe)
        assert (would if verdict.would is None else verdict.would.allowed) == would
        assert (verdict.would is not None) == (would != expected.allowed)
    assert len(shadowed.monitored) == sum(
        getattr(one, "monitor", None) is not None for zone in plant.surfaces for one in (*zone.rules, *zone.nevers)
    )
