"""What is wrong with a site, said so that the person who wrote it can mend it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.core.origin import Origin

Path = tuple[str | int, ...]


class Finding(Enum):
    """Kinds of finding, family BH-18xx (access.md 10). ``value`` is ``(code, sentence)``; no code is reused."""

    UNREADABLE = (1801, "the system does not let us read a file or folder")
    NOT_STRICT = (1802, "the text is not strict YAML, or not a whole file")
    UNKNOWN_KEY = (1803, "a key that nothing knows")
    MISSING = (1804, "a key, section, file or folder is missing")
    BAD_VALUE = (1805, "a value does not fit its key")
    UNKNOWN_NAME = (1806, "a name that nothing in the site has")
    DUPLICATE = (1807, "a name, address or identity is used twice")
    CONTRADICTION = (1808, "two places of the site contradict each other")
    SAFETY = (1809, "a safety function would pass through Bulkhead")
    DOUBTFUL = (1810, "allowed, but probably not what was meant")
    POLICY = (1811, "the policy does not compile, or a rule has no effect")
    TEST_FAILED = (1812, "a test of the policy fails")
    UNFIT = (1813, "a file is of a kind or size, or in a place, that is not read")

    @property
    def code(self) -> str:
        return f"BH-{self.value[0]}"

    @property
    def sentence(self) -> str:
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Problem:
    """``nearest`` is the name that was probably meant. ``warning``: worth a look, but the site may be used."""

    finding: Finding
    origin: Origin
    path: Path
    wrong: str
    mend: str
    nearest: str | None = None
    warning: bool = False

    @property
    def where(self) -> str:
        """The path as people write it: ``rules.setpoint.from[0]``."""
        text = ""
        for step in self.path:
            text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
        return _printable(text)

    @property
    def what(self) -> str:
        """What is wrong, the nearest name, how to mend, in one line and fit for any terminal."""
        parts = [("warning: " if self.warning else "") + self.wrong]
        if self.nearest is not None:
            parts.append(f"did you mean {self.nearest}?")
        return _printable("; ".join([*parts, self.mend]))

    def __str__(self) -> str:
        path = f"{self.where}: " if self.path else ""
        return f"{_printable(self.origin.file)}:{self.origin.line}:{self.origin.column}: {path}{self.what}"


def _printable(text: str) -> str:
    """Site files may quote anything; a report must not move the cursor or hide text (T80)."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


class Collector:
    """Gathers problems; at most one error for one place and path, so that one mistake is told once."""

    MOST = 10_000
    NEAREST_SOUGHT = 200

    def __init__(self) -> None:
        self._problems: dict[tuple[object, ...], Problem] = {}
        self._sought = 0
        self.failed = False

    def add(self, problem: Problem) -> None:
        self.failed = self.failed or not problem.warning
        where = (problem.origin, problem.path, problem.warning and problem.wrong)
        if len(self._problems) < self.MOST:
            self._problems.setdefault(where, problem)

    def nearest(self, name: str, known: Iterable[str]) -> str | None:
        """The known name that looks most like `name`. Sought for the first faults only: it is slow in a large site."""
        self._sought += 1
        if self._sought > self.NEAREST_SOUGHT:
            return None
        close = difflib.get_close_matches(name[:100], known, 1)
        return close[0] if close else None

    def sorted(self) -> tuple[Problem, ...]:
        problems = self._problems.values()
        faulty = {(problem.origin, problem.path) for problem in problems if not problem.warning}
        told = (p for p in problems if not p.warning or (p.origin, p.path) not in faulty)
        return in_order(told)


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """By file and line."""
    return tuple(sorted(problems, key=lambda p: (p.origin.file, p.origin.line, p.origin.column)))
