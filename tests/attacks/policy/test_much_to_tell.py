"""What is told of an attempt is bounded, however much changes: `/status` and the history keep it (T47)."""

from __future__ import annotations

import time
from pathlib import Path

from proxy.change.judge import Judged, Question, judge
from proxy.change.reload import TOLD, Attempt, compared, in_short
from proxy.cli.site import protocols
from proxy.policy.entry import Difference, Entry
from proxy.versions.tree import read_tree
from tests.change.folder import write_site


def test_ten_thousand_long_widenings_are_told_in_short() -> None:
    entries = tuple(Entry("access", f"{at} may now also: {'read holding 1; ' * 5000}") for at in range(10_000))
    attempt = compared(Judged(None, (), Difference(entries, entries)), Attempt(1, "SIGHUP", "pending", 0.0))
    for lines in (attempt.widenings, attempt.narrowings):
        assert sum(map(len, lines)) < 150_000 and len(lines) == TOLD
        assert lines[0].startswith("0 may now also: read holding 1; ")
        assert lines[-1] == f"and {10_000 - TOLD + 1} more: bulkhead policy diff shows all"


def test_what_is_short_is_told_as_it_is() -> None:
    lines = [f"line {at}" for at in range(TOLD)]
    assert in_short(lines) == tuple(lines)


def test_t47_a_rule_with_thousands_of_lines_is_judged_in_time(tmp_path: Path) -> None:
    """A start judges in the gateway's own process: a file that takes an hour to look at would keep the plant down."""
    config = write_site(tmp_path)
    surface = tmp_path / "policies/surfaces/cell.yaml"
    lines = ", ".join(f"holding {2 * at}" for at in range(8000))
    surface.write_text(surface.read_text().replace("holding 0-9", lines))
    began = time.process_time()
    judged = judge(Question(read_tree(config), tmp_path, protocols(), {}, time.time()))
    assert judged.site is not None and time.process_time() - began < 12.0
