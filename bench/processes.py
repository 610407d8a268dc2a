"""Starting, awaiting and ending the programs under test, each pinned to its core."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.environment import Unmeasurable, descendants

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

STARTED_WITHIN = 20.0
STOPPED_WITHIN = 10.0


@dataclass(slots=True)
class Running:
    """One program under test and where it listens."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pids(self) -> list[int]:
        return descendants(self.process.pid)

    def stop(self) -> None:
        """SIGTERM, then SIGKILL for whatever is left of it after 10 s."""
        family = self.pids if self.process.poll() is None else []
        self.process.terminate()
        try:
            self.process.wait(STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            for pid in family:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, 9)
            self.process.wait()


def pinned(core: int) -> Callable[[], None]:
    def set_core() -> None:
        os.sched_setaffinity(0, {core})

    return set_core


def start(
    name: str,
    command: Sequence[object],
    *,
    port: int,
    core: int,
    log: Path,
    environment: Mapping[str, str] | None = None,
) -> Running:
    """Start and wait until the port accepts; Unmeasurable, with the last of its log, when it never does."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=pinned(core),
            env={**os.environ, **(environment or {})},
        )
    running = Running(name, port, process, log)
    try:
        await_port(running)
    except BaseException:
        running.stop()
        raise
    return running


def await_port(running: Running) -> None:
    end = time.monotonic() + STARTED_WITHIN
    while time.monotonic() < end:
        if running.process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", running.port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    ended = running.process.poll()
    how = f"ended with {ended}" if ended is not None else "never listened"
    raise Unmeasurable(f"{running.name} {how}:\n{last_lines(running.log)}")


def last_lines(log: Path, count: int = 12) -> str:
    return "\n".join("  " + line for line in log.read_text(errors="replace").splitlines()[-count:])


@dataclass(slots=True)
class Plc:
    """The fast PLC behind every target."""

    port: int
    report_port: int
    process: subprocess.Popen[str]

    @classmethod
    def start(cls, program: Path, core: int) -> Plc:
        process = subprocess.Popen(
            [str(program)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
            preexec_fn=pinned(core),
        )  # fmt: skip
        assert process.stdout is not None
        ports = json.loads(process.stdout.readline())
        return cls(ports["port"], ports["report_port"], process)

    def counts(self) -> dict[str, Any]:
        """frames, bytes, malformed, opened, open, functions (by code), recent (unit and PDU of all but reads)."""
        with socket.create_connection(("127.0.0.1", self.report_port), 5) as link:
            text = link.makefile().read()
        counts: dict[str, Any] = json.loads(text)
        return counts

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
