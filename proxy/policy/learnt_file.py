"""Proposed rules as a surface file, for review: valid as it stands, with what acts commented out."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from proxy.policy.suggest import flow

if TYPE_CHECKING:
    from proxy.core.surface import Monitor, Surface
    from proxy.policy.learn import Learnt, LeftOut

WIDTH = 110
NOTES = 12
"""That many notes of a rule are read; all of them are in the data."""


def as_file(name: str, of: Surface, rules: Sequence[Learnt], left: Sequence[LeftOut]) -> str:
    """``name`` is that of the new surface, ``of`` the one whose members were spoken to. It stays monitored as long as
    that one, so that putting the file in place enforces nothing yet."""
    members = [member for member in of.members if any(member in rule.devices for rule in rules)] or [*of.members]
    written = [rule for rule in rules if rule.section]
    looking = [rule for rule in written if not rule.acts]
    acting = [rule for rule in written if rule.acts]
    lines = ["---", *_head(of, rules, left), f"surface: {flow(name)}", f"members: {flow(members)}"]
    lines += _mode(of.monitor)
    lines += ["", "rules:" if looking else "rules: {}      # when the first rule below is taken in, without the braces"]
    for rule in looking:
        lines += [*_comment(rule), *_rule(rule), ""]
    if acting:
        lines += ["  # What follows acts. It grants nothing until a person takes the marks away."]
        lines.append("")
    for rule in acting:
        lines += [*_comment(rule), *(f"  # {line[2:]}" for line in _rule(rule)), ""]
    return "\n".join([*lines[:-1], "...", ""])


def _head(of: Surface, rules: Sequence[Learnt], left: Sequence[LeftOut]) -> Iterator[str]:
    if rules:
        between = f"{day(min(rule.first for rule in rules))} to {day(max(rule.last for rule in rules))}"
        yield from _wrapped("", f"Proposed by `bulkhead policy learn` from what was said to {of.name} from {between}.")
    else:
        yield from _wrapped("", f"`bulkhead policy learn` found nothing to propose for {of.name}.")
    yield from _wrapped("", "Whoever spoke in that time is in here, rightly or not: read each rule before you use it.")
    for one in left:
        yield from _wrapped("", f"Left out, {one.messages} messages of {one.flows} flows: {one.why}.")
    for rule in rules:
        if not rule.section:
            yield from _wrapped("", f"Left out, from {', '.join(rule.from_)}: {'; '.join(rule.notes)}.")


def _mode(monitor: Monitor | None) -> list[str]:
    if monitor is None:
        return ["mode: enforce"]
    until = datetime.fromtimestamp(monitor.until, UTC).isoformat()
    why, then = flow(monitor.why), flow(monitor.then)
    return ["mode: monitor", f'monitor: {{ until: "{until}", why: {why}, then: {then} }}']


def _comment(rule: Learnt) -> Iterator[str]:
    known = ", ".join(rule.evidence) or "nothing"
    counted = f"{rule.count} message{'s' * (rule.count != 1)} of {len(rule.flows)} flow{'s' * (len(rule.flows) != 1)}"
    yield from _wrapped("  ", f"{counted}, {day(rule.first)} to {day(rule.last)}; known by {known}.")
    for note in rule.notes[:NOTES]:
        yield from _wrapped("  ", f"Note: {note}.")
    if len(rule.notes) > NOTES:
        yield f"  # Note: {len(rule.notes) - NOTES} more of this kind; -o json has all."


def _rule(rule: Learnt) -> Iterator[str]:
    yield f"  {rule.name}:"
    yield f"    from: {_one_or_more(rule.from_)}"
    yield f"    to: {_one_or_more(rule.devices)}"
    whole = f"    {rule.protocol}: {flow(dict(rule.section))}"
    if len(whole) <= WIDTH:
        yield whole
        return
    yield f"    {rule.protocol}:"
    for key, value in rule.section.items():
        yield from _block(str(key), value)


def _block(key: str, value: object) -> Iterator[str]:
    line = f"      {flow(key)}: {flow(value)}"
    if len(line) <= WIDTH or not isinstance(value, list | Mapping):
        yield line
        return
    yield f"      {flow(key)}:"
    if isinstance(value, Mapping):
        yield from (f"        {flow(inner)}: {flow(one)}" for inner, one in value.items())
    else:
        yield from (f"        - {flow(one)}" for one in value)


def _one_or_more(names: Sequence[str]) -> str:
    return flow(names[0]) if len(names) == 1 else flow([*names])


def _wrapped(indent: str, text: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ", break_on_hyphens=False
    )


def day(at: float) -> str:
    """In UTC, to the minute."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%MZ")
