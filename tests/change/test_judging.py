"""The process that judges a candidate: what comes back from it is what the files say, and its end is only an answer."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proxy.change.child import answer
from proxy.change.frames import Job, Unable, packed, unpacked
from proxy.change.judge import Judged, Question, judge, token
from proxy.change.judging import Judging, JudgingError
from proxy.cli.site import protocols
from proxy.site import load_site
from proxy.versions.tree import read_tree
from tests.change.folder import write_site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from proxy.core.surface import Surface
    from proxy.site import Site

SURFACE = "policies/surfaces/cell.yaml"
OTHER = "surface: other\nmembers: [plc]\nrules:\n  more: { from: hmi, to: plc, modbus: { read: [input 3] } }\n"


@pytest.fixture
async def judging() -> AsyncIterator[Judging]:
    made = Judging()
    yield made
    await made.close()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    config = write_site(tmp_path)
    (tmp_path / "policies/surfaces/other.yaml").write_text(OTHER)
    return config


def question(config: Path, base: Path | None = None) -> Question:
    tree = None if base is None else read_tree(base)
    return Question(read_tree(config), config.parent, protocols(), {}, time.time(), tree)


def loaded(config: Path) -> Site:
    site = load_site(config, protocols()).site
    assert site is not None
    return site


def known(site: Site) -> dict[str, Surface]:
    return {surface.name: surface for surface in site.surfaces}


async def test_what_comes_back_is_what_the_files_say(judging: Judging, config: Path) -> None:
    judged = await judging.ask(question(config), {})
    site = loaded(config)
    assert judged.site == site and judged.difference is None and not judged.errors
    assert dict(judged.site.devices) == dict(site.devices)
    assert judged.site.folder == config.parent, "certificates and records stay where they are"


async def test_what_has_not_changed_is_the_same_object(judging: Judging, config: Path) -> None:
    """A reload must cost what changed, and not what there is."""
    site = loaded(config)
    path = config.parent / SURFACE
    path.write_text(path.read_text().replace("0-9", "0-8"))
    judged = await judging.ask(question(config), known(site))
    assert judged.site is not None
    now = known(judged.site)
    assert now["other"] is known(site)["other"]
    assert now["cell"] is not known(site)["cell"] and now["cell"] == known(loaded(config))["cell"]


async def test_lines_that_moved_are_a_change(judging: Judging, config: Path) -> None:
    """Refusals and records name file and line: they must not name where a rule once stood."""
    site = loaded(config)
    path = config.parent / SURFACE
    path.write_text(f"# a comment\n{path.read_text()}")
    judged = await judging.ask(question(config), known(site))
    assert judged.site is not None
    assert known(judged.site)["cell"].rules[0].ref.origin.line == known(site)["cell"].rules[0].ref.origin.line + 1


async def test_every_fault_comes_back(judging: Judging, config: Path) -> None:
    path = config.parent / SURFACE
    path.write_text(path.read_text().replace("from: hmi", "form: hmi"))
    other = config.parent / "fingerprints/devices/hmi.yaml"
    other.write_text(other.read_text().replace("kind:", "kin:"))
    judged = await judging.ask(question(config), {})
    assert judged.site is None
    assert {str(error.origin) for error in judged.errors} == {f"{SURFACE}:4", "fingerprints/devices/hmi.yaml:2"}


async def test_it_compares_with_what_is_in_force(judging: Judging, config: Path, tmp_path: Path) -> None:
    before = write_site(tmp_path / "before")
    (before.parent / "policies/surfaces/other.yaml").write_text(OTHER)
    path = config.parent / SURFACE
    path.write_text(path.read_text().replace("0-9", "5-12"))
    judged = await judging.ask(question(config, before), {})
    assert judged.difference is not None
    assert [entry.text.partition(" (")[0] for entry in judged.difference.widenings] == [
        "hmi may now also: read holding 10-12 at plc"
    ]
    assert len(judged.difference.narrowings) == 1
    assert judged.token == token(read_tree(before), read_tree(config))


@pytest.mark.parametrize("what", ["surface", "all surfaces", "device", "config", "nothing"])
async def test_a_reduced_comparison_says_what_a_whole_one_says(
    what: str, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Surfaces whose files are the same in both are not read a second time."""
    before = write_site(tmp_path / "before")
    (before.parent / "policies/surfaces/other.yaml").write_text(OTHER)
    changes = {
        "surface": [SURFACE],
        "all surfaces": [SURFACE, "policies/surfaces/other.yaml"],
        "device": ["fingerprints/devices/hmi.yaml", SURFACE],
        "config": ["bulkhead.yaml", SURFACE],
        "nothing": [],
    }
    for name in changes[what]:
        path = config.parent / name
        text = path.read_text().replace("0-9]", "3-20]").replace("input 3", "input 4")
        path.write_text(text.replace("127.0.0.1\n", "127.0.0.4\n").replace("8502", "8503"))
    reduced = judge(question(config, before)).difference
    monkeypatch.setattr("proxy.change.judge._unchanged", lambda base, tree: frozenset())
    whole = judge(question(config, before)).difference
    assert reduced is not None and whole is not None
    assert reduced.data() == whole.data()
    assert bool(whole) == (what != "nothing")


async def test_a_candidate_does_not_excuse_itself(judging: Judging, config: Path, tmp_path: Path) -> None:
    before = write_site(tmp_path / "before")
    with config.open("a") as file:
        file.write("policy: { require_ack: false }\n")
    assert (await judging.ask(question(config, before), {})).require_ack
    with before.open("a") as file:
        file.write("policy: { require_ack: false }\n")
    assert not (await judging.ask(question(config, before), {})).require_ack


async def test_a_child_that_dies_is_an_answer(judging: Judging, config: Path) -> None:
    await judging.prepare()
    assert judging._ahead is not None
    os.kill(judging._ahead.pid, signal.SIGKILL)
    with pytest.raises(JudgingError, match=r"exit -9"):
        await judging.ask(question(config), {})
    assert (await judging.ask(question(config), {})).site is not None, "the next one has a process of its own"


async def test_no_process_is_an_answer(judging: Judging, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with pytest.raises(JudgingError, match="no process to judge it"):
        await judging.ask(question(config), {})


def test_no_room_is_an_answer(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/nowhere")
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    (told,) = answer(Job(question(config), {}))
    assert isinstance(told, Unable) and "/nowhere" in told.why


def test_a_judgement_survives_the_way(config: Path) -> None:
    judged = judge(question(config))
    again = unpacked(packed(judged))
    assert isinstance(again, Judged) and again == judged
