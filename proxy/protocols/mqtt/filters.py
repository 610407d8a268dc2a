"""Topic filters: what a filter matches, which filters lie inside one, which two have a topic in common.

MQTT 5.0 section 4.7. A filter is levels between slashes; ``+`` stands for one level, ``#`` at the end for any number
of levels, none included (``a/#`` matches ``a``). A wildcard at the first level matches no topic that begins with
``$`` (4.7.2). Code points are compared as they are, without normalisation (4.7.3).

A filter of a rule may have placeholders: ``{device}`` in a level or as one, ``{place}`` as one that becomes several.
They are filled in from the proved identity of the speaker; until then such a filter matches nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proxy.core.globs import glob

if TYPE_CHECKING:
    from proxy.core.names import Names

DEVICE, PLACE = "{device}", "{place}"
PLACEHOLDERS = (DEVICE, PLACE)
SHARE = "$share/"
_INDEXED = 96
MOST_BYTES = 1024
MOST_LEVELS = 32
"""Of a topic or filter, as the codec holds them (CVE-2019-11779)."""

Matches = Callable[[str], bool]
Extent = tuple[str, int, int]
_SAFE_LEVEL = re.compile(r"[^\x00-\x20/+#$*{}\x7f-\x9f][^\x00-\x1f/+#*{}\x7f-\x9f]*")


@dataclass(frozen=True, slots=True)
class Filter:
    """``levels`` and ``more``: a topic fits if its levels fit those, one by one, and with ``more`` further ones may
    follow. ``#`` is ``("+",)`` and more: no topic is without a level. ``matches(topic)`` wants a valid topic name,
    ``holds(asked)`` a valid filter, and says whether each of its topics is one of this filter's. ``extent`` is for an
    index, see `reach`."""

    text: str
    levels: tuple[str, ...] = field(init=False, repr=False, compare=False)
    more: bool = field(init=False, repr=False, compare=False)
    matches: Matches = field(init=False, repr=False, compare=False)
    holds: Matches = field(init=False, repr=False, compare=False)
    extent: Extent = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        levels, more = split(self.text)
        object.__setattr__(self, "levels", levels)
        object.__setattr__(self, "more", more)
        matches, holds = (_nothing, _nothing) if self.unbound else _tests(levels, more)
        object.__setattr__(self, "matches", matches)
        object.__setattr__(self, "holds", holds)
        object.__setattr__(self, "extent", reach(self.text.replace("{", "+{")))

    def __reduce__(self) -> tuple[type[Filter], tuple[str]]:
        """The tests are closures and are made again where it arrives."""
        return Filter, (self.text,)

    @property
    def unbound(self) -> bool:
        """It has a placeholder."""
        return DEVICE in self.text or PLACE in self.text

    def bound(self, names: Names) -> Filter | None:
        """With its placeholders filled in; itself if there are none; None if a name is not known."""
        text = fill(self.text, names)
        if text is None:
            return None
        return self if text == self.text else Filter(text)

    def widened(self) -> Filter:
        """The narrowest filter without placeholders that matches whatever this one may come to mean."""
        levels = self.text.split("/")
        for at, level in enumerate(levels):
            if level == PLACE:
                return Filter("/".join((*levels[:at], "#")))
            if DEVICE in level:
                levels[at] = "+"
        return Filter("/".join(levels))


def split(text: str) -> tuple[tuple[str, ...], bool]:
    """``levels`` and ``more`` of a valid filter, in the one form that makes comparing them simple: as many levels as
    the shortest topic has."""
    levels = text.split("/")
    if levels[-1] != "#":
        return tuple(levels), False
    del levels[-1]
    if not levels or levels == [""]:  # "/#" would match the empty topic, which is none
        levels.append("+")
    return tuple(levels), True


def reach(text: str) -> Extent:
    """Where the topics of a filter, or one topic, lie among all texts in order: those that begin alike are neighbours.
    Two filters with a topic in common have reaches that overlap.

    A text is read as a number of `_INDEXED` bytes; what stands before the first wildcard is how its topics begin.
    """
    at = min((one for one in (text.find("+"), text.find("#")) if one >= 0), default=-1)
    if at < 0:
        return "topic", (point := _number(text, b"\0")), point
    first = text[:at].removesuffix("/") if text[at] == "#" else text[:at]  # a/# is about a as well
    return "topic", _number(first, b"\0"), _number(text[:at], b"\xff")


def _number(text: str, fill: bytes) -> int:
    return int.from_bytes(text.encode("utf-8", "surrogatepass")[:_INDEXED].ljust(_INDEXED, fill), "big")


def contains(outer: Filter, inner: Filter) -> bool:
    """Every topic that ``inner`` matches, ``outer`` matches too, whatever a placeholder becomes.

    With placeholders it may err towards False: a place has an unknown number of levels.
    """
    if PLACE in inner.levels[: len(outer.levels)]:
        at = inner.levels.index(PLACE)
        if outer.levels[at] != PLACE:
            return False
    return _contains(outer.levels, outer.more, inner.levels, inner.more)


def overlaps(one: Filter, asked: Filter | str) -> bool:
    """Some topic is matched by both. Only for filters without placeholders."""
    levels, more = (asked.levels, asked.more) if isinstance(asked, Filter) else split(asked)
    if not one.more and len(levels) != len(one.levels) and not (more and len(levels) < len(one.levels)):
        return False
    if one.more and not more and len(levels) < len(one.levels):
        return False
    first, second = one.levels[0], levels[0]
    if (first == "+" and second.startswith("$")) or (second == "+" and first.startswith("$")):
        return False
    for a, b in zip(one.levels, levels, strict=False):
        if a != b and a != "+" and b != "+":
            return False
    return True


def _contains(outer: tuple[str, ...], outer_more: bool, inner: tuple[str, ...], inner_more: bool) -> bool:
    count = len(outer)
    if len(inner) != count and (len(inner) < count or not outer_more):
        return False
    if inner_more and not outer_more:
        return False
    if outer[0] == "+" and inner[0].startswith("$"):
        return False
    for a, b in zip(outer, inner, strict=False):
        if a != b and a != "+":
            return False
    return True


def fill(text: str, names: Names) -> str | None:
    """``text`` with its placeholders filled in, or None if a name is not known or not fit to stand in a topic.

    The inventory's alphabet has neither wildcards nor ``$``; that it is looked at again here is the second lock (T12).
    """
    if DEVICE in text:
        if names.device is None or not _SAFE_LEVEL.fullmatch(names.device):
            return None
        text = text.replace(DEVICE, names.device)
    if PLACE in text:
        if names.place is None or not all(map(_SAFE_LEVEL.fullmatch, names.place.split("/"))):
            return None
        text = text.replace(PLACE, names.place)
    return text


def glob_within(inner: str, outer: str) -> bool:
    """As `proxy.core.globs.glob_within`, of patterns that may have placeholders. May err towards False."""
    return inner == outer or outer == "*" or ("*" not in inner and "{" not in inner and glob(outer, inner))


def any_of(filters: Iterable[Filter]) -> Matches:
    """Whether a topic is one of any of ``filters``."""
    tests = tuple(one.matches for one in filters)

    def matches(topic: str) -> bool:
        for test in tests:  # a generator would cost more than the tests
            if test(topic):
                return True
        return False

    return matches


def _tests(levels: tuple[str, ...], more: bool) -> tuple[Matches, Matches]:
    """``matches`` and ``holds``, as quick as the form of the filter allows: they are asked for every message.

    Without ``+`` between names they are one and the same: a filter is inside if it begins as the topics do.
    """
    if "+" not in levels:
        text = "/".join(levels)
        one: Matches = _below(text) if more else text.__eq__
    elif more and levels == ("+",):
        one = _no_dollar
    elif more and levels == ("", "+"):
        one = _below_nothing
    else:
        return _by_level(levels, more), lambda asked: _contains(levels, more, *split(asked))
    return one, one


def _no_dollar(text: str) -> bool:
    return not text.startswith("$")


def _below_nothing(text: str) -> bool:
    return text.startswith("/")


def _below(parent: str) -> Matches:
    prefix = parent + "/"
    return lambda text: text.startswith(prefix) or text == parent


def _by_level(levels: tuple[str, ...], more: bool) -> Matches:
    count = len(levels)
    named = tuple((at, level) for at, level in enumerate(levels) if level != "+")
    dollar = levels[0] == "+"
    head = "/".join((*levels[: levels.index("+")], ""))

    def matches(topic: str) -> bool:
        if not topic.startswith(head):
            return False
        parts = topic.split("/", count)
        if len(parts) != count and (len(parts) < count or not more):
            return False
        if dollar and topic.startswith("$"):
            return False
        for at, level in named:
            if parts[at] != level:
                return False
        return True

    return matches


def _nothing(topic: str) -> bool:
    return False
