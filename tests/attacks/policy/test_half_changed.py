"""A reload that fails on the way leaves nothing behind, and one link that fails keeps no other from being judged."""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from proxy.app import App, World
from proxy.change.start import Start, begin
from proxy.cli.site import protocols
from proxy.core.facts import ConnFacts
from proxy.core.principal import Principal
from proxy.site.model import Bind
from proxy.versions.store import Versions
from tests.change.folder import write_site
from tests.support.net import free_port

if TYPE_CHECKING:
    from proxy.gateway.ports import ClientLink


def app_of(folder: Path) -> App:
    """A gateway on free ports, started."""
    config = write_site(folder)
    text = config.read_text().replace("8502", str(free_port())).replace("9464", str(free_port()))
    config.write_text(text)
    versions = Versions(folder / "var/policy")
    app = App(begin(Start(config, protocols(), {}, time.time, versions)), config, protocols(), World(environ={}))
    app.start()
    return app


async def stopped(app: App) -> None:
    stop = asyncio.Event()
    stop.set()
    await app.run(stop)


@pytest.mark.parametrize(
    "fault", [RuntimeError("can't start new thread"), OSError(errno.ENOSPC, "full"), MemoryError()]
)
async def test_t71_ports_that_were_bound_for_nothing_are_free_again(tmp_path: Path, fault: BaseException) -> None:
    """Otherwise the next attempt finds its own ports taken, until somebody restarts the gateway."""
    app = app_of(tmp_path)
    port = free_port()

    async def keep() -> None:
        raise fault

    site = app._live.site
    moved = replace(site, listeners=(replace(site.listeners[0], bind=Bind("127.0.0.1", port)),))
    with pytest.raises(type(fault)):
        await app._take(moved, keep)
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", port))
    assert app._live.site is site and app.gateway.listeners[0].address[1] != port
    await stopped(app)


@pytest.mark.parametrize("swap", [False, True])
async def test_a_listener_with_another_name_keeps_its_links(tmp_path: Path, swap: bool) -> None:
    """Who is still allowed sees nothing of a reload, and what is counted goes on."""
    app = app_of(tmp_path)
    await_nothing = asyncio.sleep
    site = app._live.site
    first = site.listeners[0]
    second = replace(first, name="gate", bind=Bind("127.0.0.1", free_port()))
    await app._take(replace(site, listeners=(first, second)), lambda: await_nothing(0))
    reader, writer = await asyncio.open_connection("127.0.0.1", first.bind.port)
    try:
        await asyncio.sleep(0.05)
        assert len(app.gateway.links) == 1
        renamed = (replace(first, name="gate"), replace(second, name="door" if swap else "other"))
        await app._take(replace(site, listeners=renamed), lambda: await_nothing(0))
        assert app.gateway.listener_counts["gate"].live == 1
        writer.write(bytes.fromhex("000100000006010300640001"))  # holding 100: no rule allows it
        assert (await asyncio.wait_for(reader.read(64), 2.0))[7] == 0x83
        assert [one.live for one in app.gateway.listener_counts.values()] == [1, 0]
    finally:
        writer.close()
        await stopped(app)


class Faulty:
    """As much of a link as the gateway asks for when it decides again; ``fault`` is its bug."""

    def __init__(self, number: int, device: str, fault: Exception | None) -> None:
        self.number = number
        self.facts = ConnFacts("door", f"127.0.0.{number}", 1)
        self.principal = Principal(f"m{number}")
        self.entrance = self
        self.device = self
        self.id = device
        self.fault = fault
        self.decided = False
        self.where = ""

    def decide_again(self) -> None:
        if self.fault is not None:
            raise self.fault
        self.decided = True

    def failed(self, where: str) -> None:
        self.where = where


async def test_a_link_that_fails_keeps_no_other_from_being_judged(tmp_path: Path) -> None:
    app = app_of(tmp_path)
    links = [Faulty(number, "plc", ValueError("a bug") if number == 1 else None) for number in (1, 2, 3)]
    for link in links:
        assert app.gateway.links.admit(cast("ClientLink", link)) is None
    await app.gateway.decide_again()
    assert [link.decided for link in links] == [False, True, True]
    assert links[0].where == "deciding again"
    for link in links:
        app.gateway.links.gone(cast("ClientLink", link))
    await stopped(app)
