"""What another policy would have said to flows that really happened.

A flow was one of many messages over hours or days, and its record has no clock for each: where the answer hangs on
what the record lacks (a limit of how often, the state of a process, hours that opened meanwhile), both ends are tried.
If they differ, the answer is that nobody can tell. It is never a guess.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from proxy.core.reason import Reason
from proxy.core.verdict import Verdict
from proxy.policy.circumstances import Circumstances
from proxy.policy.compile import compile_policy

if TYPE_CHECKING:
    from proxy.core.action import Action
    from proxy.core.hours import Hours
    from proxy.core.inventory import Device
    from proxy.core.origin import RuleRef
    from proxy.core.principal import Principal
    from proxy.core.surface import Role, Rule, Surface
    from proxy.policy.compile import Policy

Beforehand = Callable[["Past", tuple["Action", ...]], "tuple[Reason, str] | None"]
"""Why the flow would be refused before any rule is asked: by who speaks, or by what the device never takes."""

Limits = tuple[tuple[object, ...], tuple[str, ...]]
"""What a rule asks for besides the message, and how far it goes."""

CONDITIONS = frozenset((Reason.OUTSIDE_HOURS, Reason.PROCESS_STATE, Reason.PROCESS_UNKNOWN, Reason.RATE_SPENT))
"""Reasons that speak of a moment, and not of the message."""


@dataclass(frozen=True, slots=True)
class Past:
    """One recorded flow, in the words of policy.

    ``low`` and ``high`` are the smallest and the largest message of it, ``texts`` the same as questions. ``code`` and
    ``rule`` (``surface/name``) say what it got, ``at`` where that rule stood, ``policy`` which version said so.
    ``would`` is what a candidate beside that version said, None where it said the same. Times are seconds since 1970.
    """

    principal: Principal
    device: str
    protocol: str
    low: tuple[Action, ...]
    high: tuple[Action, ...]
    texts: tuple[str, str]
    allowed: bool
    code: str = ""
    rule: str = ""
    at: str = ""
    would: bool | None = None
    policy: str = ""
    count: int = 1
    first: float = 0.0
    last: float = 0.0

    @property
    def name(self) -> str:
        """Eight hex digits that stay the same while the flow goes on: whoever acknowledges it names it by them."""
        shapes = tuple(action.shape for action in self.low)
        who = (self.principal.label, tuple(sorted(self.principal.attributes)), tuple(sorted(self.principal.matched)))
        return hashlib.sha256(repr((who, self.device, self.protocol, shapes)).encode()).hexdigest()[:8]

    @property
    def who(self) -> str:
        return " ".join((self.principal.label, *sorted(self.principal.attributes)))


class Site(NamedTuple):
    """What decides, of one version of the files. ``surfaces`` are those to be asked (`proxy.policy.shadow.enforced`),
    ``lenient`` the devices that let through what no `never` forbids, and because of which surface."""

    surfaces: Sequence[Surface]
    roles: Sequence[Role]
    devices: Mapping[str, Device]
    hours: Sequence[Hours] = ()
    lenient: Mapping[str, RuleRef] = MappingProxyType({})


class Change(NamedTuple):
    """A flow that would get another answer. ``text`` is one message of it that would, ``verdict`` what it would get;
    ``before`` is the reason where no rule would be asked."""

    past: Past
    text: str
    verdict: Verdict
    before: tuple[Reason, str] | None = None


class Untold(NamedTuple):
    """A flow of which nobody can tell, and why. ``about`` is equal for two versions that leave the same in doubt."""

    past: Past
    why: str
    about: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """``cut`` were allowed and would be refused, ``opened`` the other way round. ``same`` counts the other flows."""

    cut: tuple[Change, ...]
    opened: tuple[Change, ...]
    untold: tuple[Untold, ...]
    same: int


class _Answer(NamedTuple):
    """None: it cannot be told, because of ``why``."""

    allowed: bool | None
    verdict: Verdict | None = None
    before: tuple[Reason, str] | None = None
    why: str = ""
    about: tuple[object, ...] = ()


def backtest(
    past: Iterable[Past], site: Site, beforehand: Beforehand, limits: Mapping[str, Mapping[str, Limits]] | None = None
) -> Outcome:
    """``limits``: for versions that are still known, by digest, the `limits_of` their rules. A limit that is the same
    as it was then would have done what it did then."""
    replay = _Replay(site, beforehand, {} if limits is None else limits)
    cut: list[Change] = []
    opened: list[Change] = []
    untold: list[Untold] = []
    same = 0
    for flow in past:
        if flow.device not in site.devices:
            untold.append(Untold(flow, f"no device {flow.device} in this version"))
            continue
        change = replay.judge(flow)
        if isinstance(change, Untold):
            untold.append(change)
        elif change is None:
            same += 1
        else:
            (cut if flow.allowed else opened).append(change)
    return Outcome(tuple(cut), tuple(opened), tuple(untold), same)


def limits_of(surfaces: Iterable[Surface], hours: Iterable[Hours] = ()) -> dict[str, Limits]:
    """What each rule asks for besides the message, by ``surface/name``. Equal limits are equal: hours that have kept
    their name and not their times are others."""
    known = {one.name: one.describe() for one in hours}
    return {str(rule.ref): _limits(rule, known) for surface in surfaces for rule in surface.rules}


def _limits(rule: Rule, hours: Mapping[str, str]) -> Limits:
    when = tuple((name, hours.get(name)) for name in rule.when)
    moves = tuple(target.describe() for target in rule.targets)
    return (rule.rate, rule.budget, when, tuple(one.describe() for one in rule.whilst)), moves


class _Replay:
    """Two policies: ``free`` without any limit that the record cannot answer, ``strict`` without the rules that have
    one. Hours are looked up in the record's own time."""

    def __init__(self, site: Site, beforehand: Beforehand, limits: Mapping[str, Mapping[str, Limits]]) -> None:
        self._site = site
        self._beforehand = beforehand
        self._limits = limits
        self._rules = {str(rule.ref): rule for surface in site.surfaces for rule in surface.rules}
        self._here = limits_of(site.surfaces, site.hours)
        self._free = self._compiled(lambda rule: replace(rule, rate=None, budget=None, whilst=()))
        self._strict = self._compiled(lambda rule: None if rule.rate or rule.budget or rule.whilst else rule)
        self._open: dict[tuple[bool, frozenset[str]], Policy] = {}

    def _compiled(self, change: Callable[[Rule], Rule | None]) -> Policy:
        # The mark says what a surface was made from; these were made from something else.
        surfaces = [
            replace(one, rules=tuple(rule for rule in map(change, one.rules) if rule is not None), mark="")
            for one in self._site.surfaces
        ]
        return compile_policy(surfaces, self._site.roles, self._site.devices, self._site.hours)

    def judge(self, past: Past) -> Change | Untold | None:
        """None: the same answer as then. The largest message is asked as well as the smallest."""
        answers = [
            (text, self._ask(past, asked)) for text, asked in zip(past.texts, (past.low, past.high), strict=True)
        ]
        for text, answer in answers:
            if answer.allowed is not None and answer.allowed is not past.allowed and answer.verdict is not None:
                return Change(past, text, answer.verdict, answer.before)
        doubt = next((answer for _, answer in answers if answer.allowed is None), None)
        return None if doubt is None else Untold(past, doubt.why, doubt.about)

    def _ask(self, past: Past, asked: tuple[Action, ...]) -> _Answer:
        before = self._beforehand(past, asked)
        at_most = [self._decide(self._free, past, action, self._ever_open(past)) for action in asked]
        refused = next((verdict for verdict in at_most if not verdict.allowed), None)
        if before is not None:
            return _Answer(False, refused or at_most[0], before)
        if refused is not None:
            return self._refused(past, refused)
        at_least = [self._decide(self._strict, past, action, self._always_open(past)) for action in asked]
        if all(verdict.allowed for verdict in at_least):
            return _Answer(True, at_most[0])
        doubtful = next(most for most, least in zip(at_most, at_least, strict=True) if not least.allowed)
        if self._as_then(past, doubtful):
            return _Answer(past.allowed, doubtful)
        return _Answer(None, why=self._doubt(doubtful), about=self._about(doubtful))

    def _refused(self, past: Past, refused: Verdict) -> _Answer:
        if refused.reason not in CONDITIONS or refused.reason is Reason.OUTSIDE_HOURS:
            return _Answer(False, refused)  # none of its hours was open at any time of the record
        if self._as_then(past, refused):
            return _Answer(past.allowed, refused)
        why = f"{refused.rule} ({refused.rule.origin}) looks at values seen before"
        return _Answer(None, why=why, about=self._about(refused))

    def _about(self, verdict: Verdict) -> tuple[object, ...]:
        name = str(verdict.rule)
        return (name, self._here[name]) if name in self._here else ()

    def _decide(self, policy: Policy, past: Past, action: Action, hours: frozenset[str]) -> Verdict:
        key = (policy is self._free, hours)
        if key not in self._open:
            around = Circumstances()
            around.open = hours
            self._open[key] = policy.rehearsal(around)
        verdict = self._open[key].open(past.principal, past.device, past.protocol).decide(action, 0.0)
        lenient = self._site.lenient.get(past.device)
        if lenient is None or verdict.allowed or verdict.reason is Reason.NEVER_RULE:
            return verdict
        return Verdict(lenient)

    def _ever_open(self, past: Past) -> frozenset[str]:
        return frozenset(one.name for one in self._site.hours if one.open_at(past.first) or _turns(one, past))

    def _always_open(self, past: Past) -> frozenset[str]:
        return frozenset(one.name for one in self._site.hours if one.open_at(past.first) and not _turns(one, past))

    def _as_then(self, past: Past, verdict: Verdict) -> bool:
        """The rule is the one that answered then, and its limits are those that it had."""
        name = str(verdict.rule)
        then = self._limits.get(past.policy, {}).get(name)
        here = self._here.get(name)
        if past.rule != name or then is None or here is None:
            return False
        # A step or a ramp stands in the target, and what it looks at is not in the record.
        return then == here if verdict.reason in CONDITIONS else then[0] == here[0]

    def _doubt(self, verdict: Verdict) -> str:
        rule = self._rules.get(str(verdict.rule))
        if rule is None:
            return f"{verdict.rule} ({verdict.rule.origin}) answers for one part of it alone"
        parts = [f"at most {rule.rate.count} in {_time(rule.rate.seconds)}"] if rule.rate else []
        parts += [f"at most {rule.budget.count} changes in {_time(rule.budget.seconds)} by all"] if rule.budget else []
        parts += [f"only while {one.describe()}" for one in rule.whilst]
        parts += [f"only in {', '.join(rule.when)}"] if rule.when else []
        return f"{verdict.rule} ({rule.ref.origin}) holds {' and '.join(parts)}, and the record has no such moment"


def _turns(hours: Hours, past: Past) -> bool:
    """They open or close while the record lasts."""
    change = hours.next_change(past.first)
    return change is not None and change <= past.last


def _time(seconds: float) -> str:
    unit, word = next((one for one in ((3600, "h"), (60, "min")) if seconds % one[0] == 0), (1, "s"))
    return f"{seconds / unit:g} {word}"
