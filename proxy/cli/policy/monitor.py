"""`bulkhead policy monitor`: what monitored rules would have refused or let through of what was really said."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proxy.cli.exits import DONE, FINDINGS
from proxy.cli.policy.past import Age, digest_in_force, digest_of, flows_option, rows_of
from proxy.cli.report import API_VERSION
from proxy.cli.site import config_option, find_config, protocols
from proxy.telemetry.logs import printable

if TYPE_CHECKING:
    from proxy.flows.row import FlowRow
    from proxy.policy.shadow import Watched

MOST = 20
"""Flows of one rule that the text shows; JSON has all."""
_WORD = {True: "let through", False: "refuse"}


@dataclass(frozen=True, slots=True)
class Group:
    """What one thing in monitor would do otherwise. ``watched`` is None where the files do not have it any more."""

    name: str
    watched: Watched | None
    flows: tuple[FlowRow, ...]

    def messages(self, would: bool) -> int:
        return sum(row.count for row in self.flows if row.would is would)


@click.command()
@config_option
@click.option("--since", type=Age(), default="24h", show_default=True, help="Flows seen in this time: 14d, 8h, 30min.")
@flows_option
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(config: Path | None, since: float, flows: Path | None, output: str) -> int:
    """Show what is in monitor, and which flows it would answer otherwise than what is in force.

    Needs no running gateway: it reads the flows that one has recorded, a few seconds old while it runs. A count is of
    all messages of a flow since it was first seen.

    Exits with 0 if nothing would be answered otherwise, 1 if something would, 3 if there are no flows to be read.
    """
    rows = [row for row in rows_of(config, flows, since) if row.would is not None]
    now = time.time()
    groups = _groups(rows, _in_monitor(find_config(config), now))
    click.echo(_json(groups, now - since, now) if output == "json" else _text(groups, now))
    return FINDINGS if rows else DONE


def _in_monitor(config: Path, now: float) -> Sequence[Watched]:
    """By the files; nothing if they are not sound, for what was recorded can be shown all the same."""
    from proxy.policy.shadow import watched
    from proxy.site import load_site

    site = load_site(config, protocols(), os.environ).site
    if site is None:
        click.echo("note: the site is not valid (`bulkhead check` says why); this is what was recorded", err=True)
        return ()
    if digest_in_force(config) not in (None, digest_of(site)):
        said = "these files are not in force (`bulkhead status` says why): what only they watch was not counted yet"
        click.echo(f"note: {said}", err=True)
    return watched(site.surfaces, now)


def _groups(rows: Iterable[FlowRow], monitored: Sequence[Watched]) -> list[Group]:
    """One for each thing in monitor, in the order of the files, then what is not there any more. What a surface in
    monitor would do is said by rules of its own."""
    whole = {one.ref.surface: str(one.ref) for one in monitored if one.whole}
    known = {str(one.ref) for one in monitored}
    found: dict[str, list[FlowRow]] = {name: [] for name in known}
    for row in rows:
        surface = row.would_rule.partition("/")[0]
        name = row.would_rule if row.would_rule in known else whole.get(surface, row.would_rule)
        found.setdefault(name, []).append(row)
    by_name = {str(one.ref): one for one in monitored}
    order = [*by_name, *sorted(found.keys() - by_name.keys())]
    return [Group(name, by_name.get(name), _sorted(found[name])) for name in order]


def _sorted(rows: Iterable[FlowRow]) -> tuple[FlowRow, ...]:
    return tuple(sorted(rows, key=lambda row: (bool(row.would), -row.count, row.who, row.low)))


def _text(groups: Sequence[Group], now: float) -> str:
    lines = [line for group in groups for line in _group_text(group, now)]
    return "\n".join(map(printable, lines)) if lines else "nothing is in monitor"


def _group_text(group: Group, now: float) -> Iterable[str]:
    yield f"{group.name}  {_state(group.watched, now)}"
    if not group.flows:
        yield "  would answer nothing otherwise"
    for would in (False, True):
        rows = [row for row in group.flows if row.would is would]
        if rows:
            yield f"  would {_WORD[would]} {_count(group.messages(would), 'message')} of {_count(len(rows), 'flow')}"
        for row in rows[:MOST]:
            yield from _row_text(row)
        if len(rows) > MOST:
            yield f"    and {len(rows) - MOST} flows more: -o json has all"


def _state(watched: Watched | None, now: float) -> str:
    if watched is None:
        return "(in monitor no more)"
    monitor = watched.monitor
    over = ", which is over: promote it or take it out" if watched.overdue(now) else ""
    return f"until {_time(monitor.until)}{over}, then {monitor.then}: {monitor.why}"


def _row_text(row: FlowRow) -> Iterable[str]:
    known = f" ({', '.join((*row.attributes, *row.evidence))})" if row.attributes or row.evidence else ""
    span = "" if row.low == row.high else f" .. {row.high}"
    yield f"    {row.count} x {row.who}{known} to {row.to}: {row.protocol} {row.low}{span}"
    answer = f"allowed by {row.rule}" if row.allowed else f"refused {row.code} by {row.rule}"
    why = f", would be {row.would_code}: {_sentence(row.would_code)}" if row.would_code else ""
    yield f"      {answer} ({row.at}){why}; first {_time(row.first)}, last {_time(row.last)}"


def _json(groups: Sequence[Group], since: float, now: float) -> str:
    data = {
        "apiVersion": API_VERSION,
        "kind": "PolicyMonitor",
        "since": _time(since),
        "monitored": [_group_data(group, now) for group in groups],
    }
    return json.dumps(data, indent=2)


def _group_data(group: Group, now: float) -> dict[str, Any]:
    watched = group.watched
    monitor = None
    if watched is not None:
        monitor = {
            "until": _time(watched.monitor.until),
            "why": watched.monitor.why,
            "then": watched.monitor.then,
            "overdue": watched.overdue(now),
            "at": str(watched.ref.origin),
        }
    return {
        "rule": group.name,
        "monitor": monitor,
        "would_refuse": group.messages(False),
        "would_allow": group.messages(True),
        "flows": [{**asdict(row), "first": _time(row.first), "last": _time(row.last)} for row in group.flows],
    }


def _sentence(code: str) -> str:
    from proxy.core.reason import Reason

    return next((reason.sentence for reason in Reason if reason.code == code), "a reason of another version")


def _time(wall: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(wall))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
