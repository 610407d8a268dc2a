"""Ports, waiting, and what the kernel says of a process."""

from __future__ import annotations

import asyncio
import os
import random
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path

LOCAL = "127.0.0.1"
BELOW_EPHEMERAL = range(20_000, 32_000)
"""The kernel gives none of these to an outgoing connection, so a free one stays free until it is bound."""


def free_port(host: str = LOCAL) -> int:
    """A port that nobody listens on. Another test process may still take it: whoever binds retries with another."""
    chance = random.Random()
    for _ in range(1000):
        port = chance.choice(BELOW_EPHEMERAL)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"no free port on {host}")


async def until(found: Callable[[], object], seconds: float = 5.0, what: str = "") -> None:
    """Waits for ``found()`` to be true. AssertionError after ``seconds``."""
    ends = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < ends, f"not within {seconds:g} s: {what or found}"
        await asyncio.sleep(0.01)


def wait_until(found: Callable[[], object], seconds: float = 5.0, what: str = "") -> None:
    """`until` for tests without a loop."""
    ends = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < ends, f"not within {seconds:g} s: {what or found}"
        time.sleep(0.01)


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident_kib(pid: int) -> int:
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])
