"""The conditions of rules that depend on more than message, speaker and hour: one file for each kind.

A rule without any has an empty tuple here, which costs a decision one test. `docs/policy.md` tells what they mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from proxy.policy.constraints.base import Block, Constraint
from proxy.policy.constraints.budget import EVERYBODY, Budget
from proxy.policy.constraints.pace import Pace, Paced
from proxy.policy.constraints.rate import RateLimit
from proxy.policy.constraints.state import ProcessState
from proxy.policy.rates import RateKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from proxy.core.action import Target
    from proxy.core.inventory import Device
    from proxy.core.process import Point
    from proxy.core.surface import Rule, Surface
    from proxy.policy.circumstances import Circumstances
    from proxy.policy.rates import Rates

__all__ = ["Block", "Constraint", "constraints", "watched"]


def constraints(
    rule: Rule, target: Target, speaker: str, device: str, rates: Rates, circumstances: Circumstances
) -> tuple[Constraint, ...]:
    """Those of one target of ``rule``; ``speaker`` is who a rate counts for.

    What is dearest to mend comes first (`Authority`): the first that stands in the way is told.
    """
    found: list[Constraint] = []
    if rule.whilst:
        found.append(ProcessState(rule.whilst, circumstances))
    if rule.budget is not None:
        found.append(Budget(RateKey(rule.ref.surface, rule.ref.name, EVERYBODY, rule.budget), rates))
    if rule.rate is not None:
        found.append(RateLimit(RateKey(rule.ref.surface, rule.ref.name, speaker, rule.rate), rates))
    if paced := _paced(target):
        found.append(Pace(paced, device, rates, circumstances))
    return tuple(found)


def watched(surfaces: Iterable[Surface], devices: Mapping[str, Device]) -> Iterator[tuple[str, Point]]:
    """The (device, point) that rules look at: those of `while`, those whose steps and ramps are limited, and the roots
    of the subtrees that targets speak of."""
    surfaces = tuple(surfaces)
    for where, targets in (ruling for surface in surfaces for ruling in _rulings(surface)):
        for root in filter(None, map(_root, targets)):
            for device in where:
                yield device, root
    for rule in (rule for surface in surfaces for rule in surface.rules):
        for predicate in rule.whilst:
            yield predicate.device, predicate.point
        for target in rule.targets:
            if paced := _paced(target):
                for device in rule.devices:
                    service = devices[device].services.get(target.protocol) if device in devices else None
                    for point in paced.points(None if service is None else service.options):
                        yield device, point


def looks(surface: Surface) -> bool:
    """`watched` finds something there."""
    if any(_root(target) for _, targets in _rulings(surface) for target in targets):
        return True
    return any(rule.whilst or any(map(_paced, rule.targets)) for rule in surface.rules)


def _rulings(surface: Surface) -> Iterator[tuple[tuple[str, ...], tuple[Target, ...]]]:
    """The devices and targets of each rule and never."""
    for rule in surface.rules:
        yield rule.devices, rule.targets
    for never in surface.nevers:
        yield never.devices, never.targets


def _paced(target: Target) -> Paced | None:
    return cast("Paced", target) if getattr(target, "paced", False) else None


def _root(target: Target) -> Point | None:
    """A target may be about all that lies below something (OPC UA); what lies there has to be found out."""
    root: Point | None = getattr(target, "root", None)
    return root
