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
        return reader.document()
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
    if mark and not text[mark.index :].strip():
        return place, (), f"the file ends in the middle: {wrong}{opened}", "finish it"
    return (
        place,
        (),
        f"is not YAML: {wrong}{opened}",
        "look for a missing quote, colon or bracket, or a wrong indent",
    )


class _Reader:
    """Turns parser events into values. What is being filled is in local variables of `_values`, the mappings and lists
    around it are on `_around`: (value, marks, key), where the key is None for a list."""

    def __init__(self, parser: Any, report: Report) -> None:
        self._next: Callable[[], Any] = parser.get_event
        self._dispose: Callable[[], None] = parser.dispose
        self._report = report
        self._around: list[tuple[Any, Any, str | None]] = []

    def close(self) -> None:
        self._dispose()

    def document(self) -> Document:
        self._next()  # start of stream
        start = self._next()
        if type(start) is ev.StreamEndEvent:
            raise self._stop(start, "the file holds nothing but comments", "write it or delete it")
        if start.version is not None or start.tags:
            raise self._stop(start, "directives (%) are not read here", "delete the line")
        top = self._next()
        if type(top) is not ev.MappingStartEvent:
            mend = "start with what it is, for example 'surface: cell-3'"
            raise self._stop(top, "the file is not a set of 'key: value' lines", mend)
        value, marks = self._values()
        end = self._next()
        follows = self._next()
        if type(follows) is not ev.StreamEndEvent:
            raise self._stop(follows, "a second document begins here", "one file, one thing: move it to its own file")
        if start.explicit and not end.explicit:
            wrong = "the file opens with '---' but does not close with '...', so it may be half written"
            self._report(_place_of(end), (), wrong, "finish it; the last line is '...'")
        return Document(value, marks, start.explicit or end.explicit)

    def _values(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The mapping that has just begun, and its marks. All the time goes here: a large site is a million values."""
        scalar, mapping, sequence, alias = ev.ScalarEvent, ev.MappingStartEvent, ev.SequenceStartEvent, ev.AliasEvent
        around, get = self._around, self._next
        value: Any = {}
        marks: Any = {}
        is_list = False
        key: str | None = None
        key_place = (1, 1)
        left = MAX_VALUES
        while True:
            event = get()
            kind = type(event)
            mark = event.start_mark
            place = (mark.line + 1, mark.column + 1)
            left -= 1
            if left < 0:
                raise self._stop(event, f"more than {MAX_VALUES} keys and values in one file", "split it")
            inner: Any = None
            item: Any
            if kind is scalar:
                item = event.value
                if event.implicit[0] and (item in SPECIAL or item[0] in STARTS_NUMBER):
                    item = self._plain(item, place, value, key)
                if key is None and not is_list:
                    key, key_place = item, place
                    continue
            elif kind is mapping or kind is sequence:
                item = {} if kind is mapping else []
                inner = {} if kind is mapping else []
            elif kind is alias:
                self._alias(event, value, key)
                item = None
            elif around:  # the end of a mapping or list
                value, marks, key = around.pop()
                is_list, key = key is None, None
                continue
            else:
                return value, marks
            if is_list:
                value.append(item)
                marks.append((place, inner))
            elif key is None:
                raise self._stop(event, "a key must be a word or a line of text", "quote the key if it has brackets")
            elif key in value:
                self._twice(key, key_place, marks, value)
            else:
                value[key] = item
                marks[key] = (key_place, place, inner)
            if inner is not None:
                if len(around) >= MAX_DEPTH - 1:
                    raise self._stop(event, f"nested deeper than {MAX_DEPTH} levels", "nothing here needs that")
                around.append((value, marks, key))
                value, marks, is_list = item, inner, kind is sequence
            key = None

    def _plain(self, text: str, place: Place, value: Any, key: str | None) -> Any:
        """The value of a plain scalar, which in the place of a key is text. A refused one stands in for itself."""
        is_key = key is None and type(value) is dict
        try:
            return plain_key(text) if is_key else plain(text)
        except Ambiguous as fault:
            self._report(place, self._path(value, text if is_key else key), *fault.args)
        return text

    def _alias(self, event: Any, value: Any, key: str | None) -> None:
        mend = 'write the value out; a pattern that starts with * needs quotes: "*-3"'
        wrong = f"aliases (*{event.anchor[:40]}) are not read here"
        self._report(_place_of(event), self._path(value, key), wrong, mend)
        if key is None and type(value) is dict:
            raise _Stop

    def _twice(self, key: str, place: Place, marks: Any, value: Any) -> None:
        wrong = f"the key stands here a second time (first in line {marks[key][0][0]})"
        self._report(place, self._path(value, key), wrong, "keep one")

    def _path(self, value: Any, key: str | None) -> Path:
        """Where the value comes that is read next; a key that is awaited has the path of its mapping."""
        path: list[str | int] = [len(outer) - 1 if step is None else step for outer, _, step in self._around]
        if type(value) is list:
            path.append(len(value))
        elif key is not None:
            path.append(key)
        return tuple(path)

    def _stop(self, event: Any, wrong: str, mend: str) -> _Stop:
        self._report(_place_of(event), self._path(None, None), wrong, mend)
        return _Stop()


def _place_of(event: Any) -> Place:
    return event.start_mark.line + 1, event.start_mark.column + 1
