"""The systemd unit and the container file keep what they promise."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.house.repository import ROOT, need_program

UNIT = ROOT / "deploy" / "bulkhead.service"
EXPOSURE_LIMIT = 2.0  # systemd's own scale: 10 is a service with every right, "OK" begins below 5


def test_systemd_accepts_every_line_of_the_unit(tmp_path: Path) -> None:
    """systemd only warns about a line it does not know and goes on without it; here that is a failure."""
    analyze = need_program("systemd-analyze")
    copy = tmp_path / UNIT.name
    copy.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text(), flags=re.MULTILINE))
    checked = subprocess.run(
        [analyze, "verify", "--man=no", "--recursive-errors=no", str(copy)],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in checked.stderr.splitlines() if UNIT.name in line]
    assert (checked.returncode, ours) == (0, [])


def test_the_unit_is_hardened() -> None:
    analyze = need_program("systemd-analyze")
    rated = subprocess.run(
        [analyze, "security", "--offline=yes", "--no-pager", str(UNIT)],
        capture_output=True,
        text=True,
        check=False,
    )
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", rated.stdout)
    assert level, rated.stderr
    assert float(level[1]) <= EXPOSURE_LIMIT


def test_the_image_runs_as_a_numeric_user_that_is_not_root() -> None:
    users = re.findall(r"^USER (.+)$", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", users[-1])


def test_every_file_the_image_copies_passes_the_ignore_file() -> None:
    """.dockerignore lists what may enter; a COPY of anything else fails only where there is an engine."""
    passed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    assert {path for words in copied for path in words.split()} == passed
