"""Reads a question word by word: bare words, words in quotes, numbers, and the marks between them."""

from __future__ import annotations

import json
import math
import re

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_BARE = re.compile(r"[^ ]+?(?=(?:\[part\])?[,;]?(?: |$))")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?|-?inf|nan")
_STANDS_ALONE = frozenset(("@", "->", "=", "as", "below", "by", "perhaps", "status", "with"))
"""Marks behind which a blank has to stand; others may touch what follows."""
_MOST = 40
_MOST_DIGITS = 20
_HELD = 2**53
"""Whole numbers up to here are floats; of 64 bits there are others (`values.Variant.numbers`)."""
_FLAGS = {"true": 1.0, "false": 0.0}


class Line:
    """``rest`` is what is not read yet. Each method raises ValueError where the text has something else."""

    def __init__(self, text: str) -> None:
        self._text = text.strip(" ")
        self._at = 0

    @property
    def ended(self) -> bool:
        return self._at >= len(self._text)

    @property
    def rest(self) -> str:
        """The start of it, for messages."""
        return "the end" if self.ended else repr(self._text[self._at : self._at + _MOST])

    def takes(self, mark: str) -> bool:
        """Goes over ``mark`` if it comes next."""
        end = self._at + len(mark)
        if not self._text.startswith(mark, self._at):
            return False
        if mark in _STANDS_ALONE and end < len(self._text) and self._text[end] not in " ;,":
            return False
        self._move(end)
        return True

    def want(self, mark: str, mend: str) -> None:
        if not self.takes(mark):
            raise ValueError(f"{self.rest} where {mark!r} is wanted; {mend}")

    def word(self, what: str) -> str:
        """Bare, or in quotes with what JSON escapes; ``what`` it is, for messages."""
        if match := _QUOTED.match(self._text, self._at):
            self._move(match.end())
            return _unescaped(match[1])
        match = _BARE.match(self._text, self._at)
        if match is None or match[0].startswith('"'):
            raise ValueError(f'{self.rest} where {what} is wanted; one with blanks is written as "a b"')
        self._move(match.end())
        return match[0]

    def number(self) -> float:
        """A Boolean is one too."""
        for flag, value in _FLAGS.items():
            if self.takes(flag):
                return value
        match = _NUMBER.match(self._text, self._at)
        if match is None:
            raise ValueError(f"{self.rest} where a number is wanted; for example 80, -1.5, true, or ? for no number")
        self._move(match.end())
        if match[0] == "nan":
            return math.nan
        whole = int(match[0]) if len(match[0]) <= _MOST_DIGITS and match[0].lstrip("+-").isdigit() else 0
        return whole if abs(whole) > _HELD else float(match[0])

    def numbers(self, end: str, *, unknown: bool = False) -> tuple[float | None, ...]:
        """With commas between them, up to ``end``; ``unknown``: a ``?`` may be one."""
        found: list[float | None] = []
        while not self.takes(end):
            if found:
                self.want(",", f"numbers have commas between them and {end} behind")
            found.append(None if unknown and self.takes("?") else self.number())
        return tuple(found)

    def _move(self, to: int) -> None:
        while to < len(self._text) and self._text[to] == " ":
            to += 1
        self._at = to


def _unescaped(quoted: str) -> str:
    try:
        return str(json.loads(f'"{quoted}"'))
    except ValueError:
        raise ValueError(f'"{quoted[:_MOST]}" is not escaped as JSON has it; \\" \\\\ \\u00e9') from None
