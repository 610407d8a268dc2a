"""Hours are compared by when they are open."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from proxy.core.hours import Shift, Window, instant
from proxy.policy.diff import compare
from proxy.protocols.modbus.targets import Spans
from tests.policy.test_diff import plan, zone
from tests.policy.toy import origin, rule
from tests.policy.versions import Shift as Unknown
from tests.policy.versions import beyond

if TYPE_CHECKING:
    from proxy.core.hours import Hours

BERLIN = "Europe/Berlin"
NOW = instant(datetime(2026, 11, 21, 12), ZoneInfo(BERLIN))
WEEK = frozenset(range(5))
EARLY = Shift("early", origin(1), BERLIN, WEEK, time(6), time(14))
LATE = Shift("late", origin(1), BERLIN, WEEK, time(14), time(22))
READ = Spans("read", "holding", 0, 99)


def window(opens: datetime, closes: datetime, zone: str = BERLIN) -> Window:
    return Window("stop", origin(1), zone, opens, closes)


def counts(old: list[Hours], new: list[Hours], now: float | None = NOW) -> tuple[int, int]:
    """(widenings, narrowings) of a rule that holds in one and then in other hours."""
    before, after = (
        plan(zone(replace(rule("r", ["mes"], READ), when=tuple(one.name for one in hours))), hours=tuple(hours))
        for hours in (old, new)
    )
    found = compare(before, after, beyond, now)
    back = compare(after, before, beyond, now)
    assert (len(found.widenings), len(found.narrowings)) == (len(back.narrowings), len(back.widenings))
    return len(found.widenings), len(found.narrowings)


NARROWER = [
    replace(EARLY, start=time(7)),
    replace(EARLY, end=time(13, 59)),
    replace(EARLY, days=frozenset({0, 1})),
    replace(EARLY, without=frozenset({date(2026, 12, 24)})),
    replace(EARLY, name="other", end=time(12)),
    window(datetime(2026, 11, 23, 8), datetime(2026, 11, 23, 10)),
    window(datetime(2026, 11, 23, 7), datetime(2026, 11, 23, 13), "UTC"),
]


@pytest.mark.parametrize("one", NARROWER, ids=lambda one: one.describe())
def test_narrowed_hours_are_only_narrower(one: Hours) -> None:
    assert counts([EARLY], [one]) == (0, 1)
    assert counts([one], [EARLY]) == (1, 0)
    assert counts([EARLY], [one], None) == (1, 1), "nobody looked at a clock"


MOVED = [
    replace(EARLY, start=time(5), end=time(13)),
    replace(EARLY, days=frozenset({1, 2, 3, 4, 5})),
    replace(EARLY, extra=frozenset({date(2026, 12, 5)}), without=frozenset({date(2026, 12, 24)})),
    replace(EARLY, zone="Europe/Vienna", end=time(12)),
    LATE,
    window(datetime(2026, 11, 23, 8), datetime(2026, 11, 23, 15)),
    window(datetime(2026, 11, 28, 8), datetime(2026, 11, 28, 10)),
    window(datetime(2026, 11, 23, 7), datetime(2026, 11, 23, 14), "UTC"),
]


@pytest.mark.parametrize("one", MOVED, ids=lambda one: one.describe())
def test_moved_hours_are_both(one: Hours) -> None:
    assert counts([EARLY], [one]) == (1, 1)


def test_what_lies_within_all_of_the_hours_before() -> None:
    across = replace(EARLY, name="across", start=time(10), end=time(18))
    assert counts([EARLY, LATE], [across]) == (0, 1)
    assert counts([EARLY, replace(LATE, start=time(14, 1))], [across])[0] == 1
    day = replace(EARLY, name="day", end=time(22))
    assert counts([EARLY, LATE], [day]) == counts([day], [EARLY, LATE]) == (0, 0)


def test_a_window_that_is_over_gives_nothing() -> None:
    over = window(datetime(2026, 11, 1, 0), datetime(2026, 11, 2, 0))
    assert counts([EARLY], [over]) == (0, 1)
    assert counts([over], [EARLY]) == (1, 0)


def test_the_night_when_the_clock_is_changed() -> None:
    """02:15 to 02:45 is 03:15 to 03:45 on that night, and 02:00 to 03:00 is nothing."""
    sunday = frozenset({6})
    night = Shift("n", origin(1), BERLIN, sunday, time(2), time(3))
    within = replace(night, start=time(2, 15), end=time(2, 45))
    assert counts([night], [within])[0] == 1
    assert counts([replace(night, zone="UTC")], [replace(within, zone="UTC")])[0] == 0
    assert counts([replace(night, end=time(4))], [within])[0] == 0


def test_an_exception_does_not_hide_what_comes_after_it() -> None:
    """The day of the change of clocks is excepted next year, and no other year."""
    sunday = frozenset({6})
    night = Shift("n", origin(1), BERLIN, sunday, time(2), time(3))
    within = replace(night, start=time(2, 15), end=time(2, 45), without=frozenset({date(2027, 3, 28)}))
    assert counts([night], [within])[0] == 1
    years = window(datetime(2026, 1, 1), datetime(2028, 6, 1))
    weekends = replace(EARLY, days=frozenset({5, 6}))
    assert counts([replace(EARLY, start=time(5)), years], [weekends])[0] == 1, "a window closes some day"


def test_hours_of_another_kind_are_what_they_are_called() -> None:
    unknown = Unknown("u", "mornings")
    assert counts([EARLY], [unknown]) == counts([unknown], [Unknown("v", "evenings")]) == (1, 1)
    assert counts([unknown], [Unknown("v", "mornings")]) == (0, 0)


def test_what_is_too_far_ahead_is_not_looked_into() -> None:
    far = replace(EARLY, start=time(7), without=frozenset({date(2040, 1, 2)}))
    assert counts([EARLY], [far]) == (1, 1)
    assert counts([EARLY], [window(datetime(2040, 1, 2, 8), datetime(2040, 1, 2, 9))]) == (1, 1)
