"""`bulkhead policy test` on a copy of the demo site: what it says is what the start and `check` say."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.demo_site import CELL, bulkhead, copy_demo, edit
from tests.support.process import GatewayProcess

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.plant import Plant

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]
NIGHT = """\
test: night
cases:
  - who: mes
    to: plc-3a
    modbus: write holding 60 = 7
    at: "2026-11-23T23:00:00+01:00"
    expect: allow
    because: cell-3/recipe
"""


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return copy_demo(tmp_path / "site", 1)


def test_the_demo_site_passes_and_says_what_is_not_tested(plant: Plant) -> None:
    told = bulkhead(plant, "policy", "test", "-o", "json")
    assert told.returncode == 0, told.stderr
    data = json.loads(told.stdout)
    assert data["ok"]
    assert data["failed"] == 0
    assert data["passed"] == len(data["cases"]) > 20
    untouched = {f"{one['surface']}/{one['name']}" for one in data["coverage"]["untouched"]}
    text = bulkhead(plant, "policy", "test", "--coverage").stdout
    assert all(name in text for name in untouched)
    share = data["coverage"]["percent"]
    assert bulkhead(plant, "policy", "test", "--min-coverage", str(share)).returncode == 0
    assert share < 100
    assert bulkhead(plant, "policy", "test", "--min-coverage", str(share + 0.1)).returncode == 1


def test_a_rule_that_is_deleted_is_missed_if_a_test_touches_it(plant: Plant) -> None:
    """Coverage is true: each touched rule of the cell makes some test fail when it is taken away."""
    data = json.loads(bulkhead(plant, "policy", "test", "cell-3", "-o", "json").stdout)
    assert data["coverage"]["untouched"] == []
    text = (plant.folder / CELL).read_text()
    (plant.folder / CELL).write_text(text.replace("{ min: 0, max: 200 }", "{ min: 0, max: 100 }"))
    told = bulkhead(plant, "policy", "test", "cell-3")
    assert told.returncode == 1
    assert "engineer to plc-3a: modbus write holding 50 = 120" in told.stdout
    assert "  expected  allow because trim\n  got       refuse BH-1205 by cell-3/trim" in told.stdout


def test_a_failing_test_keeps_the_policy_out(plant: Plant) -> None:
    (plant.folder / "policies" / "shifts").mkdir()
    shift = 'shift: early\nzone: Europe/Berlin\ndays: [mon]\nfrom: "06:00"\nto: "14:00"\n'
    (plant.folder / "policies" / "shifts" / "early.yaml").write_text(shift)
    (plant.folder / "policies" / "tests").mkdir(exist_ok=True)
    (plant.folder / "policies" / "tests" / "night.yaml").write_text(NIGHT)
    assert bulkhead(plant, "policy", "test").returncode == 0
    edit(
        plant.folder / CELL,
        r"^    modbus: \{ write: \[holding 60-69\] \}$",
        "    modbus: { write: [holding 60-69] }\n    when: early",
    )
    told = bulkhead(plant, "policy", "test", "night")
    assert told.returncode == 1
    place = plant.folder / "policies/tests/night.yaml"
    assert told.stdout.startswith(
        f"{place}:3: mes to plc-3a: modbus write holding 60 = 7, at 2026-11-23T22:00:00Z\n"
        "  expected  allow because cell-3/recipe\n"
        "  got       refuse BH-1401 by cell-3/recipe ("
    )
    checked = bulkhead(plant, "check")
    assert checked.returncode == 1
    assert "tests/night.yaml:3:5: cases[0]: " in checked.stdout
    process = GatewayProcess(plant)
    start = subprocess.run(
        [sys.executable, "-m", "proxy", "run", "--config", str(plant.config)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert start.returncode != 0
    assert "night.yaml:3" in start.stdout + start.stderr
    assert not process.alive


def test_a_name_that_nothing_has(plant: Plant) -> None:
    told = bulkhead(plant, "policy", "test", "cel-3")
    assert told.returncode == 2
    assert "did you mean 'cell-3'?" in told.stderr
