"""What a policy is made of, and what is different between two of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from proxy.core.origin import Origin, RuleRef
from proxy.policy.speaker import ROLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from proxy.core.hours import Hours
    from proxy.core.inventory import Device
    from proxy.core.surface import Role, Surface
    from proxy.policy.graph import Graph
    from proxy.policy.zone import Ahead, Zone, Zones


class Parts(NamedTuple):
    """Hours are known by name alone: whether they are open is told by circumstances."""

    zones: Zones
    graph: Graph
    roles: tuple[Role, ...]
    devices: Mapping[str, Device]
    hours: tuple[Hours, ...]

    def know(self, subject: str) -> bool:
        """Some rule or role names ``subject``."""
        return self.zones.name(subject) or self.graph.knows(subject)

    def default(self, device: str) -> RuleRef:
        """What a refusal by default names: the first surface of the device, or the device itself."""
        for zone in self.zones.at(device):
            if device in zone.members:
                return RuleRef(zone.surface.name, "default", zone.surface.origin)
        known = self.devices.get(device)
        return RuleRef("none", "default", known.origin if known else Origin("policies", 1))

    def timed(self, hours: frozenset[str]) -> Iterator[str]:
        """The devices of the rules that hold in one of ``hours`` only."""
        for zone in self.zones:
            if not hours.isdisjoint(zone.hours):
                yield from zone.timed(hours)


def concerned(new: Parts, old: Parts) -> frozenset[str]:
    """The devices about which the two may answer differently."""
    found = {device for zone in _changed(new, old) for device in zone.reach}
    found.update(new.timed(_differing(new.hours, old.hours)))
    if roles := new.graph.differing(old.graph):
        for zone in new.zones:
            if not roles.isdisjoint(zone.speakers):
                found.update(zone.naming(roles))
    moved = (name for name in new.devices.keys() | old.devices.keys() if _moved(new.devices, old.devices, name))
    found.update(name for name in moved if new.default(name) != old.default(name))
    return frozenset(found)


def turned(new: Parts, old: Parts) -> frozenset[str]:
    """The subjects that one of the two has never heard of: to be a stranger is a reason of its own, at any device."""
    asked = {one for zone in _changed(new, old) for one in zone.subjects}
    if new.graph is not old.graph:
        asked |= new.graph.subjects | old.graph.subjects
    return frozenset(one for one in asked if new.know(one) != old.know(one))


def doubtful(
    old: Parts,
    surfaces: Sequence[Surface],
    roles: Sequence[Role],
    devices: Mapping[str, Device],
    ahead: Ahead | None = None,
) -> Sequence[Surface]:
    """What has to be checked. What did not change was found right, as long as all that it names is still there; and
    what was ``ahead``, if it was held against the same."""
    if len({surface.name for surface in surfaces}) < len(surfaces):
        return surfaces
    lost = old.devices.keys() - devices.keys()
    gone = {ROLE + role.name for role in old.roles} - {ROLE + role.name for role in roles}

    def holds(surface: Surface) -> bool:
        if ahead is not None and ahead.found_right(surface, roles, devices):
            return True
        zone = old.zones.holding(surface)
        return zone is not None and zone.reach.isdisjoint(lost) and zone.speakers.isdisjoint(gone)

    return [surface for surface in surfaces if not holds(surface)]


def _changed(new: Parts, old: Parts) -> list[Zone]:
    return new.zones.without(old.zones) + old.zones.without(new.zones)


def _moved(new: Mapping[str, Device], old: Mapping[str, Device], name: str) -> bool:
    one, other = new.get(name), old.get(name)
    return one is not other and (one is None or other is None or one.origin != other.origin)


def _differing(some: Iterable[Hours], others: Iterable[Hours]) -> frozenset[str]:
    """The names of hours that do not mean the same in both."""
    one, two = ({hours.name: hours.describe() for hours in each} for each in (some, others))
    return frozenset(name for name in one.keys() | two.keys() if one.get(name) != two.get(name))
