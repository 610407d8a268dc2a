"""What the benchmark needs of the machine: cores to pin to, descriptors, ports, and figures from /proc."""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import socket
from dataclasses import dataclass
from pathlib import Path

DESCRIPTORS_NEEDED = 12_000  # HAProxy and nginx hold two for each of 5,000 links


class Unmeasurable(Exception):
    """The environment lacks something: the bench ends with code 3 and this message."""


@dataclass(frozen=True, slots=True)
class Cores:
    """The generator and the PLC share one core, every proxy under test is pinned to the other."""

    load: int
    proxy: int

    @classmethod
    def choose(cls) -> Cores:
        allowed = sorted(os.sched_getaffinity(0))
        if len(allowed) < 2:
            raise Unmeasurable("two cores are needed: one for the proxy, one for the generator and the PLC")
        return cls(load=allowed[0], proxy=allowed[-1])


def raise_descriptor_limit() -> int:
    """Raise the soft limit to the hard one; children inherit it. Returns the new limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(hard, DESCRIPTORS_NEEDED)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
    except (ValueError, PermissionError):
        wanted = hard
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return wanted


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def descendants(pid: int) -> list[int]:
    """The process and all its children: nginx has a master and a worker, Bulkhead may have workers."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # the thread has just ended
            for child in task.read_text().split():
                found += descendants(int(child))
    return found


def memory_kib(pids: list[int]) -> int:
    """Proportional set size in KiB: own pages plus the share of common ones (proc_pid_smaps(5))."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


def machine() -> dict[str, str | int]:
    """What a reader needs to judge the figures; nothing that names the host."""
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release().split("-")[0],
        "python": platform.python_version(),
    }
