"""Questions and what records say: texts that come back as what was asked, and never long or unprintable."""

from __future__ import annotations

import math
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.process import Point
from proxy.protocols.opcua.actions import Access, Call, OpcUaAction, Session, Write
from proxy.protocols.opcua.node import Node, parse_node
from proxy.protocols.opcua.texts import parse_actions, parse_point, text_of
from tests.opcua.vocabulary_world import acts, nodes

pytestmark = pytest.mark.grows("properties")

SPEED = Node("urn:r", "s", "Speed")
SERVER = parse_node("i=2253")
hostile = st.text(st.characters(), max_size=300) | st.sampled_from(
    ["\x1b[31m" * 50, "\ud800" * 200, '"' * 300, "\\" * 99]
)
hostile_nodes = st.builds(Node, hostile, st.just("s"), hostile)
numbers = st.none() | st.lists(st.floats(), max_size=60).map(tuple)
hostile_acts = st.one_of(
    st.builds(Access, st.just("manage-nodes"), hostile_nodes, st.integers(0, 0xFFFFFFFF), st.none() | hostile),
    st.builds(
        Write, hostile_nodes, st.integers(0, 0xFFFFFFFF), numbers, st.booleans(), st.booleans(), st.none() | hostile
    ),
    st.builds(
        Call,
        hostile_nodes,
        hostile_nodes,
        st.lists(st.none() | st.floats(), max_size=60).map(tuple),
        st.none() | hostile,
    ),
    st.builds(Session, st.just("None"), st.just("none"), st.just("x509"), st.none() | hostile),
)


@given(st.lists(acts, min_size=1, max_size=3))
def test_what_was_asked_comes_back(asked: list[OpcUaAction]) -> None:
    line = text_of(asked)
    assert parse_actions(line) == tuple(asked)
    assert line.isascii()
    assert line.isprintable()


def test_what_is_no_number_comes_back() -> None:
    (act,) = parse_actions("write i=5 = [nan, inf, -inf]")
    assert isinstance(act, Write)
    assert act.numbers is not None
    assert math.isnan(act.numbers[0])
    assert text_of([act]) == "write i=5 = [nan, inf, -inf]"
    assert act.size == 0


@settings(max_examples=200)
@given(hostile_acts)
def test_records_say_it_short_and_printable(act: OpcUaAction) -> None:
    told = act.describe()
    assert len(told) <= 120
    assert told.isascii()
    assert told.isprintable()
    assert told.startswith(act.verb)
    assert {act: act.shape}[act] == act.shape
    assert hash(act.shape) is not None
    assert math.isfinite(act.size)


@given(acts)
def test_equal_acts_have_equal_shapes(act: OpcUaAction) -> None:
    again = pickle.loads(pickle.dumps(act))
    assert (again, hash(again), again.shape, again.extent) == (act, hash(act), act.shape, act.extent)


@given(nodes)
def test_points_come_back(node: Node) -> None:
    assert parse_point(node.text) == Point("opcua", node.text)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("read nsu=urn:r;s=Speed", Access("read", SPEED)),
        ("read i=2253 @ DisplayName as operator", Access("read", SERVER, 4, "operator")),
        ("read i=2253 @ 99", Access("read", SERVER, 99)),
        ("write nsu=urn:r;s=Speed = 80", Write(SPEED, numbers=(80.0,))),
        ("write nsu=urn:r;s=Speed = true", Write(SPEED, numbers=(1.0,))),
        ("write nsu=urn:r;s=Speed = [1, -2.5]", Write(SPEED, numbers=(1.0, -2.5))),
        ("write nsu=urn:r;s=Speed = []", Write(SPEED, numbers=())),
        ("write nsu=urn:r;s=Speed = ?", Write(SPEED)),
        ("write nsu=urn:r;s=Speed[part] = 3", Write(SPEED, numbers=(3.0,), part=True)),
        ('write "nsu=urn:r;s=Speed"[part] = 3 with status', Write(SPEED, numbers=(3.0,), part=True, status=True)),
        ("call i=2253 -> nsu=urn:r;s=Speed (1, ?, 3.5)", Call(SERVER, SPEED, (1.0, None, 3.5))),
        ("call i=2253 -> nsu=urn:r;s=Speed", Call(SERVER, SPEED)),
        ("call i=2253 -> nsu=urn:r;s=Speed ()", Call(SERVER, SPEED)),
        ("subscribe i=2253 below nsu=urn:r;s=Speed", Access("subscribe", SERVER, above=frozenset({SPEED}))),
        ("browse i=2253 perhaps below nsu=urn:r;s=Speed", Access("browse", SERVER, perhaps=frozenset({SPEED}))),
        ("read i=2253 with sign as as", Access("read", SERVER, user="as", mode="sign")),
        ("session", Session()),
        ("session as op with Basic256Sha256 sign", Session("Basic256Sha256", "sign", "username", "op")),
        ("session as op by x509", Session("None", "none", "x509", "op")),
        (r'read nsu=urn:r;s="DB"."X"', Access("read", Node("urn:r", "s", '"DB"."X"'))),
        (r'read "nsu=urn:r;s=a \u00e9"', Access("read", Node("urn:r", "s", "a é"))),
    ],
)
def test_a_question(text: str, asked: OpcUaAction) -> None:
    assert parse_actions(text) == (asked,)
    assert parse_actions(f"{text}; read i=1") == (asked, Access("read", parse_node("i=1")))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the end where a verb is wanted"),
        ("red i=5", "did you mean 'read'?"),
        ("read", "the end where a node is wanted"),
        ("read Speed", "is no node"),
        ("read ns=2;s=Speed", "has a namespace index"),
        ("read i=5 @ DisplayNam", "did you mean 'DisplayName'?"),
        ("write i=5", "a write needs its value"),
        ("write i=5 = fast", "a number is wanted"),
        ("write i=5 = [1 2]", "commas"),
        ("call i=5", "OBJECT -> METHOD"),
        ("call i=5 -> i=6 (1", "numbers have commas between them and ) behind"),
        ("session as", "a user is wanted"),
        ("session with Basic256 sign", "no security policy"),
        ("session with None sing", "no security mode"),
        ("session by card", "no kind of token"),
        ("read i=5 with status", "no security mode"),
        ("read i=5 as a as b", "said twice"),
        ("read i=5 quickly", "several acts have '; ' between them"),
        ("read i=5;", "the end where a verb is wanted"),
        ("read i=5 perhaps i=6", "perhaps stands before below"),
        ('read "i=5', "a node is wanted"),
        (r'read "i=\x5"', "not escaped as JSON has it"),
    ],
)
def test_what_is_no_question_is_told(text: str, said: str) -> None:
    with pytest.raises(ValueError, match="; |: ") as wrong:
        parse_actions(text)
    assert said in str(wrong.value)


