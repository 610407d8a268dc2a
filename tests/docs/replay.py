"""A fresh checkout in a temporary folder, in which a page's files are written and its commands are typed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.net import free_port

if TYPE_CHECKING:
    from tests.docs.page import Typed

ROOT = Path(__file__).resolve().parents[2]
NOT_NEEDED = shutil.ignore_patterns("__pycache__", "system", "demo", "fuzz", "node_modules", "bench")
PATIENCE = 20.0
"""Seconds for a background command to say what it should, and for a record to be on disk."""
TOOLS = {"bulkhead": '"{python}" -m proxy "$@"', "python": '"{python}" "$@"'}
RUN = '[ "$1" = test ] && shift && exec "{python}" -m pytest -p no:cacheprovider "$@"'
"""Stands in for ``./run``, which would make an environment first."""


_PLACE = re.compile(r" (127\.[0-9.]+) ([0-9]+)")


class Checkout:
    """``ports``: those of the page, each replaced by a free one wherever it stands, and put back in what is printed."""

    def __init__(self, folder: Path, ports: tuple[int, ...]) -> None:
        self.folder = folder
        self._ports = {str(port): str(free_port()) for port in ports}
        self._back = {free: port for port, free in self._ports.items()}
        self._children: list[subprocess.Popen[bytes]] = []
        self._variables: dict[str, str] = {}
        for name in ("proxy", "tests", "docs/schema"):
            shutil.copytree(ROOT / name, folder / name, ignore=NOT_NEEDED)
        shutil.copy(ROOT / "pyproject.toml", folder)
        for name, line in TOOLS.items():
            self._script(f"bin/{name}", f"exec {line}")
        self._script("run", RUN)

    def write(self, path: str, text: str) -> None:
        place = self.folder / path
        assert not place.exists(), f"{path} is there already: a new protocol adds files and changes none"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(_replaced(text, self._ports))

    def type(self, one: Typed) -> str:
        """What the command prints, errors too, with the page's ports. AssertionError when it fails."""
        command = _replaced(one.command, self._ports)
        if command.startswith("export "):
            name, _, value = command.removeprefix("export ").partition("=")
            self._variables[name] = value
            return ""
        if one.background:
            return self._in_background(command.removesuffix(" &"), one.printed)
        return self._shown(self.run(["bash", "-c", command]))

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )

    def close(self) -> list[int]:
        """Ends what still runs; the exit codes."""
        for child in self._children:
            os.killpg(child.pid, signal.SIGTERM)
        try:
            return [child.wait(10) for child in self._children]
        finally:
            for child in self._children:
                child.kill()
            self._children.clear()

    def _in_background(self, command: str, printed: str) -> str:
        """Waits for the last line that it should print, and for the ``HOST PORT`` that it was told to listen on."""
        log = self.folder / f"background-{len(self._children)}.log"
        with log.open("wb") as out:
            child = subprocess.Popen(
                ["bash", "-c", f"exec {command}"],
                cwd=self.folder,
                env=self._environment(),
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._children.append(child)
        last = printed.rpartition("\n")[2]
        ends = time.monotonic() + PATIENCE
        while last not in (said := _replaced(log.read_text(), self._back)) or not _listens(command):
            assert child.poll() is None, f"{command} ended:\n{said}"
            if time.monotonic() > ends:
                break
            time.sleep(0.05)
        return said.strip()

    def _shown(self, done: subprocess.CompletedProcess[str]) -> str:
        return _replaced(done.stdout, self._back).strip()

    def _environment(self) -> dict[str, str]:
        path = f"{self.folder / 'bin'}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("BULKHEAD_", "PYTEST_"))}
        return {**kept, "PATH": path, "PYTHONPATH": str(self.folder), **self._variables}

    def _script(self, name: str, line: str) -> None:
        place = self.folder / name
        place.parent.mkdir(exist_ok=True)
        place.write_text(f"#!/bin/sh\n{line.format(python=sys.executable)}\n")
        place.chmod(0o755)


def _listens(command: str) -> bool:
    match = _PLACE.search(command)
    if match is None:
        return True
    with socket.socket() as probe:
        return probe.connect_ex((match[1], int(match[2]))) == 0


def _replaced(text: str, words: dict[str, str]) -> str:
    return re.sub(r"\b\d{4,5}\b", lambda match: words.get(match[0], match[0]), text)
