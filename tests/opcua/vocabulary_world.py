"""A small world of nodes, users and channels in which whatever rules can tell apart is told apart, and strategies."""

from __future__ import annotations

import base64
import uuid
from dataclasses import replace
from itertools import product
from typing import Any

from hypothesis import strategies as st

from proxy.protocols.opcua.actions import ACCESS, MODES, POLICIES, TOKENS, Access, Call, OpcUaAction, Session, Write
from proxy.protocols.opcua.node import ALL, UA, Node, NodePattern
from proxy.protocols.opcua.targets import Calls, Forbidden, Nodes, Sessions
from proxy.protocols.opcua.who import Who
from proxy.protocols.opcua.window import Window

A, B = "urn:a", "urn:b;%"
ROOT, OTHER_ROOT = Node(A, "s", "a"), Node(B, "i", "1")
NODES = (
    ROOT,
    OTHER_ROOT,
    Node(A, "s", "b"),
    Node(A, "s", "ab"),
    Node(A, "s", "c"),
    Node(A, "i", "1"),
    Node(B, "s", "a"),
    Node(UA, "i", "1"),
)
KNOWN = (frozenset[Node](), frozenset({ROOT}), frozenset({OTHER_ROOT}), frozenset({ROOT, OTHER_ROOT}))
USERS = (None, "op", "op1", "x1", "anonymous")
PATTERNS = (
    ALL,
    NodePattern(A),
    NodePattern(B),
    NodePattern(*ROOT),
    NodePattern(A, "s", "b"),
    NodePattern(A, "s", "a*"),
    NodePattern(A, "s", "*b"),
    NodePattern(A, "s", "*"),
    NodePattern(A, "i", "1"),
    NodePattern(*ROOT, under=True),
    NodePattern(*OTHER_ROOT, under=True),
)
WHO = tuple(
    Who(users, modes)
    for users, modes in product(
        (None, *map(frozenset, (["anonymous"], ["op"], ["op*"], ["*1"], ["*"], ["anonymous", "*"]))),
        (None, frozenset(["none"]), frozenset(["sign", "sign_and_encrypt"]), frozenset(MODES)),
    )
)
WINDOWS = (None, Window(0, 10), Window(5), Window(high=7), Window(0, 10, step=2), Window(0, 10, 5, 20), Window())
NUMBERS = (None, (), (-1.0,), (3.0,), (6.0,), (11.0,), (3.0, 6.0), (3.0, float("nan")), (float("inf"),))
ACTS: tuple[OpcUaAction, ...] = (
    *(Access(verb, ROOT) for verb in ACCESS),
    *(Access(verb, ROOT, at) for verb, at in product(("read", "subscribe"), (4, 12))),
    *(Write(ROOT, at, (6.0,)) for at in (4, 12, 13, 17)),
)
"""One of each kind, which `placed` puts elsewhere."""


def placed(
    act: OpcUaAction,
    node: Node,
    user: str | None,
    mode: str,
    above: frozenset[Node] = frozenset(),
    maybe: frozenset[Node] = frozenset(),
) -> OpcUaAction:
    """``act`` on another node, by somebody else."""
    if isinstance(act, Access):
        return Access(act.verb, node, act.attribute, user, above, maybe, mode)
    if isinstance(act, Write):
        return Write(node, act.attribute, act.numbers, act.part, act.status, user, above, maybe, mode)
    return act


ANYWHERE = tuple(product(NODES, KNOWN, KNOWN[:2]))
ANYONE = tuple(product(USERS, MODES))
patterns, whos = st.sampled_from(PATTERNS), st.sampled_from(WHO)
attributes = st.sampled_from([None, 4, 12, 13])
FIELDS: dict[str, st.SearchStrategy[Any]] = {"pattern": patterns, "who": whos}
rule_nodes = st.one_of(
    st.builds(Nodes, st.sampled_from(ACCESS), patterns, st.none(), whos),
    st.builds(Nodes, st.sampled_from(["read", "subscribe"]), patterns, attributes, whos),
    st.builds(
        Nodes, st.just("write"), patterns, st.sampled_from([13, 17]), whos, st.sampled_from(WINDOWS), st.booleans()
    ),
)
forbidden = st.one_of(
    st.builds(Forbidden, st.sampled_from((*ACCESS, "write")), patterns, st.none(), whos),
    st.builds(Forbidden, st.sampled_from(["read", "subscribe", "write"]), patterns, attributes, whos),
)


@st.composite
def akin(draw: st.DrawFn) -> tuple[Nodes | Forbidden, Nodes | Forbidden]:
    """Two targets that differ in little: of two drawn alone one is hardly ever within the other."""
    one = draw(rule_nodes | forbidden)
    like = Forbidden(one.verb, one.pattern, one.attribute, one.who) if draw(st.booleans()) else one
    other = replace(like, **{name: draw(FIELDS[name]) for name in draw(st.sets(st.sampled_from(["pattern", "who"])))})
    if isinstance(other, Nodes) and other.verb == "write":
        other = replace(other, window=draw(st.sampled_from(WINDOWS)), status=draw(st.booleans()))
    return one, other


arguments = st.one_of(st.none(), st.lists(st.sampled_from(WINDOWS[:4]), max_size=2).map(tuple))
methods = patterns.filter(lambda one: not one.under)
pairs = st.one_of(st.tuples(rule_nodes, rule_nodes | forbidden), st.tuples(forbidden, forbidden), akin())
calls = st.builds(Calls, patterns, methods, arguments, whos)
forbidden_calls = st.builds(Calls, patterns, methods, st.none(), whos, st.just(True))
sessions = st.builds(Sessions, whos)

AWKWARD = ["a b", '"DB"."X"', "x[part]", "a;", "a,", "?", "*"]
uris = st.text(min_size=1, max_size=20) | st.sampled_from([UA, A, B, "urn:x;y%3B"])
nodes = st.one_of(
    st.builds(Node, uris, st.just("i"), st.integers(0, 0xFFFFFFFF).map(str)),
    st.builds(Node, uris, st.just("s"), st.text(max_size=20) | st.sampled_from(AWKWARD)),
    st.builds(Node, uris, st.just("g"), st.binary(min_size=16, max_size=16).map(lambda raw: str(uuid.UUID(bytes=raw)))),
    st.builds(Node, uris, st.just("b"), st.binary(max_size=12).map(lambda raw: base64.b64encode(raw).decode())),
)  # fmt: skip
names = st.none() | st.text(max_size=12) | st.sampled_from(["as", "with", "sign", "below", "a,", "b;", "anonymous"])
around = {
    "user": names,
    "above": st.frozensets(nodes, max_size=2),
    "perhaps": st.frozensets(nodes, max_size=2),
    "mode": st.sampled_from(MODES),
}
floats = st.floats(allow_nan=False) | st.sampled_from([0.0, 80.0, -1.5, 2.0**53])
acts = st.one_of(
    st.builds(Access, st.sampled_from(ACCESS), nodes, st.integers(0, 30) | st.integers(0, 0xFFFFFFFF), **around),
    st.builds(
        Write,
        nodes,
        st.integers(1, 27),
        st.none() | st.lists(floats, max_size=4).map(tuple),
        st.booleans(),
        st.booleans(),
        **around,
    ),
    st.builds(Call, nodes, nodes, st.lists(st.none() | floats, max_size=4).map(tuple), **around),
    st.builds(Session, st.sampled_from(POLICIES), st.sampled_from(MODES), st.sampled_from(TOKENS), names),
)
