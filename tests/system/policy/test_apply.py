"""`bulkhead policy apply`, `history` and `rollback` where no gateway runs, or nothing was ever in force."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.net import free_port

pytestmark = [pytest.mark.system, pytest.mark.timeout(60)]

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A copy of the demo site whose admin listener nobody answers."""
    for name in ("policies", "fingerprints"):
        shutil.copytree(ROOT / name, tmp_path / name)
    text = (ROOT / "bulkhead.yaml").read_text().replace("127.0.0.1:9464", f"127.0.0.1:{free_port()}")
    (tmp_path / "bulkhead.yaml").write_text(text)
    return tmp_path


def bulkhead(site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "proxy", "policy", *words]
    return subprocess.run(command, cwd=site, capture_output=True, text=True, timeout=60, check=False)


def test_without_a_gateway_it_comes_into_force_at_the_next_start(site: Path) -> None:
    done = bulkhead(site, "apply")
    assert done.returncode == 4 and "comes into force when one is started" in done.stdout, done
    told = json.loads(bulkhead(site, "apply", "-o", "json").stdout)
    assert (told["apiVersion"], told["kind"], told["outcome"]) == ("bulkhead/v1", "PolicyApply", "unreachable")
    assert told["before"] is None and told["accept"] is None


def test_faults_are_told_at_their_lines(site: Path) -> None:
    file = site / "policies/surfaces/cell-3.yaml"
    file.write_text(file.read_text().replace("\n  setpoint:", "\n  setpoint:\n    form: mes", 1))
    done = bulkhead(site, "apply")
    assert done.returncode == 1 and "policies/surfaces/cell-3.yaml:" in done.stderr and "form" in done.stderr, done
    assert "warning" not in done.stderr


def test_there_is_no_history_before_the_first_start(site: Path) -> None:
    done = bulkhead(site, "history")
    assert (done.returncode, done.stdout) == (0, "") and "no version was in force yet" in done.stderr
    assert json.loads(bulkhead(site, "history", "-o", "json").stdout)["versions"] == []


def test_what_never_was_cannot_come_back(site: Path) -> None:
    before = (site / "policies/surfaces/cell-3.yaml").read_bytes()
    done = bulkhead(site, "rollback", "0123456789abcdef")
    assert done.returncode == 1 and "no version begins with" in done.stderr, done
    assert (site / "policies/surfaces/cell-3.yaml").read_bytes() == before
