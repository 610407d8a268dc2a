"""What was said on a link, told apart and added up: nothing is lost, and nothing grows without bound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.events import Event
from proxy.core.origin import Origin, RuleRef
from proxy.core.reason import Reason
from proxy.core.verdict import Verdict
from proxy.gateway.watch import MOST, Flow, Watch, by_rule, refused
from tests.policy.toy import ToyAction, read, write

READS = RuleRef("cell", "reads", Origin("policies/surfaces/cell.yaml", 10))
WRITES = RuleRef("cell", "writes", Origin("policies/surfaces/cell.yaml", 11))
DEFAULT = RuleRef("cell", "default", Origin("policies/surfaces/cell.yaml", 1))


@dataclass
class FakeAuthority:
    """Reads are allowed, writes up to ``top``; ``would`` is what a candidate says of writes above ``narrow``."""

    top: int = 100
    narrow: int | None = None
    moved: int = 0

    @property
    def connect(self) -> Verdict:
        return Verdict(READS)

    def decide_all(self, actions: tuple[ToyAction, ...], now: float, recorded: bool = False) -> Verdict:
        line = RuleRef("cell", "reads", Origin(READS.origin.file, READS.origin.line + self.moved))
        if all(action.verb == "read" for action in actions):
            return Verdict(line, reusable=True)
        most = max(action.size for action in actions)
        verdict = Verdict(WRITES) if most <= self.top else Verdict(DEFAULT, Reason.DEFAULT_DENY)
        if verdict.allowed and self.narrow is not None and most > self.narrow:
            verdict.would = Verdict(WRITES, Reason.VALUE_OUTSIDE)
        return verdict


class Talk:
    """An inspector's part: counts what goes on under each tag, tells of what does not."""

    def __init__(self, authority: FakeAuthority | None = None) -> None:
        self.authority = authority or FakeAuthority()
        self.watch = Watch(self.authority)  # type: ignore[arg-type]  # the fake takes toy actions
        self.tally: Counter[Hashable] = Counter()

    def say(self, *actions: ToyAction, now: float = 0.0, times: int = 1) -> None:
        verdict = self.watch.decide(actions, now)
        if verdict.allowed:
            self.tally[verdict.tag] += times
        for _ in range(0 if verdict.allowed else times):
            refused(Event("refuse", verdict=verdict))

    def told(self) -> list[tuple[Flow, int]]:
        return list(self.watch.fresh(self.tally))


def test_messages_that_are_alike_are_one_flow_with_the_smallest_and_the_largest() -> None:
    talk = Talk()
    for value in (7, 3, 40, 5):
        talk.say(write(9, value))
    talk.say(write(8, 1))
    (nine, count), (eight, other) = talk.told()
    assert (count, other) == (4, 1)
    assert (nine.low, nine.high) == ((write(9, 3),), (write(9, 40),))
    assert eight.low == eight.high == (write(8, 1),)


def test_a_verdict_that_is_used_again_counts_without_asking() -> None:
    talk = Talk()
    talk.say(read(1), times=1000)
    ((flow, count),) = talk.told()
    assert count == 1000 and flow.reusable
    assert talk.told() == []
    talk.tally[flow] += 5
    assert [count for _, count in talk.told()] == [5]


def test_a_refusal_that_an_inspector_remembers_is_counted_each_time() -> None:
    talk = Talk()
    talk.say(write(9, 101), times=3)
    ((flow, count),) = talk.told()
    assert (count, flow.reason) == (3, Reason.DEFAULT_DENY)


def test_other_events_are_no_messages() -> None:
    talk = Talk()
    verdict = talk.watch.decide((write(9, 1),), 0.0)
    refused(Event("act", verdict=verdict))
    refused(Event("refuse", reason=Reason.MALFORMED))
    refused(Event("refuse", verdict=Verdict(DEFAULT, Reason.DEFAULT_DENY)))
    assert talk.told() == []


def test_a_held_write_that_never_goes_on_is_no_message() -> None:
    talk = Talk()
    talk.watch.decide((write(9, 1),), 0.0)
    assert talk.told() == []
    talk.watch.decide((write(9, 1),), 0.1, True)
    talk.say(write(9, 1), now=0.2)
    assert [count for _, count in talk.told()] == [1]


def test_what_a_candidate_would_say_makes_a_flow_of_its_own() -> None:
    talk = Talk(FakeAuthority(narrow=50))
    talk.say(write(9, 10), write(9, 20))
    talk.say(write(9, 60), write(9, 20))
    told = [(flow.would and flow.would.reason, flow.largest) for flow, _ in talk.told()]
    assert told == [(None, 20), (Reason.VALUE_OUTSIDE, 60)]


def test_a_reload_that_moves_lines_makes_no_new_flow() -> None:
    authority = FakeAuthority()
    talk = Talk(authority)
    talk.say(read(1))
    talk.told()
    authority.moved = 5
    talk.say(read(1))
    ((flow, count),) = talk.told()
    assert count == 1 and flow.rule.origin.line == 15


def test_times_are_of_the_asking() -> None:
    talk = Talk()
    talk.say(write(9, 1), now=3.0)
    talk.say(write(9, 1), now=8.0)
    ((flow, _),) = talk.told()
    assert (flow.first, flow.last) == (3.0, 8.0)


def test_flows_beyond_the_bound_are_summed_by_rule_and_said_to_be() -> None:
    talk = Talk()
    for cell in range(MOST + 50):
        talk.say(read(cell), times=2)
    talk.say(write(9, 1))
    talk.say(write(8, 101), times=4)
    assert len(talk.told()) == MOST
    assert talk.watch.beyond(talk.tally) == 50 * 2 + 1 + 4
    assert talk.watch.beyond(talk.tally) == 0
    assert by_rule(talk.tally) == {READS: (MOST + 50) * 2, WRITES: 1}


def test_long_shapes_are_bounded_by_their_length_too() -> None:
    talk = Talk()
    for at in range(200):
        talk.say(ToyAction(f"read{at}" + "x" * 1000, 1, (0,)))
    assert 50 < len(talk.watch._flows) < 70


def test_what_no_watch_has_tagged_is_counted_by_its_rule() -> None:
    assert by_rule({READS: 3, "something else": 4}) == {READS: 3}


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.integers(0, 120), st.booleans(), st.integers(1, 3)), min_size=1, max_size=60
    ),
    st.integers(1, 7),
)
def test_every_message_is_told_once(said: list[tuple[int, int, bool, int]], often: int) -> None:
    """However often somebody asks: what is told and what is beyond add up to what was said, and so do the rules."""
    talk = Talk(FakeAuthority(narrow=30))
    told = 0
    for at, (cell, value, reads, times) in enumerate(said):
        talk.say(read(cell) if reads else write(cell, value), times=times)
        if at % often == 0:
            told += sum(count for _, count in talk.told()) + talk.watch.beyond(talk.tally)
    told += sum(count for _, count in talk.told()) + talk.watch.beyond(talk.tally)
    assert told == sum(times for *_, times in said)
    allowed = sum(times for _, value, reads, times in said if reads or value <= 100)
    assert sum(by_rule(talk.tally).values()) == allowed


@pytest.mark.parametrize("tag", [None, 7])
def test_by_rule_takes_any_tag(tag: Hashable) -> None:
    assert by_rule({tag: 1}) == {}
