"""What is written under `opcua:` of a rule or never: what it means, and what is told of mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from proxy.protocols.opcua.patterns import parse_attributed, parse_method, parse_pattern
from proxy.protocols.opcua.rules import VERBS, parse_never, parse_rule
from proxy.protocols.opcua.schema_rule import NEVER, RULE
from proxy.protocols.opcua.targets import Forbidden, Nodes, OpcUaTarget, Sessions
from proxy.protocols.opcua.texts import parse_actions
from tests.mqtt.reports import Reports
from tests.site.json_schema import faults
from tests.support.tables import table


def rule(section: object) -> tuple[OpcUaTarget, ...]:
    reports = Reports()
    targets = parse_rule(section, reports)
    assert not reports.found
    return targets


def never(section: object) -> tuple[OpcUaTarget, ...]:
    reports = Reports()
    targets = parse_never(section, reports)
    assert not reports.found
    return targets


def admitted(targets: tuple[OpcUaTarget, ...], question: str) -> bool:
    """One of the targets admits each of the acts."""
    return all(any(target.admits(act) for target in targets) for act in parse_actions(question))


MEANING = table(Path(__file__).with_name("vocabulary_meaning.yaml"))
RULES, NEVERS = MEANING["rules"], MEANING["nevers"]


@pytest.mark.parametrize("case", RULES, ids=lambda case: str(case["rule"])[:60])
def test_a_rule_means(case: dict[str, Any]) -> None:
    targets = rule(case["rule"])
    assert [question for question in case["admits"] if not admitted(targets, question)] == []
    assert [question for question in case["refuses"] if admitted(targets, question)] == []
    assert faults(RULE, case["rule"]) == []


@pytest.mark.parametrize("case", NEVERS, ids=lambda case: str(case["never"])[:60])
def test_a_never_means(case: dict[str, Any]) -> None:
    targets = never(case["never"])
    assert [question for question in case["forbids"] if not admitted(targets, question)] == []
    assert [question for question in case["leaves"] if admitted(targets, question)] == []
    assert faults(NEVER, case["never"]) == []


def test_a_rule_brings_its_sessions_and_a_never_none() -> None:
    *_, session = rule({"read": "all", "users": ["op"]})
    assert isinstance(session, Sessions)
    assert session.implied
    assert not any(isinstance(target, Sessions) for target in never({"read": "all", "users": ["op"]}))


MISTAKES: list[tuple[str, tuple[str | int, ...], str]] = [
    ("[]", (), "is not a section with verbs"),
    ("{}", (), "is not a section with verbs"),
    ("users: [a]", (), "names users but no verb"),
    ("{ security: [sign], users: [a] }", (), "names users and security but no verb"),
    ("reed: all", ("reed",), "did you mean 'read'?"),
    ("history-read: all", ("history-read",), "did you mean 'history_read'?"),
    ("monitor: all", ("monitor",), "did you mean 'subscribe'?"),
    ("read: []", ("read",), "is empty"),
    ("read: [i=1, 5]", ("read", 1), "5 is not text"),
    ("read: [ns=2;s=X]", ("read", 0), "write the namespace's URI: nsu=URI;s=X"),
    ("read: [s=X]", ("read", 0), "write nsu=URI;s=X"),
    ('read: ["*"]', ("read", 0), "write all"),
    ('read: ["nsu=u;i=*"]', ("read", 0), "for string identifiers"),
    ("read: [i=0]", ("read", 0), "null node"),
    ("read: [nsu=u;s=]", ("read", 0), "empty identifier"),
    (f"read: [nsu=u;s={'x' * 5000}]", ("read", 0), "more than 4096 characters"),
    ('read: ["nsu=u;s=\\u200b"]', ("read", 0), "cannot be seen"),
    ("read: [i=5 @ Valu]", ("read", 0), "did you mean 'Value'?"),
    ("read: [i=5 @ 99999999999]", ("read", 0), "there is no attribute"),
    ("browse: [i=5 @ Value]", ("browse", 0), "browse takes no attribute"),
    ("read: [under all]", ("read", 0), "write all"),
    ("read: [under nsu=u]", ("read", 0), "is a namespace and no node"),
    ('read: ["under nsu=u;s=a*"]', ("read", 0), "many subtrees"),
    ("read: { i=5: {} }", ("read", "i=5"), "read takes no value windows"),
    ("read: {}", ("read",), "is empty"),
    ("write: all", ("write",), "write takes no all in a rule"),
    ("write: { all: {} }", ("write", "all"), "write takes no all in a rule"),
    ("history_write: [all]", ("history_write", 0), "history_write takes no all in a rule"),
    ("manage_nodes: all", ("manage_nodes",), "manage_nodes takes no all in a rule"),
    ("write: { i=5: }", ("write", "i=5"), "says nothing"),
    ("write: { i=5: 7 }", ("write", "i=5"), "is not a value window"),
    ("write: { i=5: { maxi: 7 } }", ("write", "i=5", "maxi"), "did you mean 'max'?"),
    ("write: { i=5: { max: fast } }", ("write", "i=5", "max"), "is not a number"),
    ("write: { i=5: { max: true } }", ("write", "i=5", "max"), "is not a number"),
    ("write: { i=5: { max: .nan } }", ("write", "i=5", "max"), "is not a number"),
    (f"write: {{ i=5: {{ max: 1{'0' * 400} }} }}", ("write", "i=5", "max"), "is not a number"),
    ("write: { i=5: { min: 5, max: 4 } }", ("write", "i=5", "max"), "swap them"),
    ("write: { i=5: { step: 0 } }", ("write", "i=5", "step"), "lets nothing move"),
    ("write: { i=5: { status: bad } }", ("write", "i=5", "status"), "leave the line out for Good alone"),
    ("write: { i=5: { status: } }", ("write", "i=5", "status"), "leave the line out for Good alone"),
    ('write: { "nsu=u;s=a*": { step: 5 } }', ("write", "nsu=u;s=a*"), "step and ramp watch single nodes"),
    ("write: { i=5 @ AccessLevel: { max: 5 } }", ("write", "i=5 @ AccessLevel"), "for the Value alone"),
    ("call: all", ("call",), "name object and method"),
    ("call: [i=5]", ("call", 0), "does not say a method"),
    ('call: ["* -> i=5"]', ("call", 0), "does not name its object"),
    ('call: ["i=5 -> all"]', ("call", 0), "does not name its method"),
    ("call: [i=5 -> nsu=u]", ("call", 0), "does not name its method"),
    ("call: [i=5 -> under i=6]", ("call", 0), "write under before the object"),
    ("call: [i=5 -> i=6 -> i=7]", ("call", 0), "more than one ->"),
    ("call: { i=5 -> i=6: 7 }", ("call", "i=5 -> i=6"), "is not a list of arguments"),
    ("call: { i=5 -> i=6: { arg: [] } }", ("call", "i=5 -> i=6"), "is not a list of arguments"),
    ("call: { i=5 -> i=6: { args: [7] } }", ("call", "i=5 -> i=6", "args", 0), "neither a window nor any"),
    ("call: { i=5 -> i=6: { args: [{}] } }", ("call", "i=5 -> i=6", "args", 0), "is empty"),
    ("call: { i=5 -> i=6: { args: [any, { step: 5 }] } }", ("call", "i=5 -> i=6", "args", 1, "step"), "has no step"),
    ("{ read: all, users: [] }", ("users",), "is empty"),
    ("{ read: all, users: [5] }", ("users", 0), "is not text"),
    ('{ read: all, users: [a, ""] }', ("users", 1), "no user name"),
    ('{ read: all, users: "{device}" }', ("users",), "has a placeholder"),
    ("{ read: all, security: [sgn] }", ("security", 0), "did you mean 'sign'?"),
    ("{ read: all, security: [[]] }", ("security", 0), "no security mode"),
]
NEVER_MISTAKES: list[tuple[str, tuple[str | int, ...], str]] = [
    ("write: { i=5: { max: 7 } }", ("write", "i=5"), "a never forbids the node, whatever is written to it"),
    ("call: { i=5 -> i=6: { args: [] } }", ("call", "i=5 -> i=6"), "a never forbids the call"),
    ("read: [ns=2;s=X]", ("read", 0), "has a namespace index"),
]
LATER = (
    "null node", "more than", "cannot be seen", "Value'?", "many subtrees", "swap them", "single nodes", "alone",
    "more than one", "4096", ".nan", "there is no attribute", "is no", "for string", "takes no attribute", "write all",
)  # fmt: skip
"""What a schema does not say, or says of strings only (`s=` may be followed by anything)."""


@pytest.mark.parametrize(("text", "path", "said"), MISTAKES, ids=lambda one: one[:60] if isinstance(one, str) else "")
def test_a_mistake_is_told_where_it_stands(text: str, path: tuple[str | int, ...], said: str) -> None:
    reports = Reports()
    parse_rule(yaml.safe_load(text), reports)
    where, told = reports.only()
    assert where == path
    assert said in told
    assert len(told) < 400


@pytest.mark.parametrize(("text", "path", "said"), NEVER_MISTAKES)
def test_a_never_takes_no_values(text: str, path: tuple[str | int, ...], said: str) -> None:
    reports = Reports()
    assert parse_never(yaml.safe_load(text), reports) == ()
    where, told = reports.only()
    assert where == path
    assert said in told


def test_what_is_right_is_parsed_all_the_same() -> None:
    reports = Reports()
    targets = parse_rule({"read": ["i=5", "X"], "write": {"i=5": {"max": "x"}, "i=6": {}}}, reports)
    assert reports.paths == [("read", 1), ("write", "i=5", "max")]
    assert [type(target) for target in targets] == [Nodes, Nodes, Sessions]


@pytest.mark.parametrize(
    ("schema", "text"),
    [(RULE, text) for text, _, said in MISTAKES if not any(word in said for word in LATER)]
    + [(NEVER, text) for text, _, _ in NEVER_MISTAKES],
    ids=lambda one: one[:60] if isinstance(one, str) else "",
)
def test_a_mistake_of_form_shows_in_an_editor(schema: dict[str, Any], text: str) -> None:
    assert faults(schema, yaml.safe_load(text))


def test_the_schema_is_closed_json() -> None:
    for part in (RULE, NEVER):
        assert json.loads(json.dumps(part)) == part
        assert part["additionalProperties"] is False


KEYS = ["i=5", "i=5 -> i=6", "min", "max", "step", "args", "status"]
values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["all", "i=5", "under i=5", "any", "*", "i=5 -> i=6", "i=5 @ Value", "nsu=u;s=a*"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=4) | st.sampled_from(KEYS) | st.integers(),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*VERBS, "users", "security", "x"]), values, max_size=3) | values)
def test_whatever_is_written_is_parsed_or_told(section: object) -> None:
    for parse in (parse_rule, parse_never):
        reports = Reports()
        targets = parse(section, reports)
        assert targets or reports.found
        assert all(target.describe().isprintable() for target in targets)
        assert all(wrong and mend for _, wrong, mend in reports.found)


@given(st.text(st.sampled_from("nsu=:;igb*5 ->@%ader\x00é"), max_size=30))
def test_patterns_come_back_from_their_text(text: str) -> None:
    for parse in (parse_pattern, parse_attributed, parse_method):
        try:
            parse(text)
        except ValueError as wrong:
            assert "; " in str(wrong)
    try:
        pattern = parse_pattern(text)
    except ValueError:
        return
    assert parse_pattern(pattern.text) == pattern


def test_a_never_is_about_each_attribute_and_a_rule_about_the_value() -> None:
    (forbidden,) = never({"write": ["i=5"]})
    assert isinstance(forbidden, Forbidden)
    assert forbidden.attribute is None
    written = rule({"write": ["i=5"]})[0]
    assert isinstance(written, Nodes)
    assert written.attribute == 13
    assert written.within(forbidden)
