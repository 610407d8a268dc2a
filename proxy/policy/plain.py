"""The same rows and model, asked the plain way: one enforcer per surface and Casbin's `enforce` for each atom.

Far too slow for messages. `explain` answers with it, and tests hold it equal to the index and to `reference`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from proxy.policy.circumstances import Circumstances
from proxy.policy.reference import forbidding, holds
from proxy.policy.rows import RULE, Clause, clauses, enforcer, links
from proxy.policy.speaker import Speaker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.core.action import Action
    from proxy.core.origin import RuleRef
    from proxy.core.principal import Principal
    from proxy.core.surface import Role, Surface


class Ask(NamedTuple):
    """What ``act`` of a request is: one atom of an action, what its speaker has shown, and when it is asked."""

    action: Action
    atom: int
    speaker: Speaker
    now: float


class Plain:
    """Rates, budgets, steps and ramps are left out, as in `reference`; ``now`` is monotonic seconds."""

    def __init__(
        self, surfaces: Sequence[Surface], roles: Sequence[Role], circumstances: Circumstances | None = None
    ) -> None:
        self._circumstances = circumstances or Circumstances()
        self._surfaces = tuple(sorted(surfaces, key=lambda s: s.name))
        self._roles = roles
        self._enforcers = [self._enforcer(surface) for surface in self._surfaces]

    def allows(self, principal: Principal, device: str, action: Action, now: float = 0.0) -> bool:
        """`never` in front, then every atom must be allowed to some name of the speaker in some surface."""
        if any(forbidding(self._surfaces, self._roles, principal, device, action)) or action.atoms <= 0:
            return False
        return all(self.deciding(principal, device, action, now))

    def deciding(self, principal: Principal, device: str, action: Action, now: float = 0.0) -> list[RuleRef | None]:
        """For each atom the rule by which Casbin allows it, or None."""
        speaker = Speaker.of(principal)
        return [self._enforce(Ask(action, atom, speaker, now), device) for atom in range(action.atoms.bit_length())]

    def _enforce(self, ask: Ask, device: str) -> RuleRef | None:
        for surface, casbin in zip(self._surfaces, self._enforcers, strict=True):
            for name in ask.speaker.subjects:
                allowed, row = casbin.enforce_ex(name, device, ask.action.protocol, ask.action.verb, ask)
                if allowed is True:
                    return next(rule.ref for rule in surface.rules if rule.ref.name == row[RULE])
        return None

    def _enforcer(self, surface: Surface) -> Any:
        table = {clause.key: clause for clause in clauses(surface, range(len(surface.rules)))}
        rows = [row for clause in table.values() for device in clause.rule.devices for row in clause.rows(device)]
        made = enforcer(rows, members=links(self._roles))
        made.add_function("covers", lambda ask, key: _covers(table[key], ask, self._circumstances))
        return made


def _covers(clause: Clause, ask: Ask, circumstances: Circumstances) -> bool:
    """The function of the matcher: is the atom inside the target, and does the rule count for this speaker, now?"""
    if not holds(clause.rule, circumstances, ask.now) or not clause.rule.needs <= ask.speaker.matched:
        return False
    if ask.action.changes and not ask.speaker.proved and not clause.surface.writes_without_proof:
        return False
    return bool(clause.target.bound(ask.speaker.names).admits(ask.action) >> ask.atom & 1)
