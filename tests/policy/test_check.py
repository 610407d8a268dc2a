"""Rules without effect are told, sound ones are not; and the policy's own tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.core.inventory import Bindings
from proxy.core.surface import Rate, RuleTest
from proxy.policy.check import lint, run_tests
from proxy.policy.compile import compile_policy
from tests.policy.toy import ToyAction, devices, never, origin, read, reads, role, rule, surface, write, writes

if TYPE_CHECKING:
    from proxy.core.surface import Never, Role, Rule

INVENTORY = devices("plc", "robot", "scada", "mes", hmi=Bindings(mac="00:00:00:00:00:01"))


def told(*rules: Rule, nevers: tuple[Never, ...] = (), roles: tuple[Role, ...] = (), unsafe: bool = False) -> list[str]:
    zone = surface(*rules, nevers=nevers, members=["plc", "robot"], unsafe=unsafe)
    return [f"{finding.path}: {finding.wrong}" for finding in lint([zone], roles, INVENTORY)]


def test_a_sound_policy_is_left_alone() -> None:
    assert not told(
        rule("a", ["scada"], reads(0, 9), writes(0, 4)),
        rule("b", ["mes"], reads(0, 9)),
        rule("c", ["scada"], reads(5, 12)),
        rule("d", ["scada"], reads(0, 9), to=["robot"]),
        nevers=(never("n", reads(9, 9)), never("m", reads(0, 9), speakers=["hmi"])),
    )


def test_an_allow_that_a_never_hides() -> None:
    hidden = rule("a", ["scada"], reads(3, 4), reads(5, 9))
    assert told(hidden, nevers=(never("n", reads(2, 5), line=77),)) == [
        "rules.a: read cell 3-4 can never be allowed: never n (policies/surfaces/cell.yaml:77) forbids it"
    ]
    assert told(rule("a", ["scada"], reads(3, 4)), nevers=(never("n", reads(3, 4), speakers=["scada", "mes"]),))
    assert not told(rule("a", ["scada", "mes"], reads(3, 4)), nevers=(never("n", reads(3, 4), speakers=["mes"]),))
    both = rule("a", ["scada"], reads(3, 4), to=["plc", "robot"])
    assert not told(both, nevers=(never("n", reads(3, 4)),))
    assert told(both, nevers=(never("n", reads(3, 4), to=["plc", "robot"]),))


@pytest.mark.parametrize(
    ("wide", "shadowed"),
    [
        (rule("w", ["scada", "mes"], reads(0, 9), line=5), True),
        (rule("w", ["scada"], reads(0, 9), to=["plc", "robot"]), True),
        (rule("w", ["scada"], reads(0, 3)), False),
        (rule("w", ["mes"], reads(0, 9)), False),
        (rule("w", ["scada"], reads(0, 9), to=["robot"]), False),
        (rule("w", ["scada"], reads(0, 9), needs=["x509"]), False),
        (rule("w", ["scada"], reads(0, 9), rate=Rate(1, 1.0)), False),
    ],
)
def test_a_rule_that_adds_nothing(wide: Rule, shadowed: bool) -> None:
    narrow = rule("n", ["scada"], reads(3, 4))
    for order in ((wide, narrow), (narrow, wide)):
        findings = [text for text in told(*order) if "rules.n: read cell 3-4 adds nothing: w" in text]
        assert bool(findings) is shadowed


def test_of_two_alike_one_is_told() -> None:
    assert len(told(rule("a", ["scada"], reads(0, 9)), rule("b", ["scada"], reads(0, 9)))) == 1
    for again in (reads(0, 9), reads(3, 4)):
        (text,) = told(rule("a", ["scada"], reads(0, 9), again))
        assert text == f"rules.a: {again.describe()} lies within another line of the same rule"


def test_a_rate_that_another_rule_goes_round() -> None:
    limited = rule("few", ["scada"], writes(0, 9, top=5), rate=Rate(6, 60.0))
    (text,) = told(limited, rule("free", ["scada"], writes(0, 9)))
    assert "the rate has no effect: free" in text


def test_writes_that_nobody_can_prove() -> None:
    zone = surface(rule("w", ["scada"], writes(0, 9)), rule("r", ["scada"], reads(0, 9)))
    (finding,) = lint([zone], [], INVENTORY, secured=[])
    assert "nobody can prove a key: write cell 0-9 is always refused" in finding.wrong
    assert "unsafe_writes_without_proof" in finding.mend
    assert not lint([zone], [], INVENTORY, secured=["plc"])
    assert not lint([zone], [], INVENTORY)
    assert not lint([surface(*zone.rules, unsafe=True)], [], INVENTORY, secured=[])
    needy = surface(rule("r", ["scada"], reads(0, 9), needs=["x509"]))
    assert "it never counts" in lint([needy], [], INVENTORY, secured=[])[0].wrong


def test_a_speaker_known_by_its_address_alone_cannot_write() -> None:
    inventory = devices("plc", "mes", old=Bindings(address_only=True))
    zone = surface(rule("w", ["role:r"], writes(0, 9)))
    (finding,) = lint([zone], [role("r", "mes", "old")], inventory, secured=["plc"])
    assert finding.wrong.startswith("old is known by its address alone")


def test_needs_that_a_speaker_cannot_meet() -> None:
    assert told(rule("a", ["role:r"], reads(0, 9), needs=["mac_ip"]), roles=(role("r", "hmi", "mes"),)) == [
        "rules.a: needs mac_ip, which mes has not"
    ]


def test_a_large_surface_is_checked_in_time() -> None:
    zone = surface(
        *(rule(f"r{n}", [f"m{n % 500}"], reads(n, n), to=[f"p{n % 400}"]) for n in range(10_000)),
        members=[f"p{n}" for n in range(400)],
    )
    assert not lint([zone], [], {})


def line(who: str, *actions: ToyAction, allow: bool, because: str | None = None, to: str = "plc") -> RuleTest:
    return RuleTest(origin(50), who, to, " and ".join(a.describe() for a in actions), actions, allow, because)


@pytest.mark.parametrize(
    ("test", "failure"),
    [
        (line("scada", read(5), allow=True, because="counters"), None),
        (line("scada", read(5), allow=True, because="cell/counters"), None),
        (line("scada", read(5), allow=True), None),
        (line("scada", write(5, 50), allow=True, because="setpoint"), None),
        (line("mbaps:Operator", read(5), allow=True), None),
        (line("mes", read(5), allow=False), None),
        (line("scada", read(7), allow=False, because="never-7"), None),
        (line("scada", read(5), write(5, 99), allow=False, because="setpoint"), None),
        (line("hmi", read(6), allow=True), None),
        (line("scada", read(5), allow=False), "expected refuse, got allow by cell/counters"),
        (line("mes", read(5), allow=True), "expected allow, got refuse BH-1201 by cell/default"),
        (
            line("scada", read(5), allow=True, because="setpoint"),
            "expected because setpoint, got allow by cell/counters",
        ),
        (line("scada", read(7), allow=False, because="counters"), "expected because counters, got refuse BH-1202"),
        (line("scada", write(5, 99), allow=True), "got refuse BH-1205 by cell/setpoint"),
        (line("mbaps:Viewer", read(5), allow=True), "expected allow, got refuse BH-1201"),
        (line("ghost", read(5), allow=True), "expected allow, got refuse BH-1201"),
        (line("scada", allow=True), "expected allow, got refuse BH-1606"),
    ],
)
def test_the_tests_of_a_policy(test: RuleTest, failure: str | None) -> None:
    zone = surface(
        rule("counters", ["scada", "mbaps:Operator"], reads(0, 9)),
        rule("setpoint", ["scada"], writes(0, 9, top=50), needs=["x509"], rate=Rate(1, 60.0)),
        rule("panel", ["hmi"], reads(6, 6), needs=["mac_ip"]),
        nevers=[never("never-7", reads(7, 7))],
        tests=[test, test],
    )
    policy = compile_policy([zone], [], INVENTORY)
    findings = run_tests(policy, INVENTORY)
    assert len(findings) == (0 if failure is None else 2), "a rate is fresh for each line"
    for at, finding in enumerate(findings):
        assert failure is not None
        assert failure in finding.wrong
        assert str(finding).startswith(f"policies/surfaces/cell.yaml:50:1: tests[{at}]: error: ")
    assert policy.faults.count == 0
