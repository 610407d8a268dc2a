"""What is told of an attempt is bounded, however much changes: `/status` and the history keep it (T47)."""

from __future__ import annotations

from proxy.change.judge import Judged
from proxy.change.reload import TOLD, Attempt, compared, in_short
from proxy.policy.entry import Difference, Entry


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
