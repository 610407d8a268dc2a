"""From what was measured to rows. Here every ratio is `value / peer_value`; `mosquitto` is the broker by itself."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bench.mqtt.fairness import FLOOD, FLOOD_BURNT, QUIET, REFUSED, REFUSED_BURNT
from bench.mqtt.inspector_cases import CASES
from bench.rows import Row, Target, judged_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bench.mqtt.fairness import Fairness
    from bench.mqtt.flow import Flow

DIRECT = "mosquitto"
BULKHEAD = "bulkhead"
DELIVERED = Target("ratio", ">=", 0.9)
BROKER_CPU = Target("ratio", "<=", 1.1)
OTHERS_WAIT = Target("ratio", "<=", 2.0)
BURNT = {FLOOD: FLOOD_BURNT, REFUSED: REFUSED_BURNT}

row = partial(judged_row, "mqtt")


def inspector_rows(rates: Mapping[str, Sequence[float]]) -> Iterator[Row]:
    for case in CASES:
        if values := rates.get(case.name):
            target = Target("value", ">=", case.target) if case.target else None
            yield row(f"inspector.{case.name}", "1/CPU s", values, target=target)


def flow_rows(flows: Mapping[tuple[str, str], Sequence[Flow]]) -> Iterator[Row]:
    """By (target, scenario). Targets are promised for Bulkhead alone."""
    for (name, scenario), rounds in flows.items():
        ours = name == BULKHEAD
        own = flows.get((DIRECT, scenario), ())
        peer = DIRECT if name != DIRECT else None
        rates, alone = [one.rate for one in rounds], [one.rate for one in own]
        yield row(
            f"{name}.delivered.{scenario}", "1/s", rates, peer, alone if peer else None, DELIVERED if ours else None
        )
        spent, alone = [one.broker_us for one in rounds], [one.broker_us for one in own]
        yield row(
            f"{name}.broker_cpu.{scenario}", "us", spent, peer, alone if peer else None, BROKER_CPU if ours else None
        )
        yield row(f"{name}.broker_busy.{scenario}", "share", [one.busy for one in rounds])
        if proxy := [one.proxy_us for one in rounds if one.proxy_us is not None]:
            yield row(f"{name}.proxy_cpu.{scenario}", "us", proxy)


def fairness_rows(fairness: Fairness) -> Iterator[Row]:
    for situation, rounds in fairness.rounds.items():
        p99 = [one.p99_us for one in rounds]
        quiet = [one.p99_us for one in fairness.rounds.get(QUIET, ())]
        burnt = [one.p99_us for one in fairness.rounds.get(BURNT.get(situation, ""), ())]
        if burnt:
            yield row(f"fairness.{situation}.p99", "us", p99, BURNT[situation], burnt, OTHERS_WAIT)
        if situation != QUIET:
            yield row(f"fairness.{situation}.p99", "us", p99, QUIET, quiet)
        else:
            yield row(f"fairness.{QUIET}.p99", "us", p99)
        yield row(f"fairness.{situation}.p50", "us", [one.p50_us for one in rounds])
        yield row(f"fairness.{situation}.share", "share", [one.share for one in rounds])
        if floods := [one.flood for one in rounds if one.flood is not None]:
            yield row(f"fairness.{situation}.flood", "1/s", floods)
