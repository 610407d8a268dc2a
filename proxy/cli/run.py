"""`bulkhead run`: the gateway of a site, until SIGTERM or SIGINT drains it; SIGHUP takes changed files into use."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proxy.cli.exits import EnvironmentFailure, Findings
from proxy.cli.place import find_state
from proxy.cli.site import config_option, find_config, protocols, text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.app import App
    from proxy.change.start import Beginning
    from proxy.site import Site


@click.command(name="run", help="Start the gateway of a site; SIGHUP takes changed files into use, SIGTERM drains it.")
@config_option
def command(config: Path | None) -> None:
    from proxy.app import StartError
    from proxy.telemetry.logs import set_up_logging

    set_up_logging()
    # The audit thread formats records while the event loop wants the interpreter: it must let go within 0.5 ms, not 5.
    sys.setswitchinterval(0.0005)
    logging.getLogger("casbin").setLevel(logging.WARNING)
    file = find_config(config)
    beginning = _begin(file)
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_serve(beginning, file))
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


def _begin(config: Path) -> Beginning:
    """The files, or the last good version of them; what is wrong with the files is told in both cases."""
    from proxy.change.start import NothingGoodError, Start, begin
    from proxy.versions.store import Versions

    state = find_state(config)
    try:
        beginning = begin(Start(config, protocols(), os.environ, time.time, Versions(state / "policy")))
    except NothingGoodError as fault:
        lines = [text_of(problem, config) for problem in fault.problems]
        raise Findings("\n".join(["the site is not valid:", *filter(None, (str(fault),)), *lines])) from None
    for problem in beginning.warnings:
        click.echo(text_of(problem, config), err=True)
    if not beginning.attempt.successful:
        said = "; ".join(beginning.attempt.told[:3])
        click.echo(f"NOT the files but the last good version {beginning.tree.id[:16]} is in force: {said}", err=True)
    return beginning


async def _serve(beginning: Beginning, config: Path) -> None:
    from proxy.app import serve

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(beginning, config, protocols(), stop, lambda app: _started(beginning.site, app))


def _started(site: Site, app: App) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, app.reload, "SIGHUP")
    for listener in app.gateway.listeners:
        host, port = listener.address
        options = listener.entrance.options
        own = "its own channel" if getattr(options, "secures", False) else "plain"
        how = "TLS, client certificates" if listener.entrance.secured else own
        how = ", UNSAFE: ".join((how, *getattr(options, "unsafe", ())))
        place = f"{listener.entrance.protocol.name} on {host}:{port} ({how})"
        click.echo(f"{listener.entrance.name}: {place} -> {listener.entrance.device.id}", err=True)
    click.echo(f"site {site.name}: ready; admin on {site.admin.host}:{app.admin_port}", err=True)
