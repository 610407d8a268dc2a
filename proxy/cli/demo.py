"""`bulkhead demo`: a small plant behind a real gateway, and people who try what they may and what they may not."""

from __future__ import annotations

import signal
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from proxy.cli.exits import DONE, FINDINGS, EnvironmentFailure, Findings
from proxy.cli.site import config_option, protocols

if TYPE_CHECKING:
    from proxy.demo.workplace import Workplace

CHECKOUT = Path(__file__).parents[2] / "bulkhead.yaml"
"""The demo site, when the command runs from a checkout."""
FOLDER = Path(".demo")
POLL_ONCE, POLL_LIVE = 0.2, 0.5
"""Seconds between two polls of the SCADA."""


@click.command(name="demo")
@config_option
@click.option("--once", is_flag=True, help="Play every step once and end: 0 if nothing refused got through, else 1.")
@click.option("-o", "--output", type=click.Choice(("text", "json")), default="text", show_default=True)
def command(config: Path | None, once: bool, output: str) -> int:
    """Run a simulated bottling cell behind the gateway; Ctrl-C ends it.

    A SCADA polls a PLC, an engineer looks in, and an intruder tries what a real one would. Without --once it works in
    ./.demo, on the ports that the demo site names, so that your own clients can join in.
    """
    if output == "json" and not once:
        raise click.UsageError("-o json needs --once")
    if find_spec("pymodbus") is None:
        raise EnvironmentFailure("the demo needs the package pymodbus: pip install 'bulkhead[demo]'")
    from proxy.demo.errors import DemoError, SiteError
    from proxy.demo.workplace import check_ports, make_folder, open_site, prepare

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # ends like Ctrl-C: with all children gone
    found = _find(config)
    try:
        site = open_site(found, protocols())  # its faults are told with the names of the person's own files
        if once:
            with tempfile.TemporaryDirectory(prefix="bulkhead-demo-") as temporary:
                return _once(prepare(found, Path(temporary), protocols(), move_ports=True), output)
        check_ports(site)  # before the folder is emptied: the one who has them may be using it
        make_folder(FOLDER)
        return _live(prepare(found, FOLDER.absolute(), protocols()))
    except SiteError as fault:
        raise Findings(str(fault)) from fault
    except DemoError as fault:
        raise EnvironmentFailure(str(fault)) from fault
    except OSError as fault:
        raise EnvironmentFailure(f"{fault.filename or 'demo'}: {fault.strerror or fault}") from fault


def _find(given: Path | None) -> Path:
    """A person's own site in /etc is never the demo's."""
    found = given or next((place for place in (Path("bulkhead.yaml"), CHECKOUT) if place.exists()), None)
    if found is None:
        raise EnvironmentFailure("no demo site here: it is the top level of a checkout; say where: --config FILE")
    return found


def _once(place: Workplace, output: str) -> int:
    from proxy.demo.once import as_json, as_text
    from proxy.demo.plant import Plant

    with Plant(place, POLL_ONCE) as plant:
        if output == "json":
            text, good = as_json(plant)
            click.echo(text)
        else:
            good = as_text(plant, click.echo)
    return DONE if good else FINDINGS


def _live(place: Workplace) -> int:
    from proxy.demo.guide import Guide
    from proxy.demo.live import Live
    from proxy.demo.plant import Plant

    click.echo("starting the PLC and the gateway...", err=True)
    live: Live | None = None
    try:
        with Plant(place, POLL_LIVE) as plant:
            live = Live(plant, Guide(place), sys.stdout)
            live.go()
    except KeyboardInterrupt:
        pass  # how this demo ends
    if live is None:
        return DONE
    click.echo(f"{live.done} steps, {live.failed} not as expected; the plant is shut down, its files are in {FOLDER}")
    return FINDINGS if live.failed else DONE
