"""One speaker before two policies: what is in force decides, what the candidate would say is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from proxy.core.reason import Reason
from proxy.core.verdict import Verdict
from proxy.policy.shadow import MONITOR

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proxy.core.action import Action
    from proxy.core.origin import RuleRef
    from proxy.policy.authority import Authority
    from proxy.policy.compile import Policy

_STANDS = frozenset({Reason.NEVER_RULE, Reason.ENGINE_ERROR})
"""What is refused in a surface in monitor, too."""


class Figures:
    """How often the candidate said otherwise, by what is in monitor. Written by the event loop, read by any thread."""

    __slots__ = ("would_allow", "would_refuse")

    def __init__(self) -> None:
        self.would_refuse = 0
        self.would_allow = 0


class MonitorCounts:
    """One object for the life of a process: a reload goes on counting. Names are those of the files, not of peers."""

    def __init__(self) -> None:
        self._of: dict[tuple[str, str], Figures] = {}

    def of(self, ref: RuleRef) -> Figures:
        name = ref.surface, ref.name
        found = self._of.get(name)
        if found is None:
            found = self._of[name] = Figures()
        return found


class Shadow(NamedTuple):
    """The candidate, and whom to blame for what it says. ``by_name`` are all things in monitor, ``replaced`` leads from
    a rule in force to the one that is to take its place, ``whole`` are surfaces that are in monitor as a whole."""

    policy: Policy
    devices: frozenset[str]
    by_name: Mapping[tuple[str, str], RuleRef]
    replaced: Mapping[tuple[str, str], RuleRef]
    whole: Mapping[str, RuleRef]
    counts: MonitorCounts

    def blame(self, verdict: Verdict, would: Verdict) -> RuleRef:
        """The thing in monitor that makes the difference: the candidate's rule itself, the rule in the place of the
        one in force, or the surface. A compound request may be none of these; then it is the candidate's rule."""
        said, name = verdict.rule, (would.rule.surface, would.rule.name)
        found = self.by_name.get(name) or self.replaced.get((said.surface, said.name))
        return found or self.whole.get(would.rule.surface) or self.whole.get(said.surface) or would.rule


class Lenient:
    """A device in surfaces that are all in monitor: whatever no `never` forbids is let through by ``rule``."""

    __slots__ = ("_authority", "_record_first", "_rule")

    def __init__(self, authority: Authority, rule: RuleRef, record_first: bool) -> None:
        self._authority = authority
        self._rule = rule
        self._record_first = record_first

    @property
    def connect(self) -> Verdict:
        return Verdict(self._rule, reusable=True)

    def decide_all(self, actions: Sequence[Action], now: float, recorded: bool = False) -> Verdict:
        """Each action by itself, since the first that no rule allows would hide a later one that is forbidden."""
        if not actions:
            return self._authority.decide_all(actions, now, recorded)
        for action in actions:
            verdict = self._authority.decide(action, now, recorded)
            if verdict.reason in _STANDS:
                return verdict if len(actions) == 1 else _part(action, verdict)
        record_first = self._record_first and any(action.changes for action in actions)
        return Verdict(self._rule, reusable=True, record_first=record_first)


class Doubled:
    """What one speaker may do to a device about which the candidate may think otherwise. See
    `proxy.gateway.ports.Authority`."""

    __slots__ = ("_authority", "_candidate", "_shadow")

    def __init__(self, authority: Authority | Lenient, candidate: Authority, shadow: Shadow) -> None:
        self._authority = authority
        self._candidate = candidate
        self._shadow = shadow

    @property
    def connect(self) -> Verdict:
        found = self._authority.connect
        # A copy: the authority keeps its own for other links, and for other candidates.
        verdict = Verdict(found.rule, found.reason, detail=found.detail, nearest=found.nearest)
        self._compare(verdict, self._candidate.connect)
        return verdict

    def decide_all(self, actions: Sequence[Action], now: float, recorded: bool = False) -> Verdict:
        """What is in force decides. Never reusable: each message is counted.

        A message that is held for its record is decided twice; the candidate books and counts it the last time.
        """
        verdict = self._authority.decide_all(actions, now, recorded)
        verdict.reusable = False
        last = recorded or verdict.reason is not None or not verdict.record_first
        would = self._compare(verdict, self._candidate.decide_all(actions, now, last))
        if would is not None and last:
            figures = self._shadow.counts.of(self._shadow.blame(verdict, would))
            if would.allowed:
                figures.would_allow += 1
            else:
                figures.would_refuse += 1
        return verdict

    def _compare(self, verdict: Verdict, would: Verdict) -> Verdict | None:
        """Sets ``verdict.would`` where the candidate allows what is refused or refuses what is allowed. One that could
        not decide says nothing: its faults are counted (`Policy.faults`) and are nobody's answer."""
        if would.allowed == verdict.allowed or would.reason is Reason.ENGINE_ERROR:
            return None
        if would.reason is Reason.DEFAULT_DENY:
            blamed = self._shadow.blame(verdict, would)
            if blamed.name != MONITOR:  # "no rule allows this" names the rule that was to
                would = Verdict(blamed, would.reason, detail=would.detail, nearest=would.nearest)
        verdict.would = would
        return would


def _part(action: Action, verdict: Verdict) -> Verdict:
    why = verdict.reason
    detail = f"{action.describe()}: {why.code} {verdict.detail or why.sentence}" if why is not None else ""
    return Verdict(verdict.rule, Reason.PART_REFUSED, detail=detail, nearest=verdict.nearest)
