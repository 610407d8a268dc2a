"""The MQTT phases with Bulkhead and a real broker, as short as they go: what they say of it, and of what is missing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from bench.environment import Cores
from bench.mqtt import broker, fairness
from bench.mqtt.bulkhead import MqttBulkhead
from bench.mqtt.correctness import Judge, MqttSuite
from bench.mqtt.fairness import SITUATIONS
from bench.mqtt.peers import HAProxy, Setting
from bench.mqtt.plan import MqttPlan
from bench.mqtt.session import MqttSession
from bench.report import Report

if TYPE_CHECKING:
    from pathlib import Path

    from bench.certificates import Certificates
    from bench.mqtt.broker import Broker
    from bench.mqtt.peers import MqttPeer
    from bench.processes import Running

TINY = MqttPlan(rounds=1, seconds=0.1, warmup=0.05, fair_rounds=1, fair_seconds=0.2, samples=1)
ALLOWED = sorted(os.sched_getaffinity(0))


def report() -> Report:
    return Report({"cpu": "some", "cores": 2, "kernel": "6", "python": "3"}, {"rounds": 1, "seconds": 1.0}, {})


def run(peers: list[MqttPeer], phases: list[str], said: list[str]) -> Report:
    found = report()
    MqttSession(TINY, peers, phases, Cores(ALLOWED[0], ALLOWED[-1]), said.append, found).run()
    return found


class Absent(HAProxy):
    name = "absent"

    def missing(self) -> str | None:
        return "absent is not installed (Debian package absent)"

    def start(self, setting: Setting) -> Running:
        raise AssertionError("started although it is missing")


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "missing", lambda: "mosquitto is not installed (Debian package mosquitto)")
    said: list[str] = []
    found = run([Absent()], ["delivery", "fairness"], said)
    assert found.missing == [
        "absent: absent is not installed (Debian package absent)",
        "mqtt: mosquitto is not installed (Debian package mosquitto)",
    ]
    assert [text.startswith("missing: ") for text in said] == [True, True]


@pytest.mark.system
def test_bulkhead_passes_every_check(tmp_path: Path, certificates: Certificates, mosquitto: Broker) -> None:
    folder = tmp_path / "bulkhead"
    folder.mkdir()
    running = MqttBulkhead().start(Setting(folder, mosquitto, certificates, ALLOWED[-1]))
    try:
        with Judge(mosquitto.plain) as judge:
            checks = list(MqttSuite("bulkhead", running.port, True, certificates, judge).run())
    finally:
        running.stop()
    assert [check for check in checks if not check.ok] == []
    assert len(checks) == 15


@pytest.mark.system
@pytest.mark.timeout(60)
@pytest.mark.usefixtures("mosquitto")  # skips where there is none
def test_every_situation_of_a_flood_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fairness, "HEAD_START", 0.1)
    found = run([MqttBulkhead()], ["fairness"], [])
    assert found.failed == []
    assert {row.name.split(".")[2] for row in found.rows} == set(SITUATIONS)
    (refused,) = [row for row in found.rows if row.name == "mqtt.fairness.refused.p99" and row.target]
    assert refused.ratio is not None and refused.ratio > 0
    assert "one floods a refused topic" in found.as_text()
