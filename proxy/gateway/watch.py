"""Between an inspector and the policy: what became of the asking: the authority in force, and the flows seen.

A flow is messages that are alike: the same actions but for how much, and the same answer. They are counted where the
messages are counted, in the inspector, under the tag of the verdict, so that a verdict used again costs nothing more.
Refusals are counted by their records, since an inspector may remember one and say it again without asking.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from proxy.core.origin import Origin, RuleRef
from proxy.core.reason import Reason
from proxy.core.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping

    from proxy.core.action import Action
    from proxy.core.events import Event

MOST = 256
"""Flows of one link that are told apart. A scanner must not fill memory; what comes after is counted by rule."""
MOST_TEXT = 1 << 16
"""Characters in the shapes of those flows: a topic may have a thousand."""


class Authority(Protocol):
    """What one principal may do to one device, for the life of an epoch."""

    @property
    def connect(self) -> Verdict: ...

    def decide_all(self, actions: tuple[Action, ...], now: float, recorded: bool = False) -> Verdict: ...


class Stranger:
    """The authority of somebody who has not said yet who it is: whatever is asked is refused."""

    def __init__(self) -> None:
        self.connect = Verdict(RuleRef("none", "default", Origin("policies", 1)), Reason.UNKNOWN_DEVICE)

    def decide_all(self, actions: tuple[Action, ...], now: float, recorded: bool = False) -> Verdict:
        return Verdict(self.connect.rule, Reason.UNKNOWN_DEVICE)


class Flow:
    """``low`` and ``high`` are the smallest and the largest that was asked; both empty where flows beyond `MOST` are
    summed up. ``rule``, ``reason`` and ``would`` are the answer, as it was given last: a reload may have moved the
    rule. ``first`` and ``last`` say when the policy was asked (monotonic seconds); if the answer is ``reusable``,
    messages came since that nobody asked about."""

    __slots__ = (
        "first",
        "high",
        "largest",
        "last",
        "low",
        "reason",
        "refused",
        "reusable",
        "rule",
        "smallest",
        "told",
        "would",
    )

    def __init__(self, verdict: Verdict, actions: tuple[Action, ...], now: float) -> None:
        # Not the verdict itself: it has this as its tag, and a ring of two would wait for the collector.
        self.rule = verdict.rule
        self.reason: Reason | None = verdict.reason
        self.would = verdict.would
        self.reusable = verdict.reusable
        self.low = self.high = actions
        self.smallest = self.largest = _size(actions)
        self.first = self.last = now
        self.refused = 0
        self.told = 0

    def again(self, verdict: Verdict, actions: tuple[Action, ...], now: float) -> None:
        self.rule = verdict.rule
        self.would = verdict.would
        self.reusable = verdict.reusable
        self.last = now
        size = actions[0].size if len(actions) == 1 else _size(actions)
        if size < self.smallest:
            self.smallest, self.low = size, actions
        elif size > self.largest:
            self.largest, self.high = size, actions


class Watch:
    """``authority`` is exchanged when the link is decided again; the inspector keeps asking `decide`.

    ``let_in`` is the rule that let the link in when that was asked last, None for a stranger whose questions are only
    answered. It is kept: an authority says what is so now, and its hours may have closed since.
    """

    __slots__ = ("_flows", "_rest", "_text", "authority", "let_in")

    def __init__(self, authority: Authority) -> None:
        self.is_now(authority)
        self._flows: dict[Hashable, Flow] = {}
        self._rest: dict[Hashable, Flow] = {}
        self._text = 0

    def is_now(self, authority: Authority) -> None:
        """Another epoch."""
        self.authority = authority
        connect = authority.connect
        self.let_in: RuleRef | None = connect.rule if connect.allowed else None

    def decide(self, actions: tuple[Action, ...], now: float, recorded: bool = False) -> Verdict:
        """See `proxy.protocols.base.Decide`."""
        verdict = self.authority.decide_all(actions, now, recorded)
        rule = verdict.rule
        shape = actions[0].shape if len(actions) == 1 else tuple([action.shape for action in actions])
        key: Hashable
        # Names and not the rule itself: where it stands is none of the flow's business, and hashing it costs more.
        if verdict.reason is None and verdict.would is None:
            key = shape, rule.surface, rule.name
        else:
            key = shape, rule.surface, rule.name, verdict.reason, _other(verdict.would)
        flow = self._flows.get(key)
        if flow is not None:
            flow.again(verdict, actions, now)
        else:
            flow = self._new(key, shape, verdict, actions, now)
        verdict.tag = flow
        return verdict

    def fresh(self, tally: Mapping[Hashable, int]) -> Iterator[tuple[Flow, int]]:
        """Flows with how many messages they had since the last time; ``tally`` is the inspector's. Those beyond
        `MOST` are not told: what they were is not known. See `beyond`."""
        return _fresh(self._flows.values(), tally)

    def beyond(self, tally: Mapping[Hashable, int]) -> int:
        """Messages since the last time of flows that were not told apart."""
        return sum(count for _, count in _fresh(self._rest.values(), tally))

    def _new(self, key: Hashable, shape: Hashable, verdict: Verdict, actions: tuple[Action, ...], now: float) -> Flow:
        text = len(repr(shape))
        if len(self._flows) < MOST and self._text + text <= MOST_TEXT:
            self._text += text
            flow = self._flows[key] = Flow(verdict, actions, now)
            return flow
        rule = verdict.rule
        rest = rule.surface, rule.name, verdict.reason, _other(verdict.would)
        flow = self._rest.get(rest) or Flow(verdict, (), now)
        flow.rule, flow.last = rule, now
        self._rest[rest] = flow
        return flow


def refused(event: Event) -> None:
    """A refusal is on its way to the client: its flow has one message more."""
    if event.what == "refuse" and event.verdict is not None and isinstance(flow := event.verdict.tag, Flow):
        flow.refused += 1


def by_rule(tally: Mapping[Hashable, int]) -> dict[RuleRef, int]:
    """How many messages each rule let through."""
    sums: dict[RuleRef, int] = {}
    for tag, count in tally.items():
        rule = tag.rule if isinstance(tag, Flow) else tag
        if isinstance(rule, RuleRef):
            sums[rule] = sums.get(rule, 0) + count
    return sums


def _fresh(flows: Iterable[Flow], tally: Mapping[Hashable, int]) -> Iterator[tuple[Flow, int]]:
    for flow in flows:
        count = tally.get(flow, 0) + flow.refused
        if count > flow.told:
            yield flow, count - flow.told
            flow.told = count


def _other(would: Verdict | None) -> tuple[str, str, Reason | None] | None:
    return None if would is None else (would.rule.surface, would.rule.name, would.reason)


def _size(actions: tuple[Action, ...]) -> float:
    return max([action.size for action in actions], default=0.0)
