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
    said = {
        "surface": surface.name,
        "members": sorted(surface.members),
        "record_first": surface.record_first,
        "writes_without_proof": surface.writes_without_proof,
        "rules": [{**_common(rule), **_of_rule(rule)} for rule in surface.rules],
        "never": [_common(never) for never in surface.nevers],
        **_watched(surface.monitor),
    }
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


def _common(rule: Rule | Never) -> dict[str, object]:
    return {
        "name": rule.ref.name,
        "from": None if rule.speakers is None else sorted(rule.speakers),
        "to": sorted(rule.devices),
        "targets": [[t.protocol, t.describe()] for t in rule.targets],
        **_watched(rule.monitor),
    }


def _of_rule(rule: Rule) -> dict[str, object]:
    conditions: dict[str, object] = {
        "needs": sorted(rule.needs),
        "rate": _rate(rule.rate),
        "budget": _rate(rule.budget),
        "when": sorted(rule.when),
        "while": sorted(one.describe() for one in rule.whilst),
        "replaces": sorted(rule.replaces),
    }
    return {key: value for key, value in conditions.items() if value}


def _rate(rate: Rate | None) -> list[float] | None:
    return None if rate is None else [rate.count, rate.seconds]


def _watched(monitor: Monitor | None) -> dict[str, object]:
    return {} if monitor is None else {"monitor": [monitor.until, monitor.why, monitor.then]}
