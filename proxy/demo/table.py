"""The demo's table as text: who, what, verdict, reason, rule, latency. Fits the width it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.demo.step import Result, Step

Paint = Callable[[str, str], str]
"""(text, style) to text; style is ``allow``, ``refuse``, ``fail``, ``faint`` or ``bold``."""

WIDE = 130
"""Room for every column. What is not redrawn may be wider than a screen."""
MARK, VERDICT, REASON, LATENCY = 4, 7, 7, 9
RULE = len("cell-3/no-program-download")
LEAST = 8
"""Characters of ``what`` that stay on the narrowest screen. The rule gives way first, then blanks and the reason."""


def plain(text: str, _style: str) -> str:
    return text


@dataclass(frozen=True, slots=True)
class Table:
    """``who``, ``what``, ``rule``, ``reason`` are widths of columns; 0 leaves a column out. ``gap`` blanks between."""

    who: int
    what: int
    rule: int
    reason: int
    gap: int = 2
    paint: Paint = plain

    @classmethod
    def fitting(cls, steps: Iterable[Step], width: int, paint: Paint = plain) -> Table:
        steps = tuple(steps)
        who = max(len(step.who) for step in steps)
        wish = max(len(step.name) for step in steps)
        for rule, reason, gap in ((RULE, REASON, 2), (0, REASON, 2), (0, REASON, 1), (0, 0, 1)):
            columns = [column for column in (MARK, who, wish, VERDICT, reason, rule) if column]
            over = sum(columns) + gap * (len(columns) - 1) + LATENCY - width
            if over <= 0:
                break
        return cls(who, max(LEAST, wish - max(0, over)), rule, reason, gap, paint)

    def head(self) -> str:
        return self.paint(self._line("", "who", "what", "verdict", "", "rule or why", "latency"), "bold")

    def row(self, result: Result) -> str:
        mark = "ok" if result.ok else "FAIL"
        verdict = _verdict(result)
        ruling = result.ruling
        rule = ruling.rule or (", ".join(ruling.allowed) if not ruling.reason else ruling.detail)
        time = f"{result.seconds * 1000:.1f} ms"
        line = self._line(mark, result.who, result.name, verdict, ruling.reason, rule, time)
        if not result.ok:
            return self.paint(line, "fail")
        at = line.index(verdict, MARK + self.who + self.what)
        return line[:at] + self.paint(verdict, verdict or "faint") + line[at + len(verdict) :]

    def waiting(self, step: Step) -> str:
        return self.paint(self._line("..", step.who, step.name, "", "", "", ""), "faint")

    def _line(self, *cells: str) -> str:
        mark, who, what, verdict, reason, rule, latency = cells
        columns = [
            (mark, MARK),
            (who, self.who),
            (what, self.what),
            (verdict, VERDICT),
            (reason, self.reason),
            (rule, self.rule),
        ]
        texts = [clip(text, width).ljust(width) for text, width in columns if width]
        return (" " * self.gap).join(texts) + latency.rjust(LATENCY)


def clip(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(0, width - 2)] + ".."


def _verdict(result: Result) -> str:
    if result.ruling.reason:
        return "refuse"
    return "allow" if result.ruling.allowed else ""
