"""Coverage counts the rules that the tests hold in place, and no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.policy.cases import ask_all, written
from proxy.policy.compile import compile_policy
from proxy.policy.coverage import Coverage, coverage
from tests.policy.test_cases import INVENTORY, case
from tests.policy.toy import never, read, reads, rule, surface, write, writes

if TYPE_CHECKING:
    from proxy.core.surface import RuleTest


def covered(*tests: RuleTest) -> Coverage:
    zone = surface(
        rule("counters", ["scada"], reads(0, 9)),
        rule("more", ["scada"], reads(10, 19)),
        rule("setpoint", ["scada"], writes(0, 9, top=50), needs=["x509"]),
        rule("spare", ["mes"], reads(90, 99)),
        nevers=[never("never-7", reads(7, 7))],
        tests=tests,
    )
    policy = compile_policy([zone], [], INVENTORY)
    return coverage([zone], ask_all(policy, INVENTORY, written([zone])))


def touched(*tests: RuleTest) -> set[str]:
    everything = {"counters", "more", "setpoint", "spare", "never-7"}
    return everything - {ref.name for ref in covered(*tests).untouched}


def test_a_rule_is_touched_by_what_it_decides() -> None:
    assert touched() == set()
    assert touched(case("scada", read(5))) == {"counters"}
    assert touched(case("scada", read(7), allow=False)) == {"never-7"}
    assert touched(case("scada", write(5, 99), allow=False)) == {"setpoint"}, "its window is why"
    assert touched(case("scada", write(5, 1), allow=False, evidence=["mac_ip"])) == {"setpoint"}, "its needs are why"
    assert touched(case("scada", read(50), allow=False)) == set(), "a default is no rule"
    assert touched(case("mes", read(5), allow=False)) == set(), "the nearest rule decided nothing"


def test_a_test_that_fails_holds_nothing() -> None:
    assert touched(case("scada", read(5), allow=False)) == set()
    assert touched(case("scada", read(5), because="more")) == set()


def test_each_part_of_a_compound_request_counts() -> None:
    assert touched(case("scada", read(5), read(15), write(3, 3))) == {"counters", "more", "setpoint"}


def test_the_share() -> None:
    some = covered(case("scada", read(5)), case("scada", read(7), allow=False))
    assert (some.total, some.touched, some.percent) == (5, 2, 40.0)
    assert [ref.name for ref in some.untouched] == ["more", "setpoint", "spare"]
    assert Coverage(0, ()).percent == 100.0


def test_the_same_name_in_another_surface_is_another_rule() -> None:
    one = surface(rule("counters", ["scada"], reads(0, 9)), tests=[case("scada", read(5))])
    two = surface(rule("counters", ["scada"], reads(0, 9), to=["other"], surface="two"), name="two", members=["other"])
    policy = compile_policy([one, two], [], INVENTORY)
    found = coverage([one, two], ask_all(policy, INVENTORY, written([one, two])))
    assert [str(ref) for ref in found.untouched] == ["two/counters"]
