"""Writes values as YAML in any way that a person might: block or flow, quotes, indents, comments and blank lines."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

WORDS = st.sampled_from(
    ["plc-3a", "read holding 0-99", "a", "role:masters", "bottling/line-2/#", "$SYS/#", "10.3.0.11", "2001:db8::11"]
)
TEXTS = st.sampled_from(
    [
        "yes",
        "no",
        "null",
        "true",
        "1",
        "0x10",
        "12:30",
        "",
        " x",
        "x ",
        "a: b",
        "a #b",
        "{device}",
        "plc-*",
        "it's",
        "é€😀",
    ]
    + ['"', "\\", "[a]", "- a", "&a", "~", "#", "<<", "2026-12-01", "1e3", "a,b", "a\\nb", "%", "@", "|", "?"]
)
SCALARS = WORDS | TEXTS | st.integers(-9, 99) | st.booleans() | st.none() | st.sampled_from([0.5, 8.25])
KEYS = st.sampled_from(["read", "write", "holding 40", "rules", "from", "to", "coil 0-7", "x", "on", "1", "a: b", "é"])
TREES = st.dictionaries(
    KEYS,
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
        max_leaves=12,
    ),
    min_size=1,
    max_size=5,
)
PLAIN = frozenset("plc-3a|read holding 0-99|a|role:masters|bottling/line-2/#|$SYS/#|2001:db8::11|10.3.0.11".split("|"))


class Writer:
    """``count`` comments were written; comment n reads ``#~n ...``."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self.count = 0

    def document(self, value: dict[str, object]) -> str:
        lines = [*self._above(0), *(["---"] if self._chance.random() < 0.5 else [])]
        closed = "---" in lines
        lines += self._mapping(value, 0)
        lines += self._above(0)
        lines += [f"...{self._side()}", *self._above(0)] if closed else []
        return "\n".join(lines) + "\n"

    def _comment(self) -> str:
        self.count += 1
        return f"#~{self.count} {self._chance.choice(['why', 'a: b', '[', '- x', '# twice', ' ö', '...'])}"

    def _side(self) -> str:
        return f"{' ' * self._chance.randint(1, 5)}{self._comment()}" if self._chance.random() < 0.2 else ""

    def _above(self, indent: int) -> list[str]:
        lines = []
        while self._chance.random() < 0.25:
            depth = self._chance.choice([indent, indent, 0, indent + 3])
            lines.append(" " * depth + self._comment() if self._chance.random() < 0.7 else "")
        return lines

    def _mapping(self, value: dict[str, object], indent: int) -> list[str]:
        lines = []
        for key, inner in value.items():
            lines += self._above(indent)
            lines += self._entry(" " * indent + self._text(key, key=True) + ":", inner, indent)
        return lines

    def _list(self, value: list[object], indent: int) -> list[str]:
        lines = []
        for inner in value:
            lines += self._above(indent)
            if isinstance(inner, dict) and inner and self._chance.random() < 0.6:
                first, *rest = self._without_above(inner, indent + 2)
                lines += [" " * indent + "- " + first[indent + 2 :], *rest]
            else:
                lines += self._entry(" " * indent + "-", inner, indent, dash=True)
        return lines

    def _without_above(self, value: dict[str, object], indent: int) -> list[str]:
        (key, inner), *rest = value.items()
        return [
            *self._entry(" " * indent + self._text(key, key=True) + ":", inner, indent),
            *self._mapping(dict(rest), indent),
        ]

    def _entry(self, head: str, value: object, indent: int, *, dash: bool = False) -> list[str]:
        if isinstance(value, dict | list) and value and self._chance.random() < 0.6:
            loose = isinstance(value, list) and not dash and self._chance.random() < 0.3
            inside = indent if loose else indent + self._chance.choice([2, 2, 4, 3])
            first = head + self._side()
            return [first, *(self._list(value, inside) if isinstance(value, list) else self._mapping(value, inside))]
        if value is None and self._chance.random() < 0.5:
            return [head + self._side()]
        if self._chance.random() < 0.1:
            lines = [head + self._side(), *self._above(indent + 2)]
            return [*lines, " " * (indent + 2) + self._flow(value, indent + 2) + self._side()]
        return [f"{head} {self._flow(value, indent + 2)}{self._side()}"]

    def _flow(self, value: object, indent: int) -> str:
        if isinstance(value, list):
            return f"[{self._joined([partial(self._flow, one, indent) for one in value], indent)}]"
        if isinstance(value, dict):
            return f"{{{self._joined([partial(self._pair, *pair, indent) for pair in value.items()], indent)}}}"
        return self._text(value)

    def _pair(self, key: str, value: object, indent: int) -> str:
        return f"{self._text(key, key=True)}: {self._flow(value, indent)}"

    def _joined(self, parts: list[Callable[[], str]], indent: int) -> str:
        """Comments are numbered in the order of the text, so the parts are written one after the other."""
        text = self._break(indent)
        for at, part in enumerate(parts):
            text += (f"{self._break(indent)},{self._break(indent)}" if at else "") + part()
        return text + self._break(indent)

    def _break(self, indent: int) -> str:
        if self._chance.random() < 0.85:
            return self._chance.choice(["", " "])
        return "\n".join([self._side(), *self._above(indent), " " * (indent + 1)])

    def _text(self, value: object, *, key: bool = False) -> str:
        if not isinstance(value, str):
            return json.dumps(value)
        plain = value in PLAIN or (value.replace("-", "").replace(" ", "").isalpha() and value[0].isalpha())
        safe = plain and value == value.strip() and value.lower() not in ("yes", "no", "null", "true", "on", "y")
        if safe and self._chance.random() < 0.7 and not (key and ":" in value) and value.isascii():
            return value
        if "\\" not in value and self._chance.random() < 0.5:
            return "'" + value.replace("'", "''") + "'"
        return json.dumps(value, ensure_ascii=False)
