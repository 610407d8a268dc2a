"""The form of a `while:` line: what a device was seen to be.

    [DEVICE] PROTOCOL POINT OP NUMBER [within DURATION]

Whether there is such a device and point, `proxy.site.predicates` looks up. Without DEVICE the rule's own is meant.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from proxy.site import quantities

FRESH = 5.0
"""Seconds that a value counts for if the line does not say."""
_LINE = re.compile(
    r"(?P<point>[^ ].*[^ <>=!]) *(?P<compare>==|!=|<=|>=|<|>) *(?P<value>-?[0-9]{1,12}(?:\.[0-9]{1,9})?)"
    r"(?: +within +(?P<fresh>[^ ]+))?",
    re.ASCII,
)
PATTERN = r"^[^ ].*(==|!=|<=|>=|<|>) *-?[0-9]{1,12}(\.[0-9]{1,9})?( +within +[^ ]+)?$"
LONGEST = 255


class Comparison(NamedTuple):
    """``point`` still has its device and protocol in front. ``fresh`` is in seconds."""

    point: str
    compare: str
    value: float
    fresh: float


@lru_cache(maxsize=256)
def split(text: str) -> Comparison:
    """Raises ValueError with what is wrong."""
    match = _LINE.fullmatch(text) if len(text) <= LONGEST else None
    if match is None:
        raise ValueError(f"{text[:60]!r} {_why_not(text)}")
    fresh = FRESH if match["fresh"] is None else quantities.duration(match["fresh"])
    return Comparison(match["point"], match["compare"], float(match["value"]), fresh)


def _why_not(text: str) -> str:
    if len(text) > LONGEST:
        return f"is longer than {LONGEST} characters"
    if re.search(r"==|!=|<|>", text):
        return "compares no value with a number"
    return "compares with '=', and '==' is meant" if "=" in text else "compares nothing"
