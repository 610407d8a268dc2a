"""No thread and no process to be had for a while: nobody has to restart the gateway because of that (T48, T71)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from proxy.change.judging import JudgingError
from proxy.versions.store import SCRATCH
from tests.change.test_reload import Plant


class Threads(ThreadPoolExecutor):
    """As a machine that is out of threads, while ``full``."""

    def __init__(self) -> None:
        super().__init__(4)
        self.full = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if self.full:
            raise RuntimeError("can't start new thread")
        return super().submit(fn, *args, **kwargs)


@pytest.mark.parametrize("from_the_start", [False, True])
async def test_t48_no_thread_for_a_look_at_the_files(tmp_path: Path, from_the_start: bool) -> None:
    plant = Plant(tmp_path)
    threads = Threads()
    asyncio.get_running_loop().set_default_executor(threads)
    threads.full = from_the_start
    running = asyncio.ensure_future(plant.reloader.run())
    try:
        await asyncio.sleep(0.1)
        threads.full = True
        await asyncio.sleep(1.2)
        plant.reloader.ask("SIGHUP")
        await asyncio.sleep(0.3)
        threads.full = False
        now = plant.edit()
        while not (plant.reports and plant.reports[-1].version == now):
            plant.reported.clear()
            await asyncio.wait_for(plant.reported.wait(), 10.0)
        assert not running.done() and plant.reports[-1].successful
    finally:
        running.cancel()


async def test_t47_a_process_that_was_killed_leaves_no_copy_of_the_files(tmp_path: Path) -> None:
    """Whatever kills it (no memory) kills it each time: the disk must not fill up until somebody restarts."""
    plant = Plant(tmp_path)
    left = plant.versions.folder / f"{SCRATCH}x"
    left.mkdir()
    (left / "bulkhead.yaml").write_text("site: works\n")
    plant.judging.answer = JudgingError("the process that judges it ended (exit -9)")
    plant.edit()
    attempt = await plant.reloader.attempt("SIGHUP")
    assert attempt.outcome == "failed" and not left.exists()
