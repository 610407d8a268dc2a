"""The demo site, copied to a folder of its own with free ports and fresh keys, in front of a recording PLC."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from proxy.cli.site import protocols
from proxy.demo.workplace import prepare
from tests.support.keys import Keys
from tests.support.opcua.applications import Applications
from tests.support.plant import Plant

ROOT = Path(__file__).resolve().parents[2]
SITE = "bottling"
CELL = "policies/surfaces/cell-3.yaml"


def copy_demo(folder: Path, plc_port: int, plc_host: str = "127.0.0.9") -> Plant:
    """A gateway that starts on it takes any change without being asked twice."""
    folder.mkdir(parents=True)
    place = prepare(ROOT / "bulkhead.yaml", folder, protocols(), move_ports=True)
    edit(folder / "fingerprints/devices/plc-3a.yaml", r"address: 127\.0\.0\.1\b", f"address: {plc_host}")
    edit(folder / "fingerprints/devices/plc-3a.yaml", r"\bport: \d+", f"port: {plc_port}")
    edit(folder / "bulkhead.yaml", r"^site: bottling$", "site: bottling\npolicy: { require_ack: false }")
    keys = Keys(folder / "certs", SITE)
    Applications(folder / "certs", folder / "clients")
    ports = {listener.name: listener.bind.port for listener in place.site.listeners}
    return Plant(folder, keys, ports, place.site.admin.port)


def edit(path: Path, pattern: str, new: str) -> None:
    """Exactly once."""
    text, count = re.subn(pattern, lambda match: new, path.read_text(), flags=re.MULTILINE)
    assert count == 1, f"{pattern} stands {count} times in {path.name}"
    path.write_text(text)


def bulkhead(plant: Plant, *words: str) -> subprocess.CompletedProcess[str]:
    """The real command, on this site."""
    command = [sys.executable, "-m", "proxy", *words, "--config", str(plant.config)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
