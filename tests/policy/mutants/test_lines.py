"""Mutated policy files of a plant of two lines, whose files have no tests that could refuse a change: no hole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.policy.mutants.judge import Original
from tests.policy.mutants.shares import SHARES, judged

if TYPE_CHECKING:
    from tests.support.campaign import Campaigns


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    return Original("lines", tmp_path_factory.mktemp("mutants"))


@pytest.mark.grows("mutants")
@pytest.mark.parametrize("share", range(SHARES))
def test_refused_or_as_the_reference_says_and_told(
    original: Original, share: int, campaigns: Campaigns, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is refused, or decides as the reference evaluator does on 10,000 probes; and none is wider in silence."""
    result = judged(original, share, campaigns, capsys)
    assert not result.holes, "\n".join(
        f"{hole.mutant.kind} {hole.mutant.number}: {hole.what}" for hole in result.holes[:5]
    )
