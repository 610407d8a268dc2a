"""The policy's own tests: each in circumstances of its own, put to what is in force or to what is monitored."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from proxy.core.origin import Origin
from proxy.core.reason import Reason
from proxy.core.surface import Monitor, Rate, RuleTest
from proxy.policy.cases import Result, ask_all, beside, run_tests, written
from proxy.policy.compile import Policy, compile_policy
from proxy.policy.shadowed import Shadowed, compile_shadowed
from tests.policy.toy import (
    PacedTarget,
    ToyHours,
    cell,
    devices,
    never,
    origin,
    read,
    reads,
    rule,
    seen,
    surface,
    write,
    writes,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.core.surface import Surface
    from tests.policy.toy import ToyAction

INVENTORY = devices("plc", "other", "scada", "mes")
EARLY = ToyHours("early", 100, 200)


def case(
    who: str,
    *actions: ToyAction,
    allow: bool = True,
    because: str | None = None,
    evidence: Iterable[str] | None = None,
    at: float | None = None,
    state: Iterable[tuple[int, float]] = (),
    to: str = "plc",
    line: int = 50,
) -> RuleTest:
    return RuleTest(
        origin=origin(line),
        who=who,
        to=to,
        text="; ".join(action.describe() for action in actions),
        actions=actions,
        expect_allow=allow,
        because=because,
        evidence=None if evidence is None else tuple(evidence),
        at=at,
        state=tuple(("plc", cell(number), value) for number, value in state),
    )


def ask(policy: Policy | Shadowed, test: RuleTest) -> Result:
    (result,) = ask_all(policy, INVENTORY, [("tests[0]", test)], hours=[EARLY])
    return result


def policy(*surfaces: Surface) -> Policy:
    return compile_policy(surfaces, [], INVENTORY)


ZONE = surface(
    rule("counters", ["scada"], reads(0, 9)),
    rule("recipe", ["mes"], writes(10, 19), when=["early"], whilst=[seen("plc", 0, "==", 0)], budget=Rate(1, 60.0)),
    rule("look", ["mes"], reads(20, 29), needs=["x509"], when=["early"]),
    rule("speed", ["scada"], PacedTarget("write", 30, 39, 100, step=5.0)),
    rule("part", ["mes"], reads(40, 49)),
    nevers=[never("never-7", reads(7, 7))],
)


@pytest.mark.parametrize(
    ("test", "got"),
    [
        (case("mes", read(20)), None),
        (case("mes", read(20), at=150), None),
        (case("mes", read(20), at=99), Reason.OUTSIDE_HOURS),
        (case("mes", read(20), at=200), Reason.OUTSIDE_HOURS),
        (case("mes", read(20), evidence=["x509"]), None),
        (case("mes", read(20), evidence=["mac_ip"]), Reason.EVIDENCE_TOO_WEAK),
        (case("mes", read(20), evidence=[]), Reason.EVIDENCE_TOO_WEAK),
        (case("mes", write(10, 1), at=150, state=[(0, 0)]), None),
        (case("mes", write(10, 1), at=150, state=[(0, 1)]), Reason.PROCESS_STATE),
        (case("mes", write(10, 1), at=150), Reason.PROCESS_UNKNOWN),
        (case("mes", write(10, 1), at=0, state=[(0, 0)]), Reason.OUTSIDE_HOURS),
        (case("scada", write(30, 50), state=[(30, 46)]), None),
        (case("scada", write(30, 50), state=[(30, 40)]), Reason.VALUE_OUTSIDE),
        (case("scada", write(30, 50)), Reason.PROCESS_UNKNOWN),
        (case("mes", read(20), read(40), at=150), None),
        (case("mes", read(20), read(40), at=0), Reason.PART_REFUSED),
    ],
)
def test_a_test_has_a_time_evidence_and_a_state(test: RuleTest, got: Reason | None) -> None:
    result = ask(policy(ZONE), test)
    assert result.verdict.reason is got
    assert result.passed == (got is None)
    wanted = ask(policy(ZONE), replace(test, expect_allow=got is None))
    assert wanted.passed
    assert wanted.wrong == wanted.mend == ""


def test_each_test_has_a_budget_and_a_state_of_its_own() -> None:
    """The second does not find the budget of the first spent, nor what the first has seen."""
    one = case("mes", write(10, 1), state=[(0, 0)])
    blind = case("mes", write(10, 1), allow=False, because="recipe")
    zone = replace(ZONE, tests=(one, one, one, blind))
    assert run_tests(policy(zone), INVENTORY) == []
    live = policy(zone)
    run_tests(live, INVENTORY)
    assert len(live.rates) == 0, "a test must not spend what messages live on"


def test_because_is_held_too_by_name_or_with_its_surface() -> None:
    for because in ("counters", "cell/counters"):
        assert ask(policy(ZONE), case("scada", read(5), because=because)).passed
    for because in ("recipe", "other/counters"):
        wrong = ask(policy(ZONE), case("scada", read(5), because=because)).wrong
        assert wrong.endswith(
            f"expected because {because}, got allow by cell/counters (policies/surfaces/cell.yaml:10)"
        )
    assert ask(policy(ZONE), case("scada", read(7), allow=False, because="never-7")).passed
    assert ask(policy(ZONE), case("scada", read(99), allow=False, because="default")).passed


def test_a_failure_says_what_to_mend() -> None:
    near = ask(policy(ZONE), case("scada", read(10)))
    assert near.mend == "mend the test, or counters (policies/surfaces/cell.yaml:10), which comes nearest"
    decided = ask(policy(ZONE), case("mes", read(20), at=0))
    assert decided.mend == "mend the test, or look (policies/surfaces/cell.yaml:10), which decided"
    assert ask(policy(ZONE), case("mes", write(99, 1))).mend.startswith("mend the test, or ")
    finding = near.finding
    assert str(finding).startswith("policies/surfaces/cell.yaml:50:1: tests[0]: error: scada to plc: read cell 10 x1: ")


def test_what_is_refused_before_the_rules_counts_as_refused() -> None:
    def outright(test: RuleTest) -> tuple[Reason, str] | None:
        return (Reason.UNKNOWN_FUNCTION, "no such unit") if test.text.startswith("read cell 5") else None

    zone = replace(ZONE, tests=(case("scada", read(5)), case("scada", read(6))))
    (finding,) = run_tests(policy(zone), INVENTORY, outright)
    assert "got refuse BH-1103 by cell/counters (policies/surfaces/cell.yaml:10): no such unit" in finding.wrong
    (result, _) = ask_all(policy(zone), INVENTORY, written([zone]), outright)
    assert result.parts == (), "no rule decided it"


def test_cases_beside_the_surfaces_are_asked_too() -> None:
    cases = [
        replace(case("mes", read(5)), origin=Origin(f"policies/tests/{name}.yaml", line))
        for name, line in (("a", 3), ("a", 9), ("b", 3))
    ]
    found = run_tests(policy(ZONE), INVENTORY, cases=cases)
    assert [(str(one.origin), one.path) for one in found] == [
        ("policies/tests/a.yaml:3", "cases[0]"),
        ("policies/tests/a.yaml:9", "cases[1]"),
        ("policies/tests/b.yaml:3", "cases[0]"),
    ]
    assert [path for path, _ in beside(cases)] == ["cases[0]", "cases[1]", "cases[0]"]


UNTIL = Monitor(1000.0, "a trial", "enforce", origin(20))


def test_what_is_in_monitor_is_tested_as_it_will_be() -> None:
    narrower = replace(rule("counters-2", ["scada"], reads(0, 4)), monitor=UNTIL, replaces=("counters",))
    fresh = replace(rule("fresh", ["scada"], reads(60, 69)), monitor=UNTIL)
    zone = surface(rule("counters", ["scada"], reads(0, 9)), narrower, fresh)
    both = compile_shadowed([zone], [], INVENTORY, now=0.0)
    assert ask(both, case("scada", read(5))).passed, "it is in force"
    assert not ask(both, case("scada", read(60))).passed, "it is not in force"
    assert ask(both, case("scada", read(60), because="fresh")).passed
    assert ask(both, case("scada", read(3), because="cell/counters-2")).passed
    assert not ask(both, case("scada", read(5), because="counters-2")).passed
    later = compile_shadowed([zone], [], INVENTORY, now=1000.0)
    assert ask(later, case("scada", read(60))).passed
    assert not ask(later, case("scada", read(5))).passed


def test_a_device_that_is_only_watched_is_tested_by_its_rules() -> None:
    """What is let through meanwhile is no promise; a member of another surface keeps its own."""
    watched = replace(
        surface(rule("counters", ["scada"], reads(0, 9), to=["plc", "other"]), members=["plc", "other"]), monitor=UNTIL
    )
    strict = surface(
        rule("all", ["scada"], reads(20, 99), to=["other"], surface="strict"), name="strict", members=["other"]
    )
    both = compile_shadowed([watched, strict], [], INVENTORY, now=0.0)
    assert ask(both, case("scada", read(5), because="counters")).passed
    assert ask(both, case("scada", read(50), allow=False)).passed
    assert ask(both, case("scada", read(50), to="other", because="strict/all")).passed
    assert ask(both, case("scada", read(5), to="other", allow=False)).passed
