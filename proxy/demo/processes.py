"""The demo's children: each started like a person would start it, each ended for sure."""

from __future__ import annotations

import ctypes
import http.client
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from proxy.demo.errors import DemoError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

START = 20.0
"""Seconds a child may take to come up, on a busy machine."""
DRAIN = 10.0
LOOK = 0.05
LAST_LINES = 5
PR_SET_PDEATHSIG = 1


def python(module: str, *words: str) -> list[str]:
    return [sys.executable, "-m", module, *words]


def child_environ() -> dict[str, str]:
    """The demo's site is not the one that the person's own environment is about."""
    return {name: value for name, value in os.environ.items() if not name.startswith("BULKHEAD_")}


class Child:
    """A process of ours. Its output goes to ``log``. Raises OSError if the program cannot be started."""

    def __init__(self, name: str, words: list[str], log: Path) -> None:
        """``words``: the program and its arguments; `python` makes those of a Python module."""
        self.name = name
        self._log = log
        libc = ctypes.CDLL(None)
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=child_environ(),
                start_new_session=True,  # Ctrl-C is for the demo, which ends its children in order
                preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM),  # and if the demo is killed
            )

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Raises DemoError, with the last lines of its output, if it ends or does not become ready."""
        until = time.monotonic() + START
        while not ready():
            if self._process.poll() is not None:
                raise DemoError(f"{self.name} did not start:\n{self.last_lines()}")
            if time.monotonic() > until:
                raise DemoError(f"{self.name} is not ready after {START:g} s:\n{self.last_lines()}")
            time.sleep(LOOK)

    def raise_if_ended(self) -> None:
        """Raises DemoError, with the last lines of its output."""
        if not self.alive:
            raise DemoError(f"{self.name} ended by itself:\n{self.last_lines()}")

    def says(self, text: str) -> bool:
        return text in self._log.read_text(errors="replace")

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def hang_up(self) -> None:
        """SIGHUP: look at your files."""
        self._process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL for one that does not listen."""
        if self.alive:
            self._process.terminate()
            try:
                self._process.wait(DRAIN)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()

    def last_lines(self) -> str:
        """The end of what it said."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-LAST_LINES:])


def is_ready(host: str, port: int) -> bool:
    """What the gateway's /readyz says."""
    connection = http.client.HTTPConnection(host, port, timeout=1)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
