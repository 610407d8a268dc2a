"""`bulkhead failmodes`: what happens to each kind of flow when a part fails, and how much of that is there already."""

from __future__ import annotations

import json
import textwrap
import time
from typing import TYPE_CHECKING, Any

import click

from proxy.cli.exits import DONE, EnvironmentFailure
from proxy.cli.report import API_VERSION
from proxy.cli.site import config_option, find_config, open_site

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from proxy.core.surface import Surface
    from proxy.policy.failmodes import Cell, Failure

FOLD = 92
"""Characters beside the names of flows."""


@click.command()
@config_option
@click.option("--tests", is_flag=True, help="Name the tests that drive each cell.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text")
def command(config: Path | None, tests: bool, output: str) -> int:
    """Show what happens to each kind of flow when a part fails.

    Where surfaces choose (audit, monitor) those of the site are named; without a site here the table is the general
    one. What is marked planned is not there yet: the line says what happens instead.
    """
    from proxy.policy.failmodes import table

    surfaces = _surfaces(config)
    found = table(surfaces, time.time())
    if output == "json":
        click.echo(json.dumps(_data(found, surfaces), indent=2))
    else:
        click.echo("\n".join(_text(found, tests)))
    return DONE


def _surfaces(config: Path | None) -> Sequence[Surface] | None:
    """Of the site, or None where there is none and none was asked for."""
    try:
        find_config(config)
    except EnvironmentFailure:
        click.echo("note: no site here; --config FILE names its surfaces", err=True)
        return None
    return open_site(config).surfaces


def _text(found: Sequence[Failure], tests: bool) -> Iterator[str]:
    from proxy.policy.failmodes import FLOWS, NO_PORTAL

    for name, meant in FLOWS.items():
        missing = " (planned; told below only where there is something to tell)" if name == "portal" else ""
        yield f"{name:11} {meant}{missing}"
    for failure in found:
        yield ""
        yield f"{failure.name}: {failure.title}"
        for flows, cell in _alike(failure):
            if cell == NO_PORTAL:
                continue
            lines = textwrap.wrap(cell.text, FOLD, break_long_words=False, break_on_hyphens=False)
            yield f"  {cell.source:7}  {', '.join(flows)}"
            yield from (f"           {line}" for line in lines)
            yield from (f"           driven by {test}" for test in (cell.tests if tests else ()))


def _alike(failure: Failure) -> list[tuple[list[str], Cell]]:
    """Flows for which the same is said, together."""
    groups: dict[Cell, list[str]] = {}
    for flow, cell in failure.cells.items():
        groups.setdefault(cell, []).append(flow)
    return [(flows, cell) for cell, flows in groups.items()]


def _data(found: Sequence[Failure], surfaces: Sequence[Surface] | None) -> dict[str, Any]:
    from proxy.policy.failmodes import FLOWS

    return {
        "apiVersion": API_VERSION,
        "kind": "FailModes",
        "surfaces": None
        if surfaces is None
        else {
            surface.name: {
                "audit": "before" if surface.record_first else "after",
                "mode": "enforce" if surface.monitor is None else "monitor",
            }
            for surface in surfaces
        },
        "flows": dict(FLOWS),
        "failures": [
            {
                "name": failure.name,
                "title": failure.title,
                "cells": {
                    flow: {"source": cell.source, "text": cell.text, "tests": list(cell.tests)}
                    for flow, cell in failure.cells.items()
                },
            }
            for failure in found
        ],
    }
