"""docs/opcua.md is true: rules parse, defaults are those shown, questions are questions, the demo site answers so."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.cli.main import run
from proxy.protocols.opcua import delivery, entry, framing, itemwise, memory, sessions, status, subtree
from proxy.protocols.opcua.conversation import MOST_PENDING
from proxy.protocols.opcua.inspector import SESSION_WITHIN
from proxy.protocols.opcua.listener import KEYS as LISTENER_KEYS
from proxy.protocols.opcua.listener import OpcUaListener, parse_listener
from proxy.protocols.opcua.north_channel import OPENING_SECONDS
from proxy.protocols.opcua.rules import CAPS, VERBS, parse_never, parse_rule
from proxy.protocols.opcua.service import KEYS as SERVICE_KEYS
from proxy.protocols.opcua.service import parse_service
from proxy.protocols.opcua.texts import parse_actions, text_of
from proxy.protocols.opcua.wire import DEPTH
from tests.docs.page import Typed, typed
from tests.docs.test_certs_opcua import masked

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "opcua.md").read_text("utf-8")
BLOCK = re.compile(r"^```(?P<kind>yaml|text|console)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
BLOCKS = [(match["kind"], match["text"]) for match in BLOCK.finditer(PAGE)]
LISTENER, SERVICE, RULE, NEVER, OF_THE_DEMO = [yaml.safe_load(text) for kind, text in BLOCKS if kind == "yaml"]
QUESTIONS = [line for kind, text in BLOCKS if kind == "text" for line in text.splitlines()]


def parsed(parse: Any, section: object) -> Any:
    def report(path: object, wrong: str, mend: str = "") -> None:
        raise AssertionError(f"{path}: {wrong}; {mend}")

    return parse(section, report)


def column(heading: str) -> set[str]:
    """The words in backquotes of the first column of the tables below a heading."""
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    rows = re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)
    return {word.partition(":")[0] for row in rows for word in re.findall(r"`([^`]+)`", row)}


def test_the_listeners_defaults_are_those_shown() -> None:
    assert parsed(parse_listener, LISTENER["opcua"]) == OpcUaListener()
    assert parsed(parse_listener, OF_THE_DEMO["opcua"])


def test_every_key_is_told() -> None:
    assert column("Keys") == {*LISTENER_KEYS, *SERVICE_KEYS}
    assert column("The language of rules") == {*VERBS, *CAPS}
    assert set(SERVICE["opcua"]) == set(SERVICE_KEYS)


def test_every_section_is_valid() -> None:
    assert parsed(parse_service, SERVICE["opcua"])
    assert parsed(parse_rule, RULE["opcua"])
    assert parsed(parse_never, NEVER["never"])


@pytest.mark.parametrize("line", QUESTIONS)
def test_a_question_of_the_page(line: str) -> None:
    assert text_of(parse_actions(line)) == line


def test_every_status_is_one() -> None:
    names = {name_without(name) for name in vars(status) if name.startswith("BAD_")}
    told = re.findall(r"\bBad_?([A-Z]\w+)", PAGE)
    assert len(told) > 25
    assert {name_without(word) for word in told} - {"CERTIFICATEUNTRUSTED"} <= names


def name_without(text: str) -> str:
    return text.removeprefix("BAD_").replace("_", "").upper()


def test_the_limits_are_those_told() -> None:
    limits = PAGE.partition("## Limits\n")[2].replace("\n", " ")
    told = (
        f"first message within {OPENING_SECONDS:g} s, a session within {SESSION_WITHIN:g} s",
        f"One chunk of {framing.FIRST_CHUNK >> 10} KiB before",
        f"then {framing.MAX_CHUNKS} chunks and {framing.MAX_MESSAGE >> 20} MiB a message",
        f"{framing.MAX_ANSWER >> 20} MiB from the server",
        f"{itemwise.MOST_ITEMS:,} items a request, {MOST_PENDING} requests that wait",
        f"{delivery.MOST_PUBLISH} of them Publish",
        f"{sessions.MOST_SESSIONS} sessions a connection, {memory.SESSIONS} a device",
        f"nest {DEPTH} deep",
        f"{entry.POOL >> 20} MiB of unfinished messages a listener",
    )
    assert [one for one in told if one not in limits] == []
    assert f"at most {subtree.NODES:,} nodes, {subtree.LEVELS} levels" in PAGE


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo site, with nothing in certs/."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(ROOT / "bulkhead.yaml", folder)
    for name in ("policies", "fingerprints"):
        shutil.copytree(ROOT / name, folder / name)
    return folder


@pytest.mark.parametrize("one", typed(PAGE), ids=lambda one: one.command[9:70])
def test_the_page_says_what_the_program_says(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], one: Typed
) -> None:
    """In the order of the page: certificates are issued by the authority that was made before."""
    monkeypatch.chdir(site)
    program, *words = shlex.split(one.command)
    assert program == "bulkhead"
    code = run(words)
    out, err = capsys.readouterr()
    told = out + err if words[0] == "certs" else out
    assert masked(told.replace(f"{site}/", "")) == masked(one.printed)
    assert code == one.printed.startswith("refused")


def test_the_picture_is_well_formed() -> None:
    from xml.etree import ElementTree

    picture = ElementTree.parse(ROOT / "docs" / "opcua-modes.svg")
    words = " ".join(picture.getroot().itertext())
    assert all(mode in words for mode in ("terminate", "relay", "refuse", "signed: cut", "unsafe_none: true"))
