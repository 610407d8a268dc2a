"""Names come from a closed alphabet and are compared whole (T12); one machine has one spelling (T29)."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.surface import Rate
from proxy.site import names, quantities
from tests.site.folder import SEXTON, changed, load

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(60)

GOOD_IDS = ["a", "0", "plc-3a", "a.b_c-d", "x" * 64]
BAD_IDS = [
    "", "-a", ".a", "_a", "A", "plc 3", "a/b", "../a", "a#", "a+", "*", "plc-*", "a\n", "a\x00", "ä", "ａ", "x" * 65,
    "role:a", "mbaps:a", "a%2e", "a\u200b", "$sys", "a,b", "а",  # the last is Cyrillic
]  # fmt: skip


@pytest.mark.parametrize("text", GOOD_IDS)
def test_t12_ids(text: str) -> None:
    assert names.is_id(text)


@pytest.mark.parametrize("text", BAD_IDS)
def test_t12_refused_never_stripped(text: str) -> None:
    assert not names.is_id(text)


@given(st.text(max_size=70))
@settings(max_examples=3000, deadline=None)
def test_t12_ident_charset(text: str) -> None:
    """Whatever is an id has nothing in it that any pattern, path or topic gives a meaning to."""
    if names.is_id(text):
        assert re.fullmatch(r"[a-z0-9._-]{1,64}", text, re.ASCII)
        assert not names.is_pattern(text)
        assert text not in (".", "..")


@pytest.mark.parametrize("text", ["plc-*", "*-3", "a*b*c", "*a", "0*"])
def test_patterns(text: str) -> None:
    assert names.is_pattern(text) and not names.is_id(text)


@pytest.mark.parametrize("text", ["*", "**", "*-*", "", "plc", "PLC-*", "plc-?", "plc-[12]", "a*\n", ".*"])
def test_what_is_no_pattern(text: str) -> None:
    """A bare * would mean anybody, and only * is special."""
    assert not names.is_pattern(text)


def glob(pattern: str, name: str) -> bool:
    """The obvious definition, exponential and right."""
    if not pattern:
        return not name
    if pattern[0] == "*":
        return glob(pattern[1:], name) or (bool(name) and glob(pattern, name[1:]))
    return bool(name) and name[0] == pattern[0] and glob(pattern[1:], name[1:])


@given(st.text("ab*", max_size=6), st.text("ab", max_size=7))
@settings(max_examples=1000, deadline=None)
def test_matches_is_the_obvious_definition(pattern: str, name: str) -> None:
    assert names.matches(pattern, name) == glob(pattern, name)


def test_t44_a_pattern_of_stars_costs_nothing() -> None:
    start = time.thread_time()
    for _ in range(1000):
        names.matches("a*" * 32, "a" * 63 + "b")
    assert time.thread_time() - start < 0.5


@pytest.mark.parametrize(
    ("text", "canonical"),
    [("10.3.0.11", "10.3.0.11"), ("2001:DB8:0:0::1", "2001:db8::1"), ("::1", "::1"), ("fe80::1", "fe80::1")],
)
def test_t29_addresses_have_one_spelling(text: str, canonical: str) -> None:
    assert names.address(text) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "::ffff:10.3.0.11", "::ffff:a03:b", "0:0:0:0:0:ffff:10.3.0.11", "::10.3.0.11", "64:ff9b::10.3.0.11",
        "2002:a03:b::1", "2001:0:1::2", "fe80::1%eth0", "10.3.0.011", "10.3.11", "0x0a.3.0.11", "167968779",
        "10.3.0.11 ", "plc-3a", "plc-3a.plant.example", "", "10.3.0.11/24", "１０.3.0.11",
    ],
)  # fmt: skip
def test_t29_no_second_spelling_of_a_machine(text: str) -> None:
    with pytest.raises(ValueError, match="address|interface"):
        names.address(text)


@pytest.mark.parametrize(
    ("text", "bound"),
    [("127.0.0.1:802", ("127.0.0.1", 802)), ("0.0.0.0:65535", ("0.0.0.0", 65535)), ("[::1]:1", ("::1", 1))],
)
def test_bind(text: str, bound: tuple[str, int]) -> None:
    assert names.bind(text) == bound


@pytest.mark.parametrize(
    "text",
    [
        "802", ":802", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:0802", "127.0.0.1:65536", "127.0.0.1:-1",
        "::1:802", "[::1]", "[127.0.0.1]:802", "[::ffff:127.0.0.1]:802", "localhost:802", "127.0.0.1:802 ", "*:802",
        "127.0.0.1:８02",
    ],
)  # fmt: skip
def test_bad_bind(text: str) -> None:
    with pytest.raises(ValueError):
        names.bind(text)


@pytest.mark.parametrize("text", ["00:0e:8c:aa:bb:01", "00-0E-8C-AA-BB-01", "000e.8caa.bb01", "000e8caabb01"])
def test_mac_has_one_spelling(text: str) -> None:
    assert names.mac(text) == "00:0e:8c:aa:bb:01"


@pytest.mark.parametrize(
    "text", ["", "00:0e:8c:aa:bb", "00:0e:8c:aa:bb:01:02", "00:0g:8c:aa:bb:01", "0", "00:00:00:00:00:00",
             "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "33:33:00:00:00:01", "00:0e:8c:aa:bb:01\n"]
)  # fmt: skip
def test_bad_mac(text: str) -> None:
    with pytest.raises(ValueError, match="MAC|address"):
        names.mac(text)


@pytest.mark.parametrize("text", ["a", "bottling/hall-1/line-2/cell-3"])
def test_place(text: str) -> None:
    assert names.is_place(text)


@pytest.mark.parametrize("text", ["", "/a", "a/", "a//b", "a/../b", "a/./b", "../a", "A/b", "a/+", "a/#", "a" * 256])
def test_t29_bad_place(text: str) -> None:
    assert not names.is_place(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("6/min", Rate(6, 60.0)),
        ("1/s", Rate(1, 1.0)),
        ("100/h", Rate(100, 3600.0)),
        ("10/5s", Rate(10, 5.0)),
        ("3/1h30m", Rate(3, 5400.0)),
        ("3/500ms", Rate(3, 0.5)),
        ("3/2min", Rate(3, 120.0)),
    ],
)
def test_rate(text: str, expected: Rate) -> None:
    assert quantities.rate(text) == expected


@pytest.mark.parametrize(
    "text", ["", "6", "6/", "/min", "0/min", "-1/min", "06/min", "6/day", "6/0s", "6/25h", "6 / min", "6/min\n",
             "1.5/s", "9999999/s", "6/s5", "6/1s1s", "٦/min", "6٦/min", "6/٦s"]
)  # fmt: skip
def test_bad_rate(text: str) -> None:
    with pytest.raises(ValueError, match="rate|duration|between"):
        quantities.rate(text)


@pytest.mark.parametrize(
    "text",
    [
        "$sys",
        "a/$share",
        "a/b+",
        "#",
        "+",
        "a/{device}",
        "{place}",
        "a\0b",
        "a\n",
        "a\x7f/b",
        "a b",
        "a/\u200b",
        "a*",
        "%u",
    ],
)
def test_t12_a_place_holds_nothing_that_a_topic_filter_gives_a_meaning_to(text: str) -> None:
    assert not names.is_place(text)


@given(st.text("ab1./+#${}*%\0\n -_", max_size=12) | st.text(max_size=12))
@settings(max_examples=3000, deadline=None)
def test_t12_t28_place_and_id_become_whole_levels_of_a_topic(text: str) -> None:
    """`{place}/{device}/#` of a rule is filled in with these, and must not become wider by it."""
    if names.is_place(text):
        levels = text.split("/")
        assert all(levels)
        assert not any(level[0] in "$." for level in levels)
        assert not set(text) & set("+#*{}%\\ ")
        assert text.isascii() and text.isprintable()
    if names.is_id(text):
        assert names.is_place(text) and "/" not in text


@pytest.mark.parametrize("place", ["a/+", "a/#", "$SYS", "a//b", "/a", "a/", "a/{device}", "a b"])
def test_t12_the_loader_takes_no_such_place(place: str, tmp_path: Path) -> None:
    loaded = load(tmp_path, changed(SEXTON, "kind: person", f'kind: person\nplace: "{place}"'))
    assert loaded.site is None
    (problem,) = (problem for problem in loaded.problems if not problem.warning)
    assert problem.path == ("place",)
