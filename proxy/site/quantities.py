"""Durations and rates as people write them: ``8h30m``, ``6/min``, ``10/5s``."""

from __future__ import annotations

import re
from functools import lru_cache

from proxy.core.surface import Rate

_DURATION = re.compile(
    r"(?:(?P<h>\d{1,5})h)?(?:(?P<min>\d{1,5})(?:min|m))?(?:(?P<s>\d{1,5})s)?(?:(?P<ms>\d{1,5})ms)?", re.ASCII
)
_SECONDS = {"h": 3600.0, "min": 60.0, "s": 1.0, "ms": 0.001}
_RATE = re.compile(r"(?P<count>[1-9]\d{0,5})/(?P<period>[0-9a-z]{1,20})", re.ASCII)
DURATION_PATTERN = r"^([0-9]+h)?([0-9]+(min|m))?([0-9]+s)?([0-9]+ms)?$"
RATE_PATTERN = r"^[1-9][0-9]{0,5}/(h|min|s|([0-9]+h)?([0-9]+(min|m))?([0-9]+s)?([0-9]+ms)?)$"
LONGEST = 86_400.0


def duration(text: str) -> float:
    """Seconds, above 0 and at most a day. Raises ValueError with what is wrong."""
    match = _DURATION.fullmatch(text)
    parts = {unit: int(number) for unit, number in match.groupdict().items() if number} if match else {}
    seconds = sum(number * _SECONDS[unit] for unit, number in parts.items())
    if not parts:
        raise ValueError(f"{text[:40]!r} is not a duration such as 1s, 500ms or 8h30m")
    if not 0 < seconds <= LONGEST:
        raise ValueError(f"{text[:40]!r} is not between 1ms and 24h")
    return seconds


@lru_cache(maxsize=256)
def rate(text: str) -> Rate:
    """``COUNT/PERIOD``; the period is ``s``, ``min``, ``h`` or a duration. Raises ValueError with what is wrong."""
    match = _RATE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is not a rate such as 6/min or 10/5s")
    period = match["period"]
    return Rate(int(match["count"]), _SECONDS[period] if period in ("h", "min", "s") else duration(period))
