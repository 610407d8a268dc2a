"""The name of a policy: sha256 of what it means, in canonical JSON. Comments and line numbers are not in it.

Each surface has a digest of its own and that of a policy is made from those, so a reload pays for what changed.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.core.hours import Hours
    from proxy.core.surface import Monitor, Never, Rate, Role, Rule, Surface


def surface_digest(surface: Surface) -> str:
    """In hex. What is left at its default is left out."""
    said = [
        [surface.name, sorted(surface.members), surface.record_first, surface.writes_without_proof],
        [[*_common(rule), sorted(rule.needs), _of_rule(rule)] for rule in surface.rules],
        [_common(never) for never in surface.nevers],
        _watched(surface.monitor),
    ]
    return hashlib.sha256(_canonical(said)).hexdigest()


def policy_digest(surfaces: Iterable[str], roles: Iterable[Role], hours: Iterable[Hours]) -> str:
    """In hex. ``surfaces`` are their digests, and everything is in the order of names."""
    said = {
        "surfaces": list(surfaces),
        "roles": [[role.name, sorted(role.members)] for role in roles],
        "hours": sorted([one.name, one.describe()] for one in hours),
    }
    return hashlib.sha256(_canonical(said)).hexdigest()


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _common(rule: Rule | Never) -> list[object]:
    speakers = None if rule.speakers is None else sorted(rule.speakers)
    targets = [[target.protocol, target.describe()] for target in rule.targets]
    return [rule.ref.name, speakers, sorted(rule.devices), targets, _watched(rule.monitor)]


def _of_rule(rule: Rule) -> dict[str, object]:
    if rule.rate is None and rule.budget is None and not (rule.when or rule.whilst or rule.replaces):
        return {}
    conditions: dict[str, object] = {
        "rate": _rate(rule.rate),
        "budget": _rate(rule.budget),
        "when": sorted(rule.when),
        "while": sorted(one.describe() for one in rule.whilst),
        "replaces": sorted(rule.replaces),
    }
    return {key: value for key, value in conditions.items() if value}


def _rate(rate: Rate | None) -> list[float] | None:
    return None if rate is None else [rate.count, rate.seconds]


def _watched(monitor: Monitor | None) -> list[object] | None:
    return None if monitor is None else [monitor.until, monitor.why, monitor.then]
