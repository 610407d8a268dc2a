"""Compilation: what is refused, what is kept small, what is remembered, and Casbin's traps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from proxy.core.origin import RuleRef
from proxy.core.process import Point, Predicate
from proxy.core.reason import Reason
from proxy.core.surface import Monitor, Never, Rate, Role, Rule, Surface
from proxy.policy.compile import REMEMBERED, Policy, PolicyError, compile_policy
from proxy.policy.rates import Rates
from proxy.policy.rows import clauses, enforcer, links
from proxy.policy.shard import BUCKET, LARGE, Shard
from tests.policy.toy import devices, never, origin, read, reads, role, rule, surface, who, write, writes

INVENTORY = devices("plc", "scada", "mes")
SCADA = who("scada", "x509")


POINT = Point("toy", "cell 7")
WATCHED = Monitor(1_800_000_000.0, "new recipes", "enforce", origin(5))
CONDITIONS: list[dict[str, Any]] = [
    {"budget": Rate(1, 1.0)},
    {"budget": Rate(2, 1.0)},
    {"when": ("early",)},
    {"when": ("early", "late")},
    {"whilst": (Predicate("plc", POINT, "==", 0.0, 5.0),)},
    {"whilst": (Predicate("plc", POINT, "==", 0.0, 9.0),)},
    {"whilst": (Predicate("mes", POINT, "==", 0.0, 5.0),)},
    {"monitor": WATCHED},
    {"monitor": WATCHED, "replaces": ("b",)},
]


def graph_of(policy: Policy) -> Any:
    return policy._parts.graph.casbin


def shards_at(policy: Policy, device: str) -> list[Shard]:
    return [zone.shards[device] for zone in policy._parts.zones.at(device) if device in zone.shards]


def compiled(*surfaces: Surface, roles: tuple[Role, ...] = ()) -> Policy:
    return compile_policy(surfaces, roles, INVENTORY)


@pytest.mark.parametrize(
    ("zone", "complaint"),
    [
        (
            surface(rule("a", ["scada"], reads(0, 1)), rule("a", ["mes"], reads(0, 1))),
            "cell/a: the name is there twice",
        ),
        (surface(rule("a", ["scada"])), "names no device or no target"),
        (surface(rule("a", [], reads(0, 1))), "names no speaker"),
        (surface(rule("a", [""], reads(0, 1))), "names no speaker"),
        (surface(rule("a", ["role:ghost"], reads(0, 1))), "there is no role:ghost"),
        (surface(rule("a", ["scada"], reads(0, 1), to=["ghost"])), "'ghost' is no device"),
        (surface(rule("a", ["scada"], reads(0, 1), to=["scada"])), "'scada' is not a member"),
        (surface(rule("a", ["scada"], reads(0, 1), surface="other")), "of another surface"),
        (surface(rule("a", ["scada"], reads(0, 1), rate=Rate(0, 60.0))), "a rate needs"),
        (surface(members=["ghost"]), "the member 'ghost' is no device"),
        (surface(nevers=[never("n", reads(0, 1), speakers=["role:ghost"])]), "there is no role:ghost"),
        (surface(nevers=[never("n", reads(0, 1), to=["ghost"])]), "'ghost' is no device"),
        (surface(nevers=[never("n")]), "names no device or no target"),
        (surface(nevers=[never("n", reads(0, 1), speakers=[])]), "names no speaker"),
    ],
)
def test_what_does_not_hold_together_is_not_compiled(zone: Surface, complaint: str) -> None:
    with pytest.raises(PolicyError) as refused:
        compiled(zone)
    assert any(complaint in problem for problem in refused.value.problems)
    assert "policies/surfaces/cell.yaml:" in str(refused.value)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(PolicyError) as refused:
        compiled(surface(rule("a", ["role:x"])), surface(), roles=(role("r", "role:q"), role("r")))
    assert len(refused.value.problems) == 5


def test_an_empty_policy_refuses_everything() -> None:
    authority = compiled().open(SCADA, "plc", "toy")
    assert authority.connect.reason is Reason.NO_CONNECT_RULE
    assert str(authority.connect.rule) == "none/default"
    assert authority.decide(read(0), 0.0).reason is Reason.DEFAULT_DENY


@pytest.mark.parametrize(("device", "protocol"), [("", "toy"), ("nowhere", "toy"), ("plc", ""), ("plc", "other")])
def test_casbins_empty_wildcard_is_out_of_reach(device: str, protocol: str) -> None:
    """Casbin's filter takes an empty value for *any*: nothing empty may get that far (threats.md 7.1)."""
    policy = compiled(surface(rule("a", ["scada"], reads(0, 9))))
    assert len(enforcer([["s", "d", "p", "v", "t", "r"]]).get_filtered_policy(0, "", "", "")) == 1, "the trap"
    for speaker in (SCADA, who(""), who(None, attributes=[""])):
        assert not policy.open(speaker, device, protocol).connect.allowed
    assert not policy.open(who(""), "plc", "toy").connect.allowed
    assert policy.faults.count == 0


