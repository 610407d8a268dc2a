"""The running gateway as its operator has it: the files of the site, SIGHUP, /status, and `bulkhead policy apply`."""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from proxy.demo.errors import DemoError
from proxy.demo.processes import child_environ, python
from proxy.versions.tree import read_tree

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.demo.processes import Child
    from proxy.demo.workplace import Workplace

PATIENCE = 30.0
"""Seconds for one attempt to take files, on a machine that is busy."""
LOOK = 0.02
ID = 16
"""Digits by which a version is called."""


@dataclass(frozen=True, slots=True)
class Reload:
    """What /status says of the newest attempt. ``asked`` and ``taken`` are wall seconds: when the files were there and
    the gateway was told, and when links were decided again; ``accept`` acknowledges what is ``pending``."""

    number: int
    outcome: str
    told: tuple[str, ...]
    accept: str
    asked: float
    taken: float


class Control:
    """``gateway`` is its process. Raises DemoError if it does not answer, OSError if a file cannot be written."""

    def __init__(self, place: Workplace, gateway: Child) -> None:
        self._place = place
        self._gateway = gateway

    def read(self, name: str) -> str:
        return (self._place.folder / name).read_text()

    def write(self, name: str, text: str | None) -> None:
        """As an editor does: whole, and with one rename. None: the file is gone."""
        path = self._place.folder / name
        if text is None:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(exist_ok=True)
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_text(text)
        fresh.replace(path)

    def hang_up(self) -> float:
        """Tells the gateway to look at its files; when that was."""
        now = time.time()
        self._gateway.hang_up()
        return now

    def reload(self) -> Reload:
        """Has the gateway look at its files, and waits for what becomes of them."""
        before = self.number()
        return self.wait(before, self.hang_up())

    def wait(self, before: int, asked: float) -> Reload:
        """What became of the files as they are now, by an attempt after number ``before``."""
        wanted = read_tree(self._place.config).id[:ID]
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            found = self.status()["reload"]
            if found["number"] > before and found["candidate"] == wanted:
                return _reload(found, asked)
            time.sleep(LOOK)
        raise DemoError(f"the gateway did not look at its files within {PATIENCE:g} s\n{self._gateway.last_lines()}")

    def number(self) -> int:
        """Of the newest attempt."""
        return int(self.status()["reload"]["number"])

    def monitored(self, rule: str) -> dict[str, Any] | None:
        """What /status says of a rule that is in monitor; None if it is not."""
        return next((one for one in self.status()["monitors"] if one["rule"] == rule), None)

    def status(self) -> dict[str, Any]:
        admin = self._place.site.admin
        connection = http.client.HTTPConnection(admin.host, admin.port, timeout=PATIENCE)
        try:
            connection.request("GET", "/status")
            found = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError) as fault:
            self._gateway.raise_if_ended()
            raise DemoError(f"the gateway's /status: {fault}") from fault
        finally:
            connection.close()
        if not isinstance(found, dict):
            raise DemoError("the gateway's /status is no object")
        return found

    def apply(self, accept: str) -> tuple[int, Mapping[str, Any]]:
        """`bulkhead policy apply --accept-widening`, as a person does: its exit code, and what it said."""
        words = ["policy", "apply", "--config", str(self._place.config), "--accept-widening", accept, "-o", "json"]
        ran = subprocess.run(
            python("proxy", *words), capture_output=True, text=True, timeout=PATIENCE, env=child_environ(), check=False
        )
        try:
            found = json.loads(ran.stdout)
        except ValueError:
            found = {"outcome": ran.stderr.strip()}
        return ran.returncode, found


def _reload(found: Mapping[str, Any], asked: float) -> Reload:
    began = datetime.fromisoformat(found["time"]).timestamp()
    return Reload(
        number=found["number"],
        outcome=found["outcome"],
        told=tuple(found["told"]),
        accept=found["accept"],
        asked=asked,
        taken=began + found["seconds"] - found["deciding"],
    )
