"""A running gateway whose files change."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.process import GatewayProcess

PATIENCE = 60.0
"""Seconds for one attempt, on a machine that carries the crowd as well."""


@dataclass
class Changing:
    gateway: GatewayProcess

    @property
    def folder(self) -> Path:
        return self.gateway.plant.folder

    def status(self) -> dict[str, Any]:
        found = json.loads(self.gateway.admin("/status"))["reload"]
        assert isinstance(found, dict)
        return found

    def write(self, name: str, text: str) -> None:
        """As an editor does: whole, and with one rename."""
        path = self.folder / name
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_text(text)
        fresh.replace(path)

    def number(self) -> int:
        """Of the newest attempt."""
        return int(self.status()["number"])

    def hang_up(self) -> None:
        os.kill(self.gateway.pid, signal.SIGHUP)

    def wait(self, before: int) -> dict[str, Any]:
        """What became of the attempt after ``before``."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            status = self.status()
            if status["number"] > before:
                return status
            time.sleep(0.02)
        raise AssertionError(f"no attempt to reload within {PATIENCE:g} s\n{self.gateway.said()[-2000:]}")

    def reload(self) -> dict[str, Any]:
        before = self.number()
        self.hang_up()
        return self.wait(before)
