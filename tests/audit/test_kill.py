"""A writer is killed at any moment; what it acknowledged is on disk and the chain holds (T77, T78)."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from proxy.audit.verify import verify
from tests.audit.kit import lines, segments

ROOT = Path(__file__).parents[2]
KILLS = 20


def killed_after(folder: Path, first: int, seconds: float) -> list[int]:
    """Runs a writer, kills it ``seconds`` after its first acknowledgement, and gives what it acknowledged."""
    command = [sys.executable, "-m", "tests.audit.writer_process", str(folder), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        try:
            told = process.stdout.readline()
            time.sleep(seconds)
        finally:
            process.kill()
        told += process.stdout.read()
    whole = told[: told.rfind(b"\n") + 1]
    return [int(number) for number in whole.split()]


@pytest.mark.timeout(120)
def test_t77_t78_twenty_kills_lose_nothing_acknowledged(tmp_path: Path) -> None:
    chance = random.Random(7)
    acknowledged: list[int] = []
    for run in range(KILLS):
        mine = killed_after(tmp_path, run * 1_000_000, chance.uniform(0.0, 0.15))
        assert mine, "it got as far as writing"
        acknowledged += mine
        assert [finding for finding in verify(tmp_path) if finding.broken] == []
    last = killed_after(tmp_path, KILLS * 1_000_000, 0.0)  # the start after the last kill mends what that one left
    on_disk = {str(record["action"]) for record in lines_of(tmp_path) if record["what"] == "act"}
    missing = [n for n in acknowledged + last if f"write holding 40 = {n} (unit 1)" not in on_disk]
    assert missing == []
    assert len(acknowledged) > 500 and len(segments(tmp_path)) > 3
    print(f"{len(acknowledged)} acknowledged, {len(on_disk)} on disk, {len(list(tmp_path.glob('*.torn')))} torn ends")


def lines_of(folder: Path) -> list[dict[str, object]]:
    """All whole records; the very last line may be torn, because the last writer was killed too."""
    last = segments(folder)[-1]
    data = last.read_bytes()
    last.write_bytes(data[: data.rfind(b"\n") + 1])
    return lines(folder)
