"""The oracle: what the rules mean, atom by atom, without index, Casbin or cache. Slow, short, obviously right.

Rates, budgets, steps and ramps are left out: they depend on what was asked before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.policy.circumstances import Circumstances
from proxy.policy.speaker import MBAPS, NULL_ROLE, ROLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proxy.core.action import Action
    from proxy.core.principal import Principal
    from proxy.core.surface import Never, Role, Rule, Surface


def allows(
    surfaces: Sequence[Surface],
    roles: Sequence[Role],
    principal: Principal,
    device: str,
    action: Action,
    circumstances: Circumstances | None = None,
    now: float = 0.0,
) -> bool:
    """Nothing forbids the action, and every atom of it is allowed by some rule that holds now. Without
    ``circumstances`` no hour is open and nothing was seen; ``now`` is monotonic seconds."""
    if any(forbidding(surfaces, roles, principal, device, action)) or action.atoms <= 0:
        return False
    known = circumstances or Circumstances()
    holding = [(surface, rule) for surface, rule in _rules(surfaces) if holds(rule, known, now)]
    return all(
        any(rule_allows(surface, rule, roles, principal, device, action, atom) for surface, rule in holding)
        for atom in range(action.atoms.bit_length())
    )


def holds(rule: Rule, circumstances: Circumstances, now: float) -> bool:
    """One of its hours is open, if it has any, and what it asks of the process was seen to be so, lately."""
    if rule.when and not any(name in circumstances.open for name in rule.when):
        return False
    for asked in rule.whilst:
        seen = circumstances.last(asked.device, asked.point)
        if seen is None or seen[1] < now - asked.fresh or not asked.holds(seen[0]):
            return False
    return True


def forbidding(
    surfaces: Sequence[Surface], roles: Sequence[Role], principal: Principal, device: str, action: Action
) -> Iterator[Never]:
    """The never rules that this action touches."""
    for surface in surfaces:
        for never in surface.nevers:
            anybody = never.speakers is None
            named = any(is_called(principal, name, roles) for name in never.speakers or ())
            touched = any(
                t.protocol == action.protocol and t.bound(principal.names).covers(action) for t in never.targets
            )
            if device in never.devices and (anybody or named) and touched:
                yield never


def rule_allows(
    surface: Surface, rule: Rule, roles: Sequence[Role], principal: Principal, device: str, action: Action, atom: int
) -> bool:
    """This rule alone allows this one atom, at a time when it holds."""
    return (
        device in rule.devices
        and any(is_called(principal, name, roles) for name in rule.speakers)
        and rule.needs <= principal.matched
        and (principal.proved or not action.changes or surface.writes_without_proof)
        and any(
            _fits(t.protocol, t.verb, action) and t.bound(principal.names).admits(action) >> atom & 1
            for t in rule.targets
        )
    )


def is_called(principal: Principal, name: str, roles: Sequence[Role]) -> bool:
    """Whether ``name``, as rules write it, means this principal."""
    if name.startswith(ROLE):
        members = [m for role in roles if role.name == name.removeprefix(ROLE) for m in role.members]
        return any(is_called(principal, member, ()) for member in members)
    if name.startswith(MBAPS) or name == NULL_ROLE:
        return name in principal.attributes
    return name == principal.id


def _fits(protocol: str, verb: str, action: Action) -> bool:
    return protocol == action.protocol and verb == action.verb


def _rules(surfaces: Sequence[Surface]) -> Iterator[tuple[Surface, Rule]]:
    for surface in surfaces:
        for rule in surface.rules:
            yield surface, rule
