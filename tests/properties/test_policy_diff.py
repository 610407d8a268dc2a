"""The truth about a comparison: every question is put to both versions, and what is newly allowed must be told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.policy.access import depends_on_names
from proxy.policy.diff import compare
from proxy.policy.speaker import MBAPS
from tests.policy.versions import ALWAYS, SINGLE, UNTIL, Judge, beyond, pairs, questions, told

if TYPE_CHECKING:
    from proxy.policy.plan import Plan

pytestmark = [pytest.mark.grows("properties"), pytest.mark.timeout(120)]


@given(pairs(), st.sampled_from([None, 0.0, UNTIL + 0.5]))
@settings(max_examples=60)
def test_no_access_appears_or_disappears_in_silence(pair: tuple[Plan, Plan], start: float | None) -> None:
    """``start``: what is asked before that need not be told."""
    before, after = pair
    difference = compare(before, after, beyond, start)
    then, now = Judge(before), Judge(after)
    for asked in questions():
        if asked.now < (start or 0.0):
            continue
        was, is_now = then.allows(asked), now.allows(asked)
        if is_now and not was:
            assert told(difference.widenings, asked, after) or told(difference.widenings, asked, before), asked
        if was and not is_now:
            assert told(difference.narrowings, asked, before) or told(difference.narrowings, asked, after), asked


@given(pairs(bare=True))
@settings(max_examples=60)
def test_nothing_is_told_that_nobody_can_see(pair: tuple[Plan, Plan]) -> None:
    """Of rules without conditions each entry has a question that was refused before and is allowed now."""
    before, after = pair
    then, now = Judge(before), Judge(after)
    for entry in compare(before, after, beyond).widenings:
        if any(name.startswith(MBAPS) for name in entry.who) and any(map(depends_on_names, entry.targets)):
            continue  # Whoever shows the role may have any name: nobody looks into which of them there are.
        assert any(
            told((entry,), asked, after) and now.allows(asked) and not then.allows(asked)
            for asked in questions(SINGLE, ALWAYS)
        ), entry.text


@given(pairs())
@settings(max_examples=60)
def test_a_version_does_not_differ_from_itself(pair: tuple[Plan, Plan]) -> None:
    for one in pair:
        assert not compare(one, one, beyond)
        assert not compare(one, one._replace(surfaces=tuple(reversed(one.surfaces))), beyond)
