"""Two policies asked side by side: the one in force decides, the candidate is counted (`proxy.policy.shadow`)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from proxy.core.reason import Reason
from proxy.policy.compile import compile_policy
from proxy.policy.doubled import Doubled, Lenient, MonitorCounts, Shadow
from proxy.policy.rates import Rates
from proxy.policy.shadow import MONITOR, Watched, candidate, enforced, lenient, replacing, touched, watched

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from proxy.core.hours import Hours
    from proxy.core.inventory import Device
    from proxy.core.origin import RuleRef
    from proxy.core.principal import Principal
    from proxy.core.process import Point
    from proxy.core.surface import Role, Surface
    from proxy.policy.authority import Authority
    from proxy.policy.circumstances import Circumstances
    from proxy.policy.compile import Policy

__all__ = ["MonitorCounts", "Shadowed", "compile_shadowed"]


class Shadowed:
    """``enforced`` is compiled of `shadow.enforced`, ``candidate`` of `shadow.candidate` at the same ``now`` (seconds
    since 1970) with rates and faults of its own; None if nothing is in monitor. It stands where a `Policy` would, and a
    device about which nothing is in monitor is asked about once, as there."""

    def __init__(
        self,
        enforced: Policy,
        candidate: Policy | None,
        surfaces: Sequence[Surface],
        now: float,
        counts: MonitorCounts | None = None,
        rates: Rates | None = None,
    ) -> None:
        self.enforced = enforced
        self.candidate = candidate
        self.surfaces = tuple(surfaces)
        self.monitored: tuple[Watched, ...] = watched(surfaces, now)
        self.counts = MonitorCounts() if counts is None else counts
        self._rates = Rates() if rates is None else rates
        self._lenient = lenient(surfaces, now)
        self._record_first = frozenset(d for s in surfaces if s.record_first for d in s.members)
        self._shadow = None if candidate is None else self._cast(candidate, now)

    def open(self, principal: Principal, device: str, protocol: str) -> Authority | Lenient | Doubled:
        """As `Policy.open`: total."""
        authority = self.enforced.open(principal, device, protocol)
        shadow = self._shadow
        if shadow is None or device not in shadow.devices:
            return authority
        free = self._lenient.get(device)
        asked = authority if free is None else Lenient(authority, free, device in self._record_first)
        beside = shadow.policy.open(principal, device, protocol)
        if beside.connect.reason is Reason.ENGINE_ERROR:
            return asked  # it could not be made, which is counted; what it says is not what the files say
        doubled = Doubled(asked, beside, shadow)
        connect = doubled.connect
        if connect.would is not None and not connect.allowed:
            # Nothing will be asked on this link; what is refused at the door is counted at the door.
            self.counts.of(shadow.blame(connect, connect.would)).would_allow += 1
        return doubled

    def replaced(
        self,
        surfaces: Sequence[Surface],
        roles: Sequence[Role],
        devices: Mapping[str, Device],
        hours: Sequence[Hours] = (),
        *,
        now: float,
    ) -> Shadowed:
        """As `Policy.replaced`, at another time. What was counted and spent stays so. Raises `PolicyError`."""
        first = self.enforced.replaced(enforced(surfaces, now), roles, devices, hours)
        beside, second = candidate(surfaces, now), None
        if beside and self.candidate is not None:
            second = self.candidate.replaced(beside, roles, devices, hours)
        elif beside:
            circumstances = self.enforced.circumstances
            second = compile_policy(beside, roles, devices, hours, rates=self._rates, circumstances=circumstances)
        return Shadowed(first, second, surfaces, now, self.counts, self._rates)

    def concerned(self, old: Shadowed) -> frozenset[str]:
        """As `Policy.concerned`. Also devices about which something else is in monitor now."""
        found = set(self.enforced.concerned(old.enforced))
        found.update(device for device, _ in self._lenient.items() ^ old._lenient.items())
        found.update(self._watches() ^ old._watches())
        if self.candidate is not None and old.candidate is not None:
            found.update(self.candidate.concerned(old.candidate) & self._watches())
        if {one.ref: one.monitor for one in self.monitored} != {one.ref: one.monitor for one in old.monitored}:
            found.update(self._watches())
        return frozenset(found)

    def timed(self, hours: Iterable[str]) -> frozenset[str]:
        """As `Policy.timed`."""
        names = frozenset(hours)
        return self.enforced.timed(names) | (frozenset() if self.candidate is None else self.candidate.timed(names))

    def watched(self) -> frozenset[tuple[str, Point]]:
        """As `Policy.watched`."""
        return self.enforced.watched() | (frozenset() if self.candidate is None else self.candidate.watched())

    @property
    def digest(self) -> str:
        """As `Policy.digest`: what is in monitor means something, too."""
        if self.candidate is None:
            return self.enforced.digest
        told = [(str(one.ref), one.monitor.until, one.monitor.then) for one in self.monitored]
        both = f"{self.enforced.digest} {self.candidate.digest} {told}"
        return hashlib.sha256(both.encode()).hexdigest()

    def _watches(self) -> frozenset[str]:
        return frozenset() if self._shadow is None else self._shadow.devices

    def _cast(self, policy: Policy, now: float) -> Shadow:
        refs: dict[tuple[str, str], RuleRef] = {(one.ref.surface, one.ref.name): one.ref for one in self.monitored}
        whole = {s.name: refs[s.name, MONITOR] for s in self.surfaces if s.monitor and (s.name, MONITOR) in refs}
        return Shadow(policy, touched(self.surfaces, now), refs, replacing(self.surfaces, now), whole, self.counts)


def compile_shadowed(
    surfaces: Sequence[Surface],
    roles: Sequence[Role],
    devices: Mapping[str, Device],
    hours: Sequence[Hours] = (),
    *,
    now: float,
    rates: Rates | None = None,
    circumstances: Circumstances | None = None,
    counts: MonitorCounts | None = None,
) -> Shadowed:
    """As `compile_policy`. ``now`` is seconds since 1970: what is in monitor until then. Raises `PolicyError`."""
    first = compile_policy(enforced(surfaces, now), roles, devices, hours, rates=rates, circumstances=circumstances)
    beside, spent = candidate(surfaces, now), Rates()
    second = None
    if beside:
        second = compile_policy(beside, roles, devices, hours, rates=spent, circumstances=first.circumstances)
    return Shadowed(first, second, surfaces, now, counts, spent)
