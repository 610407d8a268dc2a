"""The gateway's side of `child`: one process ahead, one question, an answer taken in slices."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from proxy.change.frames import HEAD, Job, Rest, Unable, packed, unpacked
from proxy.change.judge import Judged

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.change.judge import Question
    from proxy.core.inventory import Device
    from proxy.core.surface import Surface

PATIENCE = 180.0
"""Seconds for one question; 100,000 rules take about 30. *"""
MOST = 1 << 28
"""Bytes of one frame."""


class JudgingError(Exception):
    """The candidate could not be judged, so nothing changes. The text says why."""


class Judging:
    """`ask` one at a time. `close` ends the process that waits."""

    def __init__(self) -> None:
        self._ahead: asyncio.subprocess.Process | None = None

    async def prepare(self) -> None:
        """Starts the next process, so that a question need not wait for its imports. Raises OSError."""
        if self._ahead is None or self._ahead.returncode is not None:
            self._ahead = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # or a file in the folder that we were started in would be a module (CWE-427)
                "-m",
                "proxy.change.child",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=1 << 20,
            )

    async def ask(
        self, question: Question, known: Mapping[str, Surface], devices: Mapping[str, Device] = MappingProxyType({})
    ) -> Judged:
        """The site of the answer holds what has not changed of ``known`` and ``devices`` as the same objects, so that
        nobody has to compare them again. Raises JudgingError."""
        try:
            await self.prepare()
        except OSError as fault:
            raise JudgingError(f"no process to judge it: {fault.strerror}") from None
        child, self._ahead = self._ahead, None
        if child is None or child.stdin is None:
            raise JudgingError("no process to judge it")
        job = Job(question, {name: surface.mark for name, surface in known.items()})
        try:
            child.stdin.write(await asyncio.to_thread(packed, job))
            child.stdin.close()
            return await asyncio.wait_for(self._take(child, known, devices), PATIENCE)
        except TimeoutError:
            raise JudgingError(f"not judged within {PATIENCE:g} s") from None
        except (EOFError, OSError):
            code = await child.wait()
            said = "its last words are in the log, or it had no memory"
            raise JudgingError(f"the process that judges it ended (exit {code}); {said}") from None
        finally:
            if child.returncode is None:
                child.kill()
            await child.wait()

    async def close(self) -> None:
        if self._ahead is not None and self._ahead.returncode is None:
            self._ahead.kill()
            await self._ahead.wait()
        self._ahead = None

    async def _take(
        self, child: asyncio.subprocess.Process, known: Mapping[str, Surface], before: Mapping[str, Device]
    ) -> Judged:
        judged = await self._frame(child)
        if isinstance(judged, Unable):
            raise JudgingError(f"it cannot be judged: {judged.why}")
        if not isinstance(judged, Judged):
            raise EOFError
        surfaces: dict[str, Surface] = {}
        devices: dict[str, Device] = {}
        rest = Rest()
        while not rest.last:
            rest = await self._frame(child)
            surfaces |= {one.name: one for one in rest.surfaces} | {name: known[name] for name in rest.same}
            for one in rest.devices:
                other = before.get(one.id)
                devices[one.id] = other if other is not None and other == one else one
        if judged.site is None:
            return judged
        site = replace(
            judged.site,
            surfaces=tuple(surfaces[name] for name in sorted(surfaces)),
            devices=MappingProxyType(dict(sorted(devices.items()))),
        )
        return replace(judged, site=site)

    async def _frame(self, child: asyncio.subprocess.Process) -> Any:
        if child.stdout is None:
            raise EOFError
        (length,) = HEAD.unpack(await child.stdout.readexactly(HEAD.size))
        if length > MOST:
            raise EOFError
        data = await child.stdout.readexactly(length)
        part = unpacked(data)
        await asyncio.sleep(0)
        return part
