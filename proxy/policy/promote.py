"""From watched to enforced, in the text of a surface file: exactly the lines that say so change, and no comment is lost
that stands on a line of its own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import yaml

try:
    from yaml import CSafeLoader as _Loader
except ImportError:  # a PyYAML built without libyaml: slower, the same places
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]

MODE, MONITOR, REPLACES = "mode", "monitor", "replaces"


class NotWatched(Exception):
    """There is nothing to promote; the text says what there is instead."""


class Promoted(NamedTuple):
    """``text`` is the file as it would be, ``said`` what was done to it, in words."""

    text: str
    said: tuple[str, ...]


class _Edit(NamedTuple):
    start: int
    end: int
    text: str = ""


def promoted(text: str, rule: str | None = None) -> Promoted:
    """``text`` is a valid surface file, ``rule`` a rule or a never of it; None: the surface itself. A rule takes the
    place of those that it replaces. Raises NotWatched."""
    top = yaml.compose(text, Loader=_Loader)
    if not isinstance(top, yaml.MappingNode):
        raise NotWatched("the file is not a surface")
    watched = [
        f"{name}" for section in ("rules", "never") for name, node in _entries(top, section) if _is_watched(node)
    ]
    if rule is None:
        if not _is_watched(top):
            raise NotWatched("the surface is enforced" + (f"; watched in it: {', '.join(watched)}" if watched else ""))
        return Promoted(_applied(text, _enforced(text, top)), ("the surface is enforced",))
    for section in ("rules", "never"):
        node = dict(_entries(top, section)).get(rule)
        if node is None:
            continue
        if not isinstance(node, yaml.MappingNode) or not _is_watched(node):
            raise NotWatched(f"{rule} is enforced" + (f"; watched are: {', '.join(watched)}" if watched else ""))
        gone = [_text(name) for name in _listed(_value(node, REPLACES))]
        edits = [*_enforced(text, node), *_without(text, _value(top, section), gone)]
        said = (f"{rule} is enforced", *(f"{name} is taken out: {rule} replaces it" for name in gone))
        return Promoted(_applied(text, edits), said)
    raise NotWatched(f"no rule or never is called {rule}" + (f"; watched are: {', '.join(watched)}" if watched else ""))


def _is_watched(node: yaml.Node) -> bool:
    return isinstance(node, yaml.MappingNode) and _text(_value(node, MODE)) == MONITOR


def _entries(top: yaml.MappingNode, section: str) -> Iterator[tuple[str, yaml.Node]]:
    node = _value(top, section)
    if isinstance(node, yaml.MappingNode):
        yield from ((_text(key), value) for key, value in node.value)


def _value(node: yaml.MappingNode, key: str) -> Any:
    return next((value for name, value in node.value if _text(name) == key), None)


def _text(node: object) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


def _listed(node: object) -> list[yaml.Node]:
    """``a`` or ``[a, b]``."""
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    return [node] if isinstance(node, yaml.ScalarNode) else []


def _enforced(text: str, node: yaml.MappingNode) -> Iterator[_Edit]:
    """`mode` says enforce; what belongs to watching goes."""
    mode = _value(node, MODE)
    yield _Edit(mode.start_mark.index, mode.end_mark.index, "enforce")
    yield from _without(text, node, (MONITOR, REPLACES))


def _without(text: str, node: yaml.MappingNode, keys: Iterable[str]) -> Iterator[_Edit]:
    """The mapping without the entries of ``keys``. On one line, what comes last takes the comma before it along."""
    gone = {*keys}
    pairs = node.value
    kept = [at for at, (key, _) in enumerate(pairs) if _text(key) not in gone]
    last = kept[-1] if kept else -1
    for at, (key, value) in enumerate(pairs):
        if at in kept:
            continue
        if not node.flow_style:
            yield _lines(text, key.start_mark.index, _end(value))
        elif at < last:
            yield _Edit(key.start_mark.index, pairs[at + 1][0].start_mark.index)
    if node.flow_style and pairs and last < len(pairs) - 1:
        start = _end(pairs[last][1]) if kept else pairs[0][0].start_mark.index
        yield _Edit(start, _end(pairs[-1][1]))


def _lines(text: str, start: int, end: int) -> _Edit:
    """The whole lines from one place to another; of two empty lines that would meet, one."""
    first = text.rfind("\n", 0, start) + 1
    last = text.find("\n", end)
    last = len(text) if last < 0 else last + 1
    before = text[: first - 1].rpartition("\n")[2] if first else ""
    after, newline, _ = text[last:].partition("\n")
    if first and newline and not before.strip() and not after.strip():
        last += len(after) + 1
    return _Edit(first, last)


def _end(node: yaml.Node) -> int:
    """Where the last thing in it ends: a block's own mark stands behind the comments that follow it."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
        return _end(node.value[-1][1])
    if isinstance(node, yaml.SequenceNode) and not node.flow_style and node.value:
        return _end(node.value[-1])
    if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
        return max(int(node.end_mark.index) - 1, int(node.start_mark.index))
    return int(node.end_mark.index)


def _applied(text: str, edits: Iterable[_Edit]) -> str:
    """From the end to the beginning, so that places stay true."""
    for edit in sorted(edits, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def put(path: Path, text: str, was: str) -> None:
    """Replaces the file in one step, on disk when this returns. Raises OSError, or ValueError if it is no longer what
    it ``was``; then nothing has changed."""
    folder = path.parent
    handle, name = tempfile.mkstemp(dir=folder, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fchmod(file.fileno(), path.stat().st_mode & 0o7777)
            os.fsync(file.fileno())
        if path.read_bytes() != was.encode():
            raise ValueError(f"{path} was changed meanwhile")
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
    parent = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)
