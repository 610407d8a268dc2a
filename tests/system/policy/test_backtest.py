"""A candidate against flows of a real gateway, by the real commands, on a copy of the demo site."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.demo_site import CELL, bulkhead, copy_demo, edit
from tests.support.master import read, refusal, write
from tests.support.mbaps import ask, connect, dial
from tests.support.process import running

if TYPE_CHECKING:
    from tests.support.plant import Plant
    from tests.support.plc import RecordingPlc

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]
UNTIL = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 7 * 86400))
SLOWER = f"""\
  slower:                           # the new filler takes less
    from: scada
    to: plc-3a
    needs: [x509]
    modbus: {{ write: {{ holding 40: {{ min: 0, max: 1200 }} }} }}
    rate: 6/min
    mode: monitor
    monitor: {{ until: "{UNTIL}", why: new filler, then: alarm }}
    replaces: [setpoint]

"""


@pytest.fixture(scope="module")
def plant(recorder: RecordingPlc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """A morning in the cell: SCADA looks and sets, the MES looks, the workbench tries what it may not."""
    made = copy_demo(tmp_path_factory.mktemp("demo") / "site", recorder.port)
    edit(made.folder / CELL, r"^  recipe: ", f"{SLOWER}  recipe: ")
    with running(made) as gateway:
        scada, mes = (made.keys.issue(name).trusting(made.keys.ca) for name in ("scada", "mes"))
        door = made.ports["cell-3-modbus"]
        with connect(door, scada) as one, connect(door, mes) as other, dial(made.ports["cell-3-plain"]) as third:
            for at in range(20):
                assert ask(one, read(0, 20), tid=at + 1) is not None
            for value in (700, 1450):
                assert ask(one, write(40, value)) == write(40, value)
            assert ask(other, read(5, 10)) is not None
            assert ask(third, read(7)) is not None
            assert ask(third, read(120, 2)) == refusal(read(120, 2))
        assert gateway.stop() == 0
    yield made


@pytest.fixture
def candidate(plant: Plant, tmp_path: Path) -> Path:
    """A folder with the same files, to be changed."""
    for name in ("policies", "fingerprints"):
        shutil.copytree(plant.folder / name, tmp_path / name)
    shutil.copy(plant.config, tmp_path)
    return tmp_path


def test_the_files_that_were_in_force_say_what_they_said(plant: Plant) -> None:
    done = bulkhead(plant, "policy", "backtest")
    assert (done.returncode, done.stdout) == (0, "6 flows would get the same answer\n"), done.stderr


def test_a_change_that_cuts_and_opens(plant: Plant, candidate: Path) -> None:
    edit(candidate / CELL, r"read: \[holding 0-99, input 0-15\]", "read: [holding 0-15, holding 120-199]")
    edit(candidate / CELL, r"  - \{ who: scada, to: plc-3a, modbus: read holding 99-100, expect: refuse \}\n", "")
    done = bulkhead(plant, "policy", "backtest", str(candidate), "-o", "json")
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert [(one["who"], one["sample"], one["count"]) for one in found["refused"]] == [
        ("scada", "read holding 0-19", 20)
    ]
    assert [(one["who"], one["sample"], one["then"]["code"]) for one in found["allowed"]] == [
        ("workbench", "read holding 120-121", "BH-1201")
    ]
    line = 1 + (candidate / CELL).read_text().splitlines().index("  counters:")
    assert found["refused"][0]["now"]["nearest"] == {
        "surface": "cell-3",
        "name": "counters",
        "file": CELL,
        "line": line,
    }


def test_a_rate_that_is_new_cannot_be_told(plant: Plant, candidate: Path) -> None:
    text = r"modbus: \{ read: \[holding 0-99, input 0-15\] \}"
    edit(candidate / CELL, text, "modbus: { read: [holding 0-99, input 0-15] }\n    rate: 60/min")
    done = bulkhead(plant, "policy", "backtest", str(candidate))
    assert done.returncode == 0, "what cannot be told is not called cut"
    assert "cannot tell: 3 flows" in done.stdout
    assert "cell-3/counters" in done.stdout and "at most 60 in 1 min" in done.stdout


def test_the_rate_that_was_there_is_no_doubt(plant: Plant, candidate: Path) -> None:
    """The version that gave the answers is kept, and its rule had the same rate."""
    edit(candidate / CELL, r"input 0-15\]", "input 0-17]")
    done = bulkhead(plant, "policy", "backtest", str(candidate))
    assert (done.returncode, done.stdout) == (0, "6 flows would get the same answer\n"), done.stderr


def test_what_is_monitored_counts_when_asked_to(plant: Plant) -> None:
    done = bulkhead(plant, "policy", "backtest", "--enforced")
    assert done.returncode == 1
    assert "sample   write holding 40 = 1450" in done.stdout and "BH-1205 by cell-3/slower" in done.stdout


def test_it_works_while_a_gateway_writes(plant: Plant) -> None:
    with running(plant):
        done = bulkhead(plant, "policy", "backtest")
    assert (done.returncode, done.stdout) == (0, "6 flows would get the same answer\n"), done.stderr


def test_simulate_answers_by_the_same_files(plant: Plant) -> None:
    question = ("--who", "scada", "--to", "plc-3a", "modbus", "write", "holding", "40", "=", "1450")
    done = bulkhead(plant, "policy", "simulate", *question)
    assert done.returncode == 0
    assert "allowed by cell-3/setpoint" in done.stdout and "monitored: would be refused BH-1205" in done.stdout
