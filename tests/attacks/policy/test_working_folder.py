"""A file in the folder that the gateway was started in is not a module of the process that judges a change.

`python -m` puts that folder in front of everything: whoever could leave a `tempfile.py` there would run with the
gateway's rights, and tell it that nothing widens (CWE-427).
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from proxy.change.judge import Question
from proxy.change.judging import Judging
from proxy.cli.site import protocols
from proxy.site.readers import parsed_ahead
from proxy.versions.tree import read_tree
from tests.change.folder import write_site

PLANTED = "import pathlib\npathlib.Path(__file__).with_name('ran').touch()\nraise SystemExit(9)\n"


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cwd"
    folder.mkdir()
    for name in ("tempfile", "hashlib", "marshal", "copyreg", "yaml"):
        (folder / f"{name}.py").write_text(PLANTED)
    monkeypatch.chdir(folder)
    return folder


async def test_the_process_that_judges(planted: Path, tmp_path: Path) -> None:
    config = write_site(tmp_path / "site")
    judging = Judging()
    try:
        judged = await judging.ask(Question(read_tree(config), config.parent, protocols(), {}, time.time()), {})
    finally:
        await judging.close()
    assert judged.site is not None and not (planted / "ran").exists()


def test_the_processes_that_parse(planted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.site.readers.MANY", 1)
    folder = write_site(tmp_path / "site").parent / "fingerprints/devices"
    found = list(parsed_ahead(folder, ["hmi.yaml", "plc.yaml"]))
    assert len(found) == 2 and not (planted / "ran").exists()
