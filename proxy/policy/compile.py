"""Surfaces and roles become one immutable `Policy`, which opens an `Authority` per speaker, device and protocol."""

from __future__ import annotations

import copy
import hashlib
import json
from typing import TYPE_CHECKING

from proxy.core.origin import Origin, RuleRef
from proxy.core.reason import Reason
from proxy.core.verdict import Verdict
from proxy.policy.authority import Authority, Guard, Place
from proxy.policy.circumstances import Circumstances
from proxy.policy.extent import Nearby
from proxy.policy.faults import Faults
from proxy.policy.rates import Rates
from proxy.policy.rows import enforcer, links
from proxy.policy.shard import Shard
from proxy.policy.speaker import Speaker, subject
from proxy.policy.validate import PolicyError, validate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from proxy.core.action import Target
    from proxy.core.inventory import Device
    from proxy.core.principal import Principal
    from proxy.core.surface import Never, Role, Rule, Surface
    from proxy.policy.rows import Clause

__all__ = ["Policy", "PolicyError", "compile_policy"]

REMEMBERED = 4096
"""Authorities kept for the next link of the same speaker: a handshake must not pay Casbin each time."""


class Policy:
    """Everything that decides, compiled. Made by `compile_policy` and never changed: a reload makes another.

    ``digest`` names the meaning (sha256 of the canonical rules, in hex): comments and line numbers are not in it.
    ``faults`` counts decisions that failed. Rates live outside, so that a reload does not refill them.
    """

    def __init__(
        self,
        surfaces: Sequence[Surface],
        roles: Sequence[Role],
        devices: Mapping[str, Device],
        rates: Rates,
        faults: Faults,
        circumstances: Circumstances,
    ) -> None:
        self.surfaces = tuple(sorted(surfaces, key=lambda s: s.name))
        self.roles = tuple(sorted(roles, key=lambda r: r.name))
        self.digest = _digest(self.surfaces, self.roles)
        self.rates = rates
        self.faults = faults
        self.circumstances = circumstances
        self._devices = dict(devices)
        self.casbin = enforcer([], members=links(self.roles))
        self._roles_of = _roles_of(self.roles)
        self._known = _known(self.surfaces) | self._roles_of.keys()
        self.shards = self._index()
        self._nevers = _nevers(self.surfaces)
        self._homes = _homes(self.surfaces)
        self._memo: dict[tuple[Speaker, str, str], Authority] = {}

    def open(self, principal: Principal, device: str, protocol: str) -> Authority:
        """What ``principal`` may do to ``device`` over ``protocol``. Total: after a failure all is refused."""
        try:
            key = (Speaker.of(principal), device, protocol)
            known = self._memo.get(key)
            if known is None:
                known = self._open(*key)
                if len(self._memo) >= REMEMBERED:
                    del self._memo[next(iter(self._memo))]
                self._memo[key] = known
        except Exception as error:  # as in `Authority.decide`: refuse, count, go on
            self.faults.note(error)
            return self._refuse_all(device, protocol, error)
        return known

    def rehearsal(self, circumstances: Circumstances | None = None) -> Policy:
        """The same rules with budgets of their own, for tests and questions: they must not spend live rates."""
        other = copy.copy(self)
        other.rates, other.faults, other._memo = Rates(), Faults(), {}
        other.circumstances = self.circumstances if circumstances is None else circumstances
        return other

    @property
    def remembered(self) -> int:
        """How many authorities are kept, for metrics."""
        return len(self._memo)

    def _open(self, speaker: Speaker, device: str, protocol: str) -> Authority:
        place = self._place(speaker, device, protocol)
        subjects = [s for s in speaker.subjects if s in self._known]
        listed = self._list(subjects, device, protocol) if protocol else ()
        return Authority(place, speaker, listed, bool(subjects), self.rates, self.faults)

    def _list(self, subjects: Iterable[str], device: str, protocol: str) -> Iterable[Clause]:
        """Casbin's implicit permissions, spread over shards: first the roles of each subject, then the rows of each.

        Only subjects that some rule or role names are asked about: Casbin keeps every name it ever heard.
        """
        implied: dict[str, None] = {}
        for one in subjects:
            implied[one] = None
            implied.update(dict.fromkeys(self.casbin.get_implicit_roles_for_user(one)))
        found: dict[tuple[int, int, int], Clause] = {}
        for shard in self.shards.get(device, ()):
            for one in implied:
                found.update((clause.place, clause) for clause in shard.permissions(one, protocol))
        return found.values()

    def _place(self, speaker: Speaker, device: str, protocol: str) -> Place:
        homes = self._homes.get(device, ())
        terms = {*speaker.subjects, *(r for s in speaker.subjects for r in self._roles_of.get(s, ()))}
        guards: list[tuple[Guard, Target]] = [
            ((target.covers, never.ref), target)
            for never in self._nevers.get(device, ())
            if never.speakers is None or not terms.isdisjoint(map(subject, never.speakers))
            for target in (target.bound(speaker.names) for target in never.targets)
            if target.protocol == protocol
        ]
        # A device in two surfaces gets the stricter word of both on what is recorded first.
        return Place(device, protocol, self._default(device), any(s.record_first for s in homes), Nearby(guards))

    def _default(self, device: str) -> RuleRef:
        homes = self._homes.get(device, ())
        if homes:
            return RuleRef(homes[0].name, "default", homes[0].origin)
        known = self._devices.get(device)
        return RuleRef("none", "default", known.origin if known else Origin("policies", 1))

    def _refuse_all(self, device: str, protocol: str, error: Exception) -> Authority:
        nobody = Speaker(None, frozenset(), frozenset(), proved=False)
        default = self._default(device)
        broken = Authority(
            Place(device, protocol, default, False, Nearby(())), nobody, (), False, self.rates, self.faults
        )
        broken.connect = Verdict(default, Reason.ENGINE_ERROR, detail=type(error).__name__)
        return broken

    def _index(self) -> dict[str, list[Shard]]:
        shards: dict[str, list[Shard]] = {}
        roles = self.casbin.get_role_manager()
        for at, surface in enumerate(self.surfaces):
            by_device: dict[str, list[tuple[int, Rule]]] = {}
            for place, rule in enumerate(surface.rules):
                for device in dict.fromkeys(rule.devices):
                    by_device.setdefault(device, []).append((place, rule))
            for device, rules in by_device.items():
                shards.setdefault(device, []).append(Shard(surface, at, device, rules, roles))
        return shards


