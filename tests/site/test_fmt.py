"""Formatting changes form and nothing else: values, comments and their places stay, and once is enough."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.site.fmt import WIDTH, Unfit, formatted, says_the_same
from proxy.site.yaml import parse
from tests.site.yaml_writer import TREES, Writer

if TYPE_CHECKING:
    from proxy.site.yaml import Path as Where
    from proxy.site.yaml import Place

ROOT = Path(__file__).resolve().parents[2]
DEMO = [ROOT / "bulkhead.yaml", *sorted(ROOT.glob("policies/*/*.yaml")), *sorted(ROOT.glob("fingerprints/*/*.yaml"))]
NUMBERED = re.compile(r"#~(\d+)")


def read(text: str) -> object:
    def report(place: Place, path: Where, wrong: str, mend: str) -> None:
        pytest.fail(f"{place} {path}: {wrong}\n{text}")

    document = parse(text, report)
    assert document is not None
    return document.value


def exact(value: object) -> str:
    """True and 1, and 1 and 1.0, are not the same here; the order of keys does not count."""
    if isinstance(value, dict):
        return "{" + ", ".join(sorted(f"{key!r}: {exact(one)}" for key, one in value.items())) + "}"
    return "[" + ", ".join(map(exact, value)) + "]" if isinstance(value, list) else repr(value)


@settings(max_examples=200, deadline=None)
@given(TREES, st.integers(0, 2**32))
def test_whatever_a_person_writes_keeps_its_values_and_its_comments(value: dict[str, object], seed: int) -> None:
    writer = Writer(Random(seed))
    text = writer.document(value)
    assert exact(read(text)) == exact(value), "the writer of this test is wrong"
    made = formatted(text)
    assert exact(read(made)) == exact(value)
    assert [int(n) for n in NUMBERED.findall(made)] == list(range(1, writer.count + 1)), f"{text}\n=>\n{made}"
    assert formatted(made) == made, f"{text}\n=>\n{made}"


@settings(max_examples=100, deadline=None)
@given(TREES, st.integers(0, 2**32), st.sampled_from(["surface", "device", "site", "role", "test"]))
def test_keys_move_with_their_comments(value: dict[str, object], seed: int, kind: str) -> None:
    writer = Writer(Random(seed))
    text = writer.document({**value, kind: "x"})
    made = formatted(text)
    assert exact(read(made)) == exact(read(text))
    assert sorted(map(int, NUMBERED.findall(made))) == list(range(1, writer.count + 1))
    assert formatted(made) == made


@pytest.mark.parametrize("file", DEMO, ids=lambda file: str(file.relative_to(ROOT)))
def test_the_demo_site_is_in_its_one_form(file: Path) -> None:
    assert formatted(file.read_text()) == file.read_text()


CASES = {
    "order of keys, comments with them": (
        """\
        # yaml-language-server: $schema=x
        ---
        # About the cell.
        members: [plc-3a]
        surface: cell-3   # its name
        tests: []
        rules:
          # who
          setpoint:
            rate: 6/min    # each
            # what
            modbus: {write: {holding 40: {min: 0, max: 1500}}}
            to: plc-3a
            from: scada
        ...
        """,
        """\
        # yaml-language-server: $schema=x
        ---
        # About the cell.
        surface: cell-3   # its name
        members: [plc-3a]
        rules:
          # who
          setpoint:
            from: scada
            to: plc-3a
            # what
            modbus: { write: { holding 40: { min: 0, max: 1500 } } }
            rate: 6/min    # each
        tests: []
        ...
        """,
    ),
    "names that people give stay in order": (
        "surface: x\nrules:\n  zz: {to: a, from: b}\n  aa: {to: a, from: b}\n",
        "surface: x\nrules:\n  zz: { from: b, to: a }\n  aa: { from: b, to: a }\n",
    ),
    "quotes only where they are needed": (
        """a: ["plc-3a", 'read holding 0-99', "role:masters", 'plc-*', "yes", "5", "", 'say "no"', "true"]\n""",
        """a: [plc-3a, read holding 0-99, "role:masters", "plc-*", "yes", "5", "", 'say "no"', "true"]\n""",
    ),
    "indents, blank lines, ends of lines": (
        "\n\na:   \n\n\n    b:   1\r\n\n\n\n    c:\n    - 1\n    -   2\n\n",
        "a:\n  b: 1\n\n  c:\n    - 1\n    - 2\n",
    ),
    "what stands beside stays in its column": (
        "a: 1     # one\nbb: 22   # two\nc: 3 # three\n",
        "a: 1     # one\nbb: 22   # two\nc: 3  # three\n",
    ),
    "a comment in brackets opens them": (
        "a: [1,  # one\n  2]\n",
        "a:\n  - 1   # one\n  - 2\n",
    ),
    "several lines in brackets become one": (
        "a: {\n  b: 1,\n  c: [\n    2, 3 ] }\n",
        "a: { b: 1, c: [2, 3] }\n",
    ),
    "a block of text": (
        "why: |  # because\n      two\n      lines\nnot: >-\n  one\n  line\nb: 1\n",
        "why: |  # because\n  two\n  lines\nnot: >-\n  one\n  line\nb: 1\n",
    ),
    "text over several lines": ("a: one\n  two\nb: 'x\n\n  y'\n", 'a: one two\nb: "x\\ny"\n'),
}


@pytest.mark.parametrize("name", CASES)
def test_form(name: str) -> None:
    before, after = (re.sub(r"^        ", "", text, flags=re.MULTILINE) for text in CASES[name])
    assert formatted(before) == after
    assert formatted(after) == after


def test_what_does_not_fit_is_opened_from_the_outside() -> None:
    members = ", ".join(f"sensor-{n}" for n in range(7))
    long = f"tests:\n  - {{ who: a, to: b, modbus: read holding 5, members: [{members}], expect: allow }}\n"
    assert len(long.splitlines()[1]) > WIDTH
    opened = f"  - who: a\n    to: b\n    modbus: read holding 5\n    members: [{members}]\n    expect: allow\n"
    assert formatted(f"surface: x\n{long}") == f"surface: x\ntests:\n{opened}"
    fits = f"a: [{'b' * (WIDTH - 5)}]\n"
    assert len(fits) == WIDTH + 1
    assert formatted(fits) == fits
    assert formatted(fits.replace("[b", "[bb")) == f"a:\n  - {'b' * (WIDTH - 4)}\n"


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("a: 1\nb: 2\na: 3\n", (3, 1), "a second time"),
        ("a: yes\n", (1, 4), "different readers"),
        ("a: [1\n", (2, 1), ""),
        ("a: &x 1\nb: *x\n", (1, 4), "anchors"),
        ("", (1, 1), "empty"),
        ("a: 1", (1, 5), "middle of a line"),
        ("---\na: 1\n", (3, 1), "half written"),
        ("<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> x\n", (1, 1), ""),
    ],
)
def test_a_file_with_a_fault_is_left_alone(text: str, place: tuple[int, int], says: str) -> None:
    with pytest.raises(Unfit) as unfit:
        formatted(text)
    assert says in str(unfit.value)
    assert unfit.value.place == place


@pytest.mark.parametrize(
    ("after", "same"),
    [
        ("# one\na: 1\nb: [x]  # two\n", True),
        ("b: [x]  # one\na: 1  # two\n", True),
        ("# one\na: 1\nb: [x]\n", False),
        ("# one\na: 1\nb: [x]  # two\n# two\n", False),
        ("# one\na: 1\nb: [z]  # two\n", False),
        ("# one\na: 1\nb: x  # two\n", False),
        ("# one\na: true\nb: [x]  # two\n", False),
        ("# one\na: 1.0\nb: [x]  # two\n", False),
        ("# one\nb: [x]  # two\n", False),
    ],
)
def test_what_is_written_is_held_against_what_was_there(after: str, same: bool) -> None:
    assert says_the_same("# one\na: 1\nb: [x]  # two\n", after) == same
