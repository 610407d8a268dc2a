"""From what was measured to rows. Every ratio is `value / peer_value`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bench.opcua.inspector_cases import CASES
from bench.opcua.programs import ASYNCUA_ENCRYPT, ASYNCUA_SIGN, DIRECT, ENCRYPT, HAPROXY, RELAY, SIGN
from bench.rows import Row, Target, judged_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bench.opcua.measure import Trip, Trips

PEERS = {HAPROXY: DIRECT, RELAY: HAPROXY, SIGN: ASYNCUA_SIGN, ENCRYPT: ASYNCUA_ENCRYPT}
"""Whom each is held against."""
P50, P99, RATE, PER_CPU, CPU, LOAD, BUSY = "p50", "p99", "rate", "per_cpu_second", "cpu", "load_cpu", "load_busy"
TARGETS = {
    (RELAY, P50): Target("ratio", "<=", 1.3),
    (SIGN, P50): Target("ratio", "<=", 0.2),
    (ENCRYPT, P50): Target("ratio", "<=", 0.2),
    (SIGN, PER_CPU): Target("ratio", ">=", 5.0),
    (ENCRYPT, PER_CPU): Target("ratio", ">=", 5.0),
}
UNITS = {P50: "us", P99: "us", RATE: "1/s", PER_CPU: "1/CPU s", CPU: "us", LOAD: "us", BUSY: "share"}

row = partial(judged_row, "opcua")


def figures(rounds: Sequence[Trip]) -> dict[str, list[float]]:
    """By metric, a value per round; without those of a proxy that is not there."""
    found = {
        P50: [one.p50_us for one in rounds], P99: [one.p99_us for one in rounds], RATE: [one.rate for one in rounds],
        LOAD: [one.load_us for one in rounds], BUSY: [one.busy for one in rounds],
    }  # fmt: skip
    if cpu := [one.proxy_us for one in rounds if one.proxy_us is not None]:
        found[CPU] = cpu
        found[PER_CPU] = [1e6 / max(each, 1e-3) for each in cpu]
    return found


def trip_rows(trips: Trips) -> Iterator[Row]:
    """`opcua.TARGET.METRIC.OPERATION.SESSIONS`. A target without its peer is not judged."""
    for (name, operation, sessions), rounds in trips.rounds.items():
        if not rounds:
            continue
        peer = PEERS.get(name)
        others = figures(trips.rounds.get((peer or "", operation, sessions), ()))
        for metric, values in figures(rounds).items():
            yield row(
                f"{name}.{metric}.{operation}.{sessions}", UNITS[metric], values, peer, others.get(metric),
                TARGETS.get((name, metric)),
            )  # fmt: skip


def inspector_rows(costs: Mapping[str, Sequence[float]]) -> Iterator[Row]:
    for case in CASES:
        if values := costs.get(case.name):
            target = Target("value", "<=", case.target) if case.target else None
            yield row(f"inspector.{case.name}", "us", values, target=target)
