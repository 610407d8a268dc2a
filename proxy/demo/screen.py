"""A full-screen text on a terminal, in plain ANSI. Only lines that changed are written, so text can be selected."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import TextIO

_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_CLEAR, _REST_OF_LINE = "\x1b[2J", "\x1b[K"
_STYLES = {"allow": "32", "refuse": "33", "fail": "1;31", "faint": "2", "bold": "1"}


def is_live(output: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the output may be redrawn and coloured (https://no-color.org)."""
    return output.isatty() and not environ.get("NO_COLOR") and environ.get("TERM", "dumb") != "dumb"


def paint(text: str, style: str) -> str:
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"


class Screen:
    """A context manager: the terminal is as before when it ends."""

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._shown: list[str] = []
        self._size = (0, 0)

    def __enter__(self) -> Screen:
        self._output.write(_ENTER)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._output.write(_CLEAR + _LEAVE)  # tmux takes lines along into the old screen after a resize
        self._output.flush()

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        columns, rows = shutil.get_terminal_size()
        return columns, rows

    def show(self, lines: Sequence[str]) -> None:
        """Lines beyond the height are left out; each must fit the width."""
        if self._size != self.size:
            self._size = self.size
            self._shown = []
            self._output.write(_CLEAR)
        lines = list(lines[: self._size[1]])
        lines += [""] * (len(self._shown) - len(lines))
        for number, line in enumerate(lines):
            if number >= len(self._shown) or self._shown[number] != line:
                self._output.write(f"\x1b[{number + 1};1H{line}{_REST_OF_LINE}")
        self._shown = lines
        self._output.flush()
