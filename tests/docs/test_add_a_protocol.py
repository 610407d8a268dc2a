"""docs/add-a-protocol.md is true: what it says is done in a fresh checkout, and prints what it says it prints."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proxy.core.action import Action, Target
from proxy.protocols.base import Effects, Inspector, ProtocolSpec, UpstreamState
from tests.docs.page import Typed, files, typed, unread
from tests.docs.replay import PATIENCE, ROOT, Checkout
from tests.support.tools import tool

PAGE = (ROOT / "docs" / "add-a-protocol.md").read_text("utf-8")
FILES = files(PAGE)
TYPED = typed(PAGE)
FOLDER, WORD = "proxy/protocols/scale", "proxy/cli/site.py"
PORTS = (4305, 4306, 9464)
WARNING = re.compile(
    r"^(?:trial/\S+ address: warning: 127\.0\.0\.9 is this machine itself;|note: 1 warning about the site;).*\n?",
    re.MULTILINE,
)
"""The page shows it once, and says that it is left out from there on."""
VARIES = {
    "a time": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
    "a serial number": re.compile(r"\b[0-9a-f]{36,40}\b"),
    "how many tests, how long": re.compile(r"\d+ (?=passed|deselected)|(?<=in )[0-9.]+s|^\.+ +\[100%\]$", re.MULTILINE),
    "the width of a column": re.compile(r"(?<=\S) {2,}"),
}
"""What differs from run to run."""

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    made = Checkout(tmp_path_factory.mktemp("checkout"), PORTS)
    for path, text in FILES.items():
        made.write(path, text)
    yield made
    made.close()


def same(text: str) -> str:
    for what, pattern in VARIES.items():
        text = pattern.sub(f"<{what}>", text)
    return text


def test_a_new_protocol_is_a_folder_its_samples_and_a_site() -> None:
    places = {path.rpartition("/")[0] for path in FILES if not path.startswith("trial/")}
    assert places == {FOLDER, "tests/scale", "tests/vectors/scale"}
    assert {"spec.py", "inspector.py", "rules.py"} < {path.rpartition("/")[2] for path in FILES}
    assert unread(PAGE) == 0, "every block of code is a file or a session, so that all of it is tried"


def test_the_page_says_what_happens(checkout: Checkout) -> None:
    """One session: each command sees what those before it did."""
    tool("openssl")
    before = (checkout.folder / WORD).read_text()
    for one in TYPED:
        _check(checkout, one)
    after = (checkout.folder / WORD).read_text()
    assert after.replace(', "scale"', "") == before != after, "one word is added"
    assert all(code in (0, -15) for code in checkout.close())


def _check(checkout: Checkout, one: Typed) -> None:
    shows_warning = WARNING.search(one.printed) is not None

    def printed() -> str:
        text = checkout.type(one)
        return same((text if shows_warning else WARNING.sub("", text)).strip())

    assert _settled(printed, same(one.printed), again="var/audit" in one.command) == same(one.printed), one.command


def _settled(printed: Callable[[], str], wanted: str, *, again: bool) -> str:
    """Records are on disk within a second or so: a command that looks at them is typed again until then."""
    ends = time.monotonic() + PATIENCE
    while (found := printed()) != wanted and again and time.monotonic() < ends:
        time.sleep(0.1)
    return found


def test_what_is_refused_did_not_reach_the_scale() -> None:
    """The page's own words, so that nobody mends the page to fit a hole."""
    received = next(one.printed for one in TYPED if one.command == "cat received.txt").splitlines()
    assert received == ["read weight", "write target.filler-1 500", "read target.filler-1"]
    refused = next(one.printed for one in TYPED if "var/audit" in one.command)
    assert [line.split('"')[3] for line in refused.splitlines()] == [
        "write target.filler-2 = 500",
        "write target.filler-1 = 5001",
        "read tare",
        "hear drift",
    ]


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check"],
        ["ruff", "format", "--check"],
        [sys.executable, "-m", "mypy", "--strict"],
    ],
    ids=lambda command: " ".join(command[-2:]),
)
def test_the_files_of_the_page_pass_the_checks(checkout: Checkout, command: list[str]) -> None:
    done = checkout.run([*command, *sorted(path for path in FILES if path.endswith(".py"))])
    assert done.returncode == 0, done.stdout


def test_imports_run_one_way_with_the_folder_too(checkout: Checkout) -> None:
    done = checkout.run([str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"])
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("part", [ProtocolSpec, Inspector, Effects, UpstreamState, Action, Target])
def test_every_word_of_the_seam_is_on_the_page(part: type[object]) -> None:
    """What the seam asks for grows: then this page has to say so."""
    names = {name for name in vars(part) if not name.startswith("_")} | {*getattr(part, "__slots__", ())}
    assert len(names) > 2
    assert [name for name in sorted(names) if re.search(rf"\b{name}\b", PAGE) is None] == []
