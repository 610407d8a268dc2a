"""Surfaces and roles become one immutable `Policy`, which opens an `Authority` per speaker, device and protocol."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING
from weakref import ref

from proxy.core.collector import without_collector
from proxy.core.reason import Reason
from proxy.core.verdict import Verdict
from proxy.policy.authority import Authority, Guard, Place
from proxy.policy.circumstances import Circumstances
from proxy.policy.constraints import watched
from proxy.policy.digest import policy_digest
from proxy.policy.extent import Nearby
from proxy.policy.faults import Faults
from proxy.policy.graph import Graph
from proxy.policy.parts import Parts, concerned, doubtful, turned
from proxy.policy.rates import Rates
from proxy.policy.speaker import Speaker, subject
from proxy.policy.validate import PolicyError, validate
from proxy.policy.zone import Zones

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from proxy.core.action import Target
    from proxy.core.hours import Hours
    from proxy.core.inventory import Device
    from proxy.core.principal import Principal
    from proxy.core.process import Point
    from proxy.core.surface import Role, Surface
    from proxy.policy.rows import Clause
    from proxy.policy.rows import Place as Order
    from proxy.policy.zone import Ahead

__all__ = ["Policy", "PolicyError", "compile_policy"]

REMEMBERED = 4096
"""Authorities kept for the next link of the same speaker: a handshake must not pay Casbin each time."""


class Policy:
    """Everything that decides, compiled. Made by `compile_policy` and never changed: a reload makes another, which
    takes over what still holds (`replaced`).

    ``digest`` names the meaning (sha256 of the canonical rules, in hex): comments and line numbers are not in it.
    ``faults`` counts decisions that failed. Rates live outside, so that a reload does not refill them.
    """

    def __init__(self, parts: Parts, rates: Rates, faults: Faults, circumstances: Circumstances) -> None:
        self._parts = parts
        self.surfaces = tuple(zone.surface for zone in parts.zones)
        self.roles = parts.roles
        self.hours = parts.hours
        self.digest = policy_digest((zone.digest for zone in parts.zones), parts.roles, parts.hours)
        self.rates = rates
        self.faults = faults
        self.circumstances = circumstances
        self._memo: dict[tuple[Speaker, str, str], Authority] = {}
        self._since: tuple[Callable[[], Policy | None], frozenset[str]] = (lambda: None), frozenset()

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

    def replaced(
        self,
        surfaces: Sequence[Surface],
        roles: Sequence[Role],
        devices: Mapping[str, Device],
        hours: Sequence[Hours] = (),
        ahead: Ahead | None = None,
    ) -> Policy:
        """The policy of ``surfaces`` and the rest. Raises `PolicyError`.

        A surface that is the same object as here, or has the same name and (not empty) mark, keeps what was compiled
        from it; only the others are checked and compiled, if that was not done ``ahead``. Rates, faults, circumstances,
        and the authorities for devices that the change does not concern go on.
        """
        validate(doubtful(self._parts, surfaces, roles, devices, ahead), roles, devices)
        graph = self._parts.graph.replaced(roles)
        parts = Parts(self._parts.zones.replaced(surfaces, ahead), graph, _by_name(roles), dict(devices), tuple(hours))
        made = Policy(parts, self.rates, self.faults, self.circumstances)
        made._remember(self)
        return made

    def concerned(self, old: Policy) -> frozenset[str]:
        """The devices whose links have to be decided again if this takes the place of ``old``."""
        before, found = self._since
        return found if before() is old else concerned(self._parts, old._parts)

    def timed(self, hours: Iterable[str]) -> frozenset[str]:
        """The devices of the rules that hold in one of these ``hours`` only."""
        return frozenset(self._parts.timed(frozenset(hours)))

    def watched(self) -> frozenset[tuple[str, Point]]:
        """The (device, point) that some rule looks at: what has to be observed for it."""
        looking = (zone.surface for zone in self._parts.zones if zone.looks)
        return frozenset(watched(looking, self._parts.devices))

    def surface_digests(self) -> dict[str, str]:
        """By name, in hex."""
        return {zone.surface.name: zone.digest for zone in self._parts.zones}

    @property
    def remembered(self) -> int:
        """How many authorities are kept, for metrics."""
        return len(self._memo)

    def _remember(self, old: Policy) -> None:
        """Take over the authorities of ``old`` that this would make alike."""
        devices, strangers = self.concerned(old), turned(self._parts, old._parts)
        self._since = ref(old), devices
        for key, authority in list(old._memo.items()):
            speaker, device, _ = key
            if device not in devices and strangers.isdisjoint(speaker.subjects):
                self._memo[key] = authority

    def _open(self, speaker: Speaker, device: str, protocol: str) -> Authority:
        place = self._place(speaker, device, protocol)
        subjects = [s for s in speaker.subjects if self._parts.know(s)]
        listed = self._list(subjects, device, protocol) if protocol else ()
        known = bool(subjects)
        return Authority(place, speaker, listed, known, self.rates, self.faults, self.circumstances)

    def _list(self, subjects: Iterable[str], device: str, protocol: str) -> Iterable[Clause]:
        """Casbin's implicit permissions, spread over shards: first the roles of each subject, then the rows of each."""
        implied: dict[str, None] = {}
        for one in subjects:
            implied[one] = None
            implied.update(dict.fromkeys(self._parts.graph.implied(one)))
        found: dict[Order, Clause] = {}
        for zone in self._parts.zones.at(device):
            if (shard := zone.shards.get(device)) is not None:
                for one in implied:
                    found.update((clause.place, clause) for clause in shard.permissions(one, protocol))
        return found.values()

    def _place(self, speaker: Speaker, device: str, protocol: str) -> Place:
        zones = self._parts.zones.at(device)
        terms = {*speaker.subjects, *(r for s in speaker.subjects for r in self._parts.graph.of(s))}
        guards: list[tuple[Guard, Target]] = [
            ((target.covers, never.ref), target)
            for zone in zones
            for never in zone.nevers.get(device, ())
            if never.speakers is None or not terms.isdisjoint(map(subject, never.speakers))
            for target in (target.bound(speaker.names) for target in never.targets)
            if target.protocol == protocol
        ]
        # A device in two surfaces gets the stricter word of both on what is recorded first.
        record_first = any(zone.surface.record_first for zone in zones if device in zone.members)
        return Place(device, protocol, self._parts.default(device), record_first, Nearby(guards))

    def _refuse_all(self, device: str, protocol: str, error: Exception) -> Authority:
        nobody = Speaker(None, frozenset(), frozenset(), proved=False)
        default = self._parts.default(device)
        place = Place(device, protocol, default, False, Nearby(()))
        broken = Verdict(default, Reason.ENGINE_ERROR, detail=type(error).__name__)
        return Authority(place, nobody, (), False, self.rates, self.faults, self.circumstances, broken)


def compile_policy(
    surfaces: Sequence[Surface],
    roles: Sequence[Role],
    devices: Mapping[str, Device],
    hours: Sequence[Hours] = (),
    *,
    rates: Rates | None = None,
    faults: Faults | None = None,
    circumstances: Circumstances | None = None,
) -> Policy:
    """Check once more and compile. ``rates`` of the policy before keep their budgets. Raises `PolicyError`."""
    validate(surfaces, roles, devices)
    ordered = _by_name(roles)
    with without_collector():
        zones = Zones().replaced(surfaces)
    parts = Parts(zones, Graph(ordered), ordered, dict(devices), tuple(hours))
    return Policy(
        parts,
        Rates() if rates is None else rates,  # `or` would throw away an empty Rates
        Faults() if faults is None else faults,
        Circumstances() if circumstances is None else circumstances,
    )


def _by_name(roles: Iterable[Role]) -> tuple[Role, ...]:
    return tuple(sorted(roles, key=lambda role: role.name))
