"""`bulkhead run`: the gateway of a site, until SIGTERM or SIGINT drains it."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proxy.cli.exits import EnvironmentFailure
from proxy.cli.site import config_option, find_config, open_site, protocols

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.app import App
    from proxy.site import Site


@click.command(name="run", help="Start the gateway of a site; SIGTERM drains it.")
@config_option
def command(config: Path | None) -> None:
    from proxy.app import StartError
    from proxy.telemetry.logs import set_up_logging

    set_up_logging()
    # The audit thread formats records while the event loop wants the interpreter: it must let go within 0.5 ms, not 5.
    sys.setswitchinterval(0.0005)
    logging.getLogger("casbin").setLevel(logging.WARNING)
    site = open_site(config)
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_serve(site, find_config(config)))
    except StartError as error:
        raise EnvironmentFailure(str(error)) from None


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is installed; None for the standard loop, which is correct and slower."""
    try:
        uvloop: Any = import_module("uvloop")
    except ModuleNotFoundError:
        logging.getLogger(__name__).warning("uvloop is not installed: the standard event loop serves fewer links")
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _serve(site: Site, config: Path) -> None:
    from proxy.app import serve

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(site, config, protocols(), stop, lambda app: _say(site, app))


def _say(site: Site, app: App) -> None:
    for listener in app.gateway.listeners:
        host, port = listener.address
        how = "TLS, client certificates" if listener.entrance.secured else "plain"
        place = f"{listener.entrance.protocol.name} on {host}:{port} ({how})"
        click.echo(f"{listener.entrance.name}: {place} -> {listener.entrance.device.id}", err=True)
    click.echo(f"site {site.name}: ready; admin on {site.admin.host}:{app.admin_port}", err=True)
