"""How many mutants a run judges, and in how many tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.policy.mutants.judge import Original, Result, run

if TYPE_CHECKING:
    import pytest

    from tests.support.campaign import Campaigns

SHARES = 4
PUSH, FULL = 100, 1000
"""Of each of the two sites."""


def judged(original: Original, share: int, campaigns: Campaigns, capsys: pytest.CaptureFixture[str]) -> Result:
    """Says with the last share what became of all of them; a campaign says it at once."""
    count = campaigns.count("mutants", push=PUSH, full=FULL) // SHARES
    result = run(original, range(share * count, (share + 1) * count))
    original.counts.update(result.counts)
    if share < SHARES - 1:
        return result
    said = f"\n{SHARES * count} mutants of {original.name}\n{Result(original.counts, []).table()}"
    if "mutants" in campaigns.names:
        with capsys.disabled():
            print(said)
    else:
        print(said)
    return result
