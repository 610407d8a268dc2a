"""What to do where a rule would allow it in other circumstances: come back, bring the process there, take smaller
steps. Everything here is said of one rule and one question; whatever it proposes was tried first.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, cast
from zoneinfo import ZoneInfo

from proxy.policy.constraints.pace import MINUTE, Pace, Paced
from proxy.policy.rates import Rates

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from proxy.core.action import Action
    from proxy.core.process import Move, Predicate
    from proxy.core.surface import Rate, Rule
    from proxy.policy.circumstances import Circumstances
    from proxy.policy.compile import Policy
    from proxy.policy.question import Question

_VALUE = re.compile(r"(?P<head>.*= *)(?P<value>-?[0-9]+)(?P<tail>[^0-9,=]*)")


def local(wall: float, zone: str | None) -> str:
    """An instant in the wall time of ``zone``, RFC 3339, to the second; UTC without one."""
    return (
        datetime.fromtimestamp(wall, ZoneInfo(zone) if zone else UTC)
        .isoformat(timespec="seconds")
        .replace("+00:00", "Z")
    )


def opening(policy: Policy, rule: Rule, wall: float) -> str:
    """When the first of the rule's hours opens, all of which are closed at ``wall``."""
    found = [
        (at, one.name, getattr(one, "zone", None))
        for one in policy.hours
        if one.name in rule.when and (at := one.next_change(wall)) is not None
    ]
    if not found:
        return f"name other hours in rule {rule.ref.name} ({rule.ref.origin}): its own never open again"
    at, name, zone = min(found, key=lambda one: one[0])
    where = f"{rule.ref.name} ({rule.ref.origin})"
    return f"wait until {local(at, zone)}, when {name} opens, or name other hours in rule {where}"


def bring(rule: Rule, circumstances: Circumstances, now: float = 0.0) -> str:
    """What the process must be like, or have been seen to be like, for the rule to hold."""
    unknown, other = [], []
    for one in rule.whilst:
        seen = circumstances.last(one.device, one.point)
        if seen is None or now - seen[1] > one.fresh:
            unknown.append(f"{_named(one)} (it counts for {one.fresh:g} s)")
        elif not one.holds(seen[0]):
            other.append(f"{_named(one)} is {one.compare} {one.value:.10g} (it is {seen[0]:.10g})")
    where = f"rule {rule.ref.name} ({rule.ref.origin})"
    if other:
        return f"wait until {' and '.join(other)}, or ask for less in {where}"
    return f"have somebody read {' and '.join(unknown)} through the gateway, or ask for less in {where}"


def _named(one: Predicate) -> str:
    return f"{one.device} {one.point}"


def room(rule: Rule) -> str:
    """How long a spent rate or budget lasts at most."""
    where = f"rule {rule.ref.name} ({rule.ref.origin})"
    longest = max((one for one in (rule.rate, rule.budget) if one is not None), key=_seconds, default=None)
    if longest is None:
        return f"wait, or allow more in {where}"
    return f"wait, {longest.span} at most, until the oldest does not count any more; or allow more in {where}"


def _seconds(rate: Rate) -> float:
    return rate.seconds


class Reach(NamedTuple):
    """How far a value may go now: from ``low`` to ``high``, by the steps and ramps of a rule."""

    move: Move
    low: float
    high: float
    seen: float


def paced(policy: Policy, rule: Rule, asked: Question, action: Action) -> bool:
    """A step or a ramp of the rule stands in the way of what its windows admit."""
    return any(
        Pace(goal, asked.device, Rates(), policy.circumstances).blocks(action, atoms, 0.0) is not None
        for goal, atoms in _paced(rule, asked, action)
    )


def nearer(policy: Policy, rule: Rule, asked: Question, action: Action) -> str:
    """The value closest to the one that was asked for that steps and ramps let through now."""
    where = f"rule {rule.ref.name} ({rule.ref.origin})"
    goals = [goal for goal, _ in _paced(rule, asked, action)]
    reaches = [reach for goal in goals for reach in _reaches(goal, action, policy.circumstances, asked)]
    moved = [move.point for goal in goals for move in goal.moves(action)]
    unseen = [point for point in moved if policy.circumstances.last(asked.device, point) is None]
    if unseen:
        points = " and ".join(f"{asked.device} {point}" for point in dict.fromkeys(unseen))
        return f"have somebody read {points} through the gateway first, or ask for less in {where}"
    far = [reach for reach in reaches if not reach.low <= reach.move.value <= reach.high]
    if len(far) == 1 and (line := _tried(policy, asked, far[0])):
        return f"ask for {line}, the most that step and ramp let through from {far[0].seen:.10g}, or widen {where}"
    spans = " and ".join(f"{r.move.point} from {r.low:.10g} to {r.high:.10g}" for r in far)
    return f"go there in smaller steps ({spans} is within reach now), or widen {where}"


def _paced(rule: Rule, asked: Question, action: Action) -> Iterator[tuple[Paced, int]]:
    """The targets with steps or ramps, and the atoms that their windows admit."""
    for target in rule.targets:
        if target.protocol == asked.protocol and getattr(target, "paced", False):
            bound = target.bound(asked.principal.names)
            if atoms := bound.admits(action) & action.atoms:
                yield cast("Paced", bound), atoms


def _reaches(goal: Paced, action: Action, circumstances: Circumstances, asked: Question) -> Iterable[Reach]:
    for move in goal.moves(action):
        if circumstances.last(asked.device, move.point) is None:
            continue
        trail = circumstances.trail(asked.device, move.point)
        seen = trail.last[0]
        low, high = float("-inf"), float("inf")
        if move.step is not None:
            low, high = seen - move.step, seen + move.step
        if move.ramp is not None:
            least, most = trail.since(-MINUTE)
            low, high = max(low, most - move.ramp), min(high, least + move.ramp)
        yield Reach(move, low, high, seen)


def _tried(policy: Policy, asked: Question, reach: Reach) -> str:
    """The question with the closest value, if it can be written so and is allowed; else nothing."""
    match = _VALUE.fullmatch(asked.text)
    value = min(max(reach.move.value, reach.low), reach.high)
    if match is None or asked.parse is None or float(match["value"]) != reach.move.value or value != int(value):
        return ""
    line = f"{match['head']}{int(value)}{match['tail']}"
    try:
        actions = asked.parse(line)
    except ValueError:
        return ""
    authority = policy.rehearsal().open(asked.principal, asked.device, asked.protocol)
    return line if authority.decide_all(actions, 0.0).allowed else ""
