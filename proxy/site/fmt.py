"""One form for the site's files: the order of keys, indents, quotes, line width. Comments and meaning stay.

What was written on one line stays there while it fits; what does not is opened, from the outside in. What was written
on several lines stays so: a rule may be read aloud line by line, or stand in a table of tests, as its author likes.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from proxy.site.scalars import Ambiguous, plain
from proxy.site.tree import File, Group, Item, Lost, Note, Scalar, comments, read
from proxy.site.yaml import parse

if TYPE_CHECKING:
    from proxy.site.yaml import Path, Place

WIDTH = 120
REST = "*"
"""Stands for keys that an order does not name: the section of a protocol. They stay in the order of their author."""

_RULE = ("from", "to", "needs", REST, "rate", "budget", "when", "while", "mode", "monitor", "replaces")
_CASE = ("who", "to", REST, "evidence", "at", "state", "expect", "because")
_MONITOR = ("until", "why", "then")
_ORDERS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("site",): ("site", "state", "admin", "policy", "listeners", "publishers", "limits", REST),
    ("site", "listeners", "*"): ("bind", "protocol", "to", "tls", "deny_style", REST),
    ("site", "publishers", "*"): ("from", "to", "as", "format", "every", REST, "nodes"),
    ("surface",): (
        *("surface", "members", "mode", "monitor", "needs", "audit", "unsafe_writes_without_proof", "safety", REST),
        *("rules", "never", "tests"),
    ),
    ("surface", "monitor"): _MONITOR,
    ("surface", "rules", "*"): _RULE,
    ("surface", "rules", "*", "monitor"): _MONITOR,
    ("surface", "never", "*"): ("from", "to", REST, "mode", "monitor"),
    ("surface", "never", "*", "monitor"): _MONITOR,
    ("surface", "tests", "*"): _CASE,
    ("test",): ("test", REST, "cases"),
    ("test", "cases", "*"): _CASE,
    ("role",): ("role", "members", REST),
    ("device",): ("device", "kind", "place", "address", "safety", "services", "identity", REST),
    ("device", "identity"): ("x509", "opcua_uri", "mac_ip", "unsafe_address_only", REST, "require"),
    ("shift",): ("shift", "zone", "days", "from", "to", "except", "extra", REST),
    ("window",): ("window", "zone", "open", "close", REST),
}
"""(kind of file, keys down to a mapping) -> the order of its keys. Names that people give are ``*`` and stay in order:
the first rule that helps is the one that is named."""

_KINDS = tuple(path[0] for path in _ORDERS if len(path) == 1)
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./=-]+)*")
"""Text that no reader of YAML takes for anything else: quotes around it say nothing."""


_PREFIXES = frozenset(path[:depth] for path in _ORDERS for depth in range(1, len(path) + 1))
_BLOCK = re.compile(r"[|>]-?[ \t]*(?:#[^\n]*)?\n[ ]*[^ \n]")
"""A block of text whose first line is not indented further, and that keeps no blank lines at its end."""


class Unfit(Exception):
    """The text is not formatted. ``place`` is where the fault is."""

    def __init__(self, wrong: str, place: Place = (1, 1)) -> None:
        super().__init__(wrong)
        self.place = place


def formatted(text: str) -> str:
    """The text in its one form. Formatting that again changes nothing. Raises Unfit if it is not sound YAML as the
    site takes it, and if the result would not mean the same or would lack a comment."""
    value = _value(text)
    try:
        file = read(text)
        _order(file.top, (next((kind for kind in _KINDS if kind in value), ""),))
        made = "\n".join(_file(file)) + "\n"
        same = says_the_same(text, made)
    except (Lost, Unfit) as fault:
        raise Unfit(f"cannot be formatted: {fault}") from fault
    if not same:
        raise Unfit("formatting would change what it says; that is a fault of Bulkhead: report it")
    return made


def says_the_same(before: str, after: str) -> bool:
    """The strict reader finds the same values, of the same types, and no comment is lost. Raises Unfit."""
    return _exact(_value(before)) == _exact(_value(after)) and sorted(comments(before)) == sorted(comments(after))


def _value(text: str) -> dict[str, object]:
    faults: list[tuple[Place, str]] = []

    def report(place: Place, path: Path, wrong: str, mend: str) -> None:
        faults.append((place, f"{'.'.join(map(str, path))}: {wrong}" if path else wrong))

    document = parse(text, report)
    if document is None or faults:
        place, wrong = min(faults)
        raise Unfit(wrong, place)
    return document.value


def _exact(value: object) -> str:
    """With the types of the values: True == 1 is no equality here."""
    return json.dumps(value, sort_keys=True)


def _order(group: Group, path: tuple[str, ...]) -> None:
    """Sorts the keys of a mapping, each with the comments above and behind it, and of all mappings inside."""
    if group.mapping and group.items and path in _ORDERS:
        order = _ORDERS[path]
        places = {key: at for at, key in enumerate(order)}
        rest = places.get(REST, len(order))
        head: list[Note] = []
        if len(path) == 1:  # what stands at the top of the file is about the file
            head, group.items[0].before = group.items[0].before, []
        group.items.sort(key=lambda item: places.get(item.key.value, rest) if item.key else rest)
        group.items[0].before[:0] = head
    for item in group.items:
        if isinstance(item.value, Group):
            inner = (*path, item.key.value if item.key else "*")
            _order(item.value, inner if inner in _PREFIXES else (*path, "*"))


def _file(file: File) -> Iterator[str]:
    yield from _notes(_trimmed(file.head), 0)
    if file.opened:
        yield _beside("---", file.open_side)
    yield from _block(file.top, 0)
    if file.closed:
        yield _beside("...", file.close_side)
        yield from _notes(_trimmed(file.foot), 0)


def _block(group: Group, indent: int) -> Iterator[str]:
    group.items[0].before = _trimmed(group.items[0].before, end=False)
    for item in group.items:
        yield from _item(item, indent)
    yield from _notes(_trimmed(group.tail, start=False), indent)


def _item(item: Item, indent: int) -> Iterator[str]:
    head = " " * indent + (f"{_text(item.key)}:" if item.key else "-")
    value = item.value
    if isinstance(value, Group) and not value.items and value.tail:
        *above, item.side = [*([item.side] if item.side else []), *value.tail]
        item.before += above
        value.tail = []
    line = _one_line(head, value)
    if line is not None:
        yield from _notes(item.before, indent)
        yield _beside(line, item.side)
    elif isinstance(value, Scalar):
        yield from _notes(item.before, indent)
        first, *lines = value.source.rstrip().split("\n")
        yield _beside(f"{head} {first.split()[0]}", item.side)
        yield from (" " * (indent + 2) + line if line else "" for line in textwrap.dedent("\n".join(lines)).split("\n"))
    elif item.key:
        yield from _notes(item.before, indent)
        yield _beside(head, item.side and Note(item.side.text, 0 if value.flow else item.side.column))
        yield from _block(value, indent + 2)
    else:
        yield from _opened(item, value, indent)


def _opened(item: Item, value: Group, indent: int) -> Iterator[str]:
    """A list's item that has lines of its own: the first begins with the dash, comments before it go above."""
    yield from _notes(item.before, indent)
    if item.side:
        yield from _notes([item.side], indent)
    dash = "- "
    for line in _block(value, indent + 2):
        if dash and line and not line.lstrip().startswith("#"):
            line, dash = " " * indent + dash + line[indent + 2 :], ""
        yield line[2:] if dash else line


