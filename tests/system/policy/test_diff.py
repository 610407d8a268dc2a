"""The real command on the demo site: folders, config files, revisions in git; nothing of the checkout is touched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.demo_site import CELL, ROOT, edit

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]
PARTS = ("policies", "fingerprints")
MORE = "may now also: read holding 100-149 at plc-3a (cell-3/counters policies/surfaces/cell-3.yaml:"


def diff(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "proxy", "policy", "diff", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


def git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


def demo(folder: Path) -> Path:
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "bulkhead.yaml", folder)
    for part in PARTS:
        shutil.copytree(ROOT / part, folder / part)
    return folder


def test_two_folders(tmp_path: Path) -> None:
    demo(tmp_path / "old")
    new = demo(tmp_path / "new")
    assert (same := diff(tmp_path, "old", "new")).returncode == 0, same.stderr
    assert same.stdout == "no difference in access\n"
    edit(new / CELL, r"holding 0-99, input", "holding 0-149, input")
    wider = diff(tmp_path, "old", "new/bulkhead.yaml")
    assert wider.returncode == 1
    assert wider.stdout.startswith("widens access (1)\n")
    assert f"engineer, mes, scada, workbench {MORE}" in wider.stdout
    back = diff(tmp_path, "new", "old", "-o", "json")
    data = json.loads(back.stdout)
    assert (data["apiVersion"], data["kind"], data["widenings"]) == ("bulkhead/v1", "PolicyDifference", [])
    assert [one["what"] for one in data["narrowings"]] == [["read holding 100-149"]]
    assert data["narrowings"][0]["who"] == ["engineer", "mes", "scada", "workbench"]


def test_revisions_in_git(tmp_path: Path) -> None:
    """The site may lie below the top of the repository, and files that are not committed stay as they are."""
    folder = demo(tmp_path / "plant" / "site")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    assert diff(folder).returncode == 0
    edit(folder / CELL, r"holding 0-99, input", "holding 0-149, input")
    uncommitted = diff(folder)
    assert uncommitted.returncode == 1, uncommitted.stderr
    assert MORE in uncommitted.stdout
    git(tmp_path, "commit", "-q", "-a", "-m", "second")
    assert diff(folder).returncode == 0
    before = (folder / CELL).read_bytes()
    for words in (("git:HEAD~1", "git:HEAD"), ("HEAD~1", "."), ("HEAD~1",)):
        found = diff(folder, *words)
        assert (found.returncode, MORE in found.stdout) == (1, True), (words, found.stderr)
    assert (folder / CELL).read_bytes() == before
    status = subprocess.run(["git", "status", "--porcelain"], cwd=tmp_path, capture_output=True, check=True)
    assert status.stdout == b""


def test_what_is_no_version(tmp_path: Path) -> None:
    folder = demo(tmp_path / "site")
    nothing = diff(folder)
    assert (nothing.returncode, nothing.stdout) == (3, "")
    assert "nothing to compare with" in nothing.stderr
    unknown = diff(folder, "nope", ".")
    assert unknown.returncode == 3
    assert "'nope' is no version of a site" in unknown.stderr
    option = diff(folder, "git:--output=x", ".")
    assert (option.returncode, (folder / "x").exists()) == (3, False)
    assert diff(folder, ".", ".", ".").returncode == 2
    bad = demo(tmp_path / "bad")
    edit(bad / CELL, r"^    from: scada$", "    form: scada")
    broken = diff(tmp_path, "site", "bad")
    assert broken.returncode == 1
    assert "the site at bad is not valid" in broken.stderr
    assert "policies/surfaces/cell-3.yaml:" in broken.stderr
