"""`explain`, `tests:` and the linter about MQTT rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from proxy.core.inventory import Bindings, Device
from proxy.core.surface import RuleTest
from proxy.policy.assume import assumed
from proxy.policy.cases import run_tests
from proxy.policy.check import lint
from proxy.policy.compile import compile_policy
from proxy.policy.explain import explain
from proxy.policy.suggest import Grammar, Question
from proxy.protocols.mqtt.outright import pointless
from proxy.protocols.mqtt.rules import parse_never, parse_rule
from proxy.protocols.mqtt.sections import sections
from proxy.protocols.mqtt.service import MqttService
from proxy.protocols.mqtt.texts import parse_actions
from tests.policy.toy import never, origin, role, rule, surface

if TYPE_CHECKING:
    from proxy.core.action import Target
    from proxy.core.surface import Rule, Surface

BROKER = "uns"
PLACES = {"sensor-1": "hall/cell-3", "sensor-2": None, "scada": "hall", BROKER: None}
INVENTORY = {
    id: Device(
        id, "x", place, None, origin(1, f"fingerprints/devices/{id}.yaml"), bindings=Bindings(x509_uri=f"u:{id}")
    )
    for id, place in PLACES.items()
}
ROLES = (role("sensors", "sensor-1", "sensor-2"),)


def must_not_report(path: object, wrong: str, mend: str = "") -> None:
    raise ValueError(f"{path}: {wrong}")


def parse(section: object) -> tuple[Target, ...]:
    return parse_rule(section, must_not_report)


def made(name: str, section: dict[str, Any], *speakers: str) -> Rule:
    return rule(name, speakers or ["sensor-1"], *parse(section), to=[BROKER])


def told(*rules: Rule, forbidden: dict[str, Any] | None = None) -> list[str]:
    nevers = [] if forbidden is None else [never("n", *parse_never(forbidden, must_not_report), to=[BROKER])]
    zone = surface(*rules, nevers=nevers, members=[BROKER])
    found = lint([zone], ROLES, INVENTORY, pointless=lambda target, device: pointless(target, MqttService()))
    return [f"{finding.path}: {finding.wrong}; {finding.mend}" for finding in found]


def test_a_sound_policy_is_left_alone() -> None:
    assert not told(
        made("a", {"publish": ["{place}/{device}/#"], "subscribe": ["{place}/#"], "share": ["$share/w/{place}/#"]}),
        made("b", {"publish": ["{place}/{device}/#"], "subscribe": "x"}, "scada"),
        made("c", {"command": "spBv1.0/g/NCMD/#", "subscribe": "{place}/#"}, "scada"),
        forbidden={"publish": "$SYS/#", "subscribe": "$SYS/#", "connect": {"versions": "3.1.1"}},
    )


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ({"publish": "a/b"}, {"publish": "a/#"}, "rules.a: publish a/b adds nothing: b"),
        ({"publish": "{device}/x"}, {"publish": "+/#"}, "rules.a: publish {device}/x adds nothing: b"),
        ({"subscribe": "a/#"}, {"subscribe": "#"}, "rules.a: subscribe a/# adds nothing: b"),
        ({"publish": "a", "qos": 0}, {"publish": "a"}, "rules.a: publish a qos <= 0 adds nothing: b"),
        ({"receive": "a/b"}, {"subscribe": "a/#"}, "rules.a: receive a/b adds nothing: b"),
        (
            {"connect": {"client_id": "{device}"}, "publish": "a"},
            {"publish": "b"},
            "rules.a: connect as {device} adds nothing: b (policies/surfaces/cell.yaml:10) brings along connect",
        ),
    ],
)
def test_a_line_that_adds_nothing(one: dict[str, Any], other: dict[str, Any], said: str) -> None:
    found = told(made("a", one), made("b", other))
    assert len(found) == 1, found
    assert found[0].startswith(said)


def test_a_line_within_another_of_the_same_rule() -> None:
    assert told(made("a", {"publish": ["a/#", "a"]})) == [
        "rules.a: publish a lies within another line of the same rule; delete it"
    ]


@pytest.mark.parametrize(
    ("section", "forbidden", "said"),
    [
        ({"publish": "a/b"}, {"publish": "a/+"}, "publish a/b could never take effect"),
        ({"command": "spBv1.0/g/NCMD/x"}, {"publish": "spBv1.0/#"}, "command spBv1.0/g/NCMD/x could never take effect"),
        ({"subscribe": "a/b"}, {"subscribe": "a/#"}, "subscribe a/b could never take effect"),
        ({"share": "$share/g/a"}, {"share": "$share/*/a"}, "share $share/g/a could never take effect"),
        ({"connect": {"versions": "3.1.1"}}, {"connect": {"versions": "3.1.1"}}, "connect version 3.1.1 could never"),
    ],
)
def test_a_line_that_a_never_hides(section: dict[str, Any], forbidden: dict[str, Any], said: str) -> None:
    found = told(made("a", section), forbidden=forbidden)
    assert len(found) == 1, found
    assert said in found[0]


def test_a_placeholder_without_a_name() -> None:
    (found,) = told(made("a", {"publish": "{place}/x"}, "role:sensors"))
    wrong, _, mend = found.partition("; ")
    assert wrong == "rules.a: publish {place}/x comes to nothing for sensor-2, which has no place"
    assert mend == "add place to fingerprints/devices/sensor-2.yaml"
    assert not told(made("a", {"publish": "{device}/x"}, "role:sensors"))


def test_a_line_that_the_broker_makes_pointless() -> None:
    (found,) = told(made("a", {"publish": "spBv1.0/g/NCMD/x"}))
    assert "there the verb is command; write command" in found
    (found,) = told(made("a", {"command": "line/x"}))
    assert "is about no command topic of the broker" in found


def zone_of(*rules: Rule) -> Surface:
    return surface(*rules, members=[BROKER])


def asked(zone: Surface, who: str, text: str) -> Any:
    policy = compile_policy([zone], ROLES, INVENTORY)
    question = Question(assumed(who, INVENTORY), BROKER, "mqtt", text, tuple(parse_actions(text)))
    return explain(policy, question, Grammar(parse, lambda text, refused: sections(refused)))


BASE = made("telemetry", {"publish": "{place}/{device}/#", "qos": 1, "max_bytes": 100})


@pytest.mark.parametrize(
    ("who", "text", "section"),
    [
        ("sensor-1", "publish a/b qos 1", {"publish": ["a/b"]}),
        ("sensor-1", "publish hall/cell-3/sensor-1/x retained", {"retain": ["hall/cell-3/sensor-1/x"]}),
        ("sensor-1", "publish a retained", {"publish": ["a"], "retain": ["a"]}),
        ("sensor-1", "clear-retained a", {"clear-retained": ["a"]}),
        ("sensor-1", "subscribe a/#", {"subscribe": ["a/#"]}),
        ("sensor-1", "subscribe $share/g/a/#", {"share": ["$share/g/a/#"]}),
        ("sensor-1", "reply-to a", {"reply-to": ["a"], "subscribe": ["a"]}),
        ("scada", 'publish "a b/\\u00fc"', {"publish": ["a b/\u00fc"]}),
        ("scada", "connect as x version 3.1.1", {"connect": {"client_id": "x", "versions": ["3.1.1"]}}),
        ("scada", "connect", {"connect": "all"}),
        ("scada", "receive a", {"receive": ["a"]}),
    ],
)  # fmt: skip
def test_the_rule_that_explain_proposes(who: str, text: str, section: dict[str, Any]) -> None:
    answer = asked(zone_of(BASE), who, text)
    assert not answer.allowed
    assert answer.agreed
    (proposed,) = yaml.safe_load(answer.change.snippet).values()
    assert proposed["mqtt"] == section
    assert asked(zone_of(BASE, made("new", proposed["mqtt"], who)), who, text).allowed


def test_a_command_is_proposed_with_the_proof_it_needs() -> None:
    policy = compile_policy([zone_of(BASE)], ROLES, INVENTORY)
    speaker = assumed("sensor-1", INVENTORY, ["address"])
    question = Question(speaker, BROKER, "mqtt", "command c", parse_actions("command c"))
    change = explain(policy, question, Grammar(parse, lambda text, refused: sections(refused))).change
    assert change is not None
    assert change.say.endswith("and let the speaker show a certificate")


def test_a_cap_is_told_as_the_window_that_it_is() -> None:
    answer = asked(zone_of(BASE), "sensor-1", "publish hall/cell-3/sensor-1/x qos 2 bytes 50")
    assert answer.verdict.reason.code == "BH-1205"
    assert answer.verdict.detail == "publish hall/cell-3/sensor-1/# qos <= 1 bytes <= 100"
    assert "ask for a value inside the window" in answer.change.say


def test_the_policys_own_tests() -> None:
    def line(text: str, *, allow: bool) -> RuleTest:
        return RuleTest(origin(50), "sensor-1", BROKER, text, tuple(parse_actions(text)), allow)

    good = [line("publish hall/cell-3/sensor-1/x", allow=True), line("publish hall/cell-3/sensor-2/x", allow=False)]
    bad = [line("publish hall/cell-3/sensor-1/x retained", allow=True)]
    zone = surface(BASE, tests=[*good, *bad], members=[BROKER])
    (finding,) = run_tests(compile_policy([zone], ROLES, INVENTORY), INVENTORY)
    assert "retain hall/cell-3/sensor-1/x" in finding.wrong
