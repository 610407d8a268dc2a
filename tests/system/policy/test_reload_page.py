"""docs/reload.md is a session with a real gateway: its files are written, its commands run, in its order."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.changing import Changing
from tests.support.keys import Keys
from tests.support.net import LOCAL, free_port
from tests.support.plant import Plant
from tests.support.process import running

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

PAGE = Path(__file__).resolve().parents[3] / "docs/reload.md"
BLOCK = re.compile(r"^```(yaml|console)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
VARIES = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), "<time>"),
    (re.compile(r"\b[0-9a-f]{16}\b"), "<version>"),
    (re.compile(r"\b[0-9a-f]{12}\b"), "<digest>"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "<acknowledgement>"),
)


def plain(text: str) -> str:
    for pattern, word in VARIES:
        text = pattern.sub(word, text)
    return text.strip()


def commands(block: str) -> list[tuple[str, str]]:
    parts = f"\n{block}".split("\n$ ")[1:]
    return [(part.partition("\n")[0], part.partition("\n")[2]) for part in parts]


class Session:
    """Everything happens in the site's folder, as on the page."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.admin, self.door = free_port(), free_port()
        self.accept = self.first = ""

    def write(self, text: str) -> str:
        """One file of the page; its name."""
        name = text.partition("\n")[0].removeprefix("# ")
        ports = text.replace(":9464", f":{self.admin}").replace(":8502", f":{self.door}")
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}")
        fresh.write_text(ports)
        fresh.replace(path)
        return name

    def run(self, line: str) -> str:
        words = line.replace("ACCEPT", self.accept).replace("FIRST", self.first).split()[1:]
        command = [sys.executable, "-m", "proxy", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=self.folder)
        if found := re.search(r"--accept-widening ([0-9a-f]{32})", done.stdout):
            self.accept = found[1]
        if not self.first and (history := re.search(r"^([0-9a-f]{16}) ", done.stdout)):
            self.first = history[1]
        said = done.stdout if done.returncode in (0, 5) else done.stderr
        return said.replace(f"{self.folder}/", "")


def test_the_page_is_what_happens(tmp_path: Path) -> None:
    blocks = BLOCK.findall(PAGE.read_text())
    session = Session(tmp_path)
    at = next(at for at, (kind, _) in enumerate(blocks) if kind == "console")
    for _, text in blocks[:at]:
        session.write(text)
    plant = Plant(tmp_path, Keys(tmp_path / "certs"), {"door": session.door}, session.admin)
    with running(plant) as gateway:
        changing = Changing(gateway)
        for kind, text in blocks[at:]:
            if kind == "yaml":
                session.write(text)
                continue
            for line, expected in commands(text):
                if line.startswith("systemctl"):
                    assert changing.reload()["outcome"] == "refused"
                elif line == "bulkhead status":
                    said = session.run(line)
                    assert plain(said).startswith(plain(expected)), said
                else:
                    assert plain(session.run(line)) == plain(expected), line


def test_the_page_has_every_command_of_its_own() -> None:
    said = " ".join(line for kind, text in BLOCK.findall(PAGE.read_text()) for line, _ in commands(text) if kind)
    assert all(f"policy {verb}" in said for verb in ("apply", "history", "rollback"))
    assert LOCAL in PAGE.read_text()
