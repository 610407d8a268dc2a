"""Three ways to the same answer: the compiled index, Casbin's plain `enforce`, and a reference without either."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.reason import Reason
from proxy.core.surface import Rate
from proxy.policy import reference
from proxy.policy.plain import Plain
from tests.policy.probes import ACTIONS, QUESTIONS, TARGETS, Plant, Probe, answers
from tests.policy.toy import never, rule, surface, who

if TYPE_CHECKING:
    from proxy.core.action import Action, Target
    from proxy.core.surface import Rule
    from proxy.core.verdict import Verdict


REASONS_OF_RULES = (
    Reason.PROCESS_UNKNOWN,
    Reason.PROCESS_STATE,
    Reason.OUTSIDE_HOURS,
    Reason.EVIDENCE_TOO_WEAK,
    Reason.VALUE_OUTSIDE,
)


@settings(max_examples=200, deadline=None)
@given(QUESTIONS)
def test_index_plain_casbin_and_reference_agree(question: tuple[Plant, list[Probe]]) -> None:
    plant, asked = question
    policy, plain = plant.policy(), Plain(plant.surfaces, plant.roles, plant.circumstances())
    for probe in asked:
        by_index, by_casbin, by_reference = answers(policy, plain, plant, probe)
        assert by_index == by_casbin == by_reference, probe
    assert policy.faults.count == 0, policy.faults.last


@settings(max_examples=100, deadline=None)
@given(st.lists(TARGETS, min_size=20, max_size=40), st.lists(ACTIONS, min_size=1, max_size=8))
def test_a_speaker_with_many_rules_is_judged_as_one_with_few(goals: list[Target], asked: list[Action]) -> None:
    """Past a handful of targets only those that lie near the request are asked (`proxy.policy.extent`)."""
    zone = surface(
        *(rule(f"r{at}", ["scada"], goal) for at, goal in enumerate(goals[:-10])),
        nevers=[never(f"n{at}", goal) for at, goal in enumerate(goals[-10:])] if goals[0].values_matter else (),
    )
    plant = Plant((zone,))
    scada = who("scada", "x509")
    authority = plant.policy().open(scada, "plc", "toy")
    for action in asked:
        expected = reference.allows(plant.surfaces, plant.roles, scada, "plc", action)
        assert authority.decide(action, 0.0).allowed == expected


@settings(max_examples=100, deadline=None)
@given(QUESTIONS)
def test_a_verdict_explains_itself(question: tuple[Plant, list[Probe]]) -> None:
    """The reason and the rule of a verdict are true statements about the policy."""
    plant, asked = question
    policy = plant.policy()
    rules = {rule.ref: (zone, rule) for zone in plant.surfaces for rule in zone.rules}
    for probe in asked:
        principal, device, action = probe
        authority = policy.open(principal, device, action.protocol)
        verdict = authority.decide(action, 0.0)
        forbidding = {never.ref for never in reference.forbidding(plant.surfaces, plant.roles, *probe)}
        assert (verdict.reason is Reason.NEVER_RULE) == bool(forbidding)
        if verdict.reason is Reason.NEVER_RULE:
            assert verdict.rule in forbidding
        elif verdict.allowed:
            assert authority.connect.allowed
            zone, rule = rules[verdict.rule]
            own = (reference.rule_allows(zone, rule, plant.roles, *probe, n) for n in range(action.atoms.bit_length()))
            assert any(own), "the rule that is named contributes"
            assert reference.holds(rule, plant.circumstances(), 0.0), "and holds now"
        elif verdict.reason is Reason.OUTSIDE_HOURS:
            _, rule = rules[verdict.rule]
            assert {*rule.when}.isdisjoint(plant.circumstances().open) and rule.when
        elif verdict.reason is Reason.DEFAULT_DENY:
            assert verdict.rule.name == "default"
        else:
            assert verdict.reason in REASONS_OF_RULES
            assert verdict.rule in rules
        assert verdict.reusable or any(rule.rate or rule.whilst for _, rule in rules.values())


@settings(max_examples=100, deadline=None)
@given(QUESTIONS)
def test_a_compound_is_allowed_exactly_if_each_part_is(question: tuple[Plant, list[Probe]]) -> None:
    plant, asked = question
    principal, device, _ = asked[0]
    authority = plant.policy().open(principal, device, "toy")
    parts = [probe.action for probe in asked]
    whole = authority.decide_all(parts, 0.0)
    assert whole.allowed == all(authority.decide(part, 0.0).allowed for part in parts)
    assert whole.allowed or len(parts) == 1 or whole.reason is Reason.PART_REFUSED


@settings(max_examples=100, deadline=None)
@given(QUESTIONS)
def test_order_changes_no_answer(question: tuple[Plant, list[Probe]]) -> None:
    """Files are read in some order, and links open in some order: neither decides anything."""
    plant, asked = question
    policy = plant.policy()
    turned = plant._replace(surfaces=tuple(reversed(plant.surfaces)), roles=tuple(reversed(plant.roles)))
    other = turned.policy()
    assert policy.digest == other.digest
    first = [policy.open(p.principal, p.device, "toy").decide(p.action, 0.0) for p in asked]
    again = [other.open(p.principal, p.device, "toy").decide(p.action, 0.0) for p in reversed(asked)]
    assert [repr(v) for v in first] == [repr(v) for v in reversed(again)]


@settings(max_examples=100, deadline=None)
@given(QUESTIONS)
def test_a_reusable_verdict_holds_for_the_epoch(question: tuple[Plant, list[Probe]]) -> None:
    """Whatever else is asked and however much time goes by: an inspector may remember it."""
    plant, asked = question
    zones = tuple(replace(zone, rules=tuple(map(_limited, zone.rules))) for zone in plant.surfaces)
    policy = plant._replace(surfaces=zones).policy()

    def ask(now: float) -> list[Verdict]:
        return [policy.open(p.principal, p.device, "toy").decide(p.action, now) for p in asked]

    for first, *later in zip(ask(0.0), ask(0.0), ask(1.0), ask(1e9), strict=True):
        if first.reusable:
            assert {repr(verdict) for verdict in (first, *later)} == {repr(first)}


def _limited(rule: Rule) -> Rule:
    return rule if rule.rate is None else replace(rule, rate=Rate(1, 60.0))
