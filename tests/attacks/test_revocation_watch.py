"""The task that looks at the deny list is the only way in for a revocation: no fault may end it."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from proxy.app import App, World
from proxy.cli.site import protocols
from proxy.pki.revocation import RevocationList
from proxy.site import load_site
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


async def test_a_fault_at_one_look_does_not_end_the_watch(plc: RecordingPlc, tmp_path: Path) -> None:
    plant = Builder(tmp_path, plc.port, listeners=(PLAIN,)).build()
    loaded = load_site(plant.config, protocols(), os.environ)
    assert loaded.site is not None
    app = App(loaded.site, plant.config, protocols(), World())
    watched = app._revoked = FailsOnce(tmp_path / "certs" / "revoked.yaml")
    app.start()
    stop = asyncio.Event()
    running = asyncio.ensure_future(app.run(stop))
    try:
        await until(lambda: watched.looks >= 3, what="it is looked at again")
    finally:
        stop.set()
        await running
