"""`bulkhead policy reach` and `bulkhead failmodes` as commands, on a copy of the demo site."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.house.repository import ROOT

pytestmark = pytest.mark.system

UNS = "policies/surfaces/uns.yaml"
CARELESS = """\
rules:
  chatter:                          # careless: every sensor may command, and the MES hears commands
    from: "sensor-*"
    to: uns
    mqtt: { command: ["spBv1.0/line-2/NCMD/#"] }

  ear:
    from: mes
    to: uns
    mqtt: { subscribe: ["spBv1.0/line-2/NCMD/#"] }
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    for name in ("policies", "fingerprints"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "bulkhead.yaml", tmp_path)
    return tmp_path


def bulkhead(site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "proxy", *words, "--config", str(site / "bulkhead.yaml")]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_a_sensor_changes_nothing_until_a_rule_is_careless(site: Path) -> None:
    before = bulkhead(site, "policy", "reach", "sensor-3-2", "--writes", "--within", "bottling/hall-1/line-2")
    assert before.returncode == 0, before.stderr
    assert before.stdout.startswith("sensor-3-2, taken over, can touch 0 of 11 other devices and change 0\n")
    file = site / UNS
    file.write_text(file.read_text().replace("rules:\n", CARELESS, 1))
    after = bulkhead(site, "policy", "reach", "sensor-3-2", "--writes", "--within", "bottling/hall-1/line-2")
    assert after.returncode == 1
    assert "outside bottling/hall-1/line-2, and can be touched: mes" in after.stderr
    found = json.loads(bulkhead(site, "policy", "reach", "sensor-3-2", "-o", "json").stdout)
    path = found["changed"]["plc-3a"]["path"]
    assert [(way["who"], way["through"], way["to"]) for way in path] == [
        ("sensor-3-2", "uns", "mes"),
        ("mes", None, "plc-3a"),
    ]
    assert path[0]["rule"] == "uns/chatter" and path[0]["at"] == f"{UNS}:11"


def test_the_control_room(site: Path) -> None:
    found = json.loads(bulkhead(site, "policy", "reach", "scada", "-o", "json").stdout)
    assert (found["apiVersion"], found["kind"]) == ("bulkhead/v1", "Reach")
    assert set(found["changed"]) == {"plc-3a", "sensor-3-3"}
    assert found["changed"]["sensor-3-3"]["path"][0]["what"].startswith("command spBv1.0/line-2/NCMD/sensor-3-3")
    assert set(found["notReachable"]) == {
        "engineer",
        "maintenance",
        "panel-7",
        "robot-7",
        "sensor-3-1",
        "sensor-3-2",
        "workbench",
    }


def test_the_picture(site: Path, tmp_path: Path) -> None:
    drawn = tmp_path / "reach.svg"
    done = bulkhead(site, "policy", "reach", "scada", "-o", "svg", "--out", str(drawn))
    assert (done.returncode, done.stdout) == (0, "")
    assert "plc-3a" in "".join(ET.parse(drawn).getroot().itertext())


def test_errors_are_one_line(site: Path) -> None:
    unknown = bulkhead(site, "policy", "reach", "scad")
    assert unknown.returncode == 2 and "did you mean 'scada'?" in unknown.stderr
    (site / UNS).write_text("surface: uns\n")
    broken = bulkhead(site, "policy", "reach", "scada")
    assert broken.returncode == 1 and f"{UNS}:" in broken.stderr
    assert "Traceback" not in unknown.stderr + broken.stderr
    elsewhere = bulkhead(site, "policy", "reach", "scada", "--out", "/nowhere/at/all.svg")
    assert elsewhere.returncode in (1, 3)


def test_failmodes(site: Path) -> None:
    done = bulkhead(site, "failmodes", "-o", "json")
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert {one["name"] for one in found["failures"]} >= {"policy-bad", "audit-full", "process-dead"}
    assert found["surfaces"]["cell-3"] == {"audit": "after", "mode": "enforce"}