@pytest.mark.parametrize("row", [["s", "d", "p", "v", "t"], ["s", "d", "p", "v", "t", ""], [*"sdpvtrx"], []])
def test_a_row_of_the_wrong_length_never_reaches_casbin(row: list[str]) -> None:
    with pytest.raises(ValueError, match="row"):
        enforcer([row])


def test_casbin_remembers_no_stranger() -> None:
    policy = compiled(surface(rule("a", ["role:r"], reads(0, 9))), roles=(role("r", "scada"),))
    roles = graph_of(policy).get_role_manager()
    before = dict(roles.all_roles)
    for number in range(50):
        policy.open(who(f"x{number}", attributes=[f"mbaps:{number}"]), "plc", "toy")
    assert roles.all_roles == before


@pytest.mark.parametrize("count", [3, BUCKET, LARGE - 1, 2 * LARGE])
def test_a_shard_lists_what_casbin_lists_for_all_rows_at_once(count: int) -> None:
    roles = [role("masters", "scada", "mes"), role("night", "mes")]
    speakers = ["scada", "role:masters", "role:night", "mbaps:Operator", *(f"m{n}" for n in range(50))]
    zone = surface(*(rule(f"r{n}", [speakers[n % len(speakers)]], reads(n, n), writes(n, n)) for n in range(count)))
    one_by_one = enforcer([], members=links(roles))
    shard = Shard(zone, "plc", range(count))
    rows = [row for clause in clauses(zone, range(count)) for row in clause.rows("plc")]
    whole = enforcer(rows, members=links(roles))
    for subject in ("id:scada", "id:mes", "id:m7", "attribute:mbaps:Operator", "id:stranger"):
        implied = [subject, *one_by_one.get_implicit_roles_for_user(subject)]
        listed = sorted(clause.key for name in implied for clause in shard.permissions(name, "toy"))
        assert listed == sorted(row[4] for row in whole.get_implicit_permissions_for_user(subject))
    spread = sum(len(made.get_policy()) for made in shard.enforcers.values())
    assert shard._count == 1 + 2 * count // BUCKET, "Casbin walks rows: each enforcer is kept small"
    assert count < LARGE or spread < len(rows), "and only those that were asked for are made"


def test_a_lost_row_can_only_narrow() -> None:
    """Whatever happens to Casbin's rows, a never rule still forbids."""
    zone = surface(rule("all", ["role:r"], reads(0, 9)), nevers=[never("n", reads(5, 5), speakers=["role:r"])])
    policy = compiled(zone, roles=(role("r", "scada"),))
    graph_of(policy).get_role_manager().clear()
    authority = policy.open(SCADA, "plc", "toy")
    assert authority.decide(read(5), 0.0).reason is Reason.NEVER_RULE
    assert authority.decide(read(4), 0.0).reason is Reason.DEFAULT_DENY


def test_a_row_that_was_not_asked_for_fails_the_opening() -> None:
    zone = surface(rule("a", ["scada"], reads(0, 9)))
    policy = compiled(zone)
    policy.open(SCADA, "plc", "toy")
    shard = shards_at(policy, "plc")[0]
    shard.enforcers[0].get_filtered_policy = lambda *_: [["id:mes", "plc", "toy", "read", "a#0", "a"]]
    other = policy.rehearsal()
    authority = other.open(SCADA, "plc", "toy")
    assert authority.connect.reason is Reason.ENGINE_ERROR
    assert authority.decide(read(1), 0.0).reason is Reason.DEFAULT_DENY
    assert other.faults.count == 1


def test_the_same_speaker_is_asked_about_once() -> None:
    policy = compiled(surface(rule("a", ["scada"], reads(0, 9))))
    assert policy.open(SCADA, "plc", "toy") is policy.open(who("scada", "x509"), "plc", "toy")
    for other in (who("scada"), who("scada", "x509", "mac_ip"), who("scada", "x509", attributes=["mbaps:A"])):
        assert policy.open(other, "plc", "toy") is not policy.open(SCADA, "plc", "toy"), other
    assert policy.open(SCADA, "plc", "other") is not policy.open(SCADA, "plc", "toy")


def test_other_evidence_is_another_answer() -> None:
    policy = compiled(surface(rule("a", ["scada"], writes(0, 9))))
    assert policy.open(SCADA, "plc", "toy").decide(write(1, 1), 0.0).allowed
    assert not policy.open(who("scada", "mac_ip"), "plc", "toy").decide(write(1, 1), 0.0).allowed


