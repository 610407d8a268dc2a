"""What a change of policy gives and what it takes: access, not text (T70).

A rule may be moved, split, renamed or said in other words without a difference; a role, a shift, a place or a
certificate that changes makes one although no rule was touched. Everything errs towards telling too much: a widening
that is not told would come into force without anybody's word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.policy.access import Side, depends_on_names, place
from proxy.policy.entry import ALLOWED, FORBIDDEN, FREED, NOT_ALLOWED, Difference, Entry, entries
from proxy.policy.gains import Beyond, Gains
from proxy.policy.speaker import ROLE
from proxy.policy.surroundings import appeared, behind

if TYPE_CHECKING:
    from collections.abc import Collection

    from proxy.core.surface import Never, Rule
    from proxy.policy.plan import Plan

__all__ = ["Beyond", "Difference", "Entry", "compare"]


def compare(before: Plan, after: Plan, beyond: Beyond, now: float | None = None) -> Difference:
    """Only surfaces that changed are looked into: those with another `mark`, and those that name a role, hours or a
    device that means something else now. Monitored rules and nevers count from when they come into force by
    themselves. ``now``, seconds since 1970: what is over by then does not matter, and hours are compared by when they
    are open; None: all that ever was matters, and hours are alike if they are described alike."""
    names = changed(before, after)
    old, new = Side(before), Side(after)
    was, will = Side(before, nevers=True), Side(after, nevers=True)
    given = entries(Gains(new, old, beyond, will, now).of(names), ALLOWED)
    freed = entries(Gains(was, will, beyond, now=now).of(names), FREED)
    taken = entries(Gains(old, new, beyond, was, now).of(names), NOT_ALLOWED)
    forbidden = entries(Gains(will, was, beyond, now=now).of(names), FORBIDDEN)
    devices = behind(new, old)
    return Difference(
        (*given, *_known(freed, after), *appeared(new, old), *devices.wider),
        (*taken, *_known(forbidden, before), *appeared(old, new), *devices.narrower),
        devices.neither,
    )


def _known(guards: list[Entry], plan: Plan) -> list[Entry]:
    """A prohibition about devices that are not there prohibits nothing."""
    return [entry for entry in guards if any(device in plan.devices for device in entry.to)]


def changed(before: Plan, after: Plan) -> list[str]:
    """The names of the surfaces that may mean something else, in order."""
    marks = {surface.name: surface.mark for surface in before.surfaces}
    found = {surface.name for surface in after.surfaces if not surface.mark or marks.get(surface.name) != surface.mark}
    found |= marks.keys() - {surface.name for surface in after.surfaces}
    # What a monitored surface is about depends on the other surfaces of its members.
    found |= {surface.name for plan in (before, after) for surface in plan.surfaces if surface.monitor is not None}
    other = _other_names(before, after)
    moved = frozenset(
        id
        for id in {*before.devices, *after.devices}
        if id not in before.devices or id not in after.devices or place(before.devices[id]) != place(after.devices[id])
    )
    if other or moved:
        for plan in (before, after):
            for surface in plan.surfaces:
                both: tuple[Rule | Never, ...] = (*surface.rules, *surface.nevers)
                if surface.name not in found and any(_touched(rule, other, moved) for rule in both):
                    found.add(surface.name)
    return sorted(found)


def _other_names(before: Plan, after: Plan) -> frozenset[str]:
    """Roles with other members and hours that mean something else."""
    old, new = ({f"{ROLE}{role.name}": frozenset(role.members) for role in plan.roles} for plan in (before, after))
    roles = {name for name in {*old, *new} if old.get(name) != new.get(name)}
    then, now = ({one.name: one.describe() for one in plan.hours} for plan in (before, after))
    return frozenset(roles | {name for name in {*then, *now} if then.get(name) != now.get(name)})


def _touched(rule: Rule | Never, other: Collection[str], moved: Collection[str]) -> bool:
    names = (*(rule.speakers or ()), *getattr(rule, "when", ()))
    return any(name in other for name in names) or (bool(moved) and any(map(depends_on_names, rule.targets)))
