"""Hours that close on a running gateway: who is only allowed in them is cut at that moment, whatever the clock does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from proxy.app import App, World
from proxy.change.start import Start, begin
from proxy.cli.site import protocols
from proxy.versions.store import Versions
from tests.support.master import Master, read, refusal, write
from tests.support.plant import PLAIN, Builder, Plant
from tests.support.process import read_audit

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.plc import RecordingPlc

CLOSES = 1_800_000_000.0
"""2027-01-15 08:00:00 UTC, a full minute."""
RULES = """\
  always:
    from: other
    to: plc
    modbus: { read: [holding 0-9] }
  stop:
    from: [station, other]
    to: plc
    when: planned-stop
    modbus: { read: [holding 0-99], write: [holding 7] }
"""
WINDOW = 'window: planned-stop\nzone: Etc/UTC\nopen: "2027-01-15 07:00"\nclose: "2027-01-15 08:00"\n'


class Clock:
    """Time of day goes on from where a test sets it."""

    def __init__(self, wall: float) -> None:
        self.set(wall)

    def set(self, wall: float) -> None:
        self._ahead = wall - time.monotonic()

    def __call__(self) -> float:
        return time.monotonic() + self._ahead


@pytest.fixture
def plant(plc: RecordingPlc, tmp_path: Path) -> Plant:
    other = "kind: server\naddress: 127.0.5.9\nidentity: { unsafe_address_only: true }"
    plant = Builder(
        tmp_path, plc.port, listeners=(PLAIN,), masters=(), rules=RULES, more_devices={"other": other}
    ).build()
    (tmp_path / "policies/roles/masters.yaml").unlink()
    (tmp_path / "policies/windows").mkdir()
    (tmp_path / "policies/windows/stop.yaml").write_text(WINDOW)
    return plant


@asynccontextmanager
async def running(plant: Plant, clock: Clock) -> AsyncIterator[App]:
    versions = Versions(plant.folder / "var/policy")
    beginning = begin(Start(plant.config, protocols(), {}, clock, versions))
    app = App(beginning, plant.config, protocols(), World(wall=clock))
    app.start()
    stop = asyncio.Event()
    task = asyncio.ensure_future(app.run(stop))
    try:
        yield app
    finally:
        stop.set()
        await task


async def test_at_the_end_of_a_window_its_links_end_and_others_keep_what_they_have(
    plant: Plant, plc: RecordingPlc
) -> None:
    """The cut is within 250 ms (access.md 7); nothing that was only allowed in the window reaches the PLC after it."""
    clock = Clock(CLOSES - 2.0)
    async with running(plant, clock):
        async with (
            await Master.open(plant.ports[PLAIN]) as station,
            await Master.open(plant.ports[PLAIN], source="127.0.5.9") as other,
        ):
            assert (await station.ask(read(50)))[0] == 3
            assert (await other.ask(read(50)))[0] == 3
            assert await other.ask(write(7, 1)) == write(7, 1)
            assert await station.closed() == b""
            assert CLOSES <= clock() < CLOSES + 0.25
            plc.forget()
            assert await other.ask(read(50)) == refusal(read(50)), "the verdict that was kept is of the open window"
            assert await other.ask(write(7, 2)) == refusal(write(7, 2))
            assert (await other.ask(read(5)))[0] == 3
            assert plc.pdus == [read(5)]
        async with await Master.open(plant.ports[PLAIN]) as late:
            assert await late.closed() == b""
    ends = [one for one in read_audit(plant.audit) if one["what"] == "close" and one["who"] == "station"]
    assert ends[0]["reason"] == "BH-1401" and "plc/stop" in ends[0]["detail"], ends
    refused = [one for one in read_audit(plant.audit) if one["what"] == "refuse" and one["who"] == "other"]
    assert {one["reason"] for one in refused} == {"BH-1401"}


@pytest.mark.parametrize("jump", [CLOSES + 3600.0, CLOSES - 86400.0])
async def test_a_clock_that_jumps_out_of_the_window_cuts_as_well(plant: Plant, plc: RecordingPlc, jump: float) -> None:
    clock = Clock(CLOSES - 600.0)
    async with running(plant, clock), await Master.open(plant.ports[PLAIN]) as station:
        assert (await station.ask(read(50)))[0] == 3
        clock.set(jump)
        began = time.monotonic()
        assert await station.closed() == b""
        assert time.monotonic() - began < 1.0


async def test_a_window_that_opens_lets_in(plant: Plant, plc: RecordingPlc) -> None:
    clock = Clock(CLOSES - 3601.0)
    async with running(plant, clock), await Master.open(plant.ports[PLAIN], source="127.0.5.9") as other:
        assert await other.ask(read(50)) == refusal(read(50))
        await asyncio.sleep(1.5)
        assert (await other.ask(read(50)))[0] == 3
