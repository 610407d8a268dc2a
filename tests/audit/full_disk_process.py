"""Run on a small file system: fills it, sees acts refused, makes room, sees them recorded, checks the log.

python -m tests.audit.full_disk_process FOLDER
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from proxy.audit.figures import AuditLimits
from proxy.audit.verify import verify
from tests.audit.kit import Ledger, act, lines, new_writer, note, until


def main(disk: Path) -> None:
    folder = disk / "audit"
    writer = new_writer(folder, limits=AuditLimits(retry=0.2))
    writer.start()
    ledger = Ledger()
    writer.durable(act(0), ledger.done(0))
    ledger.wait(1)
    assert ledger.answers[0]
    ballast = disk / "ballast"
    fill(ballast)
    number = 0
    while writer.healthy:
        number += 1
        writer.durable(act(number), ledger.done(number))
        ledger.wait(number + 1)
    assert ledger.answers[number] is False
    for extra in range(50):
        writer.record(note(extra))
    print(f"full after {number} acts")
    ballast.unlink()
    begun = time.monotonic()
    until(lambda: writer.healthy, 10.0)
    print(f"healthy {time.monotonic() - begun:.2f} s after space returned")
    writer.durable(act(number + 1), ledger.done(number + 1))
    ledger.wait(number + 2)
    assert ledger.answers[number + 1]
    assert writer.close()
    told = lines(folder)
    recorded = [record["action"] for record in told if record["what"] == "act"]
    assert recorded == [act(n).action for n, on_disk in sorted(ledger.answers.items()) if on_disk]
    assert sum(record["what"] == "connect" for record in told) == 50
    assert verify(folder) == []
    print("recovered")


def fill(ballast: Path) -> None:
    """Takes all space but a few KiB."""
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            file.truncate(file.tell() - 3 * 4096)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
