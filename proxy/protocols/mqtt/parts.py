"""What the parsers of rules, questions and services share: near misses, sizes, times."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_SIZE = re.compile(r"([0-9]{1,9})(B|KiB|MiB)?")
_TIME = re.compile(r"([0-9]{1,6})(ms|s|min|h)")
_UNITS = {"B": 1, "KiB": 1024, "MiB": 1024 * 1024}
_SECONDS = {"ms": 0.001, "s": 1, "min": 60, "h": 3600}


def nearest(word: object, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(str(word), names, 1)
    return f"did you mean {close[0]!r}?" if close else f"one of {', '.join(names)}"


def size(value: object) -> int | None:
    """Bytes: a whole number, or text such as ``64KiB``; None if it is neither."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if value >= 0 else None
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    return int(match[1]) * _UNITS[match[2] or "B"] if match else None


def seconds(value: object) -> float | None:
    """Text such as ``300s``, ``5min``, ``24h``; None if it is no such time."""
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    return int(match[1]) * _SECONDS[match[2]] if match else None


def quoted(value: object) -> str:
    """As a report shows a value: never long."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
