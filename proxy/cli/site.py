"""What every command that reads a site shares: where it is, which protocols there are, and how its faults are told."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proxy.cli.exits import EnvironmentFailure, Findings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from proxy.protocols.base import ProtocolSpec
    from proxy.site import Problem, Site

PLACES = (Path("bulkhead.yaml"), Path("/etc/bulkhead/bulkhead.yaml"))
PROTOCOLS = ("modbus", "mqtt", "opcua")
"""Folders of proxy/protocols that the command line knows. A new protocol is one word here."""

config_option: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="BULKHEAD_CONFIG",
    show_envvar=True,
    help=f"The site's bulkhead.yaml; else the first of {', '.join(map(str, PLACES))}.",
)


def find_config(given: Path | None) -> Path:
    """The config file to read. What was given is taken as it is, found or not. Raises EnvironmentFailure."""
    if given is not None:
        return given
    for place in PLACES:
        if place.exists():
            return place
    raise EnvironmentFailure(f"no site here: neither {' nor '.join(map(str, PLACES))} exists; say where: --config FILE")


def protocols() -> Mapping[str, ProtocolSpec]:
    specs = (import_module(f"proxy.protocols.{name}").PROTOCOL for name in PROTOCOLS)
    return {spec.name: spec for spec in specs}


def open_site(given: Path | None) -> Site:
    """The site, for commands that need a sound one. Raises Findings with every error. Warnings are only counted, on
    stderr: told by every command, they would hide what this one has to say."""
    from proxy.site import load_site

    config = find_config(given)
    loaded = load_site(config, protocols(), os.environ)
    lines = [text_of(problem, config) for problem in loaded.problems]
    if loaded.site is None:
        raise Findings("\n".join(["the site is not valid:", *lines]))
    if lines:
        number = f"{len(lines)} warning{'s' * (len(lines) != 1)}"
        click.echo(f"note: {number} about the site; `bulkhead check` tells", err=True)
    return loaded.site


def text_of(problem: Problem, config: Path) -> str:
    """One line, with the file as seen from the current folder, so that terminals and editors can jump to it."""
    return f"{path_of(problem, config)}{str(problem).removeprefix(problem.origin.file)}"


def path_of(problem: Problem, config: Path) -> str:
    return os.path.join(os.path.dirname(config), problem.origin.file)
