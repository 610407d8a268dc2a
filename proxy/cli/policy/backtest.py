"""`bulkhead policy backtest`: which flows that really happened a changed policy would answer otherwise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from proxy.cli.exits import DONE, FINDINGS
from proxy.cli.policy.past import Age, deciding, flows_option, limits_then, past_of, refused_before, rows_of
from proxy.cli.report import API_VERSION
from proxy.cli.site import config_option, find_config, open_site
from proxy.telemetry.logs import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.cli.policy.past import Unread
    from proxy.flows.row import FlowRow
    from proxy.policy.backtest import Outcome
    from proxy.site import Site


@click.command()
@config_option
@click.argument("candidate", type=click.Path(path_type=Path), required=False)
@click.option("--since", type=Age(), default="14d", show_default=True, help="Flows seen in this time: 14d, 8h, 30min.")
@click.option("--enforced", is_flag=True, help="As if nothing were monitored.")
@flows_option
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(
    config: Path | None, candidate: Path | None, since: float, enforced: bool, flows: Path | None, output: str
) -> int:
    """Ask CANDIDATE again what was really asked, and say which flows would get another answer.

    CANDIDATE is a site's folder or its bulkhead.yaml; without it, the files of this site are asked. Each record keeps
    the smallest and the largest message of a flow, and both are asked. Where the answer hangs on what no record holds
    (how quickly, in which process state, at what time exactly) the flow is listed as one of which nobody can tell.

    Exits with 0 if no flow that was allowed would be refused, 1 if one would, 3 if files or flows cannot be read.
    """
    home = find_config(config)
    site = open_site(home if candidate is None else _config(candidate))
    rows = rows_of(config, flows, since)
    outcome, unread = replay(home, site, rows, everything=enforced)
    told = [(_record(one.row), one.why) for one in unread]
    click.echo(_json(outcome, told, site) if output == "json" else _text(outcome, told))
    return FINDINGS if outcome.cut else DONE


def replay(
    home: Path, site: Site, rows: Sequence[FlowRow], *, everything: bool = False
) -> tuple[Outcome, list[Unread]]:
    """``site`` is what is asked, ``home`` the config of the site where the flows were recorded."""
    from proxy.policy.backtest import backtest

    past, unread = past_of(rows, site.devices)
    limits = limits_then(home, site, past)
    return backtest(past, deciding(site, everything=everything), refused_before(site), limits), unread


def _config(candidate: Path) -> Path:
    return candidate / "bulkhead.yaml" if candidate.is_dir() else candidate


def _record(row: FlowRow) -> str:
    return f"{row.who} to {row.to}, {row.protocol} {row.low}"


def _text(outcome: Outcome, unread: Sequence[tuple[str, str]]) -> str:
    from proxy.policy.backtest_report import as_text

    return "\n".join(map(printable, as_text(outcome, unread).splitlines()))


def _json(outcome: Outcome, unread: Sequence[tuple[str, str]], site: Site) -> str:
    from proxy.policy.backtest_report import as_data

    head = {"apiVersion": API_VERSION, "kind": "PolicyBacktest", "digest": site.digest, "ok": not outcome.cut}
    return json.dumps({**head, **as_data(outcome, unread)}, indent=2)
