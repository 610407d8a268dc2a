"""Nodes, patterns of them and globs, held against brute force in worlds that are small enough."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.globs import glob, glob_within, globs_meet
from proxy.protocols.opcua.node import ALL, UA, Node, NodePattern, key_of, node_of, parse_node
from proxy.protocols.opcua.patterns import parse_pattern
from tests.opcua.vocabulary_world import KNOWN, NODES, PATTERNS, ROOT, A, B, nodes

pytestmark = pytest.mark.grows("properties")

WORDS = ["".join(letters) for length in range(7) for letters in product("ab", repeat=length)]
THREE = ["".join(letters) for length in range(4) for letters in product("abc", repeat=length)]
GLOBS = ["".join(letters) for length in range(4) for letters in product("ab*", repeat=length)]
LAID = list(product(NODES, KNOWN))


def naive(pattern: str, text: str) -> bool:
    """What ``*`` means, by its definition."""
    if not pattern.startswith("*"):
        return pattern == text == "" or (bool(text) and pattern[:1] == text[:1] and naive(pattern[1:], text[1:]))
    return any(naive(pattern[1:], text[at:]) for at in range(len(text) + 1))


def test_globs_by_brute_force() -> None:
    fits = {one: frozenset(word for word in WORDS if glob(one, word)) for one in GLOBS}
    wide = {one: frozenset(word for word in THREE if glob(one, word)) for one in GLOBS}
    for one in GLOBS:
        assert wide[one] == frozenset(word for word in THREE if naive(one, word)), one
    for one, other in product(GLOBS, GLOBS):
        assert globs_meet(one, other) == bool(fits[one] & fits[other]), (one, other)
        assert glob_within(one, other) == (wide[one] <= wide[other]), (one, other)


def test_a_star_of_a_name_is_a_character() -> None:
    assert glob("a*", "a*b")
    assert not glob("ab", "a*")
    assert not NodePattern(A, "s", "ab").matches(Node(A, "s", "a*"))


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda one: one.text)
@pytest.mark.parametrize("other", PATTERNS, ids=lambda one: one.text)
def test_patterns_by_brute_force(pattern: NodePattern, other: NodePattern) -> None:
    within = all(other.matches(*laid) for laid in LAID if pattern.matches(*laid))
    assert pattern.within(other) == within
    # What lies below a node nobody knows: only what is sure counts.
    assert pattern.meets(other) == any(pattern.matches(node) and other.matches(node) for node in NODES)


def test_below_is_what_is_known_to_lie_below() -> None:
    pattern = parse_pattern("under nsu=urn:a;s=a")
    assert pattern.matches(ROOT)
    assert pattern.matches(Node(B, "i", "9"), {ROOT})
    assert not pattern.matches(Node(A, "s", "a.b"))


@given(nodes)
def test_a_node_comes_back_from_its_text(node: Node) -> None:
    assert parse_node(node.text) == node


@given(nodes)
def test_a_node_comes_back_from_its_key(node: Node) -> None:
    namespaces = [UA, "urn:own", node.uri]
    key = key_of(node, namespaces)
    assert key is not None
    assert node_of(key, namespaces) == node
    assert key[0] == (0 if node.uri == UA else 2)
    assert key_of(node, [UA]) == (key if node.uri == UA else None)


@pytest.mark.parametrize("key", [(1, "i", 5), (7, "s", "x"), (2, "i", 5)])
def test_an_index_without_uri_is_no_node(key: tuple[int, str, int | str]) -> None:
    assert node_of(key, (UA,)) is None
    assert node_of(key, (UA, "", "")) is None
    assert node_of((0, "i", 2258), ()) == Node(UA, "i", "2258")


def test_a_guid_has_the_order_of_the_wire() -> None:
    """OPC 10000-6, 5.2.2.6 gives this GUID and its bytes."""
    wire = bytes.fromhex("91 2B 96 72 75 FA E6 4A 8D 28 B4 04 DC 7D AF 63")
    assert node_of((0, "g", wire), ()) == Node(UA, "g", "72962b91-fa75-4ae6-8d28-b404dc7daf63")


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("i=2258", "i=2258"),
        ("nsu=http://opcfoundation.org/UA/;i=2258", "i=2258"),
        ("nsu=urn:a;s=ns=2;s=x", "nsu=urn:a;s=ns=2;s=x"),
        ("nsu=urn:a%3bb%25;s= x ", "nsu=urn:a%3Bb%25;s= x "),
        ("nsu=urn:a;g=72962B91-FA75-4AE6-8D28-B404DC7DAF63", "nsu=urn:a;g=72962b91-fa75-4ae6-8d28-b404dc7daf63"),
        ("nsu=urn:a;b=AA==", "nsu=urn:a;b=AA=="),
    ],
)
def test_canonical(text: str, canonical: str) -> None:
    assert parse_node(text).text == canonical


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ns=2;s=X", "write the namespace's URI: nsu=URI;s=X"),
        ("ns=0;i=5", "leave the index out: i=5"),
        ("s=X", "write nsu=URI;s=X"),
        ("i=007", "in decimal"),
        ("i=4294967296", "0..4294967295"),
        ("i=", "no number"),
        ("nsu=;i=5", "1 to 4096 characters"),
        ("nsu=a%20b;i=5", "neither %25 nor %3B"),
        ("nsu=a;g=5", "no GUID"),
        ("nsu=a;b=é", "no base64"),
        ("nsu=a;b=A", "no base64"),
        ("Speed", "is no node"),
        ("", "is no node"),
        (" i=5", "is no node"),
        ("nsu=a", "is no node"),
        ("ns=2;s=" + "\x1b" * 500, "..."),
    ],
)
def test_what_is_no_node_is_told(text: str, said: str) -> None:
    with pytest.raises(ValueError, match="; ") as wrong:
        parse_node(text)
    assert said in str(wrong.value)
    assert len(str(wrong.value)) < 250
    assert str(wrong.value).isprintable()


BESIDE = st.sampled_from(["", "a", "é", "\x00", "\U0010ffff", "Line1.", "x" * 95, "x" * 96, "x" * 97])
long_names = st.lists(BESIDE, max_size=3).map("".join)


@given(
    st.lists(long_names, min_size=1, max_size=3).map("*".join), st.lists(long_names, max_size=2), st.sampled_from("isb")
)
def test_an_index_skips_nothing_that_fits(pattern: str, filling: list[str], kind: str) -> None:
    """`core.action.Action.extent`: what a pattern matches lies inside its extent."""
    parts = pattern.split("*")
    stars = [*filling, *parts][: len(parts) - 1]
    text = "".join(part + star for part, star in zip(parts, [*stars, ""], strict=False))
    one = NodePattern(A, kind, "7" if kind == "i" else pattern if kind == "s" else text)
    node = Node(A, kind, "7" if kind == "i" else text)
    assert one.matches(node)
    assert one.extent is not None
    (space, first, last), (where, at, end) = one.extent, node.extent
    assert space == where
    assert first <= at == end <= last


def test_what_may_lie_anywhere_has_no_extent() -> None:
    assert [pattern.extent for pattern in (ALL, NodePattern(A), NodePattern(*ROOT, under=True))] == [None, None, None]
    assert NodePattern(A, "s", "a*").extent != NodePattern(A, "s", "b*").extent
    assert Node(A, "i", "5").extent != Node(A, "i", "6").extent
