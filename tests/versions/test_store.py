"""The last good version survives everything but a hand that deletes it (T70, T71)."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from proxy.versions.store import KEPT, SCRATCH, Version, VersionError, Versions
from proxy.versions.tree import Tree

TOKEN = "0123456789abcdef" * 2


def tree(text: str) -> Tree:
    return Tree("bulkhead.yaml", {"bulkhead.yaml": text.encode(), "policies/surfaces/a.yaml": b"x" * 1000})


def taken(versions: Versions, what: Tree, policy: str = "ab" * 32, time: float = 1.0) -> Version:
    version = Version(versions.keep(what), policy, time, "reload", ("mes may now: write",))
    versions.mark(version, what.id)
    return version


def test_nothing_was_ever_in_force(tmp_path: Path) -> None:
    versions = Versions(tmp_path / "policy")
    assert versions.current() is None and versions.history() == []
    with pytest.raises(VersionError, match="no version was in force"):
        versions.find("current")


def test_what_is_kept_is_not_in_force_before_it_is_marked(tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    first = taken(versions, tree("one"))
    versions.keep(tree("two"))
    assert versions.current() == first
    assert versions.read(first.id) == tree("one")
    second = taken(versions, tree("two"), time=2.0)
    assert Versions(tmp_path).current() == second
    assert versions.history() == [second, first]


def test_finds_by_the_first_digits_of_either(tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    one = taken(versions, tree("one"), policy="11" * 32)
    two = taken(versions, tree("two"), policy="22" * 32)
    assert versions.find(one.id[:6]) == one
    assert versions.find("2222") == two
    assert versions.find("current") == two
    for bad in ("", "22", "zzzz", "../../x"):
        with pytest.raises(VersionError):
            versions.find(bad)


@pytest.mark.parametrize("harm", ["cut", "other", "gone", "flipped"])
def test_a_version_that_is_not_what_was_kept_is_refused(tmp_path: Path, harm: str) -> None:
    versions = Versions(tmp_path)
    one = taken(versions, tree("one"))
    path = tmp_path / "versions" / f"{one.id}.tar.gz"
    data = path.read_bytes()
    match harm:
        case "cut":
            path.write_bytes(data[: len(data) // 2])
        case "other":
            path.write_bytes(tree("wider").packed())
        case "gone":
            path.unlink()
        case "flipped":
            path.write_bytes(data[:40] + bytes([data[40] ^ 1]) + data[41:])
    with pytest.raises(VersionError, match=one.id):
        versions.read(one.id)


@pytest.mark.parametrize("line", ["", "zz", "0123456789abcdef", "0123456789abcdef " + "0" * 63])
def test_a_damaged_pointer_is_told_and_not_guessed(tmp_path: Path, line: str) -> None:
    versions = Versions(tmp_path)
    taken(versions, tree("one"))
    (tmp_path / "current").write_text(line)
    with pytest.raises(VersionError, match="damaged"):
        versions.current()


def test_a_full_disk_leaves_what_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = Versions(tmp_path)
    one = taken(versions, tree("one"))

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        versions.keep(tree("two"))
    with pytest.raises(OSError, match="No space"):
        versions.mark(Version("0" * 16, "", 2.0, "reload"), "0" * 64)
    monkeypatch.undo()
    assert Versions(tmp_path).current() == one
    assert [path.name for path in (tmp_path / "versions").iterdir()] == [f"{one.id}.tar.gz"]
    assert not list(tmp_path.rglob("*.new"))


def test_a_line_that_was_cut_off_by_a_crash_costs_only_itself(tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    one = taken(versions, tree("one"))
    with (tmp_path / "history.jsonl").open("ab") as file:
        file.write(b'{"id": "01234')
    assert versions.history() == [one] and versions.current() == one
    two = taken(versions, tree("two"), time=2.0)
    assert versions.history() == [two, one]


def test_old_versions_make_room_and_the_one_in_force_stays(tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    made = [taken(versions, tree(str(at)), time=at) for at in range(KEPT + 3)]
    kept = {path.name.removesuffix(".tar.gz") for path in (tmp_path / "versions").iterdir()}
    assert kept == {one.id for one in made[3:]}
    assert len(versions.history()) == KEPT + 3


def test_an_acknowledgement_counts_once(tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    versions.accept(TOKEN)
    assert versions.accepted() == {TOKEN}
    versions.used(TOKEN)
    versions.used(TOKEN)
    assert versions.accepted() == frozenset()
    for bad in ("", "../../x", TOKEN.upper(), f"{TOKEN}0"):
        with pytest.raises(ValueError, match="32 hex"):
            versions.accept(bad)


def test_files_are_the_gateways_alone(tmp_path: Path) -> None:
    versions = Versions(tmp_path / "policy")
    one = taken(versions, tree("one"))
    for path in (versions.folder / "versions" / f"{one.id}.tar.gz", versions.folder / "current"):
        assert path.stat().st_mode & 0o077 == 0


def test_what_a_killed_process_left_is_swept_away(tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    one = taken(versions, tree("one"))
    left = tmp_path / f"{SCRATCH}x" / "policies"
    left.mkdir(parents=True)
    (left / "a.yaml").write_text("x")
    versions.sweep()
    assert not left.parent.exists() and versions.read(one.id) == tree("one")
