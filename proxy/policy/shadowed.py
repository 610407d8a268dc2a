"""Two policies asked side by side: the one in force decides, the candidate is counted (`proxy.policy.shadow`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.reason import Reason
from proxy.policy.compile import compile_policy
from proxy.policy.digest import policy_digest, surface_digest
from proxy.policy.doubled import Doubled, Lenient, MonitorCounts, Shadow
from proxy.policy.rates import Rates
from proxy.policy.shadow import Split, Watched, split
from proxy.policy.succession import succession

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from proxy.core.hours import Hours
    from proxy.core.inventory import Device
    from proxy.core.principal import Principal
    from proxy.core.process import Point
    from proxy.core.surface import Role, Surface
    from proxy.policy.authority import Authority
    from proxy.policy.circumstances import Circumstances
    from proxy.policy.compile import Policy
    from proxy.policy.zone import Ahead

__all__ = ["MonitorCounts", "Shadowed", "compile_shadowed"]


class Shadowed:
    """``enforced`` is compiled of ``parts.enforced``, ``candidate`` of ``parts.candidate``, with rates and faults of
    its own; None if nothing is in monitor. It stands where a `Policy` would, and a device about which nothing is in
    monitor is asked about once, as there. Made by `compile_shadowed`."""

    def __init__(
        self,
        surfaces: Sequence[Surface],
        parts: Split,
        enforced: Policy,
        candidate: Policy | None,
        counts: MonitorCounts,
        rates: Rates,
    ) -> None:
        self.enforced = enforced
        self.candidate = candidate
        self.surfaces = tuple(surfaces)
        self.counts = counts
        self._parts = parts
        self._rates = rates
        self.digest = _digest(enforced, surfaces, parts.enforced)
        self._record_first = frozenset(d for s in surfaces if parts.lenient and s.record_first for d in s.members)
        self._shadow = None if candidate is None else self._cast(candidate)

    @property
    def monitored(self) -> tuple[Watched, ...]:
        return self._parts.monitored

    @property
    def next_end(self) -> float | None:
        """When it has to be made anew; see `Split`."""
        return self._parts.next_end

    def open(self, principal: Principal, device: str, protocol: str) -> Authority | Lenient | Doubled:
        """As `Policy.open`: total."""
        authority = self.enforced.open(principal, device, protocol)
        shadow = self._shadow
        if shadow is None or device not in shadow.devices:
            return authority
        free = self._parts.lenient.get(device)
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
        ahead: Ahead | None = None,
    ) -> Shadowed:
        """As `Policy.replaced`, at another time. What was counted and spent stays so. Raises `PolicyError`."""
        parts = split(surfaces, now, self._parts.plain)
        first = self.enforced.replaced(parts.enforced, roles, devices, hours, ahead)
        second = None
        if parts.candidate and self.candidate is not None:
            second = self.candidate.replaced(parts.candidate, roles, devices, hours)
        elif parts.candidate:
            around = self.enforced.circumstances
            second = compile_policy(parts.candidate, roles, devices, hours, rates=self._rates, circumstances=around)
        return Shadowed(surfaces, parts, first, second, self.counts, self._rates)

    def inherit(self, old: Shadowed) -> None:
        """This takes the place of ``old``, now: limits that changed their names go on as far as they were spent."""
        self.enforced.rates.inherit(succession(old.enforced.surfaces, self.enforced.surfaces))

    def changed(self, surfaces: Iterable[Surface]) -> list[Surface]:
        """Those that are not here."""
        known = {surface.name: surface for surface in self.surfaces}
        return [surface for surface in surfaces if known.get(surface.name) is not surface]

    def concerned(self, old: Shadowed) -> frozenset[str]:
        """As `Policy.concerned`. Also devices about which something else is in monitor now."""
        mine, theirs = self._parts, old._parts
        found = set(self.enforced.concerned(old.enforced))
        found.update(device for device, _ in mine.lenient.items() ^ theirs.lenient.items())
        found.update(mine.touched ^ theirs.touched)
        if self.candidate is not None and old.candidate is not None:
            found.update(self.candidate.concerned(old.candidate) & mine.touched)
        if mine.monitored != theirs.monitored:
            found.update(mine.touched)
        return frozenset(found)

    def timed(self, hours: Iterable[str]) -> frozenset[str]:
        """As `Policy.timed`."""
        names = frozenset(hours)
        return self.enforced.timed(names) | (frozenset() if self.candidate is None else self.candidate.timed(names))

    def watched(self) -> frozenset[tuple[str, Point]]:
        """As `Policy.watched`."""
        return self.enforced.watched() | (frozenset() if self.candidate is None else self.candidate.watched())

    def _cast(self, policy: Policy) -> Shadow:
        parts = self._parts
        refs = {(one.ref.surface, one.ref.name): one.ref for one in parts.monitored}
        whole = {one.ref.surface: one.ref for one in parts.monitored if one.whole}
        return Shadow(policy, parts.touched, refs, parts.replaced, whole, self.counts)


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
    parts, spent = split(surfaces, now), Rates()
    first = compile_policy(parts.enforced, roles, devices, hours, rates=rates, circumstances=circumstances)
    second = None
    if parts.candidate:
        around = first.circumstances
        second = compile_policy(parts.candidate, roles, devices, hours, rates=spent, circumstances=around)
    return Shadowed(surfaces, parts, first, second, MonitorCounts() if counts is None else counts, spent)


def _digest(policy: Policy, surfaces: Sequence[Surface], split: Sequence[Surface]) -> str:
    """That of the surfaces as they are written: what is in monitor means something, too, and the same files have the
    same name whatever the hour."""
    written = [one for one, other in zip(surfaces, split, strict=True) if one is not other]
    if not written:
        return policy.digest
    digests = policy.surface_digests() | {surface.name: surface_digest(surface) for surface in written}
    return policy_digest((digests[name] for name in sorted(digests)), policy.roles, policy.hours)
