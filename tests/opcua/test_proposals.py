"""What `explain` and `policy learn` propose, and what no rule can allow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.names import NOBODY
from proxy.core.reason import Reason
from proxy.protocols.opcua import PROTOCOL
from proxy.protocols.opcua.actions import Access, Call, OpcUaAction, Session, Write
from proxy.protocols.opcua.learn import learn
from proxy.protocols.opcua.node import UA, Node
from proxy.protocols.opcua.outright import outright
from proxy.protocols.opcua.rules import parse_rule
from proxy.protocols.opcua.sections import sections
from proxy.protocols.opcua.texts import parse_actions

if TYPE_CHECKING:
    from proxy.protocols.opcua.targets import OpcUaTarget

A = "nsu=urn:r;s=A"


def parsed(section: object) -> tuple[OpcUaTarget, ...]:
    def report(path: object, wrong: str, mend: str = "") -> None:
        raise AssertionError(f"{path}: {wrong}")

    return parse_rule(section, report)


def proposed(text: str) -> list[tuple[dict[str, Any], bool]]:
    return [(dict(one.section), one.acts) for one in learn(parse_actions(text))]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (f"read {A}", [{"read": [A]}]),
        (f"read {A} as op", [{"read": [A], "users": ["op"]}, {"read": [A]}]),
        (f"read {A} as anonymous", [{"read": [A], "users": ["anonymous*"]}, {"read": [A]}]),
        (f"browse {A} with sign", [{"browse": [A], "security": ["sign", "sign_and_encrypt"]}, {"browse": [A]}]),
        (f"read {A} @ DisplayName", [{"read": [f"{A} @ DisplayName"]}]),
        (f"write {A} = 80", [{"write": {A: {"min": 80, "max": 80}}}]),
        (f"write {A} = [1.5, 3]", [{"write": {A: {"min": 1.5, "max": 3}}}]),
        (f"write {A} = ?", [{"write": {A: {}}}]),
        (f"write {A} = 9007199254740993", [{"write": {A: {}}}]),
        (f"write {A}[part] = 1 with status", [{"write": {A: {"status": "any"}}}]),
        (f"write {A} = 1 with status", [{"write": {A: {"min": 1, "max": 1, "status": "any"}}}]),
        (f"write {A} @ AccessLevel = 3", [{"write": {f"{A} @ AccessLevel": {}}}]),
        (f"call {A} -> {A} (1, ?)", [{"call": {f"{A} -> {A}": {"args": [{"min": 1, "max": 1}, "any"]}}}]),
        (f"call {A} -> {A}", [{"call": {f"{A} -> {A}": {"args": []}}}]),
        (f"history-write {A}; manage-nodes i=85", [{"history_write": [A], "manage_nodes": ["i=85"]}]),
        ("session as op with Basic256Sha256 sign_and_encrypt",
         [{"read": ["i=2259"], "users": ["op"], "security": ["sign_and_encrypt"]}, {"read": ["i=2259"]}]),
        ('read "nsu=urn:r;s=a @ b"', [{"read": ["nsu=urn:r;s=a @ b @ Value"]}]),
    ],
)  # fmt: skip
def test_what_would_allow_it_narrowest_first(text: str, wanted: list[dict[str, Any]]) -> None:
    asked = parse_actions(text)
    assert list(sections(asked)) == wanted
    for section in wanted:
        targets = parsed(section)
        assert all(any(one.admits(action) for one in targets) for action in asked), section


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (f"read {A}; browse {A}; read {A} @ DisplayName; read i=2258 @ DataType with sign",
         [({"browse": [A], "read": [A, "i=2258 @ DataType"], "users": ["anonymous"]}, False)]),
        ("read i=10; read i=9", [({"read": ["i=9", "i=10"], "users": ["anonymous"]}, False)]),
        (f"read {A} with sign; read {A} with sign_and_encrypt",
         [({"read": [A], "security": ["sign", "sign_and_encrypt"], "users": ["anonymous"]}, False)]),
        (f"read {A} as b; read {A} as a; read {A}", [({"read": [A], "users": ["anonymous", "a", "b"]}, False)]),
        (f"write {A} = 5; write {A} = -1; read {A}", [
            ({"read": [A], "users": ["anonymous"]}, False),
            ({"write": {A: {"min": -1, "max": 5}}, "users": ["anonymous"]}, True),
        ]),
        (f"call {A} -> {A} (1, 7); call {A} -> {A} (3, ?)",
         [({"call": {f"{A} -> {A}": {"args": [{"min": 1, "max": 3}, "any"]}}, "users": ["anonymous"]}, True)]),
        (f"call {A} -> {A} (1); call {A} -> {A}", [({"call": {f"{A} -> {A}": {}}, "users": ["anonymous"]}, True)]),
        ("session as op with Basic256Sha256 sign",
         [({"read": ["i=2259"], "security": ["sign"], "users": ["op"]}, False)]),
        ("; ".join(f"read nsu=urn:r;s=Line1.{n}" for n in range(8)),
         [({"read": ["nsu=urn:r;s=Line1.*"], "users": ["anonymous"]}, False)]),
        ("; ".join(f"history-write nsu=urn:r;s=Line1.{n}" for n in range(9)),
         [({"history_write": [f"nsu=urn:r;s=Line1.{n}" for n in range(9)], "users": ["anonymous"]}, True)]),
    ],
)  # fmt: skip
def test_what_is_learnt(text: str, wanted: list[tuple[dict[str, Any], bool]]) -> None:
    assert proposed(text) == wanted


def test_a_wildcard_is_told() -> None:
    (one,) = learn(parse_actions("; ".join(f"subscribe nsu=urn:r;s=L.{n} with sign" for n in range(9))))
    assert one.notes[0] == "subscribe nsu=urn:r;s=L.* stands for 9 nodes seen and allows any other like them"


def test_what_references_lead_to_is_not_learnt_and_that_is_told() -> None:
    (one,) = learn(parse_actions(f"browse {A} with sign"))
    assert one.notes == (
        "browse of a node shows what it leads to only where that may be browsed too: under NODE, or all",
    )
    (one,) = learn(parse_actions(f"history-read {A} with sign"))
    assert not one.notes


def test_what_no_rule_can_say_is_told() -> None:
    hidden = Node("urn:r", "s", "a\u200bb")
    (one,) = learn([Access("read", hidden)])
    assert one.section == {}
    assert one.notes == (r'read "nsu=urn:r;s=a\u200bb" is left out: no line of a rule can name it',)
    (one,) = learn([Access("read", Node("urn:r", "s", "a"), user="{x}")])
    assert (one.section, one.notes[-1]) == ({}, "user {x} is left out: no rule can name it")


nodes = st.builds(
    Node, st.sampled_from(["urn:r", "urn:a;b%"]), st.just("s"),
    st.sampled_from(["A", "L.1", "L.2", "a b", "a @ b", "x -> y", "s*r", "\x00", "under x", " lead", "trail "]),
) | st.builds(Node, st.just(UA), st.just("i"), st.sampled_from(["85", "2258"]))  # fmt: skip
who = {"user": st.sampled_from([None, "op", "anonymous"]), "mode": st.sampled_from(["none", "sign"])}
numbers = st.sampled_from([0.0, 1.0, -2.5, float("nan"), 1e301, 2**53 + 1, -(2**63), 1e18])
actions: st.SearchStrategy[OpcUaAction] = st.one_of(
    st.builds(Access, st.sampled_from(["browse", "read", "subscribe"]), nodes, st.sampled_from([13, 13, 4]), **who),
    st.builds(Access, st.sampled_from(["history-read", "history-write", "manage-nodes"]), nodes, st.just(13), **who),
    st.builds(Write, nodes, st.sampled_from([13, 4]), st.none() | st.lists(numbers, max_size=2).map(tuple),
              st.booleans(), st.booleans(), **who),
    st.builds(Call, nodes, nodes, st.lists(st.none() | numbers, max_size=2).map(tuple), **who),
    st.builds(Session, st.just("Basic256Sha256"), st.just("sign"), st.just("username"), st.just("op")),
)  # fmt: skip


@given(st.lists(actions, min_size=1, max_size=6))
@settings(max_examples=120)
def test_all_that_is_learnt_parses_and_allows_what_was_asked_or_says_so(asked: list[OpcUaAction]) -> None:
    proposals = list(learn(asked))
    assert proposals == list(learn(asked[::-1]))
    targets = [target for one in proposals if one.section for target in parsed(one.section)]
    looking = [target for one in proposals if one.section and not one.acts for target in parsed(one.section)]
    assert not any(target.changes for target in looking)
    left_out = sum("left out" in note for one in proposals for note in one.notes)
    missing = [action for action in asked if not any(target.admits(action) for target in targets)]
    assert not missing or left_out, missing
    assert all(note.isprintable() for one in proposals for note in one.notes)


@pytest.mark.parametrize(
    ("session", "said"),
    [
        (Session("Basic256Sha256", "sign", "x509", "op"), "cannot be passed on"),
        (Session("Basic256Sha256", "sign", "username", None), "has a user"),
        (Session("Basic256Sha256", "sign", "anonymous", "op"), "has no user"),
        (Session("Basic256Sha256", "sign", "username", "a\n"), "visible characters"),
        (Session("Basic256Sha256", "sign", "username", ""), "visible characters"),
        (Session("Basic256Sha256", "none"), "no channel with policy"),
        (Session("None", "sign"), "no channel with policy"),
    ],
)
def test_sessions_that_no_rule_can_allow(session: Session, said: str) -> None:
    refused = outright((Access("read", Node(UA, "i", "85")), session))
    assert refused is not None
    assert (refused[0], said in refused[1]) == (Reason.CHANNEL_REFUSED, True), refused


def test_what_is_for_the_rules_to_say() -> None:
    asked = parse_actions(f"session; session as op with Basic256Sha256 sign; write {A} = ?")
    assert outright(asked) is None


def test_the_spec_says_what_the_protocol_is() -> None:
    spec = PROTOCOL
    terminate, relay, service = (
        spec.parse_listener(None, report_nothing),
        spec.parse_listener({"mode": "relay", "unsafe_none": True}, report_nothing),
        spec.parse_service({"login": "plc.login"}, report_nothing),
    )
    assert spec.introduces(terminate) and not spec.introduces(relay)
    assert "opcua.key" in spec.secrets(terminate)
    assert (spec.secrets(relay), spec.secrets(service)) == ((), ("plc.login",))
    assert not spec.shareable and not spec.answers_strangers(secured=False)
    assert spec.memory(service) is not spec.memory(service)
    assert spec.parse_point(A).name == A
    assert list(spec.learn([], NOBODY)) == []
    with pytest.raises(TypeError):
        spec.secrets(object())


def report_nothing(path: object, wrong: str, mend: str = "") -> None:
    raise AssertionError(wrong)
