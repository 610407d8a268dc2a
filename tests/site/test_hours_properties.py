"""Whatever the shift, zone and time: open is what its words say, and it flips exactly when it said it would."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.core.hours import Shift
from tests.site.test_hours import ORIGIN, ZONES, at, shift

pytestmark = [pytest.mark.grows("properties"), pytest.mark.timeout(60)]

FIRST, LAST = date(2005, 1, 1), date(2030, 12, 31)
clocks = st.one_of(
    st.sampled_from(["00:00", "00:01", "00:30", "01:00", "02:00", "02:15", "02:30", "03:00", "03:15", "23:30"]),
    st.times().map(lambda t: f"{t:%H:%M}"),
).map(time.fromisoformat)
near = st.dates(FIRST, LAST)


@st.composite
def shifts_and_times(draw: st.DrawFn) -> tuple[Shift, float]:
    """A shift, and a time near a change of its clock, an exception, or anywhere."""
    zone = draw(st.sampled_from(ZONES))
    day = draw(st.one_of(near, st.sampled_from([date(2026, 3, 28), date(2026, 10, 25), date(2011, 12, 30)])))
    dates = st.frozensets(st.integers(-3, 9).map(lambda ahead: day + timedelta(days=ahead)), max_size=4)
    kept = draw(st.frozensets(st.integers(0, 6)))
    found = Shift("x", ORIGIN, zone, kept, draw(clocks), draw(clocks), draw(dates), draw(dates))
    wall = datetime.combine(day, time(0), UTC).timestamp() + draw(st.integers(-86_400, 3 * 86_400))
    return found, wall


def plainly_open(hours: Shift, wall: float) -> bool:
    """Some occurrence of the days around holds the time: what the words of a shift say, looked for one by one."""
    zone = ZoneInfo(hours.zone)
    today = datetime.fromtimestamp(wall, zone).date()
    for ahead in range(-4, 5):
        day = today + timedelta(days=ahead)
        until = day + timedelta(days=1) if hours.end <= hours.start else day
        worked = day in hours.extra or (day.weekday() in hours.days and day not in hours.without)
        start, end = (slowly(datetime.combine(*both), zone) for both in ((day, hours.start), (until, hours.end)))
        if worked and start <= wall < end:
            return True
    return False


@lru_cache(maxsize=100_000)
def slowly(local: datetime, zone: ZoneInfo) -> float:
    """The first instant whose wall time this is; where the clock jumps over it, as if it had not jumped yet."""
    as_utc = local.replace(tzinfo=UTC).timestamp()
    tried = {as_utc - offset(as_utc + 3600 * hour, zone) for hour in range(-30, 31)}
    exact = [wall for wall in tried if datetime.fromtimestamp(wall, zone).replace(tzinfo=None) == local]
    return min(exact) if exact else as_utc - offset(as_utc - 30 * 3600, zone)


def offset(wall: float, zone: ZoneInfo) -> float:
    found = datetime.fromtimestamp(wall, zone).utcoffset()
    assert found is not None
    return found.total_seconds()


@given(shifts_and_times())
@example((shift("22:00-06:00"), at("2026-10-25T00:30:00Z")))
def test_open_is_what_the_words_say(both: tuple[Shift, float]) -> None:
    hours, wall = both
    assert hours.open_at(wall) == plainly_open(hours, wall)


@given(shifts_and_times())
def test_it_flips_exactly_at_the_next_change(both: tuple[Shift, float]) -> None:
    hours, wall = both
    now, change = plainly_open(hours, wall), hours.next_change(wall)
    until = wall + 12 * 86_400 if change is None else change
    assert until > wall
    for part in range(12):
        assert plainly_open(hours, wall + (until - wall) * part / 12) == now
    if change is not None:
        assert (plainly_open(hours, change - 0.01), plainly_open(hours, change)) == (now, not now)