def test_what_is_remembered_is_bounded() -> None:
    policy = compiled(surface(rule("a", ["scada"], reads(0, 9))))
    first = policy.open(SCADA, "plc", "toy")
    for number in range(REMEMBERED):
        policy.open(who(f"x{number}"), "plc", "toy")
    assert policy.remembered == REMEMBERED
    assert policy.open(SCADA, "plc", "toy") is not first


def test_the_digest_names_the_meaning() -> None:
    zone = surface(rule("a", ["scada", "mes"], reads(0, 9), line=10), nevers=[never("n", writes(0, 9))])
    digest = compiled(zone).digest
    assert digest == compiled(surface(rule("a", ["mes", "scada"], reads(0, 9), line=99), nevers=zone.nevers)).digest
    others = [
        surface(rule("b", ["scada", "mes"], reads(0, 9)), nevers=zone.nevers),
        surface(rule("a", ["scada"], reads(0, 9)), nevers=zone.nevers),
        surface(rule("a", ["scada", "mes"], reads(0, 8)), nevers=zone.nevers),
        surface(rule("a", ["scada", "mes"], reads(0, 9), needs=["x509"]), nevers=zone.nevers),
        surface(rule("a", ["scada", "mes"], reads(0, 9), rate=Rate(1, 1.0)), nevers=zone.nevers),
        surface(zone.rules[0]),
        surface(zone.rules[0], nevers=[never("n", writes(0, 9), speakers=["mes"])]),
        surface(zone.rules[0], nevers=zone.nevers, unsafe=True),
        surface(zone.rules[0], nevers=zone.nevers, record_first=True),
        surface(zone.rules[0], nevers=zone.nevers, members=["plc", "mes"]),
        *(surface(replace(zone.rules[0], **change), nevers=zone.nevers) for change in CONDITIONS),
        surface(zone.rules[0], nevers=[replace(zone.nevers[0], monitor=WATCHED)]),
        replace(zone, monitor=WATCHED),
        replace(zone, monitor=replace(WATCHED, then="alarm")),
    ]
    digests = {digest, *(compiled(other).digest for other in others), compiled(zone, roles=(role("r", "mes"),)).digest}
    assert len(digests) == len(others) + 2


def test_a_rehearsal_spends_no_live_rate() -> None:
    policy = compiled(surface(rule("a", ["scada"], reads(0, 9), rate=Rate(1, 60.0))))
    for _ in range(3):
        assert policy.rehearsal().open(SCADA, "plc", "toy").decide(read(1), 0.0).allowed
    assert policy.open(SCADA, "plc", "toy").decide(read(1), 0.0).allowed
    assert not policy.open(SCADA, "plc", "toy").decide(read(1), 0.0).allowed


def test_a_reload_refills_no_rate() -> None:
    def again(name: str, rate: Rate, rates: Rates) -> bool:
        zone = surface(rule(name, ["scada"], reads(0, 9), rate=rate))
        policy = compile_policy([zone], [], INVENTORY, rates=rates)
        return policy.open(SCADA, "plc", "toy").decide(read(1), 1.0).allowed

    rates = Rates()
    assert again("a", Rate(1, 60.0), rates)
    assert not again("a", Rate(1, 60.0), rates)
    assert not again("a", Rate(1, 59.0), rates)
    assert again("a", Rate(2, 60.0), rates)


def test_the_inputs_may_change_after_compiling() -> None:
    zones = [surface(rule("a", ["scada"], reads(0, 9)))]
    inventory = dict(INVENTORY)
    policy = compile_policy(zones, [], inventory)
    zones.clear()
    inventory.clear()
    assert policy.open(SCADA, "plc", "toy").decide(read(1), 0.0).allowed


def test_rules_hold_where_casbin_would_trip_over_text() -> None:
    """Rows hold keys only, and no part of a row is ever parsed."""
    name = 'a, "b" # c) || true'
    odd = Rule(RuleRef("cell", name, origin(3)), ("scada",), ("plc",), (reads(0, 9),))
    forbidden = Never(RuleRef("cell", name, origin(4)), ("mbaps:x, y",), ("plc",), (reads(5, 5),))
    policy = compiled(Surface("cell", origin(1), ("plc",), (odd,), (forbidden,)))
    assert policy.open(SCADA, "plc", "toy").decide(read(5), 0.0).rule.name == name
    named = who("scada", "x509", attributes=["mbaps:x, y"])
    assert policy.open(named, "plc", "toy").decide(read(5), 0.0).reason is Reason.NEVER_RULE
    assert not policy.open(who("mes"), "plc", "toy").connect.allowed