def _one_line(head: str, value: Scalar | Group) -> str | None:
    """None if it does not fit, or was not written so."""
    if isinstance(value, Scalar):
        text = _text(value)
        return None if text is None else f"{head} {text}".rstrip()
    if value.items and (not value.flow or value.noted):
        return None
    line = f"{head} {_flow(value)}"
    return line if len(line) <= WIDTH or not value.items else None


def _flow(value: Scalar | Group) -> str:
    if isinstance(value, Scalar):
        return _text(value) or "null"
    parts = [f"{_text(item.key)}: {_flow(item.value)}" if item.key else _flow(item.value) for item in value.items]
    if not value.mapping:
        return f"[{', '.join(parts)}]"
    return f"{{ {', '.join(parts)} }}" if parts else "{}"


def _text(scalar: Scalar) -> str | None:
    """With quotes where they are needed, and where they may help a reader. None: a block of lines stays one."""
    value, source = scalar.value, scalar.source
    if scalar.style is None:
        return value if "\n" not in value else _quoted(value)
    if scalar.style in ("|", ">"):
        return None if _BLOCK.match(source) else _quoted(value)
    if _PLAIN.fullmatch(value) and _is_text(value):
        return value
    if "\n" in source:
        return _quoted(value)
    return _quoted(value) if scalar.style == "'" and not {*value} & {*'\\"'} else source


def _is_text(value: str) -> bool:
    try:
        return plain(value) == value
    except Ambiguous:
        return False


def _quoted(value: str) -> str:
    return f'"{"".join(map(_escaped, value))}"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    if char == "\n":
        return "\\n"
    return char if char.isprintable() and (char.isascii() or char.isalnum()) else f"\\U{ord(char):08x}"


def _notes(notes: Iterable[Note], indent: int) -> Iterator[str]:
    """Of several blank lines one stays."""
    blank = False
    for note in notes:
        if note.text or not blank:
            yield " " * indent + note.text if note.text else ""
        blank = not note.text


def _trimmed(notes: list[Note], *, start: bool = True, end: bool = True) -> list[Note]:
    """Without blank lines at its ends."""
    texts = [at for at, note in enumerate(notes) if note.text]
    first = (texts[0] if texts else len(notes)) if start else 0
    last = (texts[-1] + 1 if texts else 0) if end else len(notes)
    return notes[first:last]


def _beside(line: str, note: Note | None) -> str:
    """A comment stays in its column, so that several stand in one, or two blanks behind the line."""
    return line if note is None else f"{line}{' ' * max(2, note.column - len(line))}{note.text}"
