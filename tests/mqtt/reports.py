"""Collects what a parser reports."""

from __future__ import annotations

Path = tuple[str | int, ...]


class Reports:
    def __init__(self) -> None:
        self.found: list[tuple[Path, str, str]] = []

    def __call__(self, path: Path, wrong: str, mend: str = "") -> None:
        self.found.append((path, wrong, mend))

    @property
    def paths(self) -> list[Path]:
        return [path for path, _, _ in self.found]

    def only(self) -> tuple[Path, str]:
        """The one report there is, as people read it."""
        assert len(self.found) == 1, self.found
        path, wrong, mend = self.found[0]
        assert mend, "each report says how to mend it"
        return path, f"{wrong}; {mend}"
