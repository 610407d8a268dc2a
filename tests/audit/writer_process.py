"""Run as a process of its own: writes acts as fast as they are acknowledged, and says which on stdout.

python -m tests.audit.writer_process FOLDER FIRST_NUMBER
"""

from __future__ import annotations

import os
import sys
import threading
from functools import partial
from pathlib import Path

from proxy.audit.figures import AuditLimits
from tests.audit.kit import act, new_writer, note


def main(folder: Path, number: int) -> None:
    """Ends by being killed. The ledger is a pipe: what was written to it outlives this process."""
    writer = new_writer(folder, limits=AuditLimits(segment_bytes=40_000))
    writer.start()
    room = threading.Semaphore(20)

    def done(which: int, on_disk: bool) -> None:
        if on_disk:
            os.write(1, b"%d\n" % which)
        room.release()

    while True:
        room.acquire()
        writer.durable(act(number), partial(done, number))
        writer.record(note(number))
        number += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
