"""The tests notice: each seeded bug, put into a copy of the source, turns its suite red.

A push tries the bugs marked `short`, and checks that every patch still fits; ``--campaign seeded`` tries all.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.house.repository import ROOT

if TYPE_CHECKING:
    from tests.support.campaign import Campaigns

PROTOCOLS = Path("proxy/protocols")
FOLDERS = {"policy": Path("proxy/policy"), "comparison": Path("proxy"), "uplink": Path("proxy/uplink")}
BUGS: list[dict[str, Any]] = [
    {**bug, "folder": FOLDERS.get(file.stem, PROTOCOLS / file.stem), "listed": file.name}
    for file in sorted(Path(__file__).parent.glob("*.yaml"))
    for bug in yaml.safe_load(file.read_text("utf-8"))["bugs"]
]
"""Each file is called like the folder that it spoils, or stands in `FOLDERS`."""
RED, GREEN = 1, 0
"""Exit codes of pytest."""

pytestmark = [pytest.mark.grows("seeded"), pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source and its tests, to be spoilt."""
    folder = tmp_path_factory.mktemp("seeded")
    for name in ("proxy", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def run(folder: Path, suites: list[str]) -> subprocess.CompletedProcess[str]:
    # Without byte code: two patches within one second may have one size.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *suites]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def spoil(folder: Path, bug: dict[str, Any]) -> None:
    for patch in bug["patches"]:
        file = folder / bug["folder"] / patch["file"]
        text = file.read_text("utf-8")
        assert text.count(patch["old"]) == 1, f"the patch no longer fits {file.name}: mend it in {bug['listed']}"
        file.write_text(text.replace(patch["old"], patch["new"]), "utf-8")


def mend(folder: Path, bug: dict[str, Any]) -> None:
    for patch in bug["patches"]:
        shutil.copy(ROOT / bug["folder"] / patch["file"], folder / bug["folder"] / patch["file"])


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: f"{bug['folder'].name}: {bug['name']}")
def test_a_seeded_bug_is_noticed(bug: dict[str, Any], copy: Path, campaigns: Campaigns) -> None:
    spoil(copy, bug)
    try:
        if bug.get("short") or "seeded" in campaigns.names:
            result = run(copy, [bug["killer"]])
            assert result.returncode == RED, f"{bug['killer']} did not notice: {result.stdout[-2000:]}"
            assert "failed" in result.stdout.splitlines()[-1]
    finally:
        mend(copy, bug)


def test_without_a_bug_the_suites_are_green(copy: Path, campaigns: Campaigns) -> None:
    suites = sorted({bug["killer"] for bug in BUGS if bug.get("short") or "seeded" in campaigns.names})
    result = run(copy, suites)
    assert result.returncode == GREEN, result.stdout[-2000:]
