"""The pages about recorded flows are true: their sites are valid, and each command prints what its page says."""

from __future__ import annotations

import re
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proxy.cli.main import run
from tests.policy.test_docs import CONSOLE, FILE
from tests.support.flows import row, write_flows

if TYPE_CHECKING:
    from proxy.flows.row import FlowRow

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = ("policy-backtest.md", "policy-learn.md")
ROW = re.compile(
    r"^\| (?P<who>[\w-]+) \| (?P<to>[\w-]+) \| (?P<protocol>\w+) (?P<low>[^|]+?) \| \w+ (?P<high>[^|]+?) "
    r"\| (?P<code>BH-\d+)? ?(?P<rule>[\w/-]+) \| (?P<count>\d+) \|$",
    re.MULTILINE,
)
UNTIL = re.compile(r'until: "[^"]*"')
VARIES = (
    (re.compile(r"\d{4}-\d\d-\d\d\s+(# )?\d\d:\d\dZ"), "<time>"),
    (UNTIL, "until: <time>"),
    (re.compile(r"^(\+\+\+|---) \S+$", re.MULTILINE), r"\1 <file>"),
    (re.compile(r"\s*\n\s*# ?"), " "),
)
"""Dates, and where lines of comments break because of them."""


def dialogue(page: str) -> list[tuple[str, str]]:
    """(command, expected output) of every console block, in order."""
    parts = [part for block in CONSOLE.finditer(page) for part in ("\n" + block["text"]).split("\n$ ")[1:]]
    return [(part.partition("\n")[0], part.partition("\n")[2].strip()) for part in parts]


def flows(page: str, now: float) -> list[FlowRow]:
    return [
        row(
            found["who"],
            found["to"],
            found["low"],
            found["high"],
            protocol=found["protocol"],
            allowed=found["code"] is None,
            code=found["code"] or "",
            rule=found["rule"],
            at=f"policies/surfaces/{found['rule'].partition('/')[0]}.yaml:4",
            would=False if found["rule"].endswith("/monitor") else None,
            count=int(found["count"]),
            first=now - 5 * 86400,
            last=now - 3600,
        )
        for found in ROW.finditer(page)
    ]


def same(text: str) -> str:
    for pattern, word in VARIES:
        text = pattern.sub(word, text)
    return text


@pytest.mark.parametrize("name", PAGES)
def test_the_page_says_what_the_program_says(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One session: each command sees what those before it did."""
    page, now = (DOCS / name).read_text(), time.time()
    until = time.strftime('until: "%Y-%m-%dT%H:%M:%SZ"', time.gmtime(now + 7 * 86400))
    for file in FILE.finditer(page):
        path = tmp_path / file["name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {file['name']}\n{UNTIL.sub(until, file['text'])}")
    assert len(found := flows(page, now)) == page.count("\n| ") - 1, "every row of the table is recorded"
    write_flows(tmp_path / "var" / "flows.sqlite", found)
    monkeypatch.setenv("BULKHEAD_CONFIG", str(tmp_path / "bulkhead.yaml"))
    assert run(["check"]) == 0
    capsys.readouterr()
    commands = dialogue(page)
    assert len(commands) > 1
    for command, printed in commands:
        program, *arguments = shlex.split(command)
        assert program == "bulkhead"
        assert run(arguments) in (0, 1)
        assert same(capsys.readouterr().out.strip()) == same(printed), command
