"""One digest for one meaning: it moves with whatever a verdict depends on, and with nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.site.folder import CONFIG, PARISH, SEXTON, SOUND, STAFF, TOWER, WARDEN, Files, changed, load


def digest(folder: Path, files: Files, environ: dict[str, str] | None = None) -> str:
    loaded = load(folder, files, environ)
    assert loaded.site is not None, loaded.problems
    return loaded.site.digest


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        (PARISH, "surface: parish", "# a comment\nsurface:   'parish'   # and one more"),
        (PARISH, "    from: role:staff\n    to: tower\n", "    to: tower\n    from: role:staff\n"),
        (PARISH, "{ listen: [1, 2] }", "\n      listen:\n        - 1\n        - 2"),
        (PARISH, "bell: write 7, expect: allow, because: alarm", "bell: listen 1, expect: allow"),
        (STAFF, "role: staff\nmembers: [sexton, warden]\n", "members: [sexton, warden]\nrole: staff\n"),
        (CONFIG, "site: village", "site: village\nstate: elsewhere"),
        (CONFIG, "site: village", "site: village\nlimits: { links: 5, handshakes: 5 }"),
        (CONFIG, "site: village", 'site: village\nadmin: { bind: "127.0.0.1:1" }'),
    ],
)
def test_what_changes_nothing(file: str, old: str, new: str, tmp_path: Path) -> None:
    assert digest(tmp_path / "1", dict(SOUND)) == digest(tmp_path / "2", changed(file, old, new))


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        (CONFIG, "site: village", "site: town"),
        (CONFIG, "tls: { clients: required }", 'tls: { clients: required, versions: ["1.2"] }'),
        (CONFIG, "    tls: { clients: required }\n", ""),
        (CONFIG, "10.0.0.1:7701", "10.0.0.1:7702"),
        (TOWER, "tone: g", "tone: a"),
        (TOWER, "10.0.0.9", "10.0.0.10"),
        (SEXTON, "  require: [x509]\n", "  require: []\n"),
        (WARDEN, "bb:01", "bb:02"),
        (STAFF, ", warden]", "]"),
        (PARISH, "members: [tower]", "members: [tower]\naudit: before"),
        (PARISH, "members: [tower]", "members: [tower]\nunsafe_writes_without_proof: true"),
        (PARISH, "[1, 2]", "[1, 2, 3]"),
        (PARISH, "    needs: [x509]\n", ""),
        (PARISH, "    rate: 6/min\n", ""),
        (PARISH, "6/min", "7/min"),
        (PARISH, "never:\n  silence: { to: tower, bell: { write: [9] } }\n", ""),
        (PARISH, "from: sexton", "from: warden"),
        (PARISH, "  hours:", "  service:"),
    ],
)
def test_what_changes_a_verdict(file: str, old: str, new: str, tmp_path: Path) -> None:
    assert digest(tmp_path / "1", dict(SOUND)) != digest(tmp_path / "2", changed(file, old, new))


def test_a_new_device_changes_what_patterns_mean(tmp_path: Path) -> None:
    more = {**SOUND, "fingerprints/devices/verger.yaml": SOUND[SEXTON].replace("sexton", "verger")}
    assert digest(tmp_path / "1", dict(SOUND)) != digest(tmp_path / "2", more)


def test_values_that_look_alike_differ(tmp_path: Path) -> None:
    """Text and number are told apart, as are a list in a list and two lists."""
    one = digest(tmp_path / "1", changed(PARISH, "rate: 6/min", "rate: 60/1min"))
    assert one != digest(tmp_path / "2", changed(PARISH, "rate: 6/min", "rate: 60/60s"))


def test_the_environment_counts(tmp_path: Path) -> None:
    bind = {"BULKHEAD_LISTENERS__DOOR__BIND": "10.0.0.1:7702"}
    moved = changed(CONFIG, "10.0.0.1:7701", "10.0.0.1:7702")
    assert digest(tmp_path / "1", dict(SOUND), bind) == digest(tmp_path / "2", moved)


def test_digest_is_the_same_everywhere(tmp_path: Path) -> None:
    """A golden value: another machine, Python or day must not give another digest for this site."""
    assert digest(tmp_path, dict(SOUND)) == "1729d5c762d4ca0a95dca536dc32ed06a9803d4faedc43c0cd937ac70e30934f"
