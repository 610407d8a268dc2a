"""What a decision says, in which order, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.core.reason import Reason
from proxy.core.surface import Rate
from proxy.policy import reference
from proxy.policy.compile import compile_policy
from proxy.policy.plain import Plain
from tests.policy.toy import (
    Broken,
    ToyAction,
    ToyTarget,
    devices,
    never,
    read,
    reads,
    role,
    rule,
    surface,
    who,
    write,
    writes,
)

if TYPE_CHECKING:
    from proxy.core.principal import Principal
    from proxy.core.surface import Role, Surface
    from proxy.policy.authority import Authority

INVENTORY = devices("plc", "other", "scada", "mes")
SCADA = who("scada", "x509", "mac_ip")


def opened(*surfaces: Surface, speaker: Principal = SCADA, roles: tuple[Role, ...] = ()) -> Authority:
    return compile_policy(surfaces, roles, INVENTORY).open(speaker, "plc", "toy")


def test_an_allowed_action_names_its_rule_and_its_line() -> None:
    verdict = opened(surface(rule("counters", ["scada"], reads(0, 9), line=7))).decide(read(3), 0.0)
    assert verdict.allowed
    assert verdict.reusable
    assert str(verdict.rule) == "cell/counters"
    assert str(verdict.rule.origin) == "policies/surfaces/cell.yaml:7"


def test_several_rules_cover_one_action_and_the_first_is_named() -> None:
    authority = opened(surface(rule("low", ["scada"], reads(0, 4)), rule("high", ["scada"], reads(5, 9))))
    verdict = authority.decide(read(3, 4), 0.0)
    assert verdict.allowed
    assert verdict.rule.name == "low"


def test_one_atom_outside_refuses_all_and_names_the_nearest_rule() -> None:
    authority = opened(surface(rule("few", ["scada"], reads(0, 1)), rule("most", ["scada"], reads(2, 8))))
    verdict = authority.decide(read(0, 10), 0.0)
    assert verdict.reason is Reason.DEFAULT_DENY
    assert verdict.reusable
    assert (verdict.rule.name, verdict.rule.origin.line) == ("default", 1)
    assert verdict.nearest is not None
    assert verdict.nearest.name == "most"


def test_another_verb_is_refused_without_a_nearest_rule() -> None:
    verdict = opened(surface(rule("counters", ["scada"], reads(0, 9)))).decide(write(3, 1), 0.0)
    assert verdict.reason is Reason.DEFAULT_DENY
    assert verdict.nearest is None


def test_rules_of_another_device_do_not_count() -> None:
    zone = surface(rule("elsewhere", ["scada"], reads(0, 9), to=["other"]), members=["plc", "other"])
    authority = opened(zone)
    assert authority.decide(read(3), 0.0).reason is Reason.DEFAULT_DENY
    assert authority.connect.reason is Reason.NO_CONNECT_RULE


def test_a_device_in_two_surfaces_gets_the_rules_of_both() -> None:
    north = surface(rule("a", ["scada"], reads(0, 4), surface="north"), name="north")
    south = surface(rule("b", ["scada"], reads(5, 9), surface="south"), name="south")
    for order in ((north, south), (south, north)):
        verdict = opened(*order).decide(read(0, 10), 0.0)
        assert verdict.allowed
        assert str(verdict.rule) == "north/a", "the order of files changes nothing"


def test_never_wins_over_every_allow_and_one_touched_atom_is_enough() -> None:
    zone = surface(rule("all", ["scada"], reads(0, 99)), nevers=[never("safety", reads(50, 50))])
    verdict = opened(zone).decide(read(45, 10), 0.0)
    assert verdict.reason is Reason.NEVER_RULE
    assert verdict.rule.name == "safety"
    assert verdict.reusable
    assert opened(zone).decide(read(40, 10), 0.0).allowed


def test_never_of_one_surface_holds_against_the_allow_of_another() -> None:
    north = surface(rule("all", ["scada"], reads(0, 99), surface="north"), name="north")
    south = surface(nevers=[never("safety", reads(50, 50), surface="south")], name="south", members=["other"])
    assert opened(north, south).decide(read(50), 0.0).reason is Reason.NEVER_RULE


def test_never_may_cover_every_verb() -> None:
    zone = surface(rule("all", ["scada"], reads(0, 99), writes(0, 99)), nevers=[never("x", ToyTarget("any", 5, 5))])
    authority = opened(zone)
    assert authority.decide(read(5), 0.0).reason is Reason.NEVER_RULE
    assert authority.decide(write(5, 1), 0.0).reason is Reason.NEVER_RULE


@pytest.mark.parametrize(
    ("speakers", "forbidden"),
    [(None, True), (["scada"], True), (["mes"], False), (["role:masters"], True), (["mbaps:Operator"], True)],
)
def test_never_for_some_speakers(speakers: list[str] | None, forbidden: bool) -> None:
    zone = surface(rule("all", ["scada"], reads(0, 99)), nevers=[never("x", reads(5, 5), speakers=speakers)])
    speaker = who("scada", "x509", attributes=["mbaps:Operator"])
    verdict = opened(zone, speaker=speaker, roles=(role("masters", "scada"),)).decide(read(5), 0.0)
    assert (verdict.reason is Reason.NEVER_RULE) is forbidden


def test_never_looks_at_no_value() -> None:
    zone = surface(rule("all", ["scada"], writes(0, 99)), nevers=[never("hot", writes(5, 5, top=3))])
    assert opened(zone).decide(write(5, 9), 0.0).reason is Reason.NEVER_RULE


def test_a_target_of_every_verb_serves_in_never_alone() -> None:
    zone = surface(rule("all", ["scada"], ToyTarget("any", 0, 9)))
    assert opened(zone).decide(read(5), 0.0).reason is Reason.DEFAULT_DENY
    assert not Plain([zone], []).allows(SCADA, "plc", read(5))
    assert not reference.allows([zone], [], SCADA, "plc", read(5))


def test_values_outside_the_window() -> None:
    authority = opened(surface(rule("setpoint", ["scada"], writes(0, 9, top=100))))
    assert authority.decide(write(3, 100, 7), 0.0).allowed
    verdict = authority.decide(write(3, 7, 101), 0.0)
    assert verdict.reason is Reason.VALUE_OUTSIDE
    assert verdict.rule.name == "setpoint"
    assert verdict.detail == "write cell 0-9 up to 100"
    assert verdict.reusable, "a window looks at nothing but the bytes"


def test_a_value_outside_one_rule_may_be_inside_another() -> None:
    authority = opened(surface(rule("low", ["scada"], writes(0, 9, top=10)), rule("high", ["scada"], writes(5, 5))))
    assert authority.decide(write(4, 10, 99), 0.0).allowed


def test_a_change_wants_proof() -> None:
    zone = surface(rule("all", ["scada"], writes(0, 9), reads(0, 9)))
    placed = opened(zone, speaker=who("scada", "mac_ip"))
    assert placed.connect.allowed
    assert placed.decide(read(1), 0.0).allowed
    verdict = placed.decide(write(1, 1), 0.0)
    assert verdict.reason is Reason.EVIDENCE_TOO_WEAK
    assert verdict.rule.name == "all"
    assert "proof" in verdict.detail
    assert "mac_ip" in verdict.detail
    assert opened(zone).decide(write(1, 1), 0.0).allowed


def test_a_surface_may_say_that_changes_want_no_proof() -> None:
    zone = surface(rule("all", ["scada"], writes(0, 9)), unsafe=True)
    assert opened(zone, speaker=who("scada", "mac_ip")).decide(write(1, 1), 0.0).allowed


def test_the_unsafe_word_of_one_surface_does_not_spread_to_another() -> None:
    lax = surface(rule("a", ["scada"], writes(0, 4), surface="lax"), name="lax", unsafe=True)
    strict = surface(rule("b", ["scada"], writes(5, 9), surface="strict"), name="strict")
    authority = opened(lax, strict, speaker=who("scada", "mac_ip"))
    assert authority.decide(write(4, 1), 0.0).allowed
    assert authority.decide(write(4, 1, 1), 0.0).reason is Reason.EVIDENCE_TOO_WEAK


def test_a_rule_whose_evidence_is_missing_does_not_count() -> None:
    zone = surface(rule("careful", ["scada"], reads(0, 9), needs=["x509", "mac_ip"]))
    weak = opened(zone, speaker=who("scada", "x509"))
    assert weak.connect.reason is Reason.EVIDENCE_TOO_WEAK
    verdict = weak.decide(read(1), 0.0)
    assert verdict.reason is Reason.EVIDENCE_TOO_WEAK
    assert verdict.detail == "needs mac_ip; shown: x509"
    assert opened(zone).decide(read(1), 0.0).allowed
    both = surface(*zone.rules, rule("plain", ["scada"], reads(0, 9)))
    assert opened(both, speaker=who("scada")).decide(read(1), 0.0).allowed


def test_the_evidence_is_only_blamed_where_it_decides() -> None:
    zone = surface(rule("careful", ["scada"], reads(0, 4), needs=["mac_ip"]))
    verdict = opened(zone, speaker=who("scada", "x509")).decide(read(3, 4), 0.0)
    assert verdict.reason is Reason.DEFAULT_DENY
    assert verdict.nearest is not None
    assert verdict.nearest.name == "careful"


@pytest.mark.parametrize(
    ("speaker", "reason"),
    [
        (who(None), Reason.UNKNOWN_DEVICE),
        (who(None, attributes=["mbaps:Nobody"]), Reason.UNKNOWN_DEVICE),
        (who(None, "x509", attributes=["mbaps:Viewer"]), Reason.NO_CONNECT_RULE),
        (who("mes", "x509"), Reason.NO_CONNECT_RULE),
        (who(None, attributes=["mbaps:Operator"]), None),
        (who("scada"), None),
    ],
)
def test_connect(speaker: Principal, reason: Reason | None) -> None:
    zone = surface(
        rule("known", ["scada", "mbaps:Operator"], reads(0, 9)),
        rule("far", ["mbaps:Viewer"], reads(0, 9), to=["other"]),
        members=["plc", "other"],
    )
    connect = opened(zone, speaker=speaker).connect
    assert connect.reason is reason
    assert connect.rule.name == ("default" if reason else "known")


def test_the_null_role_matches_only_where_it_is_named() -> None:
    zone = surface(rule("null", ["mbaps-null"], reads(0, 0)), rule("operator", ["mbaps:Operator"], reads(0, 9)))
    null = who(None, "x509", attributes=["mbaps-null"])
    assert opened(zone, speaker=null).decide(read(0), 0.0).allowed
    assert opened(zone, speaker=null).decide(read(1), 0.0).reason is Reason.DEFAULT_DENY
    operator = who(None, "x509", attributes=["mbaps:Operator"])
    assert opened(zone, speaker=operator).decide(read(1), 0.0).rule.name == "operator"
    assert not opened(surface(*zone.rules[:1]), speaker=operator).decide(read(0), 0.0).allowed


@pytest.mark.parametrize("name", ["role:masters", "mbaps:Operator", "mbaps-null", "attribute:mbaps:Operator", ""])
def test_an_id_is_never_taken_for_a_role_or_an_attribute(name: str) -> None:
    zone = surface(rule("all", ["role:masters", "mbaps:Operator", "mbaps-null", "scada"], reads(0, 9)))
    speaker = who(name, "mac_ip", attributes=[name])
    expected = name in ("mbaps:Operator", "mbaps-null")  # as an attribute it is right to count
    verdict = opened(zone, speaker=speaker, roles=(role("masters", "mes"),)).decide(read(0), 0.0)
    assert verdict.allowed is expected
    only_id = opened(zone, speaker=who(name, "mac_ip"), roles=(role("masters", "mes"),))
    assert not only_id.decide(read(0), 0.0).allowed


def test_record_first_is_for_changes_and_the_stricter_surface_wins() -> None:
    lax = surface(rule("a", ["scada"], writes(0, 9), reads(0, 9), surface="lax"), name="lax")
    strict = surface(name="strict", record_first=True)
    authority = opened(lax, strict)
    assert authority.decide(write(1, 1), 0.0).record_first
    assert not authority.decide(read(1), 0.0).record_first
    assert authority.decide_all([read(1), write(1, 1)], 0.0).record_first
    assert not opened(lax).decide(write(1, 1), 0.0).record_first


def test_a_compound_is_allowed_as_a_whole_or_not_at_all() -> None:
    authority = opened(surface(rule("r", ["scada"], reads(0, 9)), rule("w", ["scada"], writes(0, 4))))
    verdict = authority.decide_all([write(0, 1), read(5)], 0.0)
    assert verdict.allowed
    assert verdict.reusable
    for parts in ([read(5), write(5, 1)], [write(5, 1), read(5)]):
        refused = authority.decide_all(parts, 0.0)
        assert refused.reason is Reason.PART_REFUSED
        assert refused.detail == "write cell 5 x1: BH-1201 no rule allows this"
        assert refused.nearest is not None
        assert refused.nearest.name == "w"
    assert authority.decide_all([write(5, 1)], 0.0).reason is Reason.DEFAULT_DENY


@pytest.mark.parametrize("broken", [Broken("read", 0, 9), Broken("any", 0, 9)])
def test_a_failing_decision_refuses_and_is_counted(broken: Broken, caplog: pytest.LogCaptureFixture) -> None:
    zones = (
        surface(rule("bug", ["scada"], broken), rule("all", ["scada"], reads(0, 9)))
        if broken.verb == "read"
        else surface(rule("all", ["scada"], reads(0, 9)), nevers=[never("bug", broken)])
    )
    policy = compile_policy([zones], [], INVENTORY)
    authority = policy.open(SCADA, "plc", "toy")
    for count, verdict in enumerate([authority.decide(read(1), 0.0), authority.decide_all([read(1), read(2)], 0.0)], 1):
        assert verdict.reason is Reason.ENGINE_ERROR
        assert not verdict.reusable
        assert verdict.detail == "ZeroDivisionError"
        assert count <= policy.faults.count
    assert policy.faults.count == 2
    assert "a bug in a target" in policy.faults.last
    assert "decision failed" in caplog.text


def test_a_flood_of_failures_does_not_flood_the_log(caplog: pytest.LogCaptureFixture) -> None:
    policy = compile_policy([surface(rule("bug", ["scada"], Broken("read", 0, 9)))], [], INVENTORY)
    authority = policy.open(SCADA, "plc", "toy")
    for _ in range(1000):
        authority.decide(read(1), 0.0)
    assert policy.faults.count == 1000
    assert len(caplog.records) == 10


def test_an_action_of_another_protocol_or_without_atoms_is_refused() -> None:
    authority = opened(surface(rule("all", ["scada"], reads(0, 9))))
    assert authority.decide(ToyAction("read", 1, (0,), "other"), 0.0).reason is Reason.ENGINE_ERROR
    assert authority.decide(ToyAction("read", 1, ()), 0.0).reason is Reason.DEFAULT_DENY
    assert authority.decide_all([], 0.0).reason is Reason.ENGINE_ERROR


def test_a_rule_with_a_rate() -> None:
    policy = compile_policy([surface(rule("w", ["scada"], writes(0, 9), rate=Rate(2, 60.0)))], [], INVENTORY)
    authority = policy.open(SCADA, "plc", "toy")
    first = authority.decide(write(1, 1), 100.0)
    assert first.allowed
    assert not first.reusable
    assert policy.open(who("scada", "x509"), "plc", "toy").decide(write(2, 1), 130.0).allowed, "another link of it"
    refused = authority.decide(write(1, 1), 159.9)
    assert refused.reason is Reason.RATE_SPENT
    assert not refused.reusable
    assert refused.rule.name == "w"
    assert refused.detail == "2 in 60 s"
    assert authority.decide(write(1, 1), 160.0).allowed
    assert not authority.decide(write(1, 1), 189.0).allowed
    assert authority.decide(write(1, 1), 190.0).allowed


def test_each_speaker_and_each_rule_has_its_own_budget() -> None:
    zone = surface(
        rule("w", ["scada", "mes"], writes(0, 9), rate=Rate(1, 60.0)),
        rule("v", ["scada"], writes(10, 19), rate=Rate(1, 60.0)),
    )
    policy = compile_policy([zone], [], INVENTORY)
    scada, mes = (policy.open(who(name, "x509"), "plc", "toy") for name in ("scada", "mes"))
    assert scada.decide(write(1, 1), 0.0).allowed
    assert mes.decide(write(1, 1), 0.0).allowed
    assert scada.decide(write(11, 1), 0.0).allowed
    assert not scada.decide(write(1, 1), 1.0).allowed
    assert not mes.decide(write(1, 1), 1.0).allowed


def test_a_refused_message_takes_nothing_from_a_rate() -> None:
    zone = surface(rule("w", ["scada"], writes(0, 9), rate=Rate(1, 60.0)), nevers=[never("n", writes(9, 9))])
    authority = opened(zone)
    for _ in range(3):
        assert not authority.decide(write(9, 1), 0.0).allowed
        assert not authority.decide(write(8, 1, 1, 1), 0.0).allowed
        assert not authority.decide_all([write(1, 1), write(50, 1)], 0.0).allowed
    assert authority.decide_all([write(1, 1), write(3, 1)], 0.0).allowed, "charged once per message"
    assert authority.decide(write(1, 1), 0.0).reason is Reason.RATE_SPENT


def test_a_rule_without_a_rate_is_used_before_one_with_a_rate() -> None:
    zone = surface(rule("few", ["scada"], writes(0, 9), rate=Rate(1, 60.0)), rule("free", ["scada"], writes(0, 4)))
    authority = opened(zone)
    for _ in range(3):
        verdict = authority.decide(write(1, 1), 0.0)
        assert verdict.rule.name == "free"
        assert verdict.reusable
    assert authority.decide(write(4, 1, 1), 0.0).allowed
    assert authority.decide(write(4, 1, 1), 0.0).reason is Reason.RATE_SPENT
    assert authority.decide(write(4, 1), 0.0).allowed


def test_a_spent_rate_leaves_other_rated_rules_alone() -> None:
    zone = surface(*(rule(name, ["scada"], writes(0, 9), rate=Rate(1, 60.0)) for name in ("a", "b")))
    authority = opened(zone)
    assert [authority.decide(write(1, 1), 0.0).rule.name for _ in range(3)] == ["a", "b", "a"]
    assert authority.decide(write(1, 1), 0.0).reason is Reason.RATE_SPENT
