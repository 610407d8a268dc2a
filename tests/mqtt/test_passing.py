"""What a broker passes on, held against every topic of a small alphabet."""

from __future__ import annotations

from itertools import product

import pytest

from proxy.protocols.mqtt.filters import Filter
from proxy.protocols.mqtt.passing import meet, passages
from proxy.protocols.mqtt.service import MqttService
from proxy.protocols.mqtt.targets import Filters, Topics

LEVELS = ("a", "b", "$s", "")
TOPICS = [text for n in (1, 2, 3, 4) for levels in product(LEVELS, repeat=n) if (text := "/".join(levels))]
FILTERS = [
    "/".join(levels)
    for n in (1, 2, 3)
    for levels in product(("a", "b", "+", "#", "$s", ""), repeat=n)
    if "#" not in levels[:-1] and levels != ("",)
]
BROKER = MqttService(commands=("cmd/#", "+/go"))


def test_the_filter_of_two_matches_what_both_match() -> None:
    """All pairs of filters of up to three levels: a topic fits the meet exactly if it fits both."""
    matched = {text: {at for at, topic in enumerate(TOPICS) if Filter(text).matches(topic)} for text in FILTERS}
    for one, other in product(FILTERS, repeat=2):
        both = meet(Filter(one), Filter(other))
        expected = matched[one] & matched[other]
        got = set() if both is None else matched.get(both.text) or _matched(both)
        assert got == expected, (one, other, both)


def _matched(one: Filter) -> set[int]:
    return {at for at, topic in enumerate(TOPICS) if one.matches(topic)}


def told(said: Topics | None, heard: Topics | None) -> list[str]:
    found = passages(said, heard, BROKER)
    assert all(one.said.filter == one.heard.filter for one in found)
    return [f"{one.said.describe()}{' !' if one.changes else ''}" for one in found]


@pytest.mark.parametrize(
    ("said", "heard", "expected"),
    [
        (("publish", "a/#"), "a/+", ["publish a/+"]),
        (("publish", "a/b"), "b/#", []),
        (("publish", "cmd/x"), "#", []),
        (("publish", "#"), "cmd/x", []),
        (("publish", "#"), "a/go", []),
        (("command", "#"), "cmd/x", ["command cmd/x !"]),
        (("command", "#"), "a/#", ["command a/go !"]),
        (("command", "a/b"), "#", []),
        (("will", "a/b"), "#", ["will a/b"]),
        (("clear-retained", "a/b"), "+/b", ["clear-retained a/b"]),
        (("retain", "a/b"), "+/b", []),
        (("receive", "a/b"), "+/b", []),
        (None, "+/x", ["publish +/x", "command cmd/x !"]),
        (("publish", "a"), None, ["publish a"]),
        (None, None, ['publish "#"', 'command "cmd/#" !', "command +/go !"]),
    ],
)
def test_what_is_passed_on(said: tuple[str, str] | None, heard: str | None, expected: list[str]) -> None:
    one = None if said is None else Topics(said[0], Filter(said[1]))
    found = told(one, None if heard is None else Topics("receive", Filter(heard)))
    assert [text.replace('"', "") for text in found] == [text.replace('"', "") for text in expected]


def test_a_place_that_is_not_known_passes_nothing() -> None:
    assert told(Topics("publish", Filter("{place}/x")), Topics("receive", Filter("#"))) == []
    assert told(Topics("publish", Filter("a")), Topics("receive", Filter("{device}/#"))) == []


def test_a_subscription_alone_hears_nothing() -> None:
    """`subscribe` brings its `receive` along, and that is what deliveries are judged by."""
    assert passages(Topics("publish", Filter("a")), Filters("subscribe", Filter("a")), BROKER) == ()
