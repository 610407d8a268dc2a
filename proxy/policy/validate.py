"""What must be true of surfaces before they are compiled. The site loader sees to it; this is the second lock.

A rule that silently matches nobody is a nuisance, a `never` that does is a hole, so neither is let through.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from proxy.core.process import COMPARE
from proxy.policy.speaker import ROLE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from proxy.core.surface import Never, Role, Rule, Surface


class PolicyError(ValueError):
    """The policy cannot be compiled. ``problems`` has one line per fault, with file and line."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def validate(surfaces: Sequence[Surface], roles: Sequence[Role], devices: Collection[str]) -> None:
    """Raise `PolicyError` with every fault at once."""
    problems = [*_role_faults(roles), *_surface_faults(surfaces, {role.name for role in roles}, devices)]
    if problems:
        raise PolicyError(problems)


def _role_faults(roles: Sequence[Role]) -> Iterator[str]:
    seen: set[str] = set()
    for role in roles:
        if role.name in seen or not role.name:
            yield f"{role.origin}: the role {role.name!r} is there twice or has no name"
        seen.add(role.name)
        for member in role.members:
            if member.startswith(ROLE) or not member:
                yield f"{role.origin}: {member!r} cannot be a member of a role"


def _surface_faults(surfaces: Sequence[Surface], roles: set[str], devices: Collection[str]) -> Iterator[str]:
    names: set[str] = set()
    for surface in surfaces:
        if surface.name in names or not surface.name:
            yield f"{surface.origin}: the surface {surface.name!r} is there twice or has no name"
        names.add(surface.name)
        members = set(surface.members)
        yield from (f"{surface.origin}: the member {m!r} is no device" for m in members if m not in devices)
        for section in (surface.rules, surface.nevers):
            yield from _section_faults(surface.name, section, roles, devices)
        for rule in surface.rules:
            yield from (_told(rule, f"{d!r} is not a member of the surface") for d in rule.devices if d not in members)
            yield from (_told(rule, what) for what in _condition_faults(rule, devices))


def _condition_faults(rule: Rule, devices: Collection[str]) -> Iterator[str]:
    for name, rate in (("rate", rule.rate), ("budget", rule.budget)):
        if rate is not None and (rate.count < 1 or not rate.seconds > 0):
            yield f"a {name} needs at least 1 message and more than 0 seconds"
    if "" in rule.when:
        yield "names hours without a name"
    for asked in rule.whilst:
        if asked.device not in devices:
            yield f"{asked.device!r}, whose state it asks for, is no device"
        if asked.compare not in COMPARE or not asked.fresh > 0 or not isfinite(asked.value):
            yield f"{asked.describe()!r} cannot be compared"


def _section_faults(
    surface: str, section: Sequence[Rule | Never], roles: set[str], devices: Collection[str]
) -> Iterator[str]:
    seen: set[str] = set()
    for rule in section:
        if rule.ref.name in seen or not rule.ref.name or rule.ref.surface != surface:
            yield _told(rule, "the name is there twice, empty or of another surface")
        seen.add(rule.ref.name)
        yield from (_told(rule, what) for what in _rule_faults(rule, roles, devices))


def _told(rule: Rule | Never, what: str) -> str:
    return f"{rule.ref.origin}: {rule.ref}: {what}"


def _rule_faults(rule: Rule | Never, roles: set[str], devices: Collection[str]) -> Iterator[str]:
    if not rule.devices or not rule.targets:
        yield "names no device or no target"
    if rule.speakers is not None and (not rule.speakers or "" in rule.speakers):
        yield "names no speaker"
    yield from (f"{d!r} is no device" for d in rule.devices if d not in devices)
    for speaker in rule.speakers or ():
        if speaker.startswith(ROLE) and speaker.removeprefix(ROLE) not in roles:
            yield f"there is no {speaker}"
    for target in rule.targets:
        if not target.protocol or not target.verb:
            yield "has a target without protocol or verb"
