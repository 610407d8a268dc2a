"""The text of a site file as a tree that keeps what a reader of values throws away: comments, blank lines, and whether
something was written on one line. For `proxy.site.fmt`; the text has been read strictly before.

Comments are not tokens in YAML. They are found in the gaps between tokens, where nothing else can stand, and each
belongs to what follows it, or to what stands before it on the same line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml import tokens as tok

try:
    from yaml import CSafeLoader as _Scanner
except ImportError:  # a PyYAML built without libyaml: slower, the same tokens
    from yaml import SafeLoader as _Scanner  # type: ignore[assignment]

_HEADER = re.compile(r"[|>][-+0-9]*[ \t]+(#[^\n]*)")


@dataclass(frozen=True, slots=True)
class Note:
    """A comment, or with an empty text a blank line. ``column`` counts from 0."""

    text: str
    column: int


@dataclass(slots=True)
class Scalar:
    """``source`` is how it was written, ``value`` its text. ``style`` is that of YAML: None is plain."""

    value: str = ""
    style: str | None = None
    source: str = ""


@dataclass(slots=True)
class Item:
    """An entry of a mapping or a list (``key`` is None). ``side`` is the comment behind it on its first line."""

    key: Scalar | None
    value: Scalar | Group = field(default_factory=Scalar)
    before: list[Note] = field(default_factory=list)
    side: Note | None = None


@dataclass(slots=True)
class Group:
    """A mapping or a list. ``flow``: written with brackets. ``tail`` stands behind the last item."""

    mapping: bool
    flow: bool
    items: list[Item] = field(default_factory=list)
    tail: list[Note] = field(default_factory=list)

    @property
    def noted(self) -> bool:
        """There is a comment inside, so it cannot be one line."""
        return bool(self.tail) or any(
            item.before or item.side or (isinstance(item.value, Group) and item.value.noted) for item in self.items
        )


@dataclass(slots=True)
class File:
    """``head`` stands before ``---``, ``foot`` behind ``...``; both marks may be missing."""

    top: Group
    opened: bool = False
    closed: bool = False
    head: list[Note] = field(default_factory=list)
    foot: list[Note] = field(default_factory=list)
    open_side: Note | None = None
    close_side: Note | None = None


class Lost(Exception):
    """The text has something that this reader does not expect. It is left alone."""


def read(text: str) -> File:
    """The tree of a text that the strict reader took. Raises Lost."""
    try:
        return _Reader(list(_pieces(text))).file()
    except (yaml.YAMLError, RecursionError) as fault:
        raise Lost(str(fault)) from fault


def comments(text: str) -> list[str]:
    """All comments of the text, in order."""
    found: list[str] = []
    for piece in _pieces(text):
        found += [note.text for note in piece.lead if note.text]
        found += [piece.side.text] if piece.side else []
    return found


@dataclass(slots=True)
class _Piece:
    """A token, with the lines before it and the comment behind it."""

    token: Any
    text: str
    lead: list[Note] = field(default_factory=list)
    side: Note | None = None


def _pieces(text: str) -> list[_Piece]:
    """Tokens in order. Those without a text of their own (the begin of a block) have nothing around them."""
    pieces: list[_Piece] = []
    last: _Piece | None = None
    end = 0
    for token in yaml.scan(text, Loader=_Scanner):
        start = token.start_mark.index
        piece = _Piece(token, text[start : token.end_mark.index])
        pieces.append(piece)
        if not piece.text and not isinstance(token, tok.StreamEndToken):
            continue
        side, piece.lead = _gap(text, end, start)
        if last is not None:
            last.side = last.side or side
        if isinstance(token, tok.ScalarToken) and token.style in ("|", ">") and (header := _HEADER.match(piece.text)):
            piece.side = Note(header[1].rstrip(), 0)
        last, end = piece, token.end_mark.index
    return pieces


def _gap(text: str, end: int, start: int) -> tuple[Note | None, list[Note]]:
    """The comment behind the token that ends at ``end``, and the lines between it and the token at ``start``."""
    first, *lines = text[end:start].split("\n")
    side = None
    if end == 0 or text[end - 1] == "\n":
        lines.insert(0, first)
        if text[:end].endswith("\n\n"):
            lines.insert(0, "")  # a block of text takes the blank lines behind it for its own
    elif "#" in first:
        column = end - text.rfind("\n", 0, end) - 1 + first.index("#")
        side = Note(first[first.index("#") :].rstrip(), column)
    for line in (first, *lines):
        if (rest := line.strip()) and not rest.startswith("#"):
            raise Lost(f"{rest[:40]!r} stands between two tokens")
    return side, [Note(line.strip(), len(line) - len(line.lstrip())) for line in lines[:-1]]


class _Reader:
    """Descends over the tokens. Whatever has no place of its own goes to the comments before the item."""

    def __init__(self, pieces: list[_Piece]) -> None:
        self._pieces = pieces
        self._at = 0

    def file(self) -> File:
        self._take(tok.StreamStartToken)
        start = self._if(tok.DocumentStartToken)
        top = Item(None)
        self._value(top)
        if not isinstance(top.value, Group) or top.side:
            raise Lost("the file is not a mapping")
        top.value.items[0].before[:0] = top.before
        file = File(top.value)
        if start is not None:
            file.opened, file.head, file.open_side = True, start.lead, start.side
        if end := self._if(tok.DocumentEndToken):
            file.closed, file.close_side = True, end.side
            file.top.tail += end.lead
            file.foot = self._take(tok.StreamEndToken).lead
        else:
            file.top.tail += self._take(tok.StreamEndToken).lead
        return file

    def _peek(self, *kinds: type[tok.Token]) -> bool:
        return isinstance(self._pieces[self._at].token, kinds)

    def _take(self, kind: type[tok.Token]) -> _Piece:
        piece = self._pieces[self._at]
        if not isinstance(piece.token, kind):
            raise Lost(f"a {type(piece.token).__name__} in line {piece.token.start_mark.line + 1}")
        self._at += 1
        return piece

    def _if(self, kind: type[tok.Token]) -> _Piece | None:
        return self._take(kind) if self._peek(kind) else None

    def _value(self, item: Item) -> None:
        if self._peek(tok.ScalarToken):
            piece = self._take(tok.ScalarToken)
            _around(item, piece)
            item.value = _scalar(piece)
        elif self._peek(tok.FlowMappingStartToken, tok.FlowSequenceStartToken):
            self._flow(item)
        elif self._peek(tok.BlockMappingStartToken):
            item.value = self._block_mapping()
        elif self._peek(tok.BlockSequenceStartToken):
            start = self._take(tok.BlockSequenceStartToken)
            item.value = self._block_list(start.token.start_mark.column)
            self._take(tok.BlockEndToken)
        elif self._peek(tok.BlockEntryToken):  # a list that is not indented: only what is deeper belongs to it
            item.value = self._block_list(self._pieces[self._at].token.start_mark.column + 1)

    def _block_mapping(self) -> Group:
        column = self._take(tok.BlockMappingStartToken).token.start_mark.column
        group = Group(mapping=True, flow=False)
        while self._peek(tok.KeyToken):
            item = self._key()
            self._take_value(item, tok.KeyToken, tok.BlockEndToken)
            group.items.append(item)
        self._claim(group, column)
        self._take(tok.BlockEndToken)
        return group

    def _block_list(self, column: int) -> Group:
        group = Group(mapping=False, flow=False)
        while self._peek(tok.BlockEntryToken):
            item = Item(None)
            _begin(item, self._take(tok.BlockEntryToken))
            if not self._peek(tok.BlockEntryToken, tok.BlockEndToken, tok.KeyToken):
                self._value(item)
            group.items.append(item)
        self._claim(group, column)
        return group

    def _flow(self, item: Item) -> None:
        mapping = self._peek(tok.FlowMappingStartToken)
        _around(item, self._take(tok.FlowMappingStartToken if mapping else tok.FlowSequenceStartToken))
        end = tok.FlowMappingEndToken if mapping else tok.FlowSequenceEndToken
        group = Group(mapping=mapping, flow=True)
        while not self._peek(end):
            one = self._flow_item(mapping, end)
            one.before = _texts(one.before)
            group.items.append(one)
            if comma := self._if(tok.FlowEntryToken):
                _around(one, comma)
        close = self._take(end)
        group.tail = _texts(close.lead)
        item.value = group
        _around(item, _Piece(close.token, close.text, [], close.side))

    def _flow_item(self, mapping: bool, end: type[tok.Token]) -> Item:
        if self._peek(tok.KeyToken):
            pair = self._key()
            self._take_value(pair, tok.FlowEntryToken, end)
            # [a: b] is a list of one mapping
            return pair if mapping else Item(None, Group(mapping=True, flow=True, items=[pair]))
        one = Item(None)
        self._value(one)
        if mapping and isinstance(one.value, Scalar):  # {a} is a key alone
            return Item(one.value, Scalar(), one.before, one.side)
        return one

    def _key(self) -> Item:
        mark, key = self._take(tok.KeyToken), self._take(tok.ScalarToken)
        item = Item(_scalar(key))
        _begin(item, mark)
        _begin(item, key)
        return item

    def _take_value(self, item: Item, *ends: type[tok.Token]) -> None:
        if colon := self._if(tok.ValueToken):
            _around(item, colon)
            if not self._peek(*ends):
                self._value(item)

    def _claim(self, group: Group, column: int) -> None:
        """Comments behind the last item belong to the group as long as they stand at least as deep as its items."""
        lead = next(piece for piece in self._pieces[self._at :] if piece.text or piece is self._pieces[-1]).lead
        mine = 0
        for at, note in enumerate(lead):
            if note.text and note.column < column:
                break
            mine = at + 1 if note.text else mine
        group.tail, lead[:mine] = lead[:mine], []


def _begin(item: Item, piece: _Piece) -> None:
    """The lines before a token that begins an item; what stands behind the token comes above it too."""
    item.before += piece.lead
    item.before += [piece.side] if piece.side else []


def _scalar(piece: _Piece) -> Scalar:
    return Scalar(piece.token.value, None if piece.token.plain else piece.token.style, piece.text)


def _texts(notes: list[Note]) -> list[Note]:
    return [note for note in notes if note.text]


def _above(item: Item, notes: list[Note]) -> None:
    """Comments that go above the item; one behind its first line that came before them goes there too."""
    if notes and item.side:
        item.before.append(item.side)
        item.side = None
    item.before += notes


def _around(item: Item, piece: _Piece) -> None:
    """What stands around a token inside an item. Comments keep their order: where there are some in its value, later
    ones follow those."""
    if isinstance(item.value, Group) and item.value.noted:
        item.value.tail += [*_texts(piece.lead), *([piece.side] if piece.side else [])]
        return
    _above(item, _texts(piece.lead))
    if piece.side:
        item.before += [item.side] if item.side else []
        item.side = piece.side
