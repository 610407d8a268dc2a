"""The tests notice: each seeded bug, put into a copy of the source, turns its suite red.

A push tries the bugs marked `short`, and checks that every patch still fits; ``--campaign seeded`` tries all.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.house.repository import ROOT
from tests.support.tables import table

if TYPE_CHECKING:
    from tests.support.campaign import Campaigns

PROTOCOLS = Path("proxy/protocols")
FOLDERS = {"policy": Path("proxy/policy"), "comparison": Path("proxy"), "uplink": Path("proxy/uplink")}
BUGS: list[dict[str, Any]] = [
    {**bug, "folder": FOLDERS.get(file.stem, PROTOCOLS / file.stem), "listed": file.name}
    for file in sorted(Path(__file__).parent.glob("*.yaml"))
    for bug in table(file)["bugs"]
]
"""Each file is called like the folder that it spoils, or stands in `FOLDERS`."""
RED, GREEN = 1, 0
"""Exit codes of pytest."""

pytestmark = [pytest.mark.grows("seeded"), pytest.mark.timeout(120)]


@dataclass
class Copy:
    """The source and its tests, to be spoilt. ``seconds``: dates, each for one text of one file. Byte code is told from
    old byte code by its source's date and size, so that only what was spoilt is compiled again."""

    folder: Path
    seconds: Iterator[int] = field(default_factory=lambda: count(1_000_000_000))
    red: set[str] = field(default_factory=set)
    """The tests that noticed a bug."""

    def __post_init__(self) -> None:
        for name in ("proxy", "tests"):
            shutil.copytree(ROOT / name, self.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", self.folder)

    def spoil(self, bug: dict[str, Any]) -> None:
        for patch in bug["patches"]:
            path = bug["folder"] / patch["file"]
            text = (self.folder / path).read_text("utf-8")
            assert text.count(patch["old"]) == 1, f"the patch no longer fits {path.name}: mend it in {bug['listed']}"
            self._write(path, text.replace(patch["old"], patch["new"]))

    def mend(self, bug: dict[str, Any]) -> None:
        for patch in bug["patches"]:
            path = bug["folder"] / patch["file"]
            self._write(path, (ROOT / path).read_text("utf-8"))

    def run(self, suites: list[str]) -> subprocess.CompletedProcess[str]:
        """A property that fails need not look for its shortest example: red is red."""
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        cache = self.folder / "cache"
        shutil.rmtree(cache, ignore_errors=True)
        options = ["-x", "-q", "-o", f"cache_dir={cache}", "-k", "not in_time", "--hypothesis-profile", "noticed"]
        command = [sys.executable, "-m", "pytest", *options, *suites]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        if (failed := cache / "v/cache/lastfailed").exists():
            self.red |= json.loads(failed.read_text()).keys()
        return done

    def _write(self, path: Path, text: str) -> None:
        second = next(self.seconds)
        (self.folder / path).write_text(text, "utf-8")
        os.utime(self.folder / path, (second, second))


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    made = Copy(tmp_path_factory.mktemp("seeded"))
    yield made
    if sys.pycache_prefix:
        shutil.rmtree(Path(sys.pycache_prefix, *made.folder.parts[1:]), ignore_errors=True)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: f"{bug['folder'].name}: {bug['name']}")
def test_a_seeded_bug_is_noticed(bug: dict[str, Any], copy: Copy, campaigns: Campaigns) -> None:
    copy.spoil(bug)
    try:
        if bug.get("short") or "seeded" in campaigns.names:
            result = copy.run([bug["killer"]])
            assert result.returncode == RED, f"{bug['killer']} did not notice: {result.stdout[-2000:]}"
            assert "failed" in result.stdout.splitlines()[-1]
    finally:
        copy.mend(bug)


def test_without_a_bug_the_suites_are_green(copy: Copy, campaigns: Campaigns) -> None:
    """Those tests that noticed one are: it was the bug, and nothing that the copy lacks."""
    suites = {bug["killer"] for bug in BUGS if bug.get("short") or "seeded" in campaigns.names}
    result = copy.run(sorted(copy.red or suites))
    assert result.returncode == GREEN, result.stdout[-2000:]
