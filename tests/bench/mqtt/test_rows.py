"""Which way round the MQTT ratios are, and when a target counts as met."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bench.__main__ import Chosen, parse
from bench.mqtt.fairness import FLOOD, FLOOD_BURNT, QUIET, REFUSED, REFUSED_BURNT, Fairness, Watched
from bench.mqtt.flow import Flow
from bench.mqtt.rows import DIRECT, fairness_rows, flow_rows, inspector_rows
from bench.mqtt.session import competition, whole_rounds
from bench.report import Report

if TYPE_CHECKING:
    from bench.rows import Row


def flow(rate: float, broker_us: float, proxy_us: float | None = None) -> Flow:
    return Flow(rate, broker_us, proxy_us, busy=0.9, waited=0.0)


def named(rows: list[Row], name: str, peer: str | None = None) -> Row:
    (found,) = [row for row in rows if row.name == name and (peer is None or row.peer == peer)]
    return found


@pytest.mark.parametrize(
    ("rate", "broker_us", "delivered", "cpu"), [(91, 10.9, True, True), (89, 11.1, False, False), (90, 11, True, True)]
)
def test_bulkhead_is_held_against_mosquitto_alone(rate: float, broker_us: float, delivered: bool, cpu: bool) -> None:
    rows = list(
        flow_rows({("bulkhead", "qos0.16"): [flow(rate, broker_us, 1.0)], (DIRECT, "qos0.16"): [flow(100, 10)]})
    )
    assert named(rows, "mqtt.bulkhead.delivered.qos0.16").ok is delivered
    assert named(rows, "mqtt.bulkhead.broker_cpu.qos0.16").ok is cpu
    assert named(rows, "mqtt.bulkhead.broker_cpu.qos0.16").ratio == pytest.approx(broker_us / 10)
    assert named(rows, "mqtt.bulkhead.proxy_cpu.qos0.16").value == 1.0


def test_peers_have_no_targets_and_the_broker_has_no_peer() -> None:
    rows = list(flow_rows({("haproxy", "qos1"): [flow(1, 99, 1.0)], (DIRECT, "qos1"): [flow(100, 10)]}))
    assert {row.target for row in rows} == {None}
    assert named(rows, "mqtt.mosquitto.delivered.qos1").peer is None


def test_a_round_that_is_not_whole_is_dropped() -> None:
    flows = {("bulkhead", "qos1"): [flow(1, 1), flow(2, 2)], (DIRECT, "qos1"): [flow(1, 1)]}
    assert {key: len(rounds) for key, rounds in whole_rounds(flows).items()} == {
        ("bulkhead", "qos1"): 1, (DIRECT, "qos1"): 1,
    }  # fmt: skip


def test_a_core_that_others_use_is_told() -> None:
    flows = {(DIRECT, "qos1"): [replace(flow(1, 1), waited=share) for share in (0.0, 0.2, 0.9)]}
    assert competition(flows, None) == 0.2
    assert competition(flows, 0.5) == 0.5
    assert competition({}, None) is None


def fairness(p99: dict[str, float]) -> Fairness:
    return Fairness(
        {name: [Watched(10, value, 0.5, 1000.0 if "burnt" not in name else None)] for name, value in p99.items()}
    )


@pytest.mark.parametrize(("refused", "ok"), [(400, True), (401, False)])
def test_a_flood_may_double_what_its_cpu_alone_costs(refused: float, ok: bool) -> None:
    found = fairness({QUIET: 100, FLOOD: 300, FLOOD_BURNT: 300, REFUSED: refused, REFUSED_BURNT: 200})
    rows = list(fairness_rows(found.whole_rounds()))
    assert named(rows, "mqtt.fairness.refused.p99", REFUSED_BURNT).ok is ok
    assert named(rows, "mqtt.fairness.allowed.p99", FLOOD_BURNT).ratio == 1
    assert named(rows, "mqtt.fairness.refused.p99", QUIET).target is None


def test_a_round_without_all_its_situations_is_dropped() -> None:
    assert fairness({QUIET: 100, FLOOD: 300}).whole_rounds().rounds == {}


def test_the_inspector_is_held_against_a_million() -> None:
    rows = list(inspector_rows({"qos0.16": [9e5, 1.1e6, 1.2e6], "qos1.16": [1.0]}))
    assert (rows[0].value, rows[0].target, rows[0].ok) == (1.1e6, "value >= 1e+06", True)
    assert rows[1].target is None


def test_the_tables_name_what_was_measured() -> None:
    report = Report({"cpu": "some", "cores": 2, "kernel": "6", "python": "3"}, {"rounds": 1, "seconds": 1.0}, {})
    report.plan["mqtt"] = {"rounds": 2, "seconds": 0.5}
    report.mqtt_titles = {"bulkhead": "Bulkhead"}
    report.rows += inspector_rows({"qos0.16": [1.5e6]})
    report.rows += flow_rows({("bulkhead", "qos1"): [flow(80, 10, 2.5)], (DIRECT, "qos1"): [flow(100, 10)]})
    report.rows += fairness_rows(
        fairness({QUIET: 100, FLOOD: 300, FLOOD_BURNT: 200, REFUSED: 9, REFUSED_BURNT: 3}).whole_rounds()
    )
    text = report.as_text()
    assert "QoS 0, 16 frames a read, 20 topics                             1,500 [1,500..1,500]" in text
    assert "80 [0.80 0.80..0.80]" in text
    assert "300 [1.50 1.50..1.50]" in text
    assert "MISSED      mqtt.bulkhead.delivered.qos1 against Mosquitto alone" in text


@pytest.mark.parametrize(
    ("only", "modbus", "mqtt", "phases"),
    [
        ([], True, True, True),
        (["mqtt"], False, True, True),
        (["modbus"], True, False, False),
        (["mqtt", "haproxy"], False, True, True),
    ],
)
def test_only_names_protocols_and_targets(only: list[str], modbus: bool, mqtt: bool, phases: bool) -> None:
    options = parse(["--only", *only] if only else [])
    chosen = Chosen.of(options.only, options.phases)
    assert (bool(chosen.peers), bool(chosen.mqtt_peers), bool(chosen.mqtt_phases)) == (modbus, mqtt, phases)
    assert bool(chosen.phases) is modbus
    if "haproxy" in only:
        assert [peer.name for peer in chosen.mqtt_peers] == ["haproxy"]
