"""The task that looks at the deny list is the only way in for a revocation: no fault may end it."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

from proxy.app import App, World
from proxy.change.start import Beginning, Start, begin
from proxy.cli.site import protocols
from proxy.pki.revocation import RevocationList
from proxy.versions.store import Versions
from tests.support.net import until
from tests.support.plant import PLAIN, Builder

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.plc import RecordingPlc


class FailsOnce(RevocationList):
    """A fault that nobody thought of, at the first look."""

    looks = 0

    def changed(self) -> bool:
        self.looks += 1
        if self.looks == 1:
            raise MemoryError
        return super().changed()


def beginning(config: Path) -> Beginning:
    return begin(Start(config, protocols(), os.environ, time.time, Versions(config.parent / "var/policy")))


async def test_a_fault_at_one_look_does_not_end_the_watch(plc: RecordingPlc, tmp_path: Path) -> None:
    plant = Builder(tmp_path, plc.port, listeners=(PLAIN,)).build()
    app = App(beginning(plant.config), plant.config, protocols(), World())
    watched = app._revoked = FailsOnce(tmp_path / "certs" / "revoked.yaml")
    app.start()
    stop = asyncio.Event()
    running = asyncio.ensure_future(app.run(stop))
    try:
        await until(lambda: watched.looks >= 3, what="it is looked at again")
    finally:
        stop.set()
        await running


async def test_a_fault_in_one_duty_does_not_keep_the_others_from_being_done(plc: RecordingPlc, tmp_path: Path) -> None:
    """A clock that cannot be looked at must not leave a revoked certificate in."""
    plant = Builder(tmp_path, plc.port, listeners=(PLAIN,)).build()
    app = App(beginning(plant.config), plant.config, protocols(), World())
    watched = app._revoked = FailsOnce(tmp_path / "certs" / "revoked.yaml")

    def broken() -> frozenset[str]:
        raise MemoryError

    app._live.look = app._live.next_look = broken  # type: ignore[method-assign, assignment]
    app.start()
    stop = asyncio.Event()
    running = asyncio.ensure_future(app.run(stop))
    try:
        await until(lambda: watched.looks >= 3, what="the deny list is looked at")
    finally:
        stop.set()
        await running
