"""Medians, ratios and targets: which way round a ratio is, and when a target counts as met."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bench.figures import paired, spread
from bench.generator import Handshakes, Load
from bench.measure import Measured, competition
from bench.report import Report
from bench.rows import Row, rows

MACHINE: dict[str, str | int] = {"cpu": "some", "cores": 2, "kernel": "6", "python": "3"}
PLAN = {"rounds": 1, "seconds": 1.0}
ISSUE_KEYS = {"name", "value", "unit", "peer", "peer_value", "ratio", "target", "ok"}


def load(cpu_us: float | None, p99_us: float = 100.0) -> Load:
    return Load(cpu_us, rate=1e6 / (cpu_us or 1), p50_us=50, p99_us=p99_us, p999_us=200, waited=0.0)


def measured(**cpu_by_target: list[float]) -> Measured:
    found = Measured()
    for name, values in cpu_by_target.items():
        for connections in (1, 16, 100):
            found.load[name.replace("_", "-"), connections] = [load(value) for value in values]
    return found


def row(made: list[Row], name: str, peer: str | None) -> Row:
    (found,) = [each for each in made if each.name == name and each.peer == peer]
    return found


def test_a_ratio_is_taken_within_each_round() -> None:
    """Both sides were slow in round 2: the ratio of medians would be 1.5, each round says 2."""
    assert paired([2, 20, 4], [1, 10, 2]).median == 2
    assert spread([3, 1, 9]).median == 3
    assert (spread([3, 1, 9]).low, spread([3, 1, 9]).high) == (1, 9)
    with pytest.raises(ValueError):
        paired([1, 2], [1])


def test_half_the_cpu_time_is_twice_the_requests() -> None:
    made = rows(measured(bulkhead=[10, 10, 10], haproxy=[20, 19, 21], nginx_njs=[9, 9, 9]))
    against_haproxy = row(made, "bulkhead.cpu_per_request.100", "haproxy")
    assert against_haproxy.ratio == 2.0
    assert against_haproxy.ratio_spread == (1.9, 2.1)
    assert (against_haproxy.target, against_haproxy.ok) == ("ratio >= 1.2", True)
    against_njs = row(made, "bulkhead.cpu_per_request.100", "nginx-njs")
    assert (against_njs.target, against_njs.ok) == ("ratio > 1", False)


@pytest.mark.parametrize(("p99", "ok"), [(115.0, True), (116.0, False)])
def test_a_tail_may_be_15_percent_longer(p99: float, ok: bool) -> None:
    found = Measured()
    found.load["bulkhead", 16] = [load(10, p99)]
    found.load["haproxy", 16] = [load(10, 100)]
    assert row(rows(found), "bulkhead.p99.16", "haproxy").ok is ok


def test_a_target_without_its_peer_is_not_judged() -> None:
    made = row(rows(measured(bulkhead=[10])), "bulkhead.cpu_per_request.100", "haproxy")
    assert (made.peer_value, made.ratio, made.ok) == (None, None, None)


def test_a_core_that_others_use_is_told() -> None:
    found = Measured()
    found.load["haproxy", 1] = [replace(load(10), waited=share) for share in (0.0, 0.3, 0.4)]
    found.load["stunnel", 1] = [replace(load(10), waited=0.9)]  # its own threads wait for each other
    assert competition(found) == 0.3
    report = Report(MACHINE, PLAN, {}, competition=0.3)
    assert "Other programs had a core that is measured for 30% of the time" in report.as_text()


def test_a_round_that_is_not_whole_is_dropped() -> None:
    """A phase ended in round 3, after one target of two: the ratios are those of two rounds."""
    found = Measured()
    found.load["bulkhead", 16] = [load(10), load(10), load(1)]
    found.load["haproxy", 16] = [load(20), load(20)]
    found.whole_rounds()
    made = row(rows(found), "bulkhead.cpu_per_request.16", "haproxy")
    assert (made.value, made.ratio) == (10, 2)


def test_peers_have_no_targets() -> None:
    made = rows(measured(haproxy=[20], stunnel=[99]))
    assert {each.target for each in made} == {None}


def test_handshakes_and_memory() -> None:
    found = Measured()
    found.handshakes["bulkhead", False] = [Handshakes(900, 900)]
    found.handshakes["haproxy", False] = [Handshakes(1000, 1000)]
    found.memory["bulkhead", 1000] = 64.1
    made = rows(found)
    assert row(made, "bulkhead.handshakes", "haproxy").ok is False
    assert row(made, "bulkhead.memory_per_idle_link.1000", "haproxy").ok is False


def test_the_document_has_the_agreed_keys_and_the_tables_name_what_was_missed() -> None:
    report = Report(MACHINE, PLAN, {"bulkhead": "Bulkhead", "haproxy": "HAProxy"}, ["stunnel: not installed"])
    report.rows = rows(measured(bulkhead=[30], haproxy=[20]))
    results = json.loads(report.as_json())["results"]
    assert results and all(set(each) >= ISSUE_KEYS for each in results)
    text = report.as_text()
    assert "MISSED      bulkhead.cpu_per_request.100 against HAProxy" in text
    assert "not measured: stunnel: not installed" in text
