"""Figures as the data plane keeps them, and sources made of them."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field

import pytest

from proxy.core.reason import Reason
from proxy.telemetry.counters import Counters
from proxy.telemetry.heartbeat import Heartbeat
from proxy.telemetry.metrics import MonitorFigures, Reload, Sources


@dataclass
class Listener:
    accepted: int = 12
    live: int = 3
    handshakes: int = 10
    handshake_failures: int = 2
    limited: int = 1
    too_slow: int = 1
    messages: int = 1000
    answers: int = 1001
    bytes_in: int = 12_000
    bytes_out: int = 24_000


@dataclass
class Device:
    dials: int = 2
    dial_failures: int = 1
    lost: int = 1
    open: int = 1
    bytes_in: int = 9
    bytes_out: int = 12


@dataclass
class Plane:
    listener_counts: dict[str, Listener] = field(default_factory=lambda: {"cell-3-modbus": Listener()})
    device_counts: dict[str, Device] = field(default_factory=lambda: {"plc-3a": Device()})


@dataclass
class AuditStats:
    written: int = 7
    bytes: int = 3500
    syncs: int = 2
    merged: int = 40
    dropped: int = 0
    errors: int = 0
    retired: int = 0
    refused_acts: int = 0


@dataclass
class Audit:
    stats: AuditStats = field(default_factory=AuditStats)
    healthy: bool = True
    queued: int = 0


@dataclass
class Flows:
    rows: int = 5
    untold: int = 2
    dropped: int = 1
    errors: int = 3
    problem: str = "disk full"


@dataclass
class Side:
    up: bool = True
    losses: int = 2


@dataclass
class Publisher:
    device: Side = field(default_factory=Side)
    broker: Side = field(default_factory=lambda: Side(False, 1))
    samples: int = 40
    published: int = 30
    dropped: int = 3
    unpublished: int = 4
    gaps: int = 5
    missed: int = 6
    rebirths: int = 7
    waiting: int = 8
    refused: dict[str, str] = field(default_factory=lambda: {"force": "Bad_UserAccessDenied"})


class Clock:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


def sources(clock: Clock | None = None) -> Sources:
    counters = Counters()
    counters.count("refuse", Reason.DEFAULT_DENY, "cell-3-modbus", "plc-3a")
    counters.count("refuse", Reason.DEFAULT_DENY, "cell-3-modbus", "plc-3a")
    counters.count("connect", Reason.CERTIFICATE_ENDED, "cell-3-modbus", "plc-3a")
    counters.count("connect", None, "cell-3-modbus", "plc-3a")
    counters.count("close", Reason.IDLE, "cell-3-modbus", "plc-3a")
    counters.count("malformed", Reason.MALFORMED, "cell-3-modbus", "plc-3a")
    counters.count("act", None, "cell-3-modbus", "plc-3a")
    counters.count("device", Reason.UPSTREAM_SILENT, None, "plc-3a")
    return Sources(
        version="0.1.0",
        started=1_795_271_460.0,
        counters=counters,
        data_plane=Plane(),
        audit=Audit(),
        heartbeat=Heartbeat(clock or Clock()),
        reload=lambda: Reload(True, 1_795_271_461.0),
        certificates=lambda: {"gateway": 1_800_000_000.0},
        flows=Flows(),
        monitors=lambda: [MonitorFigures("cell-3", "setpoint", 1_796_000_000.0, 4, 1)],
        monitor_errors=lambda: 6,
        publishers=lambda: {"line": Publisher()},
    )


def need_program(name: str) -> str:
    """The path of a program that CI installs; elsewhere its absence skips the test, with the reason."""
    path = shutil.which(name)
    if path is None:
        assert os.environ.get("CI") != "true", f"{name} is not installed"
        pytest.skip(f"{name} is not installed (apt install prometheus)")
    return path