def compile_policy(
    surfaces: Sequence[Surface],
    roles: Sequence[Role],
    devices: Mapping[str, Device],
    *,
    rates: Rates | None = None,
    faults: Faults | None = None,
    circumstances: Circumstances | None = None,
) -> Policy:
    """Check once more and compile. ``rates`` of the policy before keep their budgets. Raises `PolicyError`."""
    validate(surfaces, roles, devices)
    return Policy(
        surfaces,
        roles,
        devices,
        Rates() if rates is None else rates,  # `or` would throw away an empty Rates
        Faults() if faults is None else faults,
        Circumstances() if circumstances is None else circumstances,
    )


def _known(surfaces: Iterable[Surface]) -> frozenset[str]:
    return frozenset(subject(name) for surface in surfaces for rule in surface.rules for name in rule.speakers)


def _roles_of(roles: Iterable[Role]) -> dict[str, list[str]]:
    """Our own copy of who is in which role: `never` must not depend on a row that Casbin might lose."""
    found: dict[str, list[str]] = {}
    for role in roles:
        for member in role.members:
            found.setdefault(subject(member), []).append(f"role:{role.name}")
    return found


def _nevers(surfaces: Iterable[Surface]) -> dict[str, list[Never]]:
    found: dict[str, list[Never]] = {}
    for surface in surfaces:
        for never in surface.nevers:
            for device in dict.fromkeys(never.devices):
                found.setdefault(device, []).append(never)
    return found


def _homes(surfaces: Iterable[Surface]) -> dict[str, list[Surface]]:
    found: dict[str, list[Surface]] = {}
    for surface in surfaces:
        for device in dict.fromkeys(surface.members):
            found.setdefault(device, []).append(surface)
    return found


def _digest(surfaces: Iterable[Surface], roles: Iterable[Role]) -> str:
    """One line of canonical JSON for each surface and role, in the order of their names."""
    digest = hashlib.sha256()
    for surface in surfaces:
        digest.update(_line(_canonical_surface(surface)))
    for role in roles:
        digest.update(_line({"role": role.name, "members": sorted(role.members)}))
    return digest.hexdigest()


def _line(value: dict[str, object]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _canonical_surface(surface: Surface) -> dict[str, object]:
    return {
        "surface": surface.name,
        "members": sorted(surface.members),
        "record_first": surface.record_first,
        "writes_without_proof": surface.writes_without_proof,
        "rules": [_canonical(rule) for rule in surface.rules],
        "never": [_canonical(never) for never in surface.nevers],
    }


def _canonical(rule: Rule | Never) -> dict[str, object]:
    rate = getattr(rule, "rate", None)
    return {
        "name": rule.ref.name,
        "from": None if rule.speakers is None else sorted(rule.speakers),
        "to": sorted(rule.devices),
        "targets": [[t.protocol, t.describe()] for t in rule.targets],
        "needs": sorted(getattr(rule, "needs", ())),
        "rate": None if rate is None else [rate.count, rate.seconds],
    }
