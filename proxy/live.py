"""What is in force: the site, its compiled policy, who is who. A reload exchanges all of it in one step."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from proxy.gateway.ports import Judges
from proxy.identity.identify import Identifier
from proxy.identity.sources.address import Address
from proxy.identity.sources.inside import Inside
from proxy.identity.sources.mac_ip import MacIp
from proxy.identity.sources.opcua_uri import OpcuaUri
from proxy.identity.sources.syn import Syn
from proxy.identity.sources.x509 import X509
from proxy.pki.certificate import CertificateReader
from proxy.policy.circumstances import Circumstances
from proxy.policy.shadowed import Shadowed, compile_shadowed
from proxy.policy.zone import Ahead
from proxy.protocols.base import Watched

if TYPE_CHECKING:
    from proxy.core.facts import ConnFacts
    from proxy.core.principal import Principal
    from proxy.core.process import Point
    from proxy.core.reason import Reason
    from proxy.gateway.watch import Authority
    from proxy.site import Site


class Live:
    """``circumstances`` outlive every policy, and so do the budgets: what was seen and spent stays so."""

    def __init__(self, site: Site, wall: Callable[[], float]) -> None:
        """Raises PolicyError."""
        self.circumstances = Circumstances(site.hours, wall())
        self._wall = wall
        self._watched: dict[tuple[str, str], Watched] = {}
        self.site = without_tests(site)
        self.policy = compile_shadowed(
            self.site.surfaces,
            site.roles,
            site.devices,
            site.hours,
            now=wall(),
            circumstances=self.circumstances,
        )
        self._identifier = _identifier(self.site)
        self._settle()

    def compiled(self, site: Site, ahead: Ahead | None = None) -> Shadowed:
        """The policy of another version of the site, made from what is in force where that has not changed. Nothing is
        exchanged. Raises PolicyError."""
        return self.policy.replaced(site.surfaces, site.roles, site.devices, site.hours, now=self._wall(), ahead=ahead)

    async def ahead(self, site: Site) -> Ahead:
        """What will have to be compiled for ``site``, one surface after the other: the links go on in between. Raises
        PolicyError."""
        ahead = Ahead(site.roles, site.devices)
        for surface in self.policy.changed(site.surfaces):
            ahead.add(surface)
            await asyncio.sleep(0)
        return ahead

    def exchange(self, site: Site, policy: Shadowed) -> frozenset[str] | None:
        """From here on this is in force. The devices whose links are concerned; None: all, for who is who changed."""
        before, old = self.site, self.policy
        same = before.devices == site.devices and before.name == site.name
        self.site, self.policy = without_tests(site), policy
        policy.inherit(old)
        turned = self.circumstances.tell(site.hours, self._wall())
        if not same:
            self._identifier = _identifier(self.site)
        self._settle()
        if not same:
            return None
        return policy.concerned(old) | policy.timed(turned)

    def look(self) -> frozenset[str]:
        """Looks at the clock: hours open and close, and what was in monitor is enforced at its end. The devices whose
        links are concerned by that."""
        wall = self._wall()
        concerned = self.policy.timed(turned) if (turned := self.circumstances.look(wall)) else frozenset()
        if self._end is not None and wall >= self._end:
            old, self.policy = self.policy, self.compiled(self.site)
            self.policy.inherit(old)
            concerned |= self.policy.concerned(old)
            self._settle()
        return concerned

    def next_look(self) -> float | None:
        """When the clock will change something by itself, wall seconds."""
        changes = (self.circumstances.next_change(self._wall()), self._end)
        return min((at for at in changes if at is not None), default=None)

    def judges(self, revoked: Callable[[int], bool]) -> Judges:
        """Ask whatever is in force at that moment. One answer comes from one version (T73)."""
        return Judges(
            identify=self._identify,
            standing=self._standing,
            open_authority=self._open,
            read_certificate=CertificateReader().read,
            revoked=revoked,
            wall=self._wall,
            watched=self._watched_at,
            observe=self._observe,
        )

    def _identify(self, facts: ConnFacts) -> Principal:
        return self._identifier.identify(facts)

    def _standing(self, principal: Principal) -> Reason | None:
        return self._identifier.refusal(principal)

    def _open(self, principal: Principal, device: str, protocol: str) -> Authority:
        return self.policy.open(principal, device, protocol)

    def _observe(self, device: str, point: Point, value: float, now: float) -> None:
        self.circumstances.observe(device, point, value, now)

    def _watched_at(self, device: str, protocol: str) -> Watched:
        return self._watched.setdefault((device, protocol), Watched())

    def _settle(self) -> None:
        """What follows from the policy that is in force now."""
        self._end = self.policy.next_end
        points = self.policy.watched()
        self.circumstances.watch(points)
        found: dict[tuple[str, str], set[Point]] = {}
        for device, point in points:
            found.setdefault((device, point.protocol), set()).add(point)
        for key in found.keys() | self._watched.keys():
            self._watched_at(*key).points = frozenset(found.get(key, ()))


def without_tests(site: Site) -> Site:
    """They have been run; a large site has as many of them as rules."""
    return replace(site, surfaces=tuple(replace(s, tests=()) if s.tests else s for s in site.surfaces), cases=())


def _identifier(site: Site) -> Identifier:
    return Identifier(site.name, site.devices, (X509(site.name), OpcuaUri(), Inside(), MacIp(), Address(), Syn()))
