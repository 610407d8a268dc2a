"""`bulkhead policy promote`: enforce what was monitored, unless that would cut what really happens."""

from __future__ import annotations

import difflib
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from proxy.cli.exits import DONE, FINDINGS, EnvironmentFailure, Findings
from proxy.cli.policy.past import (
    as_findings,
    copy_of,
    deciding,
    digest_of,
    flows_option,
    limits_then,
    past_of,
    refused_before,
    rows_of,
    sound_site,
)
from proxy.cli.report import API_VERSION
from proxy.cli.site import config_option, find_config, open_site
from proxy.telemetry.logs import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.policy.backtest import Past
    from proxy.policy.promote import Promoted
    from proxy.site import Site

DAY = 86400.0


class Cut(NamedTuple):
    """A flow that ends, or may end, with the promotion, and why."""

    past: Past
    why: str
    mark: str = "would be cut"


@click.command()
@config_option
@click.argument("what", metavar="SURFACE[/RULE]")
@click.option("--acknowledge", "named", multiple=True, metavar="FLOW", help="This flow may be cut. Can be repeated.")
@click.option("--days", type=click.IntRange(1, 90), default=14, show_default=True, help="Flows seen in so many days.")
@flows_option
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(config: Path | None, what: str, named: tuple[str, ...], days: int, flows: Path | None, output: str) -> int:
    """Turn `mode: monitor` of a surface, a rule or a never into enforce, in its file.

    It is refused while a flow of the last days would be cut, unless each is acknowledged by its name. The file is
    checked as `bulkhead check` does before it is put in place, and nothing changes if anything fails.

    Exits with 0 if it is done, 1 if it is refused, 2 if there is nothing of that name to promote, 3 if files or flows
    cannot be read or written.
    """
    home = find_config(config)
    site = open_site(config)
    name, _, rule = what.partition("/")
    path, before = _file(home, site, name)
    done = _promoted(before, what, rule or None)
    with copy_of(home, {str(path.relative_to(home.parent)): done.text}) as copy:
        after, problems = sound_site(copy, home.absolute().parent)
    if after is None:
        raise as_findings(f"{what} is not promoted; with it the site would not be valid:", problems, home)
    cut = _cut(home, site, after, past_of(rows_of(config, flows, days * DAY), site.devices)[0])
    unknown = [one for one in named if one not in {c.past.name for c in cut}]
    if unknown:
        raise click.UsageError(f"no flow that would be cut is called {', '.join(unknown)}")
    open_ = [one for one in cut if one.past.name not in named]
    if not open_:
        _put(path, done.text, before)
    changes = _diff(str(path), before, done.text)
    if output == "json":
        click.echo(json.dumps(_data(what, done, changes, cut, named), indent=2))
    else:
        click.echo("\n".join(map(printable, _text(what, done, changes, cut, named, days))))
    return FINDINGS if open_ else DONE


def _file(home: Path, site: Site, name: str) -> tuple[Path, str]:
    surface = next((one for one in site.surfaces if one.name == name), None)
    if surface is None:
        refs = [rule.ref for one in site.surfaces for rule in one.rules]
        refs += [never.ref for one in site.surfaces for never in one.nevers]
        near = next((f"; did you mean {ref}?" for ref in refs if ref.name == name), "")
        raise click.UsageError(f"no surface {name!r}{near}; there are: {', '.join(one.name for one in site.surfaces)}")
    path = home.parent / surface.origin.file
    try:
        return path, path.read_bytes().decode()
    except OSError as fault:
        raise EnvironmentFailure(f"{path}: {fault.strerror}") from None


def _promoted(text: str, what: str, rule: str | None) -> Promoted:
    from proxy.policy.promote import NotWatched, promoted

    try:
        return promoted(text, rule)
    except NotWatched as fault:
        raise click.UsageError(f"{what}: {fault}") from None


