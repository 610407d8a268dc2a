"""The table fits the width it is given and loses no verdict doing so; the screen writes what changed."""

from __future__ import annotations

import io
import re

import pytest

from proxy.demo.screen import is_live, paint
from proxy.demo.step import Result, Ruling
from proxy.demo.steps import all_steps
from proxy.demo.table import LATENCY, Table

STEPS = all_steps()
LONGEST = max(STEPS, key=lambda step: len(step.name))
REFUSED = Ruling((), "BH-1202", "cell-3/no-program-download", "policies/surfaces/cell-3.yaml:49")


def result(ruling: Ruling, *, ok: bool = True) -> Result:
    return Result(LONGEST.who, LONGEST.name, "this", "that", ok, ruling, 0.0123)


@pytest.mark.parametrize("width", [80, 100, 120, 200])
@pytest.mark.parametrize("ruling", [REFUSED, Ruling(("cell-3/counters",)), Ruling()])
def test_rows_fit_and_say_the_verdict(width: int, ruling: Ruling) -> None:
    table = Table.fitting(STEPS, width)
    row = table.row(result(ruling))
    assert len(row) == len(table.head()) <= width
    assert row.startswith("ok  ")
    assert row.endswith("12.3 ms".rjust(LATENCY))
    assert ("refuse" in row, "allow" in row) == (bool(ruling.reason), bool(ruling.allowed))
    assert LONGEST.name in row
    assert (ruling.reason in row) and (width < 120 or ruling.rule in row)


def test_a_step_that_went_wrong_is_seen() -> None:
    assert Table.fitting(STEPS, 120).row(result(REFUSED, ok=False)).startswith("FAIL")


def test_colours_are_around_the_text_and_nothing_else() -> None:
    bare, painted = Table.fitting(STEPS, 120), Table.fitting(STEPS, 120, paint)
    for ok in (True, False):
        text = painted.row(result(REFUSED, ok=ok))
        assert "\x1b[" in text
        assert re.sub(r"\x1b\[[\d;]*m", "", text) == bare.row(result(REFUSED, ok=ok))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("output", "environ", "live"),
    [
        (Terminal(), {"TERM": "xterm"}, True),
        (Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (Terminal(), {"TERM": "xterm", "NO_COLOR": ""}, True),
        (Terminal(), {"TERM": "dumb"}, False),
        (Terminal(), {}, False),
        (io.StringIO(), {"TERM": "xterm"}, False),
    ],
)
def test_ansi_only_on_a_terminal_that_wants_it(output: io.StringIO, environ: dict[str, str], live: bool) -> None:
    assert is_live(output, environ) is live


def test_no_two_steps_have_one_name() -> None:
    names = [(step.who, step.name) for step in STEPS]
    assert len(set(names)) == len(names) >= 30
