"""Strict reading: what every YAML reader agrees about is taken, everything else is refused at its place."""

from __future__ import annotations

from typing import Any

import pytest
import yaml as pyyaml
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.site.yaml import MAX_DEPTH, Document, parse

pytestmark = pytest.mark.timeout(60)

Said = list[tuple[int, int, str]]


def read(text: str) -> tuple[Document | None, Said]:
    said: Said = []
    document = parse(text, lambda place, path, wrong, mend: said.append((*place, wrong)))
    return document, said


def value_of(scalar: str) -> Any:
    document, said = read(f"k: {scalar}\n")
    assert document is not None and not said, said
    return document.value["k"]


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("true", True),
        ("false", False),
        ("null", None),
        ("", None),
        ("0", 0),
        ("7", 7),
        ("-7", -7),
        ("1.5", 1.5),
        ("-0.25", -0.25),
        ("'yes'", "yes"),
        ('"012"', "012"),
        ('"12:30"', "12:30"),
        ("yes please", "yes please"),
        ("holding 0-99", "holding 0-99"),
        ("6/min", "6/min"),
        ("1s", "1s"),
        ("8h30m", "8h30m"),
        ("64KiB", "64KiB"),
        ("10.3.0.11", "10.3.0.11"),
        ("127.0.0.1:802", "127.0.0.1:802"),
        ("00:0e:8c:aa:bb:01", "00:0e:8c:aa:bb:01"),
        ("2026-11-21", "2026-11-21"),
        ("mes-3", "mes-3"),
        ("3-axis", "3-axis"),
        ("..", ".."),
        ("'[a, b]'", "[a, b]"),
        ("|\n  two\n  lines", "two\nlines\n"),
    ],
)
def test_scalar(scalar: str, value: Any) -> None:
    found = value_of(scalar)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    "scalar",
    "y Y yes Yes YES on On ON True TRUE n N no No NO off Off OFF False FALSE ~ Null NULL "
    "012 0o14 0x1F 0b11 1_000 +1 -0 00 1e3 1.5e3 1. .5 +1.5 -.inf .inf .INF .nan .NaN "
    "12:30 1:2:3 10:11:22:33:44:55 190:20:30.15 1234567890123456789012".split(),
)
def test_ambiguous_scalar(scalar: str) -> None:
    """dependencies.md trap 6, and what YAML 1.1 and 1.2 disagree about."""
    assert [(line, column) for line, column, _ in read(f"k: {scalar}\n")[1]] == [(1, 4)]
    assert [(line, column) for line, column, _ in read(f"{scalar}: k\n")[1]] == [(1, 1)]


@pytest.mark.parametrize("word", ["yes", "12:30", "0x1F"])
def test_quotes_settle_it(word: str) -> None:
    assert read(f"'{word}': \"{word}\"\n") == (read(f"\"{word}\": '{word}'\n")[0], [])


@pytest.mark.parametrize("key", ["90", "holding 40", "coil 0-7", "a.b", "-1"])
def test_keys_are_text(key: str) -> None:
    document, said = read(f"{key}: 1\n")
    assert document is not None and document.value == {key: 1} and not said


@pytest.mark.parametrize(
    ("text", "line", "column", "wrong"),
    [
        ("", 1, 1, "the file is empty"),
        (" \n\n", 1, 1, "the file is empty"),
        ("# only notes\n", 2, 1, "nothing but comments"),
        ("---\n...\n", 2, 1, "not a set of"),
        ("- a\n", 1, 1, "not a set of"),
        ("text\n", 1, 1, "not a set of"),
        ("a: 1", 1, 5, "ends in the middle of a line"),
        ("a: [1,\n", 2, 1, "the file ends in the middle"),
        ("a: 'x\n", 2, 1, "the file ends in the middle"),
        ("---\na: 1\n", 3, 1, "does not close with '...'"),
        ("a: 1\n---\nb: 1\n", 2, 1, "a second document"),
        ("a: 1\n...\nb: 1\n", 3, 1, "is not YAML"),
        ("%YAML 1.2\n---\na: 1\n...\n", 1, 1, "directives"),
        ("%TAG ! x\n---\na: 1\n...\n", 1, 1, "directives"),
        ("a: 1\nb: 2\na: 3\n", 3, 1, "a second time (first in line 1)"),
        ("a: {b: 1, b: 2}\n", 1, 11, "a second time (first in line 1)"),
        ('a: 1\n"a": 2\n', 2, 1, "a second time (first in line 1)"),
        ("a: &x 1\n", 1, 4, "anchors (&x)"),
        ("a: [b, &x {c: 1}]\n", 1, 8, "anchors (&x)"),
        ("&x a: 1\n", 1, 1, "anchors (&x)"),
        ("a: *x\n", 1, 4, "aliases (*x)"),
        ("*x : 1\n", 1, 1, "aliases (*x)"),
        ("a: !!str 1\n", 1, 4, "tags"),
        ("a: !local 1\n", 1, 4, "tags"),
        ("a: ! 1\n", 1, 4, "tags"),
        ("a: ! 'x'\n", 1, 4, "tags"),
        ("!!map\na: 1\n", 1, 1, "tags"),
        ("<<: {a: 1}\n", 1, 1, "<< means different"),
        ("? [a]\n: 1\n", 1, 3, "a key must be"),
        ("{a: 1}: 2\n", 1, 1, "a key must be"),
        ("? \n: 1\n", 1, 2, "the key is empty"),
        ("true: 1\n", 1, 1, "the key true is a truth value"),
        ("a: x\u202ey\n", 1, 5, "unprintable character U+202E"),
        ("a: x\u200by\n", 1, 5, "unprintable character U+200B"),
        ("\ufeffa: 1\n", 1, 1, "unprintable character U+FEFF"),
        ("a: 1\u2028b: 2\n", 1, 5, "unprintable character U+2028"),
        ("a: 1\x85b: 2\n", 1, 5, "unprintable character U+0085"),
        ("a: 1 # note\rb: 2\n", 1, 12, "unprintable character U+000D"),
        ("a: \x00\n", 1, 4, "unprintable character U+0000"),
        ("a:\n\t- b\n", 2, 1, "is not YAML"),
        ("a: b: c\n", 1, 5, "is not YAML"),
        ("a: @b\n", 1, 4, "is not YAML"),
    ],
)
def test_refused(text: str, line: int, column: int, wrong: str) -> None:
    _, said = read(text)
    assert said, "nothing was said"
    assert wrong in said[0][2]
    assert said[0][:2] == (line, column)