def _cut(home: Path, before: Site, after: Site, past: Sequence[Past]) -> list[Cut]:
    """What these files allow now and would not after, and what may be so: of that nobody can tell from the record. The
    candidate that ran beside could see the moment: where it was this one, its word decides."""
    from proxy.policy.backtest import backtest
    from proxy.policy.backtest_report import now

    limits = limits_then(home, before, past)
    now_, then = (backtest(past, deciding(site), refused_before(site), limits) for site in (before, after))
    lost = {id(one.past) for one in now_.cut}
    doubtful = {(id(one.past), one.about) for one in now_.untold if one.about}
    same = digest_of(before)
    found = [Cut(one.past, now(one)) for one in then.cut if id(one.past) not in lost]
    for flow, why, about in then.untold:
        if not flow.allowed or id(flow) in lost or (id(flow), about) in doubtful or flow.device not in before.devices:
            continue
        if flow.policy != same:
            found.append(Cut(flow, f"nobody can tell: {why}", "may be cut  "))
        elif flow.would is False:
            found.append(Cut(flow, "the candidate that ran beside refused it"))
    return sorted(_summed(found), key=lambda one: (-one.past.count, one.past.name))


def _summed(cuts: Sequence[Cut]) -> list[Cut]:
    """One for each name and reason: a flow has several records where versions or what is in monitor answered it
    differently."""
    found: dict[tuple[str, str, str], Cut] = {}
    for one in sorted(cuts, key=lambda cut: -cut.past.count):
        known = found.setdefault((one.past.name, one.why, one.mark), one)
        if known is not one:
            a, b = known.past, one.past
            past = replace(a, count=a.count + b.count, first=min(a.first, b.first), last=max(a.last, b.last))
            found[one.past.name, one.why, one.mark] = known._replace(past=past)
    return list(found.values())


def _diff(path: str, before: str, after: str) -> str:
    lines = difflib.unified_diff(before.splitlines(True), after.splitlines(True), path, path, n=1)
    return "".join(lines)


def _put(path: Path, text: str, was: str) -> None:
    from proxy.policy.promote import put

    try:
        put(path, text, was)
    except OSError as fault:
        raise EnvironmentFailure(f"{path}: {fault.strerror}; nothing was changed") from None
    except ValueError as fault:
        raise Findings(f"{fault}; nothing was changed: try again") from None


def _text(what: str, done: Promoted, changes: str, cut: Sequence[Cut], named: Sequence[str], days: int) -> list[str]:
    from proxy.policy.learnt_file import day

    lines: list[str] = []
    missing = [one for one in cut if one.past.name not in named]
    for one in cut:
        mark = "acknowledged" if one.past.name in named else one.mark
        past = one.past
        lines += [f"{mark}  {past.name}  {past.who} to {past.device}, {past.protocol} {past.texts[1]}"]
        lines += [f"    messages {past.count}, {day(past.first)} to {day(past.last)}", f"    because  {one.why}"]
    lines += [""] if cut else []
    if missing:
        names = " ".join(f"--acknowledge {name}" for name in dict.fromkeys(one.past.name for one in missing))
        lines += [f"{what} is not promoted: flows of the last {days} days would be cut. Nothing was changed."]
        return [*lines, f"Mend the rules, or say that each may be cut: {names}"]
    lines += [line.rstrip("\n") for line in changes.splitlines()]
    lines += ["", *(f"{said}." for said in done.said)]
    return [*lines, "`bulkhead policy apply` takes it into use; a gateway that watches its files does so by itself."]


def _data(what: str, done: Promoted, changes: str, cut: Sequence[Cut], named: Sequence[str]) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "PolicyPromotion",
        "what": what,
        "promoted": all(one.past.name in named for one in cut),
        "changes": list(done.said),
        "diff": changes,
        "cut": [
            {
                "flow": one.past.name,
                "acknowledged": one.past.name in named,
                "who": one.past.principal.label,
                "to": one.past.device,
                "protocol": one.past.protocol,
                "low": one.past.texts[0],
                "high": one.past.texts[1],
                "count": one.past.count,
                "first": one.past.first,
                "last": one.past.last,
                "why": one.why,
            }
            for one in cut
        ],
    }
