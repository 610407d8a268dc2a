"""`bulkhead policy history`: which versions were in force, and when."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from proxy.audit.record import rfc3339
from proxy.cli.exits import DONE, Findings
from proxy.cli.place import find_state
from proxy.cli.site import config_option, find_config
from proxy.versions.store import VersionError, Versions

API_VERSION = "bulkhead/v1"


@click.command(name="history")
@config_option
@click.option("-n", "most", type=click.IntRange(1), default=20, show_default=True, help="At most so many.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(config: Path | None, most: int, output: str) -> int:
    """Show which versions of the site were in force, the newest first."""
    versions = Versions(find_state(find_config(config)) / "policy")
    try:
        current = versions.current()
        found = versions.history()[:most]
    except VersionError as fault:
        raise Findings(str(fault)) from None
    if output == "json":
        rows = [{**asdict(one), "time": rfc3339(one.time), "policy": one.policy} for one in found]
        head = {"apiVersion": API_VERSION, "kind": "PolicyHistory", "current": None if current is None else current.id}
        click.echo(json.dumps({**head, "versions": rows}, indent=2))
        return DONE
    for at, one in enumerate(found):
        mark = "in force" if at == 0 and current is not None and one.id == current.id else ""
        wider = f"{len(one.widenings)} wider" if one.widenings else ""
        line = f"{one.id}  {rfc3339(one.time)}  policy {one.policy[:12]}  {one.how:<8}  {wider:<9}  {mark}"
        click.echo(line.rstrip())
        for line in one.widenings:
            click.echo(f"                    + {line}")
    if not found:
        click.echo("no version was in force yet", err=True)
    return DONE
