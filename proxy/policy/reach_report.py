"""What `reach` found, as a table for people and as data for programs."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from proxy.policy.reach import Arrival, Reach, Side, Stage
    from proxy.policy.way import Way

CHANGE, TOUCH = "CHANGE", "touch"
FOLD = 110
"""Characters of a line beside the names of devices."""


def as_text(reach: Reach, assumed: Sequence[str]) -> str:
    """``assumed``: what was taken for granted, a line each."""
    lines = [summary(reach), "", *(f"{'assumed' if at == 0 else '':9}{line}" for at, line in enumerate(assumed))]
    for stage in reach.stages:
        lines += ["", *_stage(reach, stage)]
    lines += ["", *_paths(reach), "", *_places(reach.sides)]
    if reach.unreached:
        lines += ["", f"not reachable ({len(reach.unreached)}): {', '.join(reach.unreached)}"]
    if reach.cut:
        lines += ["", f"not looked at, for --depth {reach.search.depth}: what {', '.join(reach.cut)} may do in turn"]
    return "\n".join(lines)


def summary(reach: Reach) -> str:
    others = len(reach.touched) + len(reach.unreached)
    return (
        f"{reach.start}, taken over, can touch {len(reach.touched)} of {others} other devices "
        f"and change {len(reach.changed)}"
    )


def _stage(reach: Reach, stage: Stage) -> Iterator[str]:
    by = "" if stage.device == reach.start else f", taken over through {_by(reach.path(reach.taken[stage.device]))},"
    if not stage.ways:
        yield f"step {stage.step}: {stage.device}{by} may {'change' if reach.search.writes else 'do'} nothing"
        return
    yield f"step {stage.step}: {stage.device}{by} may"
    wide = max(len(way.to) for way in stage.ways)
    told = ""
    for way, whats in grouped(sorted(stage.ways, key=lambda way: (way.to, not way.changes))):
        name = "" if way.to == told else way.to
        told = way.to
        head = f"  {name:{wide}}  {CHANGE if way.changes else TOUCH:6}  "
        for what in (*whats, because(way)):
            for line in _folded(f"{way.protocol} {what}" if what in whats else what):
                yield f"{head}{line}"
                head = " " * len(head)


def _folded(text: str) -> list[str]:
    return textwrap.wrap(text, FOLD, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _by(path: Sequence[Way]) -> str:
    return " -> ".join(f"{way.who}{_arrow(way.through)}" for way in path)


def _arrow(through: str | None) -> str:
    return "" if through is None else f" -> {through}"


def grouped(ways: Iterable[Way]) -> list[tuple[Way, list[str]]]:
    """Ways that differ in nothing but what is done, as one."""
    found: dict[Way, list[str]] = {}
    for way in ways:
        found.setdefault(replace(way, what=""), []).append(way.what)
    return list(found.items())


def because(way: Way) -> str:
    """By which rules, and what else must be so."""
    over = "by" if way.through is None else f"through {way.through} by"
    heard = f", heard by {way.heard} ({way.heard.origin})" if way.heard is not None else ""
    conditions = f"; {'; '.join(way.conditions)}" if way.conditions else ""
    return f"{over} {way.rule} ({way.rule.origin}){heard}{conditions}"


def _paths(reach: Reach) -> Iterator[str]:
    if not reach.touched:
        yield "shortest ways: none"
        return
    yield "shortest ways"
    for device, how, arrival in arrivals(reach):
        yield f"  {how:6}  {device}"
        for way in reach.path(arrival):
            yield f"          {way.who}{_arrow(way.through)} -> {way.to} by {_rules(way)}"


def arrivals(reach: Reach) -> Iterator[tuple[str, str, Arrival]]:
    """(device, `CHANGE` or `TOUCH`, how). A device that may be touched sooner than changed comes twice."""
    for device, arrival in reach.touched.items():
        change = reach.changed.get(device)
        if change is None or change.step > arrival.step:
            yield device, TOUCH, arrival
        if change is not None:
            yield device, CHANGE, change


def _rules(way: Way) -> str:
    heard = f" and {way.heard} ({way.heard.origin})" if way.heard is not None else ""
    return f"{way.rule} ({way.rule.origin}){heard}"


def _places(sides: Sequence[Side]) -> Iterator[str]:
    rows: list[tuple[str, ...]] = [("place", "leaves", "devices", "touched", "changed")]
    for side in sides:
        counts = (str(len(some)) for some in (side.devices, side.touched, side.changed))
        rows.append((side.place or "(no place)", side.leaves or "-", *counts))
    widths = [max(len(row[at]) for row in rows) for at in range(5)]
    for row in rows:
        numbers = (cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True))
        yield "  ".join((f"{row[0]:{widths[0]}}", f"{row[1]:{widths[1]}}", *numbers))


def as_data(reach: Reach, assumed: Sequence[str]) -> dict[str, Any]:
    """Without apiVersion and kind."""
    return {
        "device": reach.start,
        "assumed": list(assumed),
        "depth": reach.search.depth,
        "anyContact": reach.search.any_contact,
        "writesOnly": reach.search.writes,
        "steps": [
            {"device": stage.device, "step": stage.step, "may": [_way(way) for way in stage.ways]}
            for stage in reach.stages
        ],
        "touched": {device: _arrival(reach, arrival) for device, arrival in reach.touched.items()},
        "changed": {device: _arrival(reach, arrival) for device, arrival in reach.changed.items()},
        "notReachable": list(reach.unreached),
        "places": [
            {
                "place": side.place or None,
                "leaves": side.leaves or None,
                "devices": list(side.devices),
                "touched": list(side.touched),
                "changed": list(side.changed),
            }
            for side in reach.sides
        ],
        "notLookedAt": list(reach.cut),
    }


def _arrival(reach: Reach, arrival: Arrival) -> dict[str, Any]:
    return {"step": arrival.step, "path": [_way(way) for way in reach.path(arrival)]}


def _way(way: Way) -> dict[str, Any]:
    return {
        "who": way.who,
        "to": way.to,
        "through": way.through,
        "protocol": way.protocol,
        "what": way.what,
        "changes": way.changes,
        "rule": str(way.rule),
        "at": str(way.rule.origin),
        "heardBy": None if way.heard is None else str(way.heard),
        "heardAt": None if way.heard is None else str(way.heard.origin),
        "listener": way.door,
        "conditions": list(way.conditions),
    }
