"""Times as people write them: ``06:00``, ``2026-12-24``, ``2026-12-05 22:00`` and instants of RFC 3339.

Years are those of this century: a slip of a digit should show, and nothing is planned further ahead.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]", re.ASCII)
_DAY = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}", re.ASCII)
_LOCAL = re.compile(r"(?P<day>[0-9-]{10}) (?P<clock>[0-9:]{5})", re.ASCII)
_INSTANT = re.compile(
    r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)
CLOCK_PATTERN = "^([01][0-9]|2[0-3]):[0-5][0-9]$"
DAY_PATTERN = "^20[0-9]{2}-[0-9]{2}-[0-9]{2}$"
LOCAL_PATTERN = "^20[0-9]{2}-[0-9]{2}-[0-9]{2} ([01][0-9]|2[0-3]):[0-5][0-9]$"
INSTANT_PATTERN = r"^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})$"
NO_TIME_BEFORE = 1_767_225_600.0
"""2026-01-01. A clock that says less was never set, and a cell without one must start all the same (access.md 7)."""


def clock(text: str) -> time:
    """A time of day, to the minute. Raises ValueError with what is wrong."""
    if _CLOCK.fullmatch(text) is None:
        raise ValueError(f"{text[:40]!r} is not a time of day from 00:00 to 23:59")
    return time.fromisoformat(text)


def day(text: str) -> date:
    """Raises ValueError with what is wrong."""
    try:
        if _DAY.fullmatch(text) is not None:
            return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"there is no day {text}") from None
    raise ValueError(f"{text[:40]!r} is not a day such as 2026-12-24")


def local(text: str) -> datetime:
    """A day and a time of day, naive: the zone stands elsewhere. Raises ValueError with what is wrong."""
    match = _LOCAL.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is not a day and a time such as 2026-12-05 22:00")
    return datetime.combine(day(match["day"]), clock(match["clock"]))


def instant(text: str) -> float:
    """Seconds since 1970 of an RFC 3339 date-time, offset included. Raises ValueError with what is wrong."""
    if _INSTANT.fullmatch(text) is None:
        raise ValueError(f"{text[:40]!r} is not a day and a time with its offset")
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise ValueError(f"there is no time {text}") from None


def shown(wall: float) -> str:
    """An instant as `instant` takes it."""
    return f"{datetime.fromtimestamp(int(wall), UTC):%Y-%m-%dT%H:%M:%SZ}"
