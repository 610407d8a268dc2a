"""`bulkhead policy show`: the rules in words, or as a Casbin model and rows."""

from __future__ import annotations

import difflib
import json
import time
from typing import TYPE_CHECKING, Any

import click

from proxy.cli.exits import DONE
from proxy.cli.report import API_VERSION
from proxy.cli.site import config_option, open_site

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from proxy.core.surface import Surface
    from proxy.site import Site


@click.command()
@config_option
@click.option("--casbin", is_flag=True, help="As a Casbin model and rows, as any editor of these takes them.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text")
@click.argument("names", nargs=-1, metavar="[SURFACE]...")
def command(config: Path | None, casbin: bool, output: str, names: tuple[str, ...]) -> int:
    """Show what the policy files say: each rule in words, with patterns and placeholders as they were understood.

    With --casbin a never is deny rows, and a row with conditions says so in its column cond: what an editor answers is
    never more than what the gateway allows. Exits with 0, 2 if there is no such SURFACE, 3 if the site cannot be read.
    """
    site = open_site(config)
    _check_names(site, names)
    data, lines = _rows(site, names) if casbin else _words(site, names)
    if output == "json":
        click.echo(json.dumps({"apiVersion": API_VERSION, **data}, indent=2))
    else:
        click.echo("\n".join(_visible(line) for line in lines))
    return DONE


def _check_names(site: Site, names: Sequence[str]) -> None:
    known = [surface.name for surface in site.surfaces]
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(known[:20])}"
            raise click.UsageError(f"no surface is called {name!r}; {hint}")


def _words(site: Site, names: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    from proxy.policy.shown import surface_data, surface_lines

    shown = [surface for surface in site.surfaces if not names or surface.name in names]
    roles = [role for role in site.roles if not names or _uses(shown, role.name)]
    hours = [one for one in site.hours if not names or any(one.name in rule.when for s in shown for rule in s.rules)]
    lines = [line for surface in shown for line in (*surface_lines(surface), "")]
    lines += [f"role {role.name}  {role.origin}: {', '.join(role.members)}" for role in roles]
    lines += [f"hours {one.name}  {one.origin}: {one.describe()}" for one in hours]
    lines.append("what no rule allows is refused")
    data = {
        "kind": "PolicyShow",
        "digest": site.digest,
        "surfaces": [surface_data(surface) for surface in shown],
        "roles": [{"role": role.name, "members": list(role.members)} for role in roles],
        "hours": [{"name": one.name, "text": one.describe()} for one in hours],
    }
    return data, lines


def _uses(surfaces: Sequence[Surface], role: str) -> bool:
    rules = [rule.speakers for surface in surfaces for rule in surface.rules]
    nevers = [never.speakers or () for surface in surfaces for never in surface.nevers]
    return any(f"role:{role}" in speakers for speakers in (*rules, *nevers))


def _rows(site: Site, names: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    from proxy.policy.editor import MODEL, members, rows
    from proxy.policy.shadow import enforced

    now = time.time()
    lines = [*map(str, rows(enforced(site.surfaces, now), site.roles, site.devices, names)), *members(site.roles)]
    notes = list(_notes(site, names, now))
    data = {"kind": "PolicyCasbin", "digest": site.digest, "model": MODEL, "policy": lines, "notes": notes}
    return data, ["# model", *MODEL.splitlines(), "", "# policy", *lines, *(f"# {note}" for note in notes)]


def _notes(site: Site, names: Sequence[str], now: float) -> Iterator[str]:
    """What the rows do not show."""
    from proxy.policy.shadow import watched
    from proxy.policy.shown import watched as told

    shown = [surface for surface in site.surfaces if not names or surface.name in names]
    for one in watched(shown, now):
        yield f"not here, for it is only watched: {one.ref}, {told(one.monitor)}"


def _visible(line: str) -> str:
    from proxy.telemetry.logs import printable

    return printable(line, len(line) + 1)
