"""Reads one site file's text into plain values, strictly, with the place of every key and value.

Refused: a second value for a key, anchors, aliases, merge keys, tags, directives, a second document, deep nesting,
what YAML readers disagree about (`proxy.site.scalars`), invisible characters, an empty file, a file that ends in the
middle. All faults of a file are reported; only a fault of syntax hides what comes after it.

A half-written file is not always bad YAML: cut at the end of a line it may only have lost its `never:` section. So a
file may open with ``---``, and what opens so must close with ``...``: a cut then shows, wherever it is (T70).

Reading works on parser events, not on nodes: nothing recurses, and an anchor is seen before it can multiply (T44).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from yaml import events as ev
from yaml.tokens import AnchorToken, TagToken

from proxy.site.scalars import SPECIAL, STARTS_NUMBER, Ambiguous, plain, plain_key

try:
    from yaml import CSafeLoader as _Parser
except ImportError:  # a PyYAML built without libyaml: 20 times slower, the same events
    from yaml import SafeLoader as _Parser  # type: ignore[assignment]

Path = tuple[str | int, ...]
Place = tuple[int, int]
"""Line and column, from 1."""
Report = Callable[[Place, Path, str, str], None]
"""Called with (place, path, what is wrong, how to mend)."""

MAX_DEPTH = 32
MAX_VALUES = 100_000
"""Keys and values of one file: 0.2 s of reading, and far more than a person can oversee."""

# Other control characters, what some editors show as a line break and YAML 1.1 takes for one, and what hides or turns
# text on a screen so that a reviewer reads another policy than the program.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e0fff]|\r(?!\n)"
)


@dataclass(slots=True)
class Document:
    """``value`` is made of dict, list, str, int, float, bool and None. ``marks`` has the same shape:
    {key: (place of the key, place of the value, marks of the value)} or [(place, marks)]. ``closed``: a cut in the
    middle would have been seen.
    """

    value: dict[str, Any]
    marks: dict[str, Any]
    closed: bool

    def locate(self, path: Path, *, key: bool = False) -> tuple[Place, Path]:
        """The place of the value at `path` (with ``key`` that of its key), and the part of `path` that exists."""
        marks: Any = self.marks
        place = (1, 1)
        for depth, step in enumerate(path):
            try:
                entry = marks[step]
            except (KeyError, IndexError, TypeError):
                return place, path[:depth]
            last = depth == len(path) - 1
            place = entry[0] if len(entry) == 3 and (last and key or entry[2] is not None) else entry[-2]
            marks = entry[-1]
        return place, path


class _Stop(Exception):
    """Reading cannot go on; the reason has been reported."""


class _Frame:
    """A mapping or list being filled, at ``path``. ``key`` is the key whose value comes next; None awaits a key."""

    __slots__ = ("is_list", "key", "key_place", "marks", "parent", "step", "value")

    def __init__(self, value: Any, marks: Any, parent: _Frame | None, step: str | int) -> None:
        self.value = value
        self.marks = marks
        self.is_list = type(value) is list
        self.parent = parent
        self.step = step
        self.key: str | None = None
        self.key_place: Place = (1, 1)

    def here(self) -> Path:
        """The path of the value that comes next; while a key is awaited, of this mapping."""
        if self.is_list:
            return (*self.path(), len(self.value))
        return self.path() if self.key is None else (*self.path(), self.key)

    def path(self) -> Path:
        return () if self.parent is None else (*self.parent.path(), self.step)


def parse(text: str, report: Report) -> Document | None:
    """None after a report that leaves nothing to look at. After others, what was refused stands in for itself."""
    if not text.strip():
        report((1, 1), (), "the file is empty", "that never means 'nothing is forbidden': write it or delete it")
        return None
    if match := _UNSEEN.search(text):
        mend = "delete it; in double quotes it can be written as an escape"
        report(_place(text, match.start()), (), f"unprintable character U+{ord(match[0]):04X}", mend)
        return None
    if not text.endswith(("\n", "\n...")):
        mend = "it may be half written: finish it, and end the last line"
        report(_place(text, len(text)), (), "the file ends in the middle of a line", mend)
    for place, wrong, mend in _decorations(text):
        report(place, (), wrong, mend)
    reader = _Reader(_Parser(text), report)
    try:
        return reader.document(text)
    except _Stop:
        return None
    except yaml.MarkedYAMLError as fault:
        report(*_syntax(fault, text))
    except yaml.YAMLError as fault:
        report((1, 1), (), f"is not YAML: {fault}", "save it as plain text")
    finally:
        reader.close()
    return None


def _decorations(text: str) -> Iterator[tuple[Place, str, str]]:
    """Anchors and tags. Events do not show all of them (``! x``), tokens do, but cost a second reading."""
    if "&" not in text and "!" not in text:
        return
    try:
        for token in yaml.scan(text, Loader=_Parser):
            place = (token.start_mark.line + 1, token.start_mark.column + 1)
            if isinstance(token, AnchorToken):
                yield place, f"anchors (&{token.value[:40]}) are not read here", "write the value out where it is used"
            elif isinstance(token, TagToken):
                yield place, "tags (!) are not read here", "delete it; quote the value if it is text"
    except yaml.YAMLError:
        return  # reading the same text as events tells it better


def _place(text: str, at: int) -> Place:
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def _syntax(fault: yaml.MarkedYAMLError, text: str) -> tuple[Place, Path, str, str]:
    mark = fault.problem_mark or fault.context_mark
    place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    wrong = ", ".join(part for part in (fault.context, fault.problem) if part)
    opened = f" (opened in line {fault.context_mark.line + 1})" if fault.context_mark else ""
    if mark and not text[_offset(text, mark.line, mark.column) :].strip():
        return place, (), f"the file ends in the middle: {wrong}{opened}", "finish it"
    return (
        place,
        (),
        f"is not YAML: {wrong}{opened}",
        "look for a missing quote, colon or bracket, or a wrong indent",
    )


def _offset(text: str, line: int, column: int) -> int:
    at = 0
    for _ in range(line):
        at = text.find("\n", at) + 1
    return at + column


class _Reader:
    def __init__(self, parser: Any, report: Report) -> None:
        self._next: Callable[[], Any] = parser.get_event
        self._dispose: Callable[[], None] = parser.dispose
        self._report = report
        self._stack: list[_Frame] = []

    def close(self) -> None:
        self._dispose()

    def document(self, text: str) -> Document:
        self._next()  # start of stream
        start = self._next()
        if type(start) is ev.StreamEndEvent:
            raise self._stop(start, "the file holds nothing but comments", "write it or delete it")
        if start.version is not None or start.tags:
            raise self._stop(start, "directives (%) are not read here", "delete the line")
        root, marks = self._root()
        end = self._next()
        follows = self._next()
        if type(follows) is not ev.StreamEndEvent:
            raise self._stop(follows, "a second document begins here", "one file, one thing: move it to its own file")
        if start.explicit and not end.explicit:
            self._problem(
                end,
                "the file opens with '---' but does not close with '...', so it may be half written",
                "finish it; the last line is '...'",
            )
        return Document(root, marks, start.explicit or end.explicit)

    def _root(self) -> tuple[dict[str, Any], dict[str, Any]]:
        event = self._next()
        if type(event) is not ev.MappingStartEvent:
            raise self._stop(
                event,
                "the file is not a set of 'key: value' lines",
                "start with what it is, for example 'surface: cell-3'",
            )
        frame = _Frame({}, {}, None, "")
        self._stack.append(frame)
        self._fill()
        return frame.value, frame.marks

    def _fill(self) -> None:
        """Reads events until the root is complete. All the time goes here: a large site is a million values."""
        stack, get = self._stack, self._next
        scalar, mapping, sequence, alias = ev.ScalarEvent, ev.MappingStartEvent, ev.SequenceStartEvent, ev.AliasEvent
        left = MAX_VALUES
        while stack:
            event = get()
            left -= 1
            if left < 0:
                raise self._stop(event, f"more than {MAX_VALUES} keys and values in one file", "split it")
            kind = type(event)
            frame = stack[-1]
            if kind is scalar:
                mark = event.start_mark
                place = (mark.line + 1, mark.column + 1)
                value = event.value
                if event.implicit[0] and (value in SPECIAL or value[0] in STARTS_NUMBER):
                    value = self._plain(frame, value, place)
                if frame.key is not None:
                    self._take(frame, frame.key, place, value, None)
                elif frame.is_list:
                    frame.marks.append((place, None))
                    frame.value.append(value)
                else:
                    frame.key_place = place
                    frame.key = value
            elif kind is mapping:
                self._open(frame, event, {}, {})
            elif kind is sequence:
                self._open(frame, event, [], [])
            elif kind is alias:
                self._alias(frame, event)
            else:
                stack.pop()

    def _plain(self, frame: _Frame, text: str, place: Place) -> Any:
        """The value of a plain scalar, which in the place of a key is text. A refused one stands in for itself."""
        is_key = frame.key is None and not frame.is_list
        try:
            return plain_key(text) if is_key else plain(text)
        except Ambiguous as fault:
            path = (*frame.path(), text) if is_key else frame.here()
            self._report(place, path, *fault.args)
        return text

    def _take(self, frame: _Frame, key: str, place: Place, value: Any, marks: Any) -> None:
        frame.key = None
        if key in frame.value:
            first = frame.marks[key][0][0]
            wrong = f"the key stands here a second time (first in line {first})"
            self._report(frame.key_place, (*frame.path(), key), wrong, "keep one")
        else:
            frame.value[key] = value
            frame.marks[key] = (frame.key_place, place, marks)

    def _open(self, frame: _Frame, event: Any, value: Any, marks: Any) -> None:
        if frame.key is None and not frame.is_list:
            raise self._stop(event, "a key must be a word or a line of text", "quote the key if it has brackets")
        if len(self._stack) >= MAX_DEPTH:
            raise self._stop(event, f"nested deeper than {MAX_DEPTH} levels", "nothing here needs that")
        self._stack.append(_Frame(value, marks, frame, len(frame.value) if frame.key is None else frame.key))
        place = (event.start_mark.line + 1, event.start_mark.column + 1)
        if frame.key is None:
            frame.marks.append((place, marks))
            frame.value.append(value)
        else:
            self._take(frame, frame.key, place, value, marks)

    def _alias(self, frame: _Frame, event: Any) -> None:
        mend = 'write the value out; a pattern that starts with * needs quotes: "*-3"'
        if frame.key is None and not frame.is_list:
            raise self._stop(event, f"aliases (*{event.anchor[:40]}) are not read here", mend)
        self._problem(event, f"aliases (*{event.anchor[:40]}) are not read here", mend)
        place = (event.start_mark.line + 1, event.start_mark.column + 1)
        if frame.key is None:
            frame.marks.append((place, None))
            frame.value.append(None)
        else:
            self._take(frame, frame.key, place, None, None)

    def _stop(self, event: Any, wrong: str, mend: str) -> _Stop:
        self._problem(event, wrong, mend)
        return _Stop()

    def _problem(self, event: Any, wrong: str, mend: str) -> None:
        path = self._stack[-1].here() if self._stack else ()
        self._report((event.start_mark.line + 1, event.start_mark.column + 1), path, wrong, mend)
