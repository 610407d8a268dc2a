"""What is monitored runs as a second policy beside the one in force: it is asked the same and only counts.

`enforced` and `candidate` split the surfaces of a site in two. A monitored rule allows nothing, a monitored `never`
forbids nothing, and neither changes any answer about the rest; the candidate has them, in place of what they replace.
A device all of whose surfaces are monitored lets through whatever no `never` forbids.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from proxy.core.origin import RuleRef

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from proxy.core.surface import Monitor, Never, Rule, Surface

RuleOrNever = TypeVar("RuleOrNever", "Rule", "Never")

MONITOR = "monitor"
"""What a surface in monitor is called where a rule is named: ``SURFACE/monitor`` lets through, and is counted."""
ENFORCE = "enforce"


class Watched(NamedTuple):
    """One thing in monitor. ``ref`` is of the rule or `never`; of a whole surface it is ``SURFACE/monitor``."""

    ref: RuleRef
    monitor: Monitor
    whole: bool = False

    def overdue(self, now: float) -> bool:
        """Its time is over and nobody decided: the gateway is degraded. Only if it asked for that (``then: alarm``)."""
        return now >= self.monitor.until


class Split(NamedTuple):
    """A site's surfaces at one instant.

    ``enforced`` decides: without what is monitored; a surface in which nothing is stays the same object.
    ``candidate`` is asked beside it: as if everything in monitor were enforced, for the devices in ``touched`` and no
    other; empty if nothing is in monitor. ``monitored`` is in the order of the files.

    ``lenient`` devices let through whatever no `never` forbids, by the name that is given. All surfaces of such a
    device are in monitor: one that is not is not weakened by one that is. ``replaced`` leads from (surface, rule) that
    the candidate does without to the monitored rule in its place. ``next_end`` is when the next thing in monitor is to
    be enforced, or becomes overdue; None: nothing is, ever. ``plain`` are the surfaces in which nothing is, by name.
    """

    enforced: tuple[Surface, ...]
    candidate: tuple[Surface, ...]
    monitored: tuple[Watched, ...]
    touched: frozenset[str]
    lenient: Mapping[str, RuleRef]
    replaced: Mapping[tuple[str, str], RuleRef]
    next_end: float | None
    plain: Mapping[str, Surface]


def split(surfaces: Sequence[Surface], now: float, known: Mapping[str, Surface] = MappingProxyType({})) -> Split:
    """``now`` is seconds since 1970. What is not in monitor is looked at once, there may be 100,000 rules; and not even
    that if it is in ``known``, the ``plain`` of another time."""
    some = [surface for surface in surfaces if known.get(surface.name) is not surface and in_monitor(surface)]
    free = {surface.name: surface for surface in surfaces}
    for surface in some:
        free.pop(surface.name, None)
    if not some:
        return Split(tuple(surfaces), (), (), frozenset(), {}, {}, None, free)
    monitored = tuple(one for surface in some for one in _watched(surface, now))
    devices = _touched(surfaces, some, now)
    beside = (_narrowed(surface, devices) for surface in surfaces) if devices else ()
    plain = {id(surface) for surface in surfaces}.difference(map(id, some))
    return Split(
        enforced=tuple(s if id(s) in plain else _enforced(s, now) for s in surfaces),
        candidate=tuple(one for one in beside if one is not None),
        monitored=monitored,
        touched=devices,
        lenient=_lenient(surfaces, now) if any(surface.monitor for surface in some) else {},
        replaced=_replacing(some, now),
        next_end=min((one.monitor.until for one in monitored if one.monitor.until > now), default=None),
        plain=free,
    )


def enforced(surfaces: Sequence[Surface], now: float) -> tuple[Surface, ...]:
    """See `Split`."""
    return split(surfaces, now).enforced


def candidate(surfaces: Sequence[Surface], now: float) -> tuple[Surface, ...]:
    """See `Split`."""
    return split(surfaces, now).candidate


def lenient(surfaces: Sequence[Surface], now: float) -> Mapping[str, RuleRef]:
    """See `Split`."""
    return split(surfaces, now).lenient


def touched(surfaces: Sequence[Surface], now: float) -> frozenset[str]:
    """See `Split`."""
    return split(surfaces, now).touched


def watched(surfaces: Sequence[Surface], now: float) -> tuple[Watched, ...]:
    """``monitored`` of `Split`."""
    return split(surfaces, now).monitored


def next_end(surfaces: Sequence[Surface], now: float) -> float | None:
    """See `Split`."""
    return split(surfaces, now).next_end


def _touched(surfaces: Sequence[Surface], some: Iterable[Surface], now: float) -> frozenset[str]:
    """The devices about which the candidate can say something else. A rate or a budget belongs to a rule and is spent
    at any of its devices, so those come along."""
    devices: set[str] = set()
    for surface in some:
        devices.update(_told_about(surface, now))
    rated = [set(r.devices) for s in surfaces for r in s.rules if r.rate is not None or r.budget is not None]
    while more := [some for some in rated if some & devices and not some <= devices]:
        devices.update(*more)
    return frozenset(devices)


def _lenient(surfaces: Iterable[Surface], now: float) -> dict[str, RuleRef]:
    found: dict[str, RuleRef] = {}
    strict: set[str] = set()
    for surface in sorted(surfaces, key=lambda s: s.name):
        if (monitor := _active(surface.monitor, now)) is None:
            strict.update(surface.members)
        else:
            for device in surface.members:
                found.setdefault(device, RuleRef(surface.name, MONITOR, monitor.origin))
    return {device: ref for device, ref in found.items() if device not in strict}


def _replacing(surfaces: Iterable[Surface], now: float) -> dict[tuple[str, str], RuleRef]:
    found: dict[tuple[str, str], RuleRef] = {}
    for surface in surfaces:
        for rule in surface.rules:
            if _active(rule.monitor, now) is not None:
                for name in rule.replaces:
                    found.setdefault((surface.name, name), rule.ref)
    return found


def _active(monitor: Monitor | None, now: float) -> Monitor | None:
    """None if it is over and what it is about is enforced from then on."""
    return None if monitor is None or (now >= monitor.until and monitor.then == ENFORCE) else monitor


def _watched(surface: Surface, now: float) -> Iterator[Watched]:
    if (monitor := _active(surface.monitor, now)) is not None:
        yield Watched(RuleRef(surface.name, MONITOR, monitor.origin), monitor, whole=True)
    for one in _all(surface):
        if (monitor := _active(one.monitor, now)) is not None:
            yield Watched(one.ref, monitor)


def _enforced(surface: Surface, now: float) -> Surface:
    rules: Iterable[Rule] = ()
    if _active(surface.monitor, now) is None:
        live = [rule for rule in surface.rules if _active(rule.monitor, now) is None]
        gone = _replaced(live)
        rules = [rule for rule in live if rule.ref.name not in gone]
    nevers = [never for never in surface.nevers if _active(never.monitor, now) is None]
    return _made(surface, rules, nevers)


def _narrowed(surface: Surface, devices: frozenset[str]) -> Surface | None:
    nevers = [never for never in (_to(never, devices) for never in surface.nevers) if never.devices]
    if devices.isdisjoint(surface.members) and not nevers:
        return None
    gone = _replaced(surface.rules)
    rules = [_to(rule, devices) for rule in surface.rules if rule.ref.name not in gone]
    return _made(surface, [rule for rule in rules if rule.devices], nevers)


def _told_about(surface: Surface, now: float) -> Iterator[str]:
    if _active(surface.monitor, now) is not None:
        yield from surface.members
    replaced: set[str] = set()
    for one in _all(surface):
        if _active(one.monitor, now) is not None:
            yield from one.devices
            replaced.update(getattr(one, "replaces", ()))
    for rule in surface.rules:
        if rule.ref.name in replaced:
            yield from rule.devices


def _replaced(rules: Iterable[Rule]) -> set[str]:
    return {name for rule in rules if rule.monitor is not None for name in rule.replaces}


def in_monitor(surface: Surface) -> bool:
    """It or something in it is, or was."""
    return surface.monitor is not None or any(one.monitor is not None for one in _all(surface))


def _all(surface: Surface) -> tuple[Rule | Never, ...]:
    return (*surface.rules, *surface.nevers)


def _made(surface: Surface, rules: Iterable[Rule], nevers: Iterable[Never]) -> Surface:
    """``surface`` with these, and a mark that says which: a policy takes over what has the same name and mark."""
    rules = tuple(rule if rule.monitor is None else replace(rule, monitor=None, replaces=()) for rule in rules)
    nevers = tuple(never if never.monitor is None else replace(never, monitor=None) for never in nevers)
    made = replace(surface, rules=rules, nevers=nevers, monitor=None)
    parts = repr([(one.ref.name, one.devices) for one in _all(made)])
    return replace(made, mark=f"{surface.mark} {hashlib.sha256(parts.encode()).hexdigest()}" if surface.mark else "")


def _to(one: RuleOrNever, devices: frozenset[str]) -> RuleOrNever:
    inside = tuple(device for device in one.devices if device in devices)
    return one if inside == one.devices else replace(one, devices=inside)
