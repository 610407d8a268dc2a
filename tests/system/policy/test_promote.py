"""From a watched rule to an enforced one on a copy of the demo site: the flows of a real gateway decide."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.demo_site import CELL, bulkhead, copy_demo, edit
from tests.support.master import read, refusal, write
from tests.support.mbaps import ask, connect
from tests.support.process import running
from tests.system.policy.test_backtest import SLOWER

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.plant import Plant
    from tests.support.plc import RecordingPlc

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


def speak(plant: Plant, *values: int) -> list[bytes | None]:
    """SCADA reads, and writes these; what came back of the writes."""
    scada = plant.keys.issue("scada").trusting(plant.keys.ca)
    with connect(plant.ports["cell-3-modbus"], scada) as link:
        assert ask(link, read(0, 20)) is not None
        return [ask(link, write(40, value)) for value in values]


def test_from_watched_to_enforced(recorder: RecordingPlc, tmp_path: Path) -> None:
    plant = copy_demo(tmp_path / "site", recorder.port)
    path = plant.folder / CELL
    edit(path, r"^  recipe: ", f"{SLOWER}  recipe: ")
    edit(path, r"write holding 40 = 1500, expect: allow, because: setpoint", "write holding 40 = 1100, expect: allow")
    with running(plant) as gateway:
        assert speak(plant, 700, 1450) == [write(40, 700), write(40, 1450)], "a watched rule refuses nothing"
        assert gateway.stop() == 0
    before = path.read_bytes()

    refused = bulkhead(plant, "policy", "promote", "cell-3/slower")
    assert refused.returncode == 1, refused.stderr
    assert "would be cut" in refused.stdout and "write holding 40 = 1450" in refused.stdout
    assert "Nothing was changed" in refused.stdout and path.read_bytes() == before

    names = re.findall(r"--acknowledge ([0-9a-f]{8})", refused.stdout)
    done = bulkhead(
        plant, "policy", "promote", "cell-3/slower", *(w for name in names for w in ("--acknowledge", name))
    )
    assert done.returncode == 0, done.stdout + done.stderr
    text = path.read_text()
    assert "\n  setpoint:" not in text and "  slower:                           # the new filler takes less\n" in text
    assert bulkhead(plant, "check").returncode == 0

    with running(plant):
        assert speak(plant, 700, 1450) == [write(40, 700), refusal(write(40, 1450))]


def test_tests_that_would_fail_stop_it(recorder: RecordingPlc, tmp_path: Path) -> None:
    plant = copy_demo(tmp_path / "site", recorder.port)
    path = plant.folder / CELL
    edit(path, r"^  recipe: ", f"{SLOWER}  recipe: ")
    with running(plant):
        speak(plant, 700)
    before = path.read_bytes()
    refused = bulkhead(plant, "policy", "promote", "cell-3/slower")
    assert (refused.returncode, path.read_bytes()) == (1, before)
    assert "with it the site would not be valid" in refused.stderr and "setpoint" in refused.stderr
