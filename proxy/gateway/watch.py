"""What the inspector of one link asks, and what became of the asking: the authority in force, and the flows seen.

A flow is messages that are alike: the same actions but for how much, and the same answer. They are counted where the
messages are counted, in the inspector, under the tag of the verdict, so that a verdict used again costs nothing more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

    from proxy.core.action import Action
    from proxy.core.origin import RuleRef
    from proxy.core.verdict import Verdict
    from proxy.gateway.ports import Authority

MOST = 256
"""Flows of one link that are told apart. A scanner must not fill memory; what comes after is counted by rule."""


class Flow:
    """``low`` and ``high`` are the smallest and the largest that was asked. ``verdict`` is the first answer, and
    ``low`` empty where flows beyond `MOST` are summed up."""

    __slots__ = ("high", "largest", "low", "refused", "smallest", "told", "verdict")

    def __init__(self, verdict: Verdict, actions: tuple[Action, ...]) -> None:
        self.verdict = verdict
        self.low = self.high = actions
        self.smallest = self.largest = _size(actions)
        self.refused = 0
        self.told = 0

    def widen(self, actions: tuple[Action, ...]) -> None:
        size = _size(actions)
        if size < self.smallest:
            self.smallest, self.low = size, actions
        elif size > self.largest:
            self.largest, self.high = size, actions


class Watch:
    """``authority`` is exchanged when the link is decided again; the inspector keeps asking `decide`."""

    __slots__ = ("_flows", "_rest", "authority")

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self._flows: dict[Hashable, Flow] = {}
        self._rest: dict[Hashable, Flow] = {}

    def decide(self, actions: tuple[Action, ...], now: float, recorded: bool = False) -> Verdict:
        """See `proxy.protocols.base.Decide`."""
        verdict = self.authority.decide_all(actions, now, recorded)
        would = verdict.would
        key = (
            tuple([action.shape for action in actions]),
            verdict.rule,
            verdict.reason,
            None if would is None else (would.rule, would.reason),
        )
        flow = self._flows.get(key)
        if flow is not None:
            flow.widen(actions)
        elif len(self._flows) < MOST:
            flow = self._flows[key] = Flow(verdict, actions)
        else:
            flow = self._rest.get(key[1:])
            if flow is None:
                flow = self._rest[key[1:]] = Flow(verdict, ())
        if verdict.reason is not None:
            flow.refused += 1
        verdict.tag = flow
        return verdict

    def fresh(self, tally: Mapping[Hashable, int]) -> Iterator[tuple[Flow, int]]:
        """Flows with how many messages they had since the last time; ``tally`` is the inspector's. Those beyond
        `MOST` are not told: what they were is not known."""
        for flow in self._flows.values():
            count = tally.get(flow, 0) + flow.refused
            if count > flow.told:
                yield flow, count - flow.told
                flow.told = count


def by_rule(tally: Mapping[Hashable, int]) -> dict[RuleRef, int]:
    """How many messages each rule let through."""
    sums: dict[RuleRef, int] = {}
    for tag, count in tally.items():
        if isinstance(tag, Flow):
            sums[tag.verdict.rule] = sums.get(tag.verdict.rule, 0) + count
    return sums


def _size(actions: tuple[Action, ...]) -> float:
    return max((action.size for action in actions), default=0.0)
