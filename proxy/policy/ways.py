"""What one device may do to each other one: the rules that count for it, door by door, with their conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.principal import Principal
from proxy.policy.assume import assumed, bound_kinds
from proxy.policy.shadow import enforced, lenient
from proxy.policy.speaker import MBAPS, NULL_ROLE, ROLE
from proxy.policy.way import Grant, Way, direct, often, relayed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from proxy.core.action import Target
    from proxy.core.surface import Never, Role, Rule, Surface
    from proxy.policy.plan import Door, Plan
    from proxy.policy.way import Assumption, Relay, Words


class Ways:
    """What is in monitor counts as it is enforced: not at all, or as a gap. Every answer is in the order of doors and
    rules."""

    def __init__(self, plan: Plan, start: str, assumption: Assumption, words: Words) -> None:
        self._plan = plan
        self._start = start
        self._assumption = assumption
        self._words = words
        self._rules: dict[str, list[tuple[Surface, Rule]]] = {}
        self._nevers: dict[str, list[Never]] = {}
        self._lenient = lenient(plan.surfaces, assumption.now)
        self._hours = {one.name: one.describe() for one in plan.hours}
        self._known: dict[tuple[str, str, str], tuple[Grant, ...]] = {}
        self._heard: dict[tuple[str, str], tuple[Grant, ...]] = {}
        self._names_of: dict[str, frozenset[str]] = {}
        self._speakers: dict[str, frozenset[str]] = {}
        self._every_role = frozenset((NULL_ROLE, *roles_in_certificates(plan.surfaces, plan.roles)))
        for surface in enforced(plan.surfaces, assumption.now):
            for rule in surface.rules:
                for device in rule.devices:
                    self._rules.setdefault(device, []).append((surface, rule))
            for never in surface.nevers:
                for device in never.devices:
                    self._nevers.setdefault(device, []).append(never)

    def of(self, who: str) -> tuple[Way, ...]:
        """Everything that ``who`` may do to others, and what brokers pass on of it."""
        found: dict[Way, None] = {}
        for device, protocol in dict.fromkeys((door.device, door.protocol) for door in self._plan.doors):
            relay = self._words.relay(device, protocol)
            if device == who:
                found.update(dict.fromkeys(() if relay is None else self._told_by(who, protocol, relay)))
                continue
            grants = self._grants(who, device, protocol)
            written = [grant for grant in grants if not grant.implied] or grants
            found.update((direct(grant, broker=relay is not None), None) for grant in written)
            for grant in grants:
                found.update(dict.fromkeys(() if relay is None else self._passed_on(grant, relay)))
        return tuple(found)

    def _passed_on(self, grant: Grant, relay: Relay) -> Iterator[Way]:
        """What comes to those who listen at the broker that ``grant`` is about."""
        if grant.target is not None and not relay(grant.target, None):
            return
        for other in self._listeners(grant.door.device, grant.door.protocol, relay):
            if other.principal.id == grant.principal.id:
                continue
            for passed in relay(grant.target, other.target):
                if self._left(grant, passed.said) and self._left(other, passed.heard):
                    yield relayed(grant, other, passed)

    def _told_by(self, broker: str, protocol: str, relay: Relay) -> Iterator[Way]:
        """A broker that is taken over says what it likes to those who listen to it."""
        for grant in self._listeners(broker, protocol, relay):
            for passed in relay(None, grant.target):
                if self._left(grant, passed.heard):
                    hearer, what = str(grant.principal.id), passed.said.describe()
                    yield Way(broker, hearer, protocol, what, passed.changes, grant.rule, grant.door.name)

    def _listeners(self, broker: str, protocol: str, relay: Relay) -> tuple[Grant, ...]:
        """The grants by which somebody hears anything there."""
        key = broker, protocol
        if key not in self._heard:
            self._heard[key] = tuple(
                grant
                for hearer in self._plan.devices
                for grant in (self._grants(hearer, broker, protocol) if hearer != broker else ())
                if relay(None, grant.target)
            )
        return self._heard[key]

    def _grants(self, who: str, device: str, protocol: str) -> tuple[Grant, ...]:
        key = who, device, protocol
        if key not in self._known and device not in self._lenient and self._called(who).isdisjoint(self._named(device)):
            self._known[key] = ()
        if key not in self._known:
            found: dict[tuple[object, ...], Grant] = {}
            for door in self._plan.doors:
                principal = self._speaker(who, door) if (door.device, door.protocol) == (device, protocol) else None
                if principal is not None and self._words.stands(principal):
                    for grant in self._through(door, principal):
                        found.setdefault((grant.rule, grant.target), grant)
            self._known[key] = tuple(found.values())
        return self._known[key]

    def _speaker(self, who: str, door: Door) -> Principal | None:
        """``who`` as it can show itself at a door, or None if it gets no further there."""
        kinds = {*bound_kinds(self._plan.devices[who])}
        if who == self._start and self._assumption.kinds is not None:
            kinds &= {*self._assumption.kinds}
        if not door.secured:
            kinds.discard("x509")
            return assumed(who, self._plan.devices, kinds) if kinds else None
        if "x509" not in kinds:
            return None
        return assumed("+".join((who, *sorted(self._roles(who)))), self._plan.devices, kinds)

    def _roles(self, who: str) -> frozenset[str]:
        """What its certificate says besides its name."""
        if who == self._start and self._assumption.attributes:
            return self._assumption.attributes
        return self._every_role if self._assumption.any_role else frozenset((NULL_ROLE,))

    def _called(self, who: str) -> frozenset[str]:
        """All that rules may call it, whatever it shows."""
        if who not in self._names_of:
            self._names_of[who] = self._names(Principal(who, self._roles(who)))
        return self._names_of[who]

    def _named(self, device: str) -> frozenset[str]:
        """All whom rules about a device name."""
        if device not in self._speakers:
            rules = (rule for _, rule in self._rules.get(device, ()))
            self._speakers[device] = frozenset(name for rule in rules for name in rule.speakers)
        return self._speakers[device]

    def _through(self, door: Door, principal: Principal) -> Iterator[Grant]:
        device = door.device
        if device in self._lenient:
            yield Grant(principal, door, None, self._lenient[device], ("in monitor: nothing but never is enforced",))
            return
        names = self._names(principal)
        for surface, rule in self._rules.get(device, ()):
            if names.isdisjoint(rule.speakers) or not rule.needs <= principal.matched or not self._is_open(rule):
                continue
            for target in (target.bound(principal.names) for target in rule.targets):
                proof = principal.proved or not target.changes or surface.writes_without_proof
                if target.protocol != door.protocol or not proof or self._words.pointless(target, device):
                    continue
                grant = Grant(principal, door, target, rule.ref, self._conditions(rule))
                for left in self._left(grant, target):
                    yield grant._replace(target=left)

    def _left(self, grant: Grant, target: Target) -> tuple[Target, ...]:
        """What of ``target`` no never takes away from who has the grant."""
        names = self._names(grant.principal)
        nevers = tuple(
            one.bound(grant.principal.names)
            for never in self._nevers.get(grant.door.device, ())
            if never.speakers is None or not names.isdisjoint(never.speakers)
            for one in never.targets
            if one.protocol == target.protocol
        )
        if any(target.within(never) for never in nevers):
            return ()
        return self._words.beyond(target.protocol, (target,), nevers) if nevers else (target,)

    def _names(self, principal: Principal) -> frozenset[str]:
        """All that rules may call it."""
        own = {*principal.attributes} | ({principal.id} if principal.id is not None else set())
        return frozenset((*own, *(f"{ROLE}{r.name}" for r in self._plan.roles if not own.isdisjoint(r.members))))

    def _is_open(self, rule: Rule) -> bool:
        return not rule.when or self._assumption.open is None or not self._assumption.open.isdisjoint(rule.when)

    def _conditions(self, rule: Rule) -> tuple[str, ...]:
        hours = " or ".join(f"{name} ({self._hours[name]})" if name in self._hours else name for name in rule.when)
        return (
            *((f"needs {', '.join(sorted(rule.needs))}",) if rule.needs else ()),
            *((f"at most {often(rule.rate)}",) if rule.rate is not None else ()),
            *((f"all together at most {often(rule.budget)}",) if rule.budget is not None else ()),
            *((f"during {hours}",) if hours else ()),
            *(f"while {one.describe()}" for one in rule.whilst),
        )


def roles_in_certificates(surfaces: Iterable[Surface], roles: Iterable[Role]) -> tuple[str, ...]:
    """The mbaps roles that rules name, in order."""
    named = [name for surface in surfaces for rule in surface.rules for name in rule.speakers]
    named += [name for role in roles for name in role.members]
    return tuple(sorted({name for name in named if name.startswith(MBAPS)}))
