"""`bulkhead policy fmt` on a copy of the demo site."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import pytest

from tests.support.demo_site import CELL, ROOT, bulkhead, copy_demo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.plant import Plant

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """The copy has its ports and one more section from elsewhere."""
    made = copy_demo(tmp_path / "site", 1)
    assert bulkhead(made, "policy", "fmt", str(made.config)).returncode == 0
    return made


def messed(text: str) -> str:
    """As if from another editor: deeper indents, other quotes, rules' keys the other way round."""
    assert "    from: scada\n    to: plc-3a\n" in text
    text = text.replace("    from: scada\n    to: plc-3a\n", "    to:   'plc-3a'\n    from: \"scada\"\n")
    return text.replace("\n\nrules:", "\n\n\n\nrules:").replace("{ who: mes,", "{who: mes,")


def test_the_demo_site_is_in_form_and_comes_back_to_it(plant: Plant) -> None:
    assert bulkhead(plant, "policy", "fmt", "--check").returncode == 0
    file = plant.folder / CELL
    form = file.read_text()
    assert form == (ROOT / CELL).read_text(), "the copy changes nothing here"
    file.write_text(messed(form))
    file.chmod(0o640)
    before = bulkhead(plant, "check", "-o", "json")
    check = bulkhead(plant, "policy", "fmt", "--check")
    assert (check.returncode, check.stdout) == (1, f"{file}: would change\n")
    diff = bulkhead(plant, "policy", "fmt", "--diff")
    assert diff.returncode == 0
    assert "-    to:   'plc-3a'" in diff.stdout
    assert file.read_text() == messed(form), "neither writes"
    done = bulkhead(plant, "policy", "fmt")
    assert (done.returncode, done.stdout) == (0, f"{file}: formatted\n")
    assert file.read_text() == form
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert json.loads(before.stdout)["digest"] == json.loads(bulkhead(plant, "check", "-o", "json").stdout)["digest"]
    assert bulkhead(plant, "policy", "fmt").stdout == ""
    assert not list(plant.folder.rglob(".fmt-*")), "nothing is left behind"


def test_a_broken_file_is_left_alone_and_the_others_are_formatted(plant: Plant) -> None:
    cell, role = plant.folder / CELL, plant.folder / "policies/roles/masters.yaml"
    cell.write_text(messed(cell.read_text()))
    broken = role.read_text().replace("role: masters", "role: masters\nrole: all")
    role.write_text(broken)
    done = bulkhead(plant, "policy", "fmt", "-o", "json")
    assert done.returncode == 1
    assert f"{role}:5:1: not touched: role: the key stands here a second time" in done.stderr
    assert role.read_text() == broken
    files = {one["file"]: one for one in json.loads(done.stdout)["files"]}
    assert files[str(cell)]["written"]
    assert not files[str(role)]["written"]
    assert "second time" in files[str(role)]["wrong"]
    missing = bulkhead(plant, "policy", "fmt", str(plant.folder / "nowhere.yaml"))
    assert missing.returncode == 3
    assert "does not exist" in missing.stderr


def test_only_the_files_that_are_named(plant: Plant) -> None:
    for name in (CELL, "policies/surfaces/uns.yaml"):
        file = plant.folder / name
        file.write_text(file.read_text().replace("mode: enforce", "mode:   enforce"))
    assert bulkhead(plant, "policy", "fmt", str(plant.folder / CELL)).returncode == 0
    left = bulkhead(plant, "policy", "fmt", "--check", str(plant.folder / "policies"))
    assert (left.returncode, left.stdout) == (1, f"{plant.folder / 'policies/surfaces/uns.yaml'}: would change\n")
