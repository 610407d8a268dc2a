"""A rule that takes the place of another: what one limit allowed, one limit allows still."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from proxy.core.surface import Monitor, Rate
from proxy.policy.diff import compare
from proxy.protocols.modbus.targets import Spans, Window
from tests.policy.test_diff import plan, zone
from tests.policy.toy import origin, rule
from tests.policy.versions import beyond

if TYPE_CHECKING:
    from proxy.core.surface import Rule

SIX, TWELVE = Rate(6, 60.0), Rate(12, 60.0)
SHIFTLY = Rate(20, 28800.0)
NOW = 1_763_000_000.0
WIDE = Spans("write", "holding", 40, 49)
NARROW = Spans("write", "holding", 40, 44)


def limited(name: str, *targets: Spans, rate: Rate | None = SIX, budget: Rate | None = None) -> Rule:
    return replace(rule(name, ["scada"], *targets), rate=rate, budget=budget)


def wider(before: list[Rule], after: list[Rule], now: float | None = NOW) -> list[str]:
    found = compare(plan(zone(*before)), plan(zone(*after)), beyond, now)
    return [entry.text.partition(" (")[0] for entry in found.widenings]


OLD = limited("old", WIDE)


@pytest.mark.parametrize(
    "heir",
    [
        limited("new", WIDE),
        limited("new", NARROW),
        limited("new", Spans("write", "holding", 40, 44, None, Window(0.0, 10.0))),
        limited("new", WIDE, rate=Rate(3, 60.0)),
        limited("new", WIDE, budget=SHIFTLY),
        replace(limited("new", NARROW), needs=frozenset({"x509"})),
    ],
)
def test_a_rule_that_takes_the_place_of_another(heir: Rule) -> None:
    assert wider([OLD], [heir]) == []
    assert wider([OLD], [OLD, heir]) != [], "both exist, and two rates add up"


@pytest.mark.parametrize(
    "heir", [limited("new", WIDE, rate=TWELVE), limited("new", WIDE, rate=None), replace(OLD, ref=replace(
        OLD.ref, name="new"), speakers=("mes",))]
)  # fmt: skip
def test_what_is_more_is_told(heir: Rule) -> None:
    assert wider([OLD], [heir]) != []


def test_only_what_is_more_is_told() -> None:
    (text,) = wider([limited("old", NARROW)], [limited("new", WIDE)])
    assert text.startswith("scada may now also: write holding 45-49 at plc [at most 6 in any 60 s]")


def test_a_budget_is_inherited_as_well() -> None:
    old = limited("old", WIDE, rate=None, budget=SHIFTLY)
    assert wider([old], [limited("new", NARROW, rate=None, budget=SHIFTLY)]) == []
    assert wider([old], [limited("new", NARROW, rate=None, budget=Rate(21, 28800.0))]) != []


def test_one_limit_is_inherited_once() -> None:
    low, high = limited("low", NARROW), limited("high", Spans("write", "holding", 45, 49))
    (text,) = wider([OLD], [low, high])
    assert text.startswith("scada may now also: write holding 45-49 at plc"), "two rates of 6 let 12 pass"
    assert wider([low, high], [limited("l", NARROW), limited("h", Spans("write", "holding", 45, 49))]) == []
    assert wider([low, high], [OLD]) == [], "what two rates allowed, one of them does now"
    assert wider([OLD, limited("twin", WIDE)], [limited("a", WIDE), limited("b", WIDE)]) == []


def test_the_likeliest_heir_inherits() -> None:
    """Not the first of the file, if another is the rule itself under a new name, or says that it replaces it."""
    same = limited("same", WIDE)
    assert len(wider([OLD], [limited("first", NARROW), same])) == 1
    assert wider([OLD], [limited("first", NARROW), same]) == wider([OLD], [same, limited("first", NARROW)])


@pytest.mark.parametrize("then", ["enforce", "alarm"])
@pytest.mark.parametrize("until", [NOW + 1000, NOW - 1000])
def test_what_was_watched_is_promoted(then: str, until: float) -> None:
    """`bulkhead policy promote`: the old rule goes, the watched one stays under its name and is enforced."""
    watched = Monitor(until, "why", then, origin(3))
    heir = limited("next", NARROW)
    before = [OLD, replace(heir, monitor=watched, replaces=("old",))]
    assert wider(before, [heir]) == []
    assert wider([rule("old", ["scada"], WIDE), before[1]], [heir]) == []
    wide = limited("next", Spans("write", "holding", 40, 55))
    (text,) = wider(before[:1] + [replace(wide, monitor=watched, replaces=("old",))], [wide]) or [""]
    if then == "enforce" and until < NOW:
        assert text == "", "it holds since then"
    else:
        assert text.startswith("scada may now also: write holding 50-55 at plc [at most 6 in any 60 s")
        assert ("until 2025-11-13T" in text.partition("[before")[0]) is (then == "enforce")


def test_watching_what_will_take_the_place_of_another() -> None:
    """From the day on only one of the two holds."""
    watched = Monitor(NOW + 1000, "why", "enforce", origin(3))
    narrower = replace(limited("next", NARROW), monitor=watched, replaces=("old",))
    assert wider([OLD], [OLD, narrower]) == []
    beside = replace(narrower, replaces=())
    (text,) = wider([OLD], [OLD, beside])
    assert "from 2025-11-13T02:30:00Z on" in text, "then there are two"
    third = limited("third", NARROW)
    assert len(wider([OLD], [OLD, narrower, third])) == 1
