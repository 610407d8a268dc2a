"""Rules in words and as data, for people who read a policy."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from proxy.core.action import Target
    from proxy.core.origin import Origin
    from proxy.core.surface import Monitor, Never, Rate, Rule, Surface

ANYBODY = "anybody"
KEY = "proof of a key"
"""What whoever changes a device shows besides (T01, T02)."""


def surface_lines(surface: Surface) -> Iterator[str]:
    """A heading, then a block for each rule and each never."""
    yield f"{surface.name}  {surface.origin}"
    yield _line("about", surface.members)
    if surface.record_first:
        yield _line("records", ["a change is on record before it goes on"])
    if surface.monitor is not None:
        yield _line("watched", [watched(surface.monitor)])
    for rule in surface.rules:
        yield ""
        yield f"  {rule.ref.name}  {rule.ref.origin}"
        yield from _rule_lines(surface, rule)
    for never in surface.nevers:
        yield ""
        yield f"  never {never.ref.name}  {never.ref.origin}"
        yield from _never_lines(never)


def _rule_lines(surface: Surface, rule: Rule) -> Iterator[str]:
    yield _line("who", rule.speakers)
    for target in rule.targets:
        key = f", with {KEY}" if needs_key(surface, target) else ""
        yield _line("may", [f"{target.protocol} {target.describe()}{key}"])
    yield _line("to", rule.devices)
    if said := conditions(rule):
        yield _line("if", ["; ".join(said)])
    if rule.monitor is not None:
        yield _line("watched", [watched(rule.monitor)])
    if rule.replaces:
        yield _line("instead of", rule.replaces)


def _never_lines(never: Never) -> Iterator[str]:
    yield _line("who", [ANYBODY] if never.speakers is None else never.speakers)
    for target in never.targets:
        yield _line("may not", [f"{target.protocol} {target.describe()}"])
    yield _line("to", never.devices)
    if never.monitor is not None:
        yield _line("watched", [watched(never.monitor)])


def _line(word: str, parts: Iterable[str]) -> str:
    return f"    {word:<10} {', '.join(parts)}"


def needs_key(surface: Surface, target: Target) -> bool:
    return target.changes and not surface.writes_without_proof


def conditions(rule: Rule) -> list[str]:
    """What must hold besides for the rule to count."""
    said = [f"shows {' and '.join(sorted(rule.needs))}"] if rule.needs else []
    said += [f"in {' or '.join(sorted(rule.when))}"] if rule.when else []
    said += [f"while {one.describe()}" for one in rule.whilst]
    said += [f"at most {_often(rule.rate)} each"] if rule.rate is not None else []
    said += [f"at most {_often(rule.budget, ' changes')} by all together"] if rule.budget is not None else []
    return said


def watched(monitor: Monitor) -> str:
    """``until 2026-12-01T05:00:00Z, then enforce: new recipe station``."""
    return f"until {_time(monitor.until)}, then {monitor.then}: {monitor.why}"


def surface_data(surface: Surface) -> dict[str, Any]:
    return {
        "surface": surface.name,
        **_place(surface.origin),
        "members": list(surface.members),
        "recordFirst": surface.record_first,
        "writesWithoutProof": surface.writes_without_proof,
        "monitor": _monitor(surface.monitor),
        "rules": [_rule(surface, rule) for rule in surface.rules],
        "never": [_common(never) for never in surface.nevers],
    }


def _rule(surface: Surface, rule: Rule) -> dict[str, Any]:
    return {
        **_common(rule),
        "needs": sorted(rule.needs),
        "needsKey": any(needs_key(surface, target) for target in rule.targets),
        "rate": _rate(rule.rate),
        "budget": _rate(rule.budget),
        "when": sorted(rule.when),
        "while": [one.describe() for one in rule.whilst],
        "replaces": list(rule.replaces),
    }


def _common(rule: Rule | Never) -> dict[str, Any]:
    return {
        "name": rule.ref.name,
        **_place(rule.ref.origin),
        "from": None if rule.speakers is None else list(rule.speakers),
        "to": list(rule.devices),
        "targets": [{"protocol": target.protocol, "text": target.describe()} for target in rule.targets],
        "monitor": _monitor(rule.monitor),
    }


def _monitor(monitor: Monitor | None) -> dict[str, Any] | None:
    return None if monitor is None else {"until": _time(monitor.until), "why": monitor.why, "then": monitor.then}


def _rate(rate: Rate | None) -> dict[str, Any] | None:
    return None if rate is None else {"count": rate.count, "seconds": rate.seconds}


def _often(rate: Rate, what: str = "") -> str:
    return f"{rate.count}{what} in {rate.span}"


def _place(origin: Origin) -> dict[str, Any]:
    return {"file": origin.file, "line": origin.line}


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
