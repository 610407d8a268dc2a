"""The phases with Bulkhead itself, as short as they go, and what is said of a program that is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bench.environment import Cores
from bench.opcua.plan import OPERATIONS, OpcuaPlan
from bench.opcua.programs import Asyncua, Bulkhead, HAProxy, Setting, Target
from bench.opcua.session import OpcuaSession
from bench.processes import Running
from bench.report import Report

if TYPE_CHECKING:
    from bench.opcua.programs import Program

TINY = OpcuaPlan(rounds=1, seconds=0.05, warmup=0.01, samples=1, sessions=(1,))
ALLOWED = sorted(os.sched_getaffinity(0))


def run(programs: list[Program], said: list[str]) -> Report:
    report = Report({"cpu": "some", "cores": 2, "kernel": "6", "python": "3"}, {"rounds": 1, "seconds": 1.0}, {})
    OpcuaSession(TINY, programs, ["roundtrips"], Cores(ALLOWED[0], ALLOWED[-1]), said.append, report).run()
    return report


class Absent(HAProxy):
    name = "absent"

    def missing(self) -> str | None:
        return "absent is not installed (Debian package absent)"

    def start(self, setting: Setting) -> tuple[Running, list[Target]]:
        raise AssertionError("started although it is missing")


@pytest.mark.system
@pytest.mark.timeout(60)
def test_bulkhead_and_the_glue_are_right_and_measured() -> None:
    said: list[str] = []
    report = run([Bulkhead(), Asyncua(), Absent()], said)
    assert (report.failed, [check for check in report.checks if not check.ok]) == ([], [])
    assert report.missing == ["absent: absent is not installed (Debian package absent)"]
    names = {row.name for row in report.rows}
    for target in ("direct", "bulkhead-relay", "bulkhead-encrypt", "asyncua-sign"):
        assert {f"opcua.{target}.p50.{operation}.1" for operation in OPERATIONS} <= names
    assert "Bulkhead, SignAndEncrypt" in report.as_text()


class Deaf(HAProxy):
    """Runs, and there is nothing at its port."""

    def missing(self) -> str | None:
        return None

    def start(self, setting: Setting) -> tuple[Running, list[Target]]:
        process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        running = Running(self.name, 1, process, setting.folder / "log")
        return running, [Target(self.name, {"port": 1}, running)]


def test_a_phase_that_fails_is_in_the_report() -> None:
    report = run([Deaf()], [])
    assert len(report.failed) == 1
    assert report.failed[0].startswith("opcua round trips: ")
    assert not all(check.ok for check in report.checks)
