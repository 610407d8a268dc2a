"""A surface, compiled, and all of them together: what the next policy keeps of this one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.policy.constraints import looks
from proxy.policy.digest import surface_digest
from proxy.policy.shard import Shard
from proxy.policy.speaker import subject
from proxy.policy.validate import validate

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from proxy.core.inventory import Device
    from proxy.core.surface import Never, Role, Rule, Surface


class Zone:
    """Made from one surface and from nothing else, so it holds as long as the surface does.

    ``reach`` is every device that the surface says something about, ``speakers`` are the names in its rules and
    nevers as they are written, ``subjects`` those of its rules as Casbin calls them, ``hours`` the names in `when`.
    ``looks``: some rule looks at values that were seen.
    """

    __slots__ = ("digest", "hours", "looks", "members", "nevers", "reach", "shards", "speakers", "subjects", "surface")

    def __init__(self, surface: Surface) -> None:
        self.surface = surface
        self.digest = surface_digest(surface)
        self.members = frozenset(surface.members)
        self.shards = _shards(surface)
        self.nevers = _nevers(surface)
        self.reach = frozenset((*self.members, *self.shards, *self.nevers))
        allowed = {name for rule in surface.rules for name in rule.speakers}
        self.speakers = frozenset(allowed.union(*(never.speakers or () for never in surface.nevers)))
        self.subjects = frozenset(map(subject, allowed))
        self.hours = frozenset(name for rule in surface.rules for name in rule.when)
        self.looks = looks(surface)

    def holds(self, surface: Surface) -> bool:
        """``surface`` is what this was made from: the same one, or one made from the same text in the same site."""
        own = self.surface
        return surface is own or (own.mark != "" and surface.mark == own.mark and surface.monitor == own.monitor)

    def naming(self, speakers: frozenset[str]) -> Iterator[str]:
        """The devices of the rules and nevers that name one of ``speakers``."""
        both: tuple[Rule | Never, ...] = (*self.surface.rules, *self.surface.nevers)
        for rule in both:
            if rule.speakers is not None and not speakers.isdisjoint(rule.speakers):
                yield from rule.devices

    def timed(self, hours: frozenset[str]) -> Iterator[str]:
        """The devices of the rules that hold in one of ``hours`` only."""
        for rule in self.surface.rules:
            if not hours.isdisjoint(rule.when):
                yield from rule.devices


class Zones:
    """All zones by name, the zones of each device, and how many of them name each subject."""

    __slots__ = ("_at", "_by_name", "_named")

    def __init__(self) -> None:
        self._by_name: dict[str, Zone] = {}
        self._at: dict[str, tuple[Zone, ...]] = {}
        self._named: dict[str, int] = {}

    def __iter__(self) -> Iterator[Zone]:
        """In the order of names: the order in which surfaces contribute, which does not shift when one is added."""
        return iter(self._by_name.values())

    def at(self, device: str) -> tuple[Zone, ...]:
        """What says something about ``device``, in the order of names."""
        return self._at.get(device, ())

    def name(self, subject: str) -> bool:
        return subject in self._named

    def holding(self, surface: Surface) -> Zone | None:
        """The zone that was made from ``surface``."""
        zone = self._by_name.get(surface.name)
        return zone if zone is not None and zone.holds(surface) else None

    def replaced(self, surfaces: Iterable[Surface], ahead: Ahead | None = None) -> Zones:
        """The zones of ``surfaces``. What holds is taken over; only the rest is compiled, unless it was ``ahead``."""
        made = Zones()
        for surface in sorted(surfaces, key=lambda one: one.name):
            zone = self.holding(surface) or (None if ahead is None else ahead.holding(surface))
            made._by_name[surface.name] = zone or Zone(surface)
        made._at, made._named = dict(self._at), dict(self._named)
        gone, new = self.without(made), made.without(self)
        made._map(gone, new)
        made._count(gone, new)
        return made

    def without(self, other: Zones) -> list[Zone]:
        """The zones that ``other`` has not."""
        return [zone for name, zone in self._by_name.items() if other._by_name.get(name) is not zone]

    def _map(self, gone: Collection[Zone], new: Collection[Zone]) -> None:
        touched: dict[str, list[Zone]] = {}
        leaving = set(gone)
        for device in {device for zone in (*gone, *new) for device in zone.reach}:
            touched[device] = [zone for zone in self.at(device) if zone not in leaving]
        for zone in new:
            for device in zone.reach:
                touched[device].append(zone)
        for device, zones in touched.items():
            if zones:
                self._at[device] = tuple(sorted(zones, key=lambda one: one.surface.name))
            else:
                del self._at[device]

    def _count(self, gone: Iterable[Zone], new: Iterable[Zone]) -> None:
        named = self._named
        for zone in new:
            for one in zone.subjects:
                named[one] = named.get(one, 0) + 1
        for zone in gone:
            for one in zone.subjects:
                named[one] -= 1
                if not named[one]:
                    del named[one]


class Ahead:
    """Surfaces of the next policy, checked and compiled one by one before it is made.

    To compile a surface of fifty rules takes a millisecond. Whoever has links to serve does it for one surface after
    the other and lets the links go on in between; `Policy.replaced` then finds most of its work done.

    ``roles`` and ``devices`` are those of the policy to come.
    """

    def __init__(self, roles: Sequence[Role], devices: Mapping[str, Device]) -> None:
        self._roles = roles
        self._devices = devices
        self._zones: dict[str, Zone] = {}

    def add(self, surface: Surface) -> None:
        """Raises `PolicyError`."""
        validate([surface], self._roles, self._devices)
        self._zones[surface.name] = Zone(surface)

    def holding(self, surface: Surface) -> Zone | None:
        """The zone that was made of ``surface``."""
        zone = self._zones.get(surface.name)
        return zone if zone is not None and zone.surface is surface else None

    def found_right(self, surface: Surface, roles: Sequence[Role], devices: Mapping[str, Device]) -> bool:
        """It was checked with these very roles and devices."""
        return roles is self._roles and devices is self._devices and self.holding(surface) is not None


def _shards(surface: Surface) -> dict[str, Shard]:
    by_device: dict[str, list[int]] = {}
    for place, rule in enumerate(surface.rules):
        for device in dict.fromkeys(rule.devices):
            by_device.setdefault(device, []).append(place)
    return {device: Shard(surface, device, places) for device, places in by_device.items()}


def _nevers(surface: Surface) -> Mapping[str, list[Never]]:
    found: dict[str, list[Never]] = {}
    for never in surface.nevers:
        for device in dict.fromkeys(never.devices):
            found.setdefault(device, []).append(never)
    return found
