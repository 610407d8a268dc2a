"""What lies in the state folder is damaged, in the way, or made by somebody who wants a widening unseen (T70, T71)."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from proxy.change.judge import token
from proxy.change.start import Beginning, NothingGoodError, Start, begin
from proxy.cli.site import protocols
from proxy.versions.store import Version, Versions
from proxy.versions.tree import Tree, UnfitError, read_tree
from tests.change.folder import write_site

SURFACE = "policies/surfaces/cell.yaml"


def start(config: Path, versions: Versions) -> Beginning:
    return begin(Start(config, protocols(), {}, time.time, versions))


def edit(config: Path, old: str, new: str, name: str = SURFACE) -> None:
    path = config.parent / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_site(tmp_path)


@pytest.fixture
def versions(config: Path) -> Versions:
    """Of a gateway that ran once."""
    found = Versions(config.parent / "var/policy")
    tree = read_tree(config)
    found.mark(Version(found.keep(tree), "policy", 1.0, "start"), tree.id)
    return found


@pytest.mark.parametrize("junk", [b"\xff\xfe\n", b"{}\n[]\n3\n", b"\0" * 4096, b'{"id":1,"widenings":[]}\n'])
def test_t70_a_damaged_history_does_not_let_a_widening_in(config: Path, versions: Versions, junk: bytes) -> None:
    """It explains, it decides nothing."""
    history = versions.folder / "history.jsonl"
    history.write_bytes(history.read_bytes() + junk)
    edit(config, "0-9", "0-50")
    assert start(config, versions).attempt.outcome == "pending"


def test_t71_a_damaged_history_does_not_stop_a_start(config: Path, versions: Versions) -> None:
    """What is in force stays kept, and the next version is marked."""
    (versions.folder / "history.jsonl").write_bytes(b"\xff\n")
    edit(config, "0-9", "0-5")
    tree = start(config, versions).tree
    versions.mark(Version(versions.keep(tree), "policy", 2.0, "start"), tree.id)
    assert versions.read(tree.id[:16]) == tree and not start(config, versions).new


def test_t71_a_history_that_is_lost_does_not_cost_the_version_in_force(config: Path, versions: Versions) -> None:
    tree = read_tree(config)
    (versions.folder / "history.jsonl").unlink()
    (versions.folder / "history.jsonl").mkdir()
    with pytest.raises(OSError, match="directory"):
        versions.mark(Version(tree.id[:16], "policy", 2.0, "reload"), tree.id)
    assert versions.read(tree.id[:16]) == tree


def test_a_version_whose_short_id_is_taken_is_kept_all_the_same(config: Path, versions: Versions) -> None:
    """Two trees with the same first 64 bits can be made in an hour. The second must not be kept as the first."""
    first, second = read_tree(config), Tree("bulkhead.yaml", {"bulkhead.yaml": b"site: other\n"})
    second.__dict__["id"] = first.id[:16] + "0" * 48
    kept = versions.folder / "versions" / f"{versions.keep(second)}.tar.gz"
    assert Tree.unpacked(kept.read_bytes()).files == second.files


def test_t70_an_acknowledgement_cannot_be_made_to_fit_two_changes(config: Path) -> None:
    """Whoever writes the files tries comments until a harmless change and another one have the same word: with 48 bits
    that takes a minute."""
    tree = read_tree(config)
    word = token(tree, tree)
    assert len(word) * 4 >= 128
    versions = Versions(config.parent / "var/policy")
    versions.accept(word)
    assert versions.accepted() == {word}


def test_what_a_rollback_set_aside_outlives_the_rollback(config: Path, versions: Versions) -> None:
    """It was never in force, so the history does not know it."""
    edit(config, "from: hmi", "form: hmi")
    aside = versions.keep(read_tree(config))
    edit(config, "form: hmi", "from: hmi")
    tree = read_tree(config)
    versions.mark(Version(versions.keep(tree), "policy", 2.0, "reload"), tree.id)
    assert b"form: hmi" in versions.read(aside).files[SURFACE]


@pytest.mark.parametrize("name", [b"\xff.yaml", b"\x1b[2J.yaml", b"a\nb.yaml"])
@pytest.mark.parametrize("what", ["file", "pipe"])
def test_a_name_that_is_no_text_is_told_and_stops_no_start(
    config: Path, versions: Versions, name: bytes, what: str
) -> None:
    path = os.fsencode(config.parent / "policies/surfaces") + b"/" + name
    if what == "pipe":
        os.mkfifo(path)
    else:
        Path(os.fsdecode(path)).write_text("surface: x\n")
    beginning = start(config, versions)
    assert beginning.attempt.outcome == "refused"
    assert all(line.isprintable() for line in beginning.attempt.told)


def test_a_flood_of_files_is_not_read_into_memory(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.versions.tree.MAX_TOTAL", 5000)
    for at in range(10):
        (config.parent / f"policies/surfaces/x{at}.yaml").write_text("#" * 600)
    with pytest.raises(UnfitError, match="together"):
        read_tree(config)


def test_a_last_good_version_that_cannot_be_read_says_how_to_go_on(config: Path, versions: Versions) -> None:
    """Another version of Bulkhead wrote it: the files are sound, and nothing is there to compare them with."""
    edit(config, "from: hmi", "form: hmi")
    tree = read_tree(config)
    versions.mark(Version(versions.keep(tree), "policy", 2.0, "start"), tree.id)
    edit(config, "form: hmi", "from: hmi")
    with pytest.raises(NothingGoodError, match="--accept-widening") as told:
        start(config, versions)
    word = str(told.value).rpartition(" ")[2]
    versions.accept(word)
    assert start(config, versions).attempt.successful
