"""Shifts and windows: exact instants across both changes of the clock (access.md 3), in zones of all kinds."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime, time
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from proxy.core.hours import DAYS, Shift, Window, instant
from proxy.core.origin import Origin

ORIGIN = Origin("policies/shifts/x.yaml", 2, 8)
ALWAYS = frozenset(range(7))
ZONES = (
    "UTC",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",  # half an hour
    "America/New_York",
    "America/Sao_Paulo",  # until 2018 at midnight
    "America/Goose_Bay",  # until 2011 at 00:01, so that midnight came twice
    "Asia/Beirut",
    "Africa/Casablanca",
    "Pacific/Apia",  # had no 30 December 2011
)


def shift(hours: str, zone: str = "Europe/Berlin", days: frozenset[int] = ALWAYS, **more: frozenset[date]) -> Shift:
    start, end = map(time.fromisoformat, hours.split("-"))
    return Shift("x", ORIGIN, zone, days, start, end, **more)


def days(words: str) -> frozenset[int]:
    return frozenset(map(DAYS.index, words.split()))


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def utc(wall: float | None) -> str | None:
    return None if wall is None else f"{datetime.fromtimestamp(wall, UTC):%Y-%m-%dT%H:%M:%SZ}"


@pytest.mark.parametrize(
    ("zone", "hours", "day", "opens", "closes"),
    [
        ("Europe/Berlin", "22:00-06:00", "2026-10-24", "2026-10-24T20:00:00Z", "2026-10-25T05:00:00Z"),  # 9 h
        ("Europe/Berlin", "22:00-06:00", "2026-03-28", "2026-03-28T21:00:00Z", "2026-03-29T04:00:00Z"),  # 7 h
        ("Europe/Berlin", "22:00-06:00", "2026-06-01", "2026-06-01T20:00:00Z", "2026-06-02T04:00:00Z"),  # 8 h
        ("Europe/Berlin", "02:30-06:00", "2026-03-29", "2026-03-29T01:30:00Z", "2026-03-29T04:00:00Z"),  # no such time
        ("Europe/Berlin", "22:00-02:30", "2026-03-28", "2026-03-28T21:00:00Z", "2026-03-29T01:30:00Z"),
        ("Europe/Berlin", "02:30-06:00", "2026-10-25", "2026-10-25T00:30:00Z", "2026-10-25T05:00:00Z"),  # twice: first
        ("Europe/Berlin", "22:00-02:30", "2026-10-24", "2026-10-24T20:00:00Z", "2026-10-25T00:30:00Z"),
        ("Australia/Lord_Howe", "01:00-03:00", "2026-04-05", "2026-04-04T14:00:00Z", "2026-04-04T16:30:00Z"),  # 2.5 h
        ("Australia/Lord_Howe", "01:00-03:00", "2026-10-04", "2026-10-03T14:30:00Z", "2026-10-03T16:00:00Z"),  # 1.5 h
        ("Australia/Lord_Howe", "02:15-03:00", "2026-10-04", "2026-10-03T15:45:00Z", "2026-10-03T16:00:00Z"),
        ("Asia/Kolkata", "22:00-06:00", "2026-03-28", "2026-03-28T16:30:00Z", "2026-03-29T00:30:00Z"),
        ("UTC", "22:00-06:00", "2026-03-28", "2026-03-28T22:00:00Z", "2026-03-29T06:00:00Z"),
        ("America/Sao_Paulo", "00:00-06:00", "2018-11-04", "2018-11-04T03:00:00Z", "2018-11-04T08:00:00Z"),  # at 00:00
        ("America/Goose_Bay", "00:00-06:00", "2010-11-07", "2010-11-07T03:00:00Z", "2010-11-07T10:00:00Z"),  # 7 h
        ("Pacific/Apia", "22:00-22:00", "2011-12-29", "2011-12-30T08:00:00Z", "2011-12-31T08:00:00Z"),  # no 30th
    ],
)
def test_one_occurrence(zone: str, hours: str, day: str, opens: str, closes: str) -> None:
    one = shift(hours, zone, frozenset(), extra=frozenset({date.fromisoformat(day)}))
    assert utc(one.next_change(at("2000-01-01T00:00:00Z"))) == opens
    assert utc(one.next_change(at(opens))) == closes
    assert one.next_change(at(closes)) is None
    seen = [one.open_at(at(when) + later) for when in (opens, closes) for later in (-0.001, 0.0)]
    assert seen == [False, True, True, False]


def test_a_time_that_does_not_exist_moves_forward_by_the_gap() -> None:
    assert utc(instant(datetime(2026, 3, 29, 2, 30), ZoneInfo("Europe/Berlin"))) == "2026-03-29T01:30:00Z"


def test_a_shift_that_the_gap_swallows_does_not_open() -> None:
    """02:30 becomes 03:30, which is after 03:15."""
    one = shift("02:30-03:15", days=days("sun"))
    week = at("2026-03-22T12:00:00Z")
    assert utc(one.next_change(week)) == "2026-04-05T00:30:00Z"
    assert not any(one.open_at(at("2026-03-29T00:00:00Z") + 60 * minute) for minute in range(240))


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("hours", ["06:00-14:00 14:00-22:00 22:00-06:00", "00:00-02:30 02:30-02:45 02:45-00:00"])
def test_adjoining_shifts_meet(hours: str, zone: str) -> None:
    """Around each change of the clock one of three shifts is open at any time, and never two. Only where the clock
    jumps over a whole shift, the two beside it overlap by what was jumped over."""
    three = [shift(one, zone) for one in hours.split()]
    around = [*changes_of_the_clock(zone, 2026), *changes_of_the_clock(zone, 2010), at("2026-06-01T00:00:00Z")]
    for change in around:
        for minute in range(-1600, 1600, 5):
            count = sum(one.open_at(change + 60 * minute) for one in three)
            assert count == 1 or (hours.startswith("00") and count == 2), (zone, utc(change), minute)


def changes_of_the_clock(zone: str, year: int) -> list[float]:
    hours = [at(f"{year}-01-01T00:00:00Z") + 1800 * step for step in range(48 * 365)]
    info = ZoneInfo(zone)
    offsets = [(hour, datetime.fromtimestamp(hour, info).utcoffset()) for hour in hours]
    return [after[0] for before, after in pairwise(offsets) if before[1] != after[1]]


def test_days_are_those_on_which_it_opens() -> None:
    night = shift("22:00-06:00", "UTC", days("fri"))
    assert utc(night.next_change(at("2026-11-23T00:00:00Z"))) == "2026-11-27T22:00:00Z"
    assert night.open_at(at("2026-11-28T05:59:59Z"))
    assert not night.open_at(at("2026-11-27T05:00:00Z"))


def test_exceptions_and_extra_days() -> None:
    early = shift(
        "06:00-14:00",
        "UTC",
        days("mon tue wed thu fri"),
        without=frozenset({date(2026, 12, 24), date(2026, 12, 25)}),
        extra=frozenset({date(2026, 12, 26)}),
    )
    opens = [utc(at(f"2026-12-{day}T07:00:00Z")) for day in range(21, 32) if early.open_at(at(f"2026-12-{day}T07:00Z"))]
    assert [text[8:10] for text in opens if text] == ["21", "22", "23", "26", "28", "29", "30", "31"]
    assert utc(early.next_change(at("2026-12-23T14:00:00Z"))) == "2026-12-26T06:00:00Z"


def test_a_shift_of_24_hours_does_not_close_at_its_change_of_day() -> None:
    always = shift("06:00-06:00")
    assert always.open_at(at("2026-03-29T04:00:00Z"))
    assert always.next_change(at("2026-11-21T00:00:00Z")) is None
    weekdays = shift("06:00-06:00", "UTC", days("mon tue wed thu fri"))
    assert utc(weekdays.next_change(at("2026-11-23T06:00:00Z"))) == "2026-11-28T06:00:00Z"
    but_one = shift("00:00-00:00", "UTC", without=frozenset({date(2027, 5, 1)}))
    assert utc(but_one.next_change(at("2026-11-21T00:00:00Z"))) == "2027-05-01T00:00:00Z"
    assert utc(but_one.next_change(at("2027-05-01T00:00:00Z"))) == "2027-05-02T00:00:00Z"
    assert but_one.next_change(at("2027-05-02T00:00:00Z")) is None


def test_a_clock_set_back_gets_the_answer_of_its_time() -> None:
    """The last answer is kept; a wall clock may jump to any side of it."""
    early = shift("06:00-14:00", "UTC")
    asked = ["2026-11-21T07:00Z", "2026-11-20T05:00Z", "2026-11-21T13:59Z", "2026-11-21T14:00Z", "1970-01-01T06:00Z"]
    assert [early.open_at(at(when)) for when in asked] == [True, False, True, False, True]


def test_window() -> None:
    stop = Window("stop", ORIGIN, "Europe/Berlin", datetime(2026, 10, 24, 22), datetime(2026, 10, 25, 6))
    opens, closes = at("2026-10-24T20:00:00Z"), at("2026-10-25T05:00:00Z")
    assert (stop.next_change(0.0), stop.next_change(opens), stop.next_change(closes)) == (opens, closes, None)
    assert [stop.open_at(when) for when in (opens - 1, opens, closes - 1, closes)] == [False, True, True, False]
    assert stop.describe() == "2026-10-24 22:00 to 2026-10-25 06:00 Europe/Berlin"


@pytest.mark.parametrize(
    ("which", "text"),
    [
        ("mon tue wed thu fri", "mon-fri"),
        ("mon tue wed thu fri sat sun", "mon-sun"),
        ("sat sun", "sat,sun"),
        ("mon wed thu fri sun", "mon,wed-fri,sun"),
    ],
)
def test_description(which: str, text: str) -> None:
    assert shift("06:00-14:00", days=days(which)).describe() == f"{text} 06:00-14:00 Europe/Berlin"


def test_equal_hours_have_equal_text() -> None:
    """An exception on a day that is none of the shift's changes nothing, and is not in the text."""
    christmas, sunday = date(2026, 12, 24), date(2026, 12, 27)
    week = days("mon tue wed thu fri")
    one = shift("06:00-14:00", days=week, without=frozenset({christmas}), extra=frozenset({sunday}))
    other = shift("06:00-14:00", days=week, without=frozenset({christmas, sunday}), extra=frozenset({sunday}))
    assert one.describe() == other.describe() == "mon-fri 06:00-14:00 Europe/Berlin except 2026-12-24 extra 2026-12-27"


def test_zone_data_comes_along() -> None:
    """A machine without zone data of its own: the package has it."""
    code = "import zoneinfo; print(zoneinfo.TZPATH, zoneinfo.ZoneInfo('Europe/Berlin').key)"
    environ = {**os.environ, "PYTHONTZPATH": ""}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == "() Europe/Berlin\n"
