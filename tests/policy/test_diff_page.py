"""docs/policy-diff.md is true: its versions are valid, and each command on the page prints what the page says."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from proxy.cli.main import run

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "policy-diff.md").read_text()
FILE = re.compile(r"```yaml\n# (?P<version>\w+)/(?P<name>\S+)\n(?P<text>.*?)```", re.DOTALL)
BLOCK = re.compile(r"```console\n(?P<text>.*?)```", re.DOTALL)
VERSIONS = ("yesterday", "today", "tonight", "tomorrow")
"""Each is the one before it, but for the files that the page shows."""
COMMANDS = [
    (command, output.strip())
    for block in BLOCK.finditer(PAGE)
    for command, _, output in (part.partition("\n") for part in ("\n" + block["text"]).split("\n$ ")[1:])
]


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    for before, version in zip((None, *VERSIONS), VERSIONS, strict=False):
        if before is not None:
            shutil.copytree(tmp_path / before, tmp_path / version)
        for file in FILE.finditer(PAGE):
            if file["version"] == version:
                path = tmp_path / version / file["name"]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f"# {version}/{file['name']}\n{file['text']}")
    return tmp_path


@pytest.mark.parametrize(("command", "output"), COMMANDS, ids=lambda text: text[:60])
def test_the_page_says_what_the_program_says(
    versions: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, output: str
) -> None:
    monkeypatch.chdir(versions)
    program, *arguments = shlex.split(command)
    assert program == "bulkhead"
    code = run(arguments)
    assert capsys.readouterr().out.strip() == output
    assert code == (0 if output == "no difference in access" else 1)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_versions_of_the_page_pass_their_own_check(versions: Path, version: str) -> None:
    assert run(["check", "--config", str(versions / version / "bulkhead.yaml")]) == 0


def test_the_page_has_what_it_is_about() -> None:
    assert len(COMMANDS) >= 3
    assert {file["version"] for file in FILE.finditer(PAGE)} == set(VERSIONS)
