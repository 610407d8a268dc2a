"""Filters against brute force: every topic over a small alphabet, matched level by level as section 4.7 says."""

from __future__ import annotations

from functools import cache
from itertools import product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.core.names import Names
from proxy.protocols.mqtt.filters import Filter, contains, overlaps

pytestmark = pytest.mark.timeout(60)

NAMED = ("a", "b", "$s", "")
UNNAMED = ("c", "$t")
"""In topics alone: a filter that does not name a level must not be told from one that names all there are."""
DEEPEST = 3
TOPICS = [
    topic
    for depth in range(1, DEEPEST + 2)
    for topic in map("/".join, product((*NAMED, *UNNAMED), repeat=depth))
    if topic  # the empty text is no topic [MQTT-4.7.3-1]
]
SPLIT = [topic.split("/") for topic in TOPICS]
FILTERS = [
    text
    for depth in range(DEEPEST)
    for front in product((*NAMED, "+"), repeat=depth)
    for last in (*NAMED, "+", "#")
    if (text := "/".join((*front, last)))
]
filters = st.sampled_from(FILTERS)


def matches(levels: list[str], topic: list[str]) -> bool:
    """The oracle for one pair, without any shortcut."""
    if levels[0] in ("+", "#") and topic[0].startswith("$"):
        return False
    for at, level in enumerate(levels):
        if level == "#":
            return True
        if at == len(topic) or level not in ("+", topic[at]):
            return levels[at:] == ["#"]
    return len(levels) == len(topic)


@cache
def matched(text: str) -> int:
    """The topics that a filter matches, one bit each."""
    levels = text.split("/")
    return sum(1 << at for at, topic in enumerate(SPLIT) if matches(levels, topic))


@pytest.mark.parametrize(
    ("text", "topic", "fits"),
    [
        ("a/#", "a", True),
        ("a/#", "a/", True),
        ("a/+", "a", False),
        ("a/+", "a/", True),
        ("+", "/a", False),
        ("+/+", "/a", True),
        ("/+", "/a", True),
        ("#", "$SYS/x", False),
        ("+/x", "$SYS/x", False),
        ("$SYS/#", "$SYS", True),
        ("$SYS/+", "$SYS/x", True),
        ("a/+", "a/$x", True),
        ("A", "a", False),
        ("caf\u00e9", "cafe\u0301", False),
    ],
)
def test_the_oracle_and_the_filter_say_what_section_4_7_says(text: str, topic: str, fits: bool) -> None:
    assert matches(text.split("/"), topic.split("/")) is fits
    assert Filter(text).matches(topic) is fits


@pytest.mark.parametrize("text", FILTERS)
def test_topics_containment_and_overlap_of_every_pair(text: str) -> None:
    one, own = Filter(text), matched(text)
    assert sum(1 << at for at, topic in enumerate(TOPICS) if one.matches(topic)) == own
    for asked in FILTERS:
        other, theirs = Filter(asked), matched(asked)
        inside, meet = not theirs & ~own, bool(theirs & own)
        assert contains(one, other) is inside, (text, asked)
        assert one.holds(asked) is inside, (text, asked)
        assert overlaps(one, other) is meet, (text, asked)
        assert overlaps(one, asked) is meet, (text, asked)


deep_levels = st.lists(st.sampled_from((*NAMED, *UNNAMED, "+")), min_size=1, max_size=9)
deep_filters = (
    st.tuples(deep_levels, st.booleans()).map(lambda parts: "/".join((*parts[0], *["#"] * parts[1]))).filter(bool)
)


@given(deep_filters, deep_filters, deep_levels)
def test_deep_filters(outer: str, inner: str, levels: list[str]) -> None:
    """Too many topics to try them all: no topic may prove the answer wrong."""
    topic = ["c" if level == "+" else level for level in levels]
    text = "/".join(topic)
    if not text:
        return
    in_outer, in_inner = matches(outer.split("/"), topic), matches(inner.split("/"), topic)
    assert Filter(outer).matches(text) is in_outer
    assert in_outer or not (in_inner and Filter(outer).holds(inner))
    assert overlaps(Filter(outer), inner) or not (in_outer and in_inner)


levels_with_names = st.sampled_from((*NAMED, "+", "{device}", "x{device}", "{place}"))
open_filters = (
    st.tuples(st.lists(levels_with_names, max_size=3), st.one_of(levels_with_names, st.just("#")))
    .map(lambda parts: "/".join((*parts[0], parts[1])))
    .filter(bool)
)
speakers = st.builds(Names, st.sampled_from(("a", "b", "c")), st.sampled_from(("a", "b/c", "c/a")))


@given(open_filters, open_filters, speakers)
@settings(max_examples=500)
@example("+/#", "{place}/a", Names("a", "b/c"))
@example("+", "{place}", Names("a", "b/c"))
@example("{place}/+", "{place}/{device}", Names("a", "b/c"))
def test_containment_said_of_placeholders_holds_for_every_speaker(outer: str, inner: str, names: Names) -> None:
    if contains(Filter(outer), Filter(inner)):
        one, other = Filter(outer).bound(names), Filter(inner).bound(names)
        assert one is not None and other is not None
        assert contains(one, other)


@given(open_filters, speakers)
def test_the_widened_filter_holds_what_a_name_can_make_of_it(text: str, names: Names) -> None:
    wide, one = Filter(text).widened(), Filter(text).bound(names)
    assert one is not None
    assert contains(wide, one)
    assert not wide.unbound


@given(open_filters)
def test_a_filter_without_its_names_matches_nothing(text: str) -> None:
    one = Filter(text)
    if one.unbound:
        assert one.bound(Names()) is None
        assert not any(map(one.matches, TOPICS))
        assert not one.holds(text)
