"""`bulkhead audit verify`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from proxy.cli.audit import command
from tests.audit.kit import act, new_writer, note, segments


def run(*arguments: str) -> Result:
    environ = {"BULKHEAD_CONFIG": None}
    return CliRunner().invoke(command, ["verify", *arguments], env=environ, standalone_mode=False)


@pytest.fixture
def head(tmp_path: Path) -> str:
    """A log in var/audit of a site; the checkpoint of its last record."""
    (tmp_path / "bulkhead.yaml").write_text("site: bottling\nlisteners: {}\n")
    writer = new_writer(tmp_path / "var" / "audit")
    writer.start()
    for n in range(5):
        writer.record(note(n))
    writer.durable(act(1), lambda on_disk: None)
    assert writer.close()
    return "{}:{}".format(*writer.head)


def test_a_good_log_of_the_site(tmp_path: Path, head: str) -> None:
    result = run("--config", str(tmp_path / "bulkhead.yaml"), "--checkpoint", head)
    assert result.return_value == 0
    assert "the chain holds" in result.stderr and result.stdout == ""


def test_a_changed_record_is_told_with_its_place(tmp_path: Path, head: str) -> None:
    folder = tmp_path / "var" / "audit"
    (path,) = segments(folder)
    path.write_bytes(path.read_bytes().replace(b"10.0.0.2:", b"10.0.0.9:"))
    result = run(str(folder))
    assert result.return_value == 1
    assert result.stdout.startswith(f"{path.name}:4: record 4 was not written after this record 3")
    found = json.loads(run(str(folder), "-o", "json").stdout)
    assert found["ok"] is False and found["findings"][0]["line"] == 4


def test_a_cut_end_is_found_by_the_checkpoint_from_status(tmp_path: Path, head: str) -> None:
    folder = tmp_path / "var" / "audit"
    (path,) = segments(folder)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    assert run(str(folder)).return_value == 0
    assert run(str(folder), "--checkpoint", head).return_value == 1


def test_what_cannot_be_read_is_3_and_a_bad_checkpoint_2(tmp_path: Path) -> None:
    assert getattr(run(str(tmp_path / "none")).exception, "exit_code", None) == 3
    assert getattr(run(str(tmp_path), "--checkpoint", "1:x").exception, "exit_code", None) == 2
