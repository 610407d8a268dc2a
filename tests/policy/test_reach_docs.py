"""docs/policy-reach.md and docs/failmodes.md are true: each command prints what the page says, and the picture is
the one that the command draws."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from proxy.cli.main import run
from tests.docs.page import Typed, typed, unread

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "docs" / name for name in ("policy-reach.md", "failmodes.md")]
COMMANDS = [one for page in PAGES for one in typed(page.read_text("utf-8"))]


@pytest.mark.parametrize("one", COMMANDS, ids=lambda one: one.command[:60])
def test_the_page_says_what_the_program_says(one: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    program, *words = shlex.split(one.command)
    assert program == "bulkhead"
    assert run([*words, "--config", str(ROOT / "bulkhead.yaml")]) == 0
    assert capsys.readouterr().out.strip() == one.printed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_is_replayed(page: Path) -> None:
    assert unread(page.read_text("utf-8")) == 0


def test_the_picture_is_the_one_that_the_command_draws(capsys: pytest.CaptureFixture[str]) -> None:
    """Mend: bulkhead policy reach scada -o svg --out docs/policy-reach.svg"""
    assert run(["policy", "reach", "scada", "-o", "svg", "--config", str(ROOT / "bulkhead.yaml")]) == 0
    assert capsys.readouterr().out.strip() == (ROOT / "docs/policy-reach.svg").read_text("utf-8").strip()
