"""What one version of a policy allows and forbids, by speaker and device: one side of a comparison.

Roles are taken apart into their members, hours into what they mean, so that a rule whose text stayed the same shows
that it means something else. Nothing is expanded before it is asked for: of a large policy little changes at a time.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from proxy.core.names import NOBODY, Names
from proxy.policy.speaker import ROLE
from proxy.policy.terms import FOREVER, Terms, since

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping

    from proxy.core.action import Target
    from proxy.core.inventory import Device
    from proxy.core.origin import RuleRef
    from proxy.core.surface import Never, Rule, Surface
    from proxy.policy.plan import Plan

ANYBODY = ""
"""The speaker of a `never` without `from`."""
PERSON = Names("device", "place")


class Clause(NamedTuple):
    """A rule or a never as it holds in one version. ``speakers`` are device ids and what certificates say;
    ``written`` is its `from:`. ``meaning``: equal if nothing in its own text that matters has changed."""

    ref: RuleRef
    written: tuple[str, ...]
    speakers: frozenset[str]
    devices: tuple[str, ...]
    targets: tuple[Target, ...]
    terms: Terms
    meaning: Hashable

    def about(self, protocol: str, *, changes: bool | None = None) -> tuple[Target, ...]:
        return tuple(t for t in self.targets if t.protocol == protocol and changes in (None, t.changes))


class Side:
    """``nevers``: what is compared is what is forbidden, not what is allowed."""

    def __init__(self, plan: Plan, *, nevers: bool = False) -> None:
        self.plan = plan
        self.nevers = nevers
        self.members = {f"{ROLE}{role.name}": role.members for role in plan.roles}
        self.meanings = {one.name: one.describe() for one in plan.hours}
        self._speakers: dict[tuple[str, ...], frozenset[str]] = {}
        self._at: dict[str, dict[str, list[Clause]]] = {}
        self._of: dict[str, dict[str, Clause]] = {}

    @cached_property
    def surfaces(self) -> Mapping[str, Surface]:
        return {surface.name: surface for surface in self.plan.surfaces}

    @cached_property
    def open(self) -> Mapping[str, float]:
        """The devices of which every surface is monitored, and until when: what no never forbids is let through."""
        found: dict[str, float] = {}
        for surface in self.plan.surfaces:
            if surface.monitor is not None:
                until = since(surface.monitor)
                found.update((device, min(until, found.get(device, FOREVER))) for device in surface.members)
        for surface in self.plan.surfaces if found else ():
            if surface.monitor is None:
                for device in surface.members:
                    found.pop(device, None)
        return found

    @cached_property
    def recorded_first(self) -> frozenset[str]:
        return frozenset(device for surface in self.plan.surfaces if surface.record_first for device in surface.members)

    def clauses(self, surface: str) -> Mapping[str, Clause]:
        """By name, of one surface."""
        known = self._of.get(surface)
        if known is None:
            known = self._of[surface] = {
                clause.ref.name: clause for clause in self._clauses(self.surfaces.get(surface))
            }
        return known

    def _clauses(self, surface: Surface | None) -> Iterator[Clause]:
        if surface is None:
            return
        watched = [rule for rule in surface.rules if rule.monitor is not None]
        for rule in surface.nevers if self.nevers else surface.rules:
            terms = self._terms(surface, rule, watched)
            if terms.since < FOREVER:
                written = (ANYBODY,) if rule.speakers is None else rule.speakers
                own = (rule.speakers, rule.devices, rule.targets, terms)
                yield Clause(rule.ref, written, self.speakers(written), rule.devices, rule.targets, terms, own)

    def _terms(self, surface: Surface, rule: Rule | Never, watched: Iterable[Rule]) -> Terms:
        """``watched`` are the monitored rules of the surface: they take the place of others when they begin. A rule of
        a monitored surface comes into force together with it; a never there is in force."""
        begins = since(rule.monitor)
        needs: frozenset[str] = getattr(rule, "needs", frozenset())
        if self.nevers:
            return Terms(since=begins)
        when: tuple[str, ...] = getattr(rule, "when", ())
        ends = since(surface.monitor)
        # Where everything is let through until then, its rules are in force as far as anybody can tell.
        if not all(self.open.get(device, 0.0) >= ends for device in rule.devices):
            begins = max(begins, ends)
        return Terms(
            needs,
            tuple((name, self.meanings.get(name, name)) for name in when),
            getattr(rule, "whilst", ()),
            getattr(rule, "rate", None),
            getattr(rule, "budget", None),
            surface.writes_without_proof,
            begins,
            min((since(one.monitor) for one in watched if rule.ref.name in one.replaces), default=FOREVER),
        )

    def speakers(self, written: tuple[str, ...]) -> frozenset[str]:
        known = self._speakers.get(written)
        if known is None:
            known = frozenset(one for name in written for one in self.members.get(name, (name,)))
            self._speakers[written] = known
        return known

    def at(self, device: str, speaker: str) -> list[Clause]:
        """All that is said of this speaker at this device; of anybody as well, if these are prohibitions."""
        known = self._at.get(device)
        if known is None:
            known = self._at[device] = {}
            for surface in self._about.get(device, ()):
                for clause in self.clauses(surface).values():
                    if device in clause.devices:
                        for one in clause.speakers:
                            known.setdefault(one, []).append(clause)
        found = known.get(speaker, [])
        return found + known.get(ANYBODY, []) if self.nevers and speaker != ANYBODY else found

    @cached_property
    def _about(self) -> Mapping[str, list[str]]:
        """The surfaces that may say something about a device. A never reaches beyond the members of its surface."""
        found: dict[str, list[str]] = {}
        for surface in self.plan.surfaces:
            reach: Iterable[str] = surface.members
            if self.nevers:
                reach = dict.fromkeys(device for never in surface.nevers for device in never.devices)
            for device in reach:
                found.setdefault(device, []).append(surface.name)
        return found

    def names(self, speaker: str) -> Names:
        """Of a certificate's role nothing more is known: its holder may be any device, or none."""
        device = self.plan.devices.get(speaker) or self.plan.devices.get(speaker.partition("+")[0])
        return NOBODY if device is None else Names(device.id, device.place)

    def bound(self, targets: Iterable[Target], speaker: str) -> tuple[Target, ...]:
        """As they hold for one speaker. What asks for a name that is not there allows nothing."""
        names = self.names(speaker)
        if names is NOBODY:
            return tuple(targets)
        bound = (target.bound(names) for target in targets)
        return tuple(target for target in bound if self.nevers or not depends_on_names(target))


def depends_on_names(target: Target) -> bool:
    return target.bound(PERSON) is not target


def place(device: Device | None) -> str | None:
    return None if device is None else device.place
