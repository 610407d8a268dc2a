"""`tests.support.opcua.robot` as child processes, and what they wrote down."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tests.support.net import free_port, wait_until
from tests.support.opcua.names import FOREIGN, RobotSetting

HOST = "127.0.0.9"
STARTS = 40.0
"""Seconds; asyncua's address space is three on a slow machine."""
Line = dict[str, Any]


class Yard:
    """Where robots come from. One is enough for a test run."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "yard.log"
        self._door = folder / "yard"
        # Without compiled files on disk asyncua takes four seconds more to load.
        self._environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.support.opcua.robot", str(self._door)]
        root = Path(__file__).parents[3]
        with self.log.open("wb") as log:
            self._child = subprocess.Popen(
                command, cwd=root, env=self._environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        wait_until(lambda: self._door.exists() or self._ended(), STARTS, "the yard is open")
        assert not self._ended() and self._child.stdout is not None, self.log.read_text()
        assert self._child.stdout.readline() == b"ready\n"

    def stop(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.communicate()

    def enter(self) -> socket.socket:
        """The control connection of a robot that is yet to be told its setting."""
        control = socket.socket(socket.AF_UNIX)
        control.settimeout(STARTS)
        control.connect(str(self._door))
        return control

    def _ended(self) -> bool:
        return self._child is None or self._child.poll() is not None


class Robot:
    """Listening when `start` returns. ``received`` is what came since `forget`, over restarts."""

    def __init__(self, yard: Yard, folder: Path, host: str = HOST, url: str = FOREIGN, **more: Any) -> None:
        self._yard = yard
        self._file = folder / "robot.jsonl"
        self.setting = RobotSetting(str(self._file), host, free_port(host), url, **more)
        self._control: socket.socket | None = None
        self._seen = 0

    @property
    def url(self) -> str:
        """Where it really is, whatever its endpoints say."""
        return f"opc.tcp://{self.setting.host}:{self.setting.port}"

    @property
    def certificate(self) -> bytes:
        """DER."""
        return Path(self.setting.certificate).read_bytes()

    @property
    def port(self) -> int:
        return self.setting.port

    def start(self) -> None:
        self._control = self._yard.enter()
        self._tell(asdict(self.setting), "ready")

    def kill(self) -> None:
        """As a power cut does it: no session is closed in order."""
        if self._control is not None:
            self._control.close()
            self._control = None
            wait_until(self._gone, what="the robot is gone")

    def restart(self, **changed: Any) -> None:
        """At the same port, with nothing left of the sessions; ``changed`` fields of its setting."""
        self.kill()
        self.setting = replace(self.setting, **changed)
        self.start()

    def set(self, identifier: str, value: Any) -> None:
        """A value of the robot's own changes; done when this returns."""
        self._tell({"set": identifier, "to": value}, "ok")

    def forget(self) -> None:
        self._seen = self._file.stat().st_size if self._file.exists() else 0

    def received(self, service: str = "") -> list[Line]:
        """In the order of arrival; all, or those of one service."""
        return [line for line in self._lines() if not service or line["service"] == service]

    def items(self, service: str, field: str = "node") -> list[Any]:
        """The ``field`` of all items of all requests of a service."""
        return [item[field] for line in self.received(service) for item in line["items"]]

    def _lines(self) -> list[Line]:
        if not self._file.exists():
            return []
        with self._file.open("rb") as file:
            file.seek(self._seen)
            return [json.loads(line) for line in file if line.endswith(b"\n")]

    def _tell(self, what: Line, answer: str) -> None:
        assert self._control is not None
        self._control.sendall(json.dumps(what).encode() + b"\n")
        said = self._control.recv(64).decode().strip()
        assert said == answer, f"the robot said {said!r} instead of {answer!r}\n{self._yard.log.read_text()[-3000:]}"

    def _gone(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((self.setting.host, self.setting.port)) != 0


@contextmanager
def open_yard(folder: Path) -> Iterator[Yard]:
    yard = Yard(folder)
    try:
        yard.start()
        yield yard
    finally:
        yard.stop()


@contextmanager
def running_robot(yard: Yard, folder: Path, **setting: Any) -> Iterator[Robot]:
    robot = Robot(yard, folder, **setting)
    try:
        robot.start()
        yield robot
    finally:
        robot.kill()
