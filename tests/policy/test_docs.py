"""docs/policy.md is true: its site is valid, and each command on the page prints what the page says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from proxy.cli.main import run

PAGE = Path(__file__).resolve().parents[2] / "docs" / "policy.md"
FILE = re.compile(r"```yaml\n# (?P<name>\S+)\n(?P<text>.*?)```", re.DOTALL)
CONSOLE = re.compile(r"```console\n(?P<text>.*?)```", re.DOTALL)


def dialogue(page: str) -> list[tuple[str, str]]:
    """(command, expected output) of every console block, in order."""
    found = []
    for block in CONSOLE.finditer(page):
        for part in ("\n" + block["text"]).split("\n$ ")[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output.strip()))
    return found


@pytest.fixture
def site(tmp_path: Path) -> Path:
    for file in FILE.finditer(PAGE.read_text()):
        path = tmp_path / file["name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        # The comment that names the file stands for the modeline of a real one, so that line numbers fit.
        path.write_text(f"# {file['name']}\n{file['text']}")
    return tmp_path / "bulkhead.yaml"


@pytest.mark.parametrize(("command", "output"), dialogue(PAGE.read_text()), ids=lambda text: text[:60])
def test_the_page_says_what_the_program_says(
    site: Path, capsys: pytest.CaptureFixture[str], command: str, output: str
) -> None:
    program, noun, *arguments = shlex.split(command)
    assert (program, noun) == ("bulkhead", "explain")
    code = run([noun, "--config", str(site), *arguments])
    assert capsys.readouterr().out.strip() == output
    assert code == (0 if output.startswith("allowed") else 1)


def test_the_site_of_the_page_passes_its_own_check(site: Path) -> None:
    assert run(["check", "--config", str(site)]) == 0
