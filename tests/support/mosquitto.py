"""Mosquitto as Debian ships it, as a child process with a config of its own."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.net import LOCAL, free_port, wait_until
from tests.support.tools import tool

STARTS = 5.0


def mosquitto() -> str:
    """The broker's path: Debian puts it where only root looks."""
    sbin = Path("/usr/sbin/mosquitto")
    return str(sbin) if sbin.exists() else tool("mosquitto")


class Mosquitto:
    """``more``: lines of its config, further listeners for example, each with settings of its own. Nothing is kept on
    disk; whoever connects to ``port`` may do anything."""

    def __init__(self, folder: Path, more: Sequence[str] = ()) -> None:
        self.port = free_port()
        self.log = folder / "mosquitto.log"
        self._config = folder / "mosquitto.conf"
        # Started by root it becomes the user `mosquitto`, who may not read a test's folder.
        user = ["user root"] if os.geteuid() == 0 else []
        lines = ["per_listener_settings true", "log_dest stderr", "log_type all", "persistence false", *user]
        lines += ["set_tcp_nodelay true", f"listener {self.port} {LOCAL}", "allow_anonymous true", *more]
        self._config.write_text("\n".join(lines) + "\n")
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._child = subprocess.Popen([mosquitto(), "-c", str(self._config)], stdout=log, stderr=log)
        try:
            wait_until(self._answers, STARTS, "mosquitto listens")
        except AssertionError:
            self.stop()
            raise AssertionError(self.said()) from None

    def stop(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _answers(self) -> bool:
        assert self._child is not None and self._child.poll() is None, "mosquitto ended"
        with socket.socket() as probe:
            return probe.connect_ex((LOCAL, self.port)) == 0


@contextmanager
def running_mosquitto(folder: Path, more: Sequence[str] = ()) -> Iterator[Mosquitto]:
    broker = Mosquitto(folder, more)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()
