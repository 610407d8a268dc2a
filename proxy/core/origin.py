"""Where in the operator's files something stands."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """A place in a site file. ``line`` and ``column`` count from 1; ``file`` is relative to the site folder."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class RuleRef:
    """The name by which refusals, tests and logs call a rule, and where it is written."""

    surface: str
    name: str
    origin: Origin

    def __str__(self) -> str:
        return f"{self.surface}/{self.name}"