@given(st.text(st.sampled_from('rwead cl i=5nsu:;"\\[]()?,->@=.x1'), max_size=40))
def test_nothing_but_value_errors(text: str) -> None:
    for parse in (parse_actions, parse_point):
        try:
            parse(text)
        except ValueError as wrong:
            assert str(wrong)


def test_a_point_is_one_node() -> None:
    assert parse_point('"nsu=urn:r;s=Speed"') == Point("opcua", "nsu=urn:r;s=Speed")
    with pytest.raises(ValueError, match="stands behind the point"):
        parse_point('"nsu=urn:r;s=Speed" i=5')


def test_a_number_alone_is_how_much() -> None:
    """`Action.shape` leaves out what `size` tells."""
    low, high = Write(SPEED, numbers=(1.0,)), Write(SPEED, numbers=(9.0,))
    assert (low.shape, low.size, high.size) == (high.shape, 1.0, 9.0)
    assert low.shape != Write(SPEED).shape != Write(SPEED, numbers=(1.0, 2.0)).shape
    assert Call(SERVER, SPEED, (1.0,)).shape == Call(SERVER, SPEED, (2.0,)).shape
    assert Call(SERVER, SPEED, (1.0, 2.0)).shape != Call(SERVER, SPEED, (1.0, 3.0)).shape
    assert Call(SERVER, SPEED, (2.0,)).size == 2.0


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (Access("read", SERVER, 4, "operator"), "read i=2253 @ DisplayName as operator"),
        (Write(SPEED, numbers=(1.0, 2.5), part=True), "write nsu=urn:r;s=Speed[part] = [1, 2.5]"),
        (Call(SERVER, SPEED, (1.0, None)), "call i=2253 -> nsu=urn:r;s=Speed (1, ?)"),
        (Session("Basic256Sha256", "sign", "username", "op"), "session as op with Basic256Sha256 sign"),
        (
            Write(Node("http://vendor.example/plc", "s", "Line1." * 20 + "Speed"), numbers=(80.0,)),
            f"write nsu=http://vendor.example/plc;s=Line...ine1.{'Line1.' * 10}Speed = 80",
        ),
    ],
)
def test_records_say(act: OpcUaAction, told: str) -> None:
    assert act.describe() == told


def test_whole_numbers_of_64_bits_keep_their_digits() -> None:
    """No float holds them, and a window is about the number itself."""
    act = Write(SPEED, numbers=(2**63 - 1, 1 - 2**63, 2**53 + 1))
    assert text_of([act]) == "write nsu=urn:r;s=Speed = [9223372036854775807, -9223372036854775807, 9007199254740993]"
    assert parse_actions(text_of([act])) == (act,)
    assert act.describe().endswith("= [9223372036854775807, -92233...]")


def test_what_is_no_number_has_another_shape() -> None:
    assert Write(SPEED, numbers=(math.nan,)).shape != Write(SPEED, numbers=(1.0,)).shape