def test_every_fault_of_a_file_is_told() -> None:
    _, said = read("a: yes\na: 1\nb: [0x1, *c, &d 2]\n")
    assert [(line, column) for line, column, _ in said] == [(3, 14), (1, 4), (2, 1), (3, 5), (3, 10)]


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_depth_is_capped(opening: str) -> None:
    document, said = read(f"k:\n  {opening * 5000}x\n")
    assert document is None and "nested deeper" in said[0][2]


def test_depth_that_people_use_is_fine() -> None:
    nested = "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    document, said = read(f"k: {nested}\n")
    assert document is not None and not said


def test_places() -> None:
    text = "a:\n  b: [x, {c: 1}]\n  'd e': |\n    text\nf: {}\n"
    document, _ = read(text)
    assert document is not None
    assert document.locate(("a", "b", 1, "c")) == ((2, 14), ("a", "b", 1, "c"))
    assert document.locate(("a", "b", 1, "c"), key=True) == ((2, 11), ("a", "b", 1, "c"))
    assert document.locate(("a", "b", 0)) == ((2, 7), ("a", "b", 0))
    assert document.locate(("a", "d e"), key=True) == ((3, 3), ("a", "d e"))
    assert document.locate(("f", "g", "h")) == ((5, 1), ("f",))
    assert document.locate(("a", "b", 9)) == ((2, 3), ("a", "b"))
    assert document.locate(()) == ((1, 1), ())


def test_lines_of_other_systems_are_read() -> None:
    document, said = read("---\r\na: 1\r\nb:\r\n  - x\r\n...\r\n")
    assert document is not None and document.value == {"a": 1, "b": ["x"]} and not said


PLAIN = st.text(st.sampled_from("abcxyz .-_:/0123456789"), min_size=1, max_size=12)
TREES = st.recursive(
    st.one_of(st.booleans(), st.integers(-(10**9), 10**9), st.text(max_size=12), PLAIN),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(PLAIN, inner, max_size=4)),
    max_leaves=20,
)


@given(tree=st.dictionaries(PLAIN, TREES, min_size=1, max_size=4), flow=st.booleans())
@settings(max_examples=300, deadline=None)
def test_what_another_writer_writes_is_read_back(tree: dict[str, Any], flow: bool) -> None:
    """PyYAML quotes what it takes for something else. Where we still refuse, we say so; we never read another value."""
    text = pyyaml.safe_dump(tree, default_flow_style=flow, allow_unicode=False, explicit_end=True, explicit_start=True)
    document, said = read(text)
    if not said:
        assert document is not None and document.value == tree


@given(text=st.text(st.sampled_from("ab:-[]{}&*!|>'\"%@`#,? \n\t~<yesno0123.x\\"), max_size=40))
@settings(max_examples=1500, deadline=None)
def test_any_text_is_read_or_reported(text: str) -> None:
    """And where a stock reader agrees that it is a mapping of unambiguous values, it reads the same."""
    document, said = read(text)
    assert document is not None or said
    if document is not None and not said:
        try:
            stock = pyyaml.load(text, Loader=pyyaml.BaseLoader)
        except pyyaml.YAMLError:
            return  # a tab behind a colon is YAML, but not to the reader that is written in Python
        assert _texts(stock) == _texts(document.value)


def _texts(value: Any) -> Any:
    """Scalars as the text that stood there, as far as the value still tells."""
    if isinstance(value, dict):
        return {key: _texts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_texts(item) for item in value]
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value in (None, "null") else f"{float(value)}" if _is_number(value) else value


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
