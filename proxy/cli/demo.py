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
    from proxy.demo.broker import Address, Broker
    from proxy.demo.workplace import Workplace

CHECKOUT = Path(__file__).parents[2] / "bulkhead.yaml"
"""The demo site, when the command runs from a checkout."""
FOLDER = Path(".demo")
ONCE, LIVE = (0.2, 0.5), (0.5, 1.0)
"""Seconds between two polls of the SCADA, and between two readings of a sensor."""
NEEDED = ("pymodbus", "aiomqtt", "asyncua")


@click.command(name="demo")
@config_option
@click.option("--once", is_flag=True, help="Play every step once and end: 0 if nothing refused got through, else 1.")
@click.option(
    "--broker",
    metavar="HOST:PORT",
    help="An MQTT broker of your own (no TLS, no log-in) behind the gateway, instead of nats-server.",
)
@click.option("-o", "--output", type=click.Choice(("text", "json")), default="text", show_default=True)
def command(config: Path | None, once: bool, broker: str | None, output: str) -> int:
    """Run a simulated bottling cell behind the gateway; Ctrl-C ends it.

    A SCADA polls a PLC, sensors publish to a broker and a MES listens, a panel reads a robot over OPC UA, and an
    intruder tries what a real one would.
    Without --once it works in ./.demo, on the ports that the demo site names, so that your own clients can join in.
    """
    if output == "json" and not once:
        raise click.UsageError("-o json needs --once")
    for package in NEEDED:
        if find_spec(package) is None:
            raise EnvironmentFailure(f"the demo needs the package {package}: pip install 'bulkhead[demo]'")
    from proxy.demo.broker import look_at
    from proxy.demo.errors import DemoError, SiteError
    from proxy.demo.workplace import check_ports, make_folder, open_site, prepare

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # ends like Ctrl-C: with all children gone
    found = _find(config)
    address = _address(broker)
    try:
        own = look_at(address) if address is not None else None
        site = open_site(found, protocols())  # its faults are told with the names of the person's own files
        if once:
            with tempfile.TemporaryDirectory(prefix="bulkhead-demo-") as temporary:
                return _once(prepare(found, Path(temporary), protocols(), move_ports=True), own, output)
        check_ports(site)  # before the folder is emptied: the one who has them may be using it
        make_folder(FOLDER)
        return _live(prepare(found, FOLDER.absolute(), protocols()), own)
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


def _address(broker: str | None) -> Address | None:
    if broker is None:
        return None
    from proxy.demo.broker import parse

    try:
        return parse(broker)
    except ValueError as fault:
        raise click.BadParameter(str(fault), param_hint="--broker") from fault


def _once(place: Workplace, own: Broker | None, output: str) -> int:
    from proxy.demo.once import as_json, as_text
    from proxy.demo.plant import Paces, Plant

    with Plant(place, Paces(*ONCE), own) as plant:
        if output == "json":
            text, good = as_json(plant)
            click.echo(text)
        else:
            good = as_text(plant, click.echo)
    return DONE if good else FINDINGS


def _live(place: Workplace, own: Broker | None) -> int:
    from proxy.demo.guide import Guide
    from proxy.demo.live import Live
    from proxy.demo.plant import Paces, Plant

    click.echo("starting the PLC, the broker, the robot and the gateway...", err=True)
    live: Live | None = None
    try:
        with Plant(place, Paces(*LIVE), own) as plant:
            live = Live(plant, Guide(place), sys.stdout)
            live.go()
    except KeyboardInterrupt:
        pass  # how this demo ends
    if live is None:
        return DONE
    click.echo(f"{live.done} steps, {live.failed} not as expected; the plant is shut down, its files are in {FOLDER}")
    return FINDINGS if live.failed else DONE
