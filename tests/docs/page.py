"""Reads a page of docs: the files that it shows in full, and the terminal sessions.

A file is a line with nothing but its path in backticks, an empty line, and a code block. A session is a block of
``console``: lines that begin with ``$`` are typed, with those that follow a backslash or a pipe; the rest is printed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_FILE = re.compile(r"^`(?P<path>[\w./-]+)`\n\n```(?:python|yaml)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_SESSION = re.compile(r"^```console\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_FENCE = re.compile(r"^```\w+$", re.MULTILINE)
_GOES_ON = ("\\", "|")


@dataclass(frozen=True, slots=True)
class Typed:
    """One command and what the page says it prints. ``background``: the shell does not wait for it."""

    command: str
    printed: str

    @property
    def background(self) -> bool:
        return self.command.endswith(" &")


def files(page: str) -> dict[str, str]:
    """Path -> text."""
    return {match["path"]: match["text"] for match in _FILE.finditer(page)}


def typed(page: str) -> list[Typed]:
    """Every command, in order."""
    return [one for match in _SESSION.finditer(page) for one in _commands(match["text"].splitlines())]


def unread(page: str) -> int:
    """Code blocks that are neither a file nor a session."""
    return len(_FENCE.findall(page)) - len(_FILE.findall(page)) - len(_SESSION.findall(page))


def _commands(lines: list[str]) -> list[Typed]:
    found: list[tuple[list[str], list[str]]] = []
    for line in lines:
        if line.startswith("$ "):
            found.append(([line[2:]], []))
            continue
        assert found, f"a session begins with a command, not with {line!r}"
        command, printed = found[-1]
        goes_on = not printed and command[-1].endswith(_GOES_ON)
        (command if goes_on else printed).append(line)
    return [Typed("\n".join(command), "\n".join(printed).strip()) for command, printed in found]
