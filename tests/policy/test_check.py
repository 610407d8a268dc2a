"""Rules without effect are told, sound ones are not; and the policy's own tests."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from proxy.core.inventory import Bindings
from proxy.core.process import Point, Predicate
from proxy.core.surface import Monitor, Rate, RuleTest
from proxy.policy.cases import run_tests
from proxy.policy.check import lint
from proxy.policy.compile import compile_policy
from proxy.protocols.modbus.targets import Functions, Spans
from proxy.protocols.mqtt.filters import Filter
from proxy.protocols.mqtt.targets import Connects, Forbidden, Topics
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
        nevers=(never("n", reads(13, 20)), never("m", reads(0, 9), speakers=["hmi"])),
    )


def severities(
    *rules: Rule, nevers: tuple[Never, ...], roles: tuple[Role, ...] = (), zone: Monitor | None = None
) -> list[str]:
    made = replace(surface(*rules, nevers=nevers, members=["plc", "robot"]), monitor=zone)
    return [finding.severity for finding in lint([made], roles, INVENTORY)]


def test_an_allow_that_a_never_hides() -> None:
    hidden = rule("a", ["scada"], reads(3, 4), line=12)
    (finding,) = lint([surface(hidden, nevers=(never("n", reads(2, 5), line=77),))], [], INVENTORY)
    assert str(finding) == (
        "policies/surfaces/cell.yaml:12:1: rules.a: error: read cell 3-4 could never take effect: "
        "never n (policies/surfaces/cell.yaml:77) forbids it, whatever a allows; delete it, or narrow n"
    )
    both = rule("a", ["scada"], reads(3, 4), to=["plc", "robot"])
    (text,) = told(both, nevers=(never("n", reads(3, 4), to=["plc", "robot"]),))
    assert "could never take effect" in text
    two = never("n", reads(0, 9), to=["robot"]), never("m", reads(0, 9))
    (text,) = told(both, nevers=two)
    assert "could never take effect: never m" in text, "two may do it together"
    (text,) = told(rule("a", ["scada"], reads(3, 4)), nevers=(never("n", reads(3, 4), speakers=["scada", "mes"]),))
    assert "could never take effect" in text


def test_an_allow_that_violates_a_never() -> None:
    wide = rule("a", ["scada"], reads(0, 4), reads(7, 9), writes(0, 9), line=12)
    (finding,) = lint([surface(wide, nevers=(never("n", reads(4, 7), line=77),))], [], INVENTORY)
    assert str(finding) == (
        "policies/surfaces/cell.yaml:12:1: rules.a: error: never n (policies/surfaces/cell.yaml:77) is violated by "
        "this allow: read cell 0-4 and 1 more, for scada at plc; take what is forbidden out of a, or narrow n"
    )


@pytest.mark.parametrize(
    ("speakers", "forbidden", "violated"),
    [
        (["scada"], None, "scada"),
        (["scada"], ["mes"], None),
        (["scada", "mes"], ["mes"], "mes"),
        (["role:masters"], ["mes"], "mes"),
        (["mes"], ["role:masters"], "mes"),
        (["hmi"], ["role:masters"], None),
        (["mbaps:Operator"], ["mbaps:Operator"], "mbaps:Operator"),
        (["mbaps:Operator"], ["scada"], None),
    ],
)
def test_a_never_is_violated_for_whom_both_mean(
    speakers: list[str], forbidden: list[str] | None, violated: str | None
) -> None:
    told_of = told(
        rule("a", speakers, reads(0, 4)),
        nevers=(never("n", reads(4, 9), speakers=forbidden),),
        roles=(role("masters", "scada", "mes"),),
    )
    assert [text.partition(", for ")[2] for text in told_of] == ([] if violated is None else [f"{violated} at plc"])


def test_a_never_is_violated_where_both_mean() -> None:
    """Not only at the first device, and not where the never does not reach."""
    both = rule("a", ["scada"], reads(3, 4), to=["plc", "robot"])
    (text,) = told(both, nevers=(never("n", reads(3, 4), to=["robot"]),))
    assert text == (
        "rules.a: never n (policies/surfaces/cell.yaml:90) is violated by this allow: read cell 3-4, for scada at robot"
    )
    assert not told(rule("a", ["scada"], reads(3, 4)), nevers=(never("n", reads(3, 4), to=["robot"]),))
    elsewhere = surface(nevers=[never("n", reads(3, 4), surface="other")], name="other", members=["robot"])
    assert len(lint([surface(both), elsewhere], [], INVENTORY)) == 1, "a never reaches beyond its own surface"


def test_names_decide_whether_a_never_is_violated() -> None:
    """{device} of the one who speaks: what is true of one speaker need not be of another."""
    inventory = devices("uns", "sensor-1", "sensor-2")
    own = Topics("publish", Filter("line/{device}/#"))
    secret = Forbidden("publish", Filter("line/sensor-2/secret"))
    for speakers, violated in ((["sensor-1"], 0), (["sensor-1", "sensor-2"], 1)):
        zone = surface(rule("a", speakers, own, to=["uns"]), nevers=[never("n", secret, to=["uns"])], members=["uns"])
        assert len(found := lint([zone], [], inventory)) == violated
        assert all("for sensor-2 at uns" in finding.wrong for finding in found)


def test_what_is_only_monitored_contradicts_nothing_yet() -> None:
    watched = Monitor(1.0, "why", "enforce", origin(1))
    allow, forbid = rule("a", ["scada"], reads(0, 4)), never("n", reads(4, 9))
    assert severities(allow, nevers=(forbid,)) == ["error"]
    assert severities(replace(allow, monitor=watched), nevers=(forbid,)) == ["warning"]
    assert severities(allow, nevers=(replace(forbid, monitor=watched),)) == ["warning"]
    assert severities(allow, nevers=(forbid,), zone=watched) == ["warning"]


def test_a_function_that_is_forbidden_contradicts_only_what_nothing_else_carries() -> None:
    allow = Spans("write", "holding", 0, 9)
    for numbers, violated in (({16}, 0), ({22, 23}, 0), ({6, 16, 22, 23}, 1)):
        zone = surface(rule("a", ["scada"], allow), nevers=[never("n", Functions(frozenset(numbers)))])
        assert len(lint([zone], [], INVENTORY)) == violated


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
    for kind in ("x509", "opcua_uri"):
        needy = surface(rule("r", ["scada"], reads(0, 9), needs=[kind]))
        assert f"needs {kind}, but no listener" in lint([needy], [], INVENTORY, secured=[])[0].wrong


def test_any_device_may_show_a_certificate() -> None:
    """An address alone binds it besides: its own SPIFFE id is known without a word."""
    inventory = devices("plc", old=Bindings(address_only=True))
    assert not lint([surface(rule("w", ["old"], writes(0, 9)))], [], inventory, secured=["plc"])


def test_a_pin_that_another_rule_pulls_out() -> None:
    pinned = rule("pin", ["mes"], Connects(frozenset({"{device}"})), Topics("publish", Filter("a")), to=["uns"], line=3)
    loose = rule("loose", ["mes"], Topics("receive", Filter("b")), Connects(implied=True), to=["uns"], line=9)
    (finding,) = lint([surface(pinned, loose, members=["uns"])], [], devices("uns", "mes"))
    assert finding.wrong == (
        "connect as {device} adds nothing: loose (policies/surfaces/cell.yaml:9) brings along connect"
    )
    assert finding.mend == "write it in loose as well, or delete it"


@pytest.mark.parametrize(
    "terms",
    [
        {"when": ("early",)},
        {"whilst": (Predicate("plc", Point("toy", "1"), "==", 0.0, 5.0),)},
        {"budget": Rate(1, 60.0)},
        {"rate": Rate(1, 60.0)},
        {"needs": frozenset({"mac_ip"})},
        {"monitor": Monitor(1.0, "", "enforce", origin(1))},
    ],
)
def test_what_holds_on_harder_terms_makes_nothing_else_useless(terms: dict[str, Any]) -> None:
    inventory = devices("plc", scada=Bindings(mac="00:00:00:00:00:01"))
    wide, narrow = rule("w", ["scada"], reads(0, 9)), rule("n", ["scada"], reads(3, 4))
    hard = replace(wide, **terms)
    assert len(lint([surface(wide, narrow)], [], inventory)) == 1
    assert not lint([surface(hard, narrow)], [], inventory)
    assert len(lint([surface(wide, replace(narrow, **terms))], [], inventory)) == ("monitor" not in terms)


def test_needs_that_a_speaker_cannot_meet() -> None:
    assert told(rule("a", ["role:r"], reads(0, 9), needs=["mac_ip"]), roles=(role("r", "hmi", "mes"),)) == [
        "rules.a: needs mac_ip, which mes has not"
    ]


def test_many_surfaces_and_nevers_are_checked_in_time() -> None:
    """Each surface guards its own devices; one never guards all of them."""
    zones = [
        surface(
            *(rule(f"r{n}", [f"m{n}"], reads(n, n), to=[f"p{at}"]) for n in range(20)),
            nevers=[never("own", writes(0, 9), to=[f"p{at}"])],
            name=f"z{at}",
            members=[f"p{at}"],
        )
        for at in range(500)
    ]
    everywhere = surface(nevers=[never("all", reads(90, 99), to=[f"p{at}" for at in range(500)])], name="all")
    started = time.perf_counter()
    assert not lint([*zones, everywhere], [], {})
    assert time.perf_counter() - started < 5


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
