"""What is monitored runs as a second policy beside the one in force: it is asked the same and only counts.

`enforced` and `candidate` split the surfaces of a site in two. A monitored rule allows nothing, a monitored `never`
forbids nothing, and neither changes any answer about the rest; the candidate has them, in place of what they replace.
A device all of whose surfaces are monitored lets through whatever no `never` forbids.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from proxy.core.origin import RuleRef

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from proxy.core.surface import Monitor, Never, Rule, Surface

RuleOrNever = TypeVar("RuleOrNever", "Rule", "Never")

MONITOR = "monitor"
"""What a surface in monitor is called where a rule is named: ``SURFACE/monitor`` lets through, and is counted."""
ENFORCE = "enforce"


class Watched(NamedTuple):
    """One thing in monitor. ``ref`` is of the rule or `never`; of a whole surface it is ``SURFACE/monitor``."""

    ref: RuleRef
    monitor: Monitor

    def overdue(self, now: float) -> bool:
        """Its time is over and nobody decided: the gateway is degraded. Only if it asked for that (``then: alarm``)."""
        return now >= self.monitor.until


def watched(surfaces: Iterable[Surface], now: float) -> tuple[Watched, ...]:
    """What is in monitor at ``now`` (seconds since 1970), in the order of the files."""
    return tuple(one for surface in surfaces for one in _watched(surface, now))


def next_end(surfaces: Iterable[Surface], now: float) -> float | None:
    """When the next thing in monitor is to be enforced, or becomes overdue; None: nothing is, ever."""
    return min((one.monitor.until for one in watched(surfaces, now) if one.monitor.until > now), default=None)


def enforced(surfaces: Sequence[Surface], now: float) -> tuple[Surface, ...]:
    """What decides at ``now``: without what is monitored. A surface in which nothing is stays the same object."""
    return tuple(_enforced(surface, now) for surface in surfaces)


def candidate(surfaces: Sequence[Surface], now: float) -> tuple[Surface, ...]:
    """What is asked beside it: as if everything in monitor were enforced, for the devices of `touched` and no other.
    Empty if nothing is in monitor."""
    devices = touched(surfaces, now)
    narrowed = (_narrowed(surface, devices, now) for surface in surfaces) if devices else ()
    return tuple(one for one in narrowed if one is not None)


def touched(surfaces: Sequence[Surface], now: float) -> frozenset[str]:
    """The devices about which the candidate can say something else. A rate or a budget belongs to a rule and is spent
    at any of its devices, so those come along."""
    devices: set[str] = set()
    for surface in surfaces:
        devices.update(_touched(surface, now))
    rated = [set(r.devices) for s in surfaces for r in s.rules if r.rate is not None or r.budget is not None]
    while more := [some for some in rated if some & devices and not some <= devices]:
        devices.update(*more)
    return frozenset(devices)


def lenient(surfaces: Iterable[Surface], now: float) -> dict[str, RuleRef]:
    """The devices that let through whatever no `never` forbids, and what to call the reason. All surfaces of such a
    device are in monitor: one that is not is not weakened by one that is."""
    found: dict[str, RuleRef] = {}
    strict: set[str] = set()
    for surface in sorted(surfaces, key=lambda s: s.name):
        if (monitor := _active(surface.monitor, now)) is None:
            strict.update(surface.members)
        else:
            for device in surface.members:
                found.setdefault(device, RuleRef(surface.name, MONITOR, monitor.origin))
    return {device: ref for device, ref in found.items() if device not in strict}


def replacing(surfaces: Iterable[Surface], now: float) -> dict[tuple[str, str], RuleRef]:
    """(surface, rule) that the candidate does without -> the monitored rule that takes its place."""
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
        yield Watched(RuleRef(surface.name, MONITOR, monitor.origin), monitor)
    for one in _all(surface):
        if (monitor := _active(one.monitor, now)) is not None:
            yield Watched(one.ref, monitor)


def _enforced(surface: Surface, now: float) -> Surface:
    if _plain(surface):
        return surface
    rules: Iterable[Rule] = ()
    if _active(surface.monitor, now) is None:
        live = [rule for rule in surface.rules if _active(rule.monitor, now) is None]
        gone = _replaced(live)
        rules = [rule for rule in live if rule.ref.name not in gone]
    nevers = [never for never in surface.nevers if _active(never.monitor, now) is None]
    return _made(surface, rules, nevers)


def _narrowed(surface: Surface, devices: frozenset[str], now: float) -> Surface | None:
    gone = _replaced(surface.rules)
    rules = [_to(rule, devices) for rule in surface.rules if rule.ref.name not in gone]
    nevers = [_to(never, devices) for never in surface.nevers]
    if devices.isdisjoint(surface.members) and not any(never.devices for never in nevers):
        return None
    return _made(surface, [rule for rule in rules if rule.devices], [never for never in nevers if never.devices])


def _touched(surface: Surface, now: float) -> Iterator[str]:
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


def _plain(surface: Surface) -> bool:
    return surface.monitor is None and all(one.monitor is None for one in _all(surface))


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
