"""Access that appears without a word about rules: by who is believed, and by where it is kept what was acknowledged."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from proxy.change.judge import Question, judge
from proxy.cli.site import protocols
from proxy.versions.tree import read_tree
from tests.change.folder import write_site

PINNED = """
device: pump
kind: controller
address: 10.0.0.5
identity: { mac_ip: { mac: "02:00:00:00:00:01", ip: 10.0.0.5 }, require: [x509, mac_ip] }
"""
PUMP = "fingerprints/devices/pump.yaml"
ROLE = '  by-role: { from: "mbaps:Operator", to: plc, modbus: { write: [holding 0-9] } }\n'
ENDS = "2026-12-01T06:00:00+01:00"
NOW = 1_795_000_000.0


class Files:
    def __init__(self, folder: Path) -> None:
        self.config = write_site(folder)
        (folder / PUMP).write_text(PINNED.lstrip())

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.config.parent / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))


def widened(files: Files, *edits: tuple[str, str, str]) -> list[str]:
    """The kinds of what is told."""
    base = read_tree(files.config)
    for edit in edits:
        files.edit(*edit)
    asked = Question(read_tree(files.config), files.config.parent, protocols(), {}, NOW, base)
    judged = judge(asked)
    assert judged.difference is not None, judged.problems
    return [entry.kind for entry in judged.difference.widenings]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


LOOSER = (
    (PUMP, "require: [x509, mac_ip]", "require: [x509]"),
    (PUMP, "02:00:00:00:00:01", "02:00:00:00:00:02"),
    (PUMP, "require: [x509, mac_ip]", "x509: { uri: urn:other }, require: [x509, mac_ip]"),
)


@pytest.mark.parametrize("edit", LOOSER)
def test_t08_who_is_let_in_by_role_is_held_to_what_is_bound_to_the_device(
    files: Files, edit: tuple[str, str, str]
) -> None:
    """No rule names the pump, but its certificate has a role that one does."""
    assert widened(files, edit) == []
    files.edit("policies/surfaces/cell.yaml", "rules:\n", f"rules:\n{ROLE}")
    files.edit(PUMP, edit[2], edit[1])
    assert "identity" in widened(files, edit)


@pytest.mark.parametrize("edit", LOOSER)
def test_a_surface_in_monitor_lets_in_whoever_is_believed(files: Files, edit: tuple[str, str, str]) -> None:
    watched = f'mode: monitor\nmonitor: {{ until: "{ENDS}", why: "new", then: enforce }}\nrules:\n'
    files.edit("policies/surfaces/cell.yaml", "rules:\n", watched)
    assert "identity" in widened(files, edit)


def test_t08_a_device_that_is_taken_out_leaves_its_certificate_without_its_pins(files: Files) -> None:
    files.edit("policies/surfaces/cell.yaml", "rules:\n", f"rules:\n{ROLE}")
    base = read_tree(files.config)
    (files.config.parent / PUMP).unlink()
    judged = judge(Question(read_tree(files.config), files.config.parent, protocols(), {}, time.time(), base))
    assert judged.difference is not None
    assert [entry.who for entry in judged.difference.widenings] == [("pump",)]


def test_t70_another_state_folder_is_a_start_without_a_past(files: Files) -> None:
    """The next start would find nothing there to compare with, and take whatever the files say by then."""
    assert widened(files, ("bulkhead.yaml", "site: works", "site: works\nstate: var/../elsewhere")) == ["state"]
    assert widened(files, ("bulkhead.yaml", "elsewhere", "elsewhere/again")) == ["state"]
    assert widened(files, ("bulkhead.yaml", "\nstate: var/../elsewhere/again", "\nstate: var")) == ["state"]
