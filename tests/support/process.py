"""`bulkhead run` as a child process."""

from __future__ import annotations

import json
import re
import resource
import shlex
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.net import LOCAL, wait_until

if TYPE_CHECKING:
    from tests.support.plant import Plant

READY = 15.0
STOPS = 5.0
STOCK_LOOP = "import sys; sys.modules['uvloop'] = None; from proxy.cli.main import main; main()"
"""Where uvloop cannot be imported, `bulkhead run` takes the loop of the standard library."""

Audit = dict[str, Any]


class GatewayProcess:
    """Started on a plant, ready when `start` returns. ``loop`` is ``uvloop`` or ``stock``."""

    def __init__(self, plant: Plant, *, loop: str = "uvloop", files: int | None = None) -> None:
        """``files``: the limit of open files."""
        self.plant = plant
        self.log = plant.folder / "gateway.log"
        run = ["-m", "proxy"] if loop == "uvloop" else ["-c", STOCK_LOOP]
        self._command = [sys.executable, *run, "run", "--config", str(plant.config)]
        if files is not None:
            self._command = ["sh", "-c", f"ulimit -n {files} && exec {shlex.join(self._command)}"]
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """AssertionError with the log when it does not become ready."""
        with self.log.open("wb") as log:
            self._child = subprocess.Popen(self._command, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_until(lambda: self._ready() or self._child_ended(), READY, "the gateway is ready")
            assert not self._child_ended(), "the gateway ended"
        except AssertionError as late:
            self.kill()
            raise AssertionError(f"{late}\n{self.said()}") from None

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def terminate(self) -> None:
        assert self._child is not None
        self._child.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = STOPS) -> int:
        """The exit code. Kills and raises when it does not end by itself."""
        assert self._child is not None
        try:
            return self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"SIGTERM did not end it within {seconds:g} s\n{self.said()}") from None

    def stop(self) -> int:
        self.terminate()
        return self.wait()

    def kill(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait()

    def admin(self, page: str) -> str:
        """A page of the admin listener; for /readyz also when it says no."""
        try:
            with urllib.request.urlopen(f"http://{LOCAL}:{self.plant.admin}{page}", timeout=5) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return error.read().decode()

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric over all label sets that have these labels; 0 if there is none."""
        total = 0.0
        for line in self.admin("/metrics").splitlines():
            match = re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line)
            if match and all(f'{key}="{value}"' in (match[1] or "") for key, value in labels.items()):
                total += float(match[2])
        return total

    def links(self) -> int:
        return sum(listener["links"] for listener in json.loads(self.admin("/status"))["listeners"])

    def audit(self) -> list[Audit]:
        """All records on disk, oldest first."""
        return read_audit(self.plant.audit)

    def recorded(self, seconds: float = 3.0, **fields: object) -> Audit:
        """Waits for a record with these fields: the writer has a second."""
        found: list[Audit] = []

        def look() -> bool:
            found[:] = [r for r in self.audit() if all(r.get(key) == value for key, value in fields.items())]
            return bool(found)

        ends = time.monotonic() + seconds
        while not look() and time.monotonic() < ends:
            time.sleep(0.02)
        assert found, f"no record with {fields} among\n" + "\n".join(map(str, self.audit()))
        return found[-1]

    def _ready(self) -> bool:
        return "ready; admin on" in self.said()

    def _child_ended(self) -> bool:
        return self._child is None or self._child.poll() is not None


def read_audit(folder: Path) -> list[Audit]:
    """A last line that is still being written is left out."""
    lines = (line for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines(keepends=True))
    return [json.loads(line) for line in lines if line.endswith("\n")]


@contextmanager
def running(plant: Plant, *, loop: str = "uvloop", files: int | None = None) -> Iterator[GatewayProcess]:
    """A gateway that must also end in order. What it logged is shown when the test fails."""
    gateway = GatewayProcess(plant, loop=loop, files=files)
    try:
        gateway.start()
        yield gateway
        if gateway.alive:
            assert gateway.stop() == 0, gateway.said()
    finally:
        gateway.kill()
        print(gateway.said()[-6000:])


@contextmanager
def limited(gateway: GatewayProcess, what: int, soft: int) -> Iterator[None]:
    """Takes something away from the running process, and gives it back."""
    before = resource.prlimit(gateway.pid, what)
    resource.prlimit(gateway.pid, what, (soft, before[1]))
    try:
        yield
    finally:
        resource.prlimit(gateway.pid, what, before)
