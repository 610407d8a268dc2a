"""`bulkhead policy diff`: what access appears and disappears between two versions of a site."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from proxy.cli.exits import DONE, FINDINGS
from proxy.cli.policy.places import config_in, in_force, place_of, site_at
from proxy.cli.report import API_VERSION
from proxy.cli.site import config_option, find_config, protocols
from proxy.telemetry.logs import printable

if TYPE_CHECKING:
    from proxy.cli.policy.places import Place
    from proxy.policy.diff import Difference, Entry
    from proxy.site import Site


@click.command(name="diff")
@config_option
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.argument("places", nargs=-1, metavar="[A] [B]")
def command(config: Path | None, output: str, places: tuple[str, ...]) -> int:
    """Say what access appears and disappears between two versions of a site, A and B.

    A and B are a site's folder, its config file, a revision in git (git:HEAD~1, or HEAD~1), or a version that the
    gateway kept (version:ID, or ID). Without A: what is in force, or the last commit where no gateway ran yet. Without
    B: the files as they are.

    Exits with 0 if there is no difference, 1 if there is one or a version is not valid, 2 if the question is wrong, 3
    if a version cannot be read.
    """
    from proxy.change.judge import differ

    if len(places) > 2:
        raise click.UsageError("compare two versions: bulkhead policy diff A B")
    home = _home(config, places)
    before, after = _both(places, home)
    old, new = site_at(before, home), site_at(after, home)
    difference = differ(old, new, protocols(), time.time())
    if output == "json":
        click.echo(json.dumps(_data(difference, (before, old), (after, new)), indent=2))
    else:
        click.echo(as_text(difference))
        click.echo(f"{before.label} -> {after.label}", err=True)
    return FINDINGS if difference else DONE


def _home(config: Path | None, places: tuple[str, ...]) -> Path:
    """The site whose repository and records are meant: that of --config, else of a folder that is compared."""
    if config is None:
        for text in reversed(places):
            if Path(text).exists():
                return config_in(Path(text))
    return find_config(config)


def _both(places: tuple[str, ...], home: Path) -> tuple[Place, Place]:
    if len(places) == 2:
        return place_of(places[0], home), place_of(places[1], home)
    one = place_of(places[0] if places else str(home), home)
    if one.config is not None:
        return in_force(home), one
    return one, place_of(str(home), home)


def as_text(difference: Difference) -> str:
    """Widenings first: they are what somebody has to want."""
    lines: list[str] = []
    titled = (
        ("widens access", difference.widenings),
        ("narrows access", difference.narrowings),
        ("changes no access", difference.changes),
    )
    for title, entries in titled:
        if entries:
            lines += [f"{title} ({len(entries)})", *map(_line, entries)]
    return "\n".join(lines) or "no difference in access"


def _line(entry: Entry) -> str:
    return f"  {printable(entry.text)}"


def _data(difference: Difference, before: tuple[Place, Site], after: tuple[Place, Site]) -> dict[str, object]:
    return {
        "apiVersion": API_VERSION,
        "kind": "PolicyDifference",
        "before": {"place": before[0].label, "digest": before[1].digest},
        "after": {"place": after[0].label, "digest": after[1].digest},
        **difference.data(),
    }
