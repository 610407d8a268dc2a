"""The pages about the language, its tests and its form are true: their sites are valid, and each command prints what
its page says."""

from __future__ import annotations

import re
import shlex
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxy.cli.main import run

DOCS = Path(__file__).resolve().parents[2] / "docs"
FILE = re.compile(r"```yaml\n# (?P<name>\S+)\n(?P<text>.*?)```", re.DOTALL)
RECORDS = re.compile(r"```json\n// (?P<name>\S+)\n(?P<text>.*?)```", re.DOTALL)
CONSOLE = re.compile(r"```console\n(?P<text>.*?)```", re.DOTALL)
UNTIL = re.compile(r'until: "[^"]*"')
PAGES = ("policy.md", "policy-test.md")


def dialogue(page: str) -> list[tuple[str, str]]:
    """(command, expected output) of every console block, in order."""
    found = []
    for block in CONSOLE.finditer(page):
        for part in ("\n" + block["text"]).split("\n$ ")[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output.strip()))
    return found


def write_site(page: str, folder: Path) -> None:
    """What is in monitor on a page is so when the page is tried, too: at most 14 days ahead."""
    until = f'until: "{datetime.fromtimestamp(time.time() + 7 * 86_400, UTC).isoformat(timespec="seconds")}"'
    for file in FILE.finditer(page):
        path = folder / file["name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        # The comment that names the file stands for the modeline of a real one, so that line numbers fit.
        path.write_text(f"# {file['name']}\n{UNTIL.sub(until, file['text'])}")
    for file in RECORDS.finditer(page):
        path = folder / file["name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file["text"])


def answer(command: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    program, *arguments = shlex.split(command)
    assert program == "bulkhead"
    code = run(arguments)
    return code, capsys.readouterr().out.strip()


CASES = [(page, *one) for page in PAGES for one in dialogue((DOCS / page).read_text())]


@pytest.mark.parametrize(("page", "command", "output"), CASES, ids=lambda text: text[:60])
def test_the_page_says_what_the_program_says(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    page: str,
    command: str,
    output: str,
) -> None:
    write_site((DOCS / page).read_text(), tmp_path)
    monkeypatch.chdir(tmp_path)
    code, told = answer(command, capsys)
    assert told == output
    refused = "\nrefused BH-" in f"\n{output}" or " failed;" in output or " check --config " in command
    assert code == (1 if refused else 0)


def test_the_page_about_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One command after the other, for the third writes the files."""
    page = (DOCS / "policy-fmt.md").read_text()
    write_site(page, tmp_path)
    monkeypatch.chdir(tmp_path)
    said = [(command, *answer(command, capsys)) for command, _ in dialogue(page)]
    assert [(command, told) for command, _, told in said] == dialogue(page)
    assert [code for _, code, _ in said] == [0, 1, 0, 0]


def test_the_site_of_the_page_passes_its_own_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_site((DOCS / "policy.md").read_text(), tmp_path)
    monkeypatch.chdir(tmp_path)
    assert run(["check"]) == 0
    assert run(["policy", "fmt", "--check"]) == 0


def test_every_key_of_the_language_is_in_the_table_of_the_page() -> None:
    from proxy.site import policy_shapes as shapes

    table = (DOCS / "policy.md").read_text().partition("## All keys")[2]
    named = {word for cell in re.findall(r"`([^`]+)`", table) for word in re.findall(r"[a-z_]+", cell)}
    kinds = (shapes.SurfaceShape, shapes.RuleShape, shapes.NeverShape, shapes.CaseShape, shapes.RoleShape)
    for kind in (*kinds, shapes.ShiftShape, shapes.WindowShape, shapes.MonitorShape):
        keys = {field.alias or name for name, field in kind.model_fields.items()}
        assert keys <= named, kind.__name__
