"""The truth about hours that cover others: both are asked at many instants, and what is more is never covered."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.hours import Shift, Window, instant
from proxy.policy.openings import Openings
from tests.policy.toy import origin

if TYPE_CHECKING:
    from proxy.core.hours import Hours

pytestmark = [pytest.mark.grows("properties"), pytest.mark.timeout(120)]

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
DAY = 86_400.0
zones = st.sampled_from(["Europe/Berlin", "Europe/Berlin", "UTC", "America/New_York"])
clocks = st.builds(time, st.sampled_from([0, 1, 2, 3, 6, 14, 22]), st.sampled_from([0, 15, 45]))
days = st.frozensets(st.integers(0, 6), max_size=7)
dates = st.frozensets(
    st.sampled_from([date(2026, 11, 22), date(2026, 12, 24), date(2027, 3, 28), date(2027, 10, 31)]), max_size=2
)


def window(zone: str, ahead: int, clock: time, length: int) -> Window:
    opens = datetime.combine(date(2026, 11, 18) + timedelta(days=ahead), clock)
    return Window("w", origin(1), zone, opens, opens + timedelta(hours=length))


shifts = st.builds(lambda *parts: Shift("s", origin(1), *parts), zones, days, clocks, clocks, dates, dates)
windows = st.builds(window, zones, st.integers(0, 20), clocks, st.sampled_from([1, 8, 48]))
hours = st.one_of(shifts, shifts, windows)


TURNS = ((2026, 12, 21), (2027, 3, 10), (2027, 3, 24), (2027, 10, 28), (2027, 11, 4), (2028, 3, 22))
SPANS = [(NOW, 35 * DAY), *((instant(datetime(*day), ZoneInfo("UTC")), 9 * DAY) for day in TURNS)]


def instants(*asked: Hours) -> list[float]:
    """Around every opening and closing of the next weeks, and of those when clocks are changed."""
    found = {NOW, NOW + 1}
    for one in asked:
        for start, length in SPANS:
            at = start
            while (change := one.next_change(at)) is not None and change < start + length:
                found |= {change - 1, change, change + 1}
                at = change
    return sorted(at for at in found if at >= NOW)


@given(hours, st.lists(hours, min_size=1, max_size=2))
@settings(max_examples=150)
def test_what_is_covered_is_never_open_alone(one: Hours, others: list[Hours]) -> None:
    openings = Openings((one, *others), NOW)
    alone = [at for at in instants(one, *others) if one.open_at(at) and not any(other.open_at(at) for other in others)]
    covered = openings.covered(one.describe(), frozenset(other.describe() for other in others))
    assert not (covered and alone), datetime.fromtimestamp(alone[0], UTC)
    in_one_zone = all(getattr(other, "zone", "") == getattr(one, "zone", "") for other in others)
    if in_one_zone and not covered:
        assert alone, "it is told, and there is nothing"


@given(hours)
def test_hours_cover_themselves(one: Hours) -> None:
    assert Openings((), None).covered(one.describe(), frozenset({one.describe()}))
