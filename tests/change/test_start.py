"""What a gateway starts with: the files, or the last good version of them (T70)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from proxy.change.start import Beginning, NothingGoodError, Start, begin
from proxy.cli.site import protocols
from proxy.site import load_site
from proxy.versions.store import Version, Versions
from proxy.versions.tree import read_tree
from tests.change.folder import write_site

if TYPE_CHECKING:
    from proxy.site import Loaded

SURFACE = "policies/surfaces/cell.yaml"


class Place:
    """A site folder, and what a gateway kept of it."""

    def __init__(self, folder: Path) -> None:
        self.config = write_site(folder)
        self.versions = Versions(folder / "var/policy")

    def edit(self, old: str, new: str, name: str = SURFACE) -> None:
        path = self.config.parent / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    def begin(self) -> Beginning:
        return begin(Start(self.config, protocols(), {}, time.time, self.versions))

    def run_once(self) -> str:
        """As a gateway does that starts and stops; the id of what was in force."""
        beginning = self.begin()
        id = self.versions.keep(beginning.tree)
        self.versions.mark(Version(id, "policy", 1.0, "start"), beginning.tree.id)
        return id


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def spans(beginning: Beginning) -> list[str]:
    return [target.describe() for rule in beginning.site.surfaces[0].rules for target in rule.targets]


def test_the_first_start_needs_no_acknowledgement(place: Place) -> None:
    beginning = place.begin()
    assert beginning.new and beginning.attempt.successful
    assert beginning.tree == read_tree(place.config)


def test_the_first_start_needs_sound_files(place: Place) -> None:
    place.edit("from: hmi", "form: hmi")
    with pytest.raises(NothingGoodError) as told:
        place.begin()
    assert any("form" in str(problem) for problem in told.value.problems)


def test_the_same_files_are_not_a_new_version(place: Place) -> None:
    place.run_once()
    assert not place.begin().new


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("from: hmi", "form: hmi", SURFACE),
        ("rules:", "rules", SURFACE),
        ("site: works", "site: [", "bulkhead.yaml"),
        ("device: plc", "device: hmi", "fingerprints/devices/plc.yaml"),
    ],
)
def test_files_that_became_bad_leave_the_last_good_version(place: Place, old: str, new: str, name: str) -> None:
    good = place.run_once()
    place.edit(old, new, name)
    beginning = place.begin()
    assert beginning.attempt.outcome == "refused" and beginning.attempt.told
    assert beginning.tree.id.startswith(good) and not beginning.new
    assert spans(beginning) == ["read holding 0-9"]
    assert beginning.site.folder == place.config.parent


def test_a_narrowing_made_meanwhile_is_taken(place: Place) -> None:
    place.run_once()
    place.edit("0-9", "0-5")
    beginning = place.begin()
    assert beginning.new and spans(beginning) == ["read holding 0-5"] and beginning.attempt.narrowings


def test_a_widening_made_meanwhile_waits(place: Place) -> None:
    place.run_once()
    place.edit("0-9", "0-50")
    waits = place.begin()
    assert waits.attempt.outcome == "pending" and spans(waits) == ["read holding 0-9"]
    place.versions.accept(waits.attempt.token)
    taken = place.begin()
    assert taken.new and spans(taken) == ["read holding 0-50"] and taken.attempt.widenings


def test_it_waits_whatever_the_new_files_say_about_waiting(place: Place) -> None:
    place.run_once()
    place.edit("0-9", "0-50")
    place.edit("site: works", "site: works\npolicy: { require_ack: false }", "bulkhead.yaml")
    assert place.begin().attempt.outcome == "pending"


def test_a_missing_file_is_not_a_smaller_site(place: Place) -> None:
    place.run_once()
    (place.config.parent / SURFACE).unlink()
    beginning = place.begin()
    assert beginning.attempt.outcome == "refused" and spans(beginning) == ["read holding 0-9"]


@pytest.mark.parametrize("harm", ["archive", "pointer"])
def test_a_damaged_last_good_version_is_told_and_the_files_are_taken(
    place: Place, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    good = place.run_once()
    match harm:
        case "archive":
            (place.versions.folder / "versions" / f"{good}.tar.gz").write_bytes(b"")
        case "pointer":
            (place.versions.folder / "current").write_text("?")
    beginning = place.begin()
    assert beginning.new and "last good version cannot be used" in caplog.text


def test_damaged_and_bad_is_no_start(place: Place) -> None:
    good = place.run_once()
    (place.versions.folder / "versions" / f"{good}.tar.gz").write_bytes(b"")
    place.edit("from: hmi", "form: hmi")
    with pytest.raises(NothingGoodError):
        place.begin()


def test_files_that_change_while_they_are_read_are_judged_as_they_were(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept is what was judged: they are read where they lie only if nobody touches them meanwhile."""
    place.run_once()
    read = load_site

    def touched(config: Path, *given: Any, **more: Any) -> Loaded:
        if config == place.config:
            place.edit("holding 0-9", "holding 0-99")
        return read(config, *given, **more)

    monkeypatch.setattr("proxy.change.judge.load_site", touched)
    beginning = place.begin()
    assert spans(beginning) == ["read holding 0-9"] and b"0-9]" in beginning.tree.files[SURFACE]
