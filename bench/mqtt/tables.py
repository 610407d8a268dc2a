"""The MQTT part of a run as tables for a reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.mqtt.fairness import FLOOD, FLOOD_BURNT, QUIET, REFUSED, REFUSED_BURNT
from bench.mqtt.inspector_cases import CASES
from bench.mqtt.plan import SCENARIOS
from bench.mqtt.rows import DIRECT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from bench.rows import Row

METRICS = (
    ("delivered", "Messages a second at the subscriber [against Mosquitto alone]", 0),
    ("broker_cpu", "Mosquitto's CPU per message, microseconds [against Mosquitto alone]", 2),
    ("proxy_cpu", "The proxy's CPU per message, microseconds", 2),
    ("broker_busy", "Share of the time in which Mosquitto ran", 2),
)
SITUATIONS = {
    QUIET: "nobody floods",
    FLOOD: "one floods an allowed topic",
    FLOOD_BURNT: "... through HAProxy, the rest burnt",
    REFUSED: "one floods a refused topic",
    REFUSED_BURNT: "... not at all, its CPU burnt",
}


def tables(rows: Sequence[Row], titles: Mapping[str, str], plan: Mapping[str, Any]) -> Iterator[str]:
    """Nothing when there are no MQTT rows."""
    by_name = {(row.name, row.peer): row for row in rows if row.name.startswith("mqtt.")}
    if not by_name:
        return
    names = {name: row for (name, _), row in by_name.items()}
    yield from inspector_table(names)
    yield from flow_tables(names, titles, plan)
    yield from fairness_table(names, by_name)


def inspector_table(rows: Mapping[str, Row]) -> Iterator[str]:
    lines = [(case.title, rows[name]) for case in CASES if (name := f"mqtt.inspector.{case.name}") in rows]
    if lines:
        yield "MQTT: the inspector alone, thousand publishes per CPU second, payloads of 64 bytes [least..most]"
        for title, row in lines:
            low, high = row.spread
            yield f"  {title:60}{row.value / 1e3:>8,.0f} [{low / 1e3:,.0f}..{high / 1e3:,.0f}]"
        yield ""


def flow_tables(rows: Mapping[str, Row], titles: Mapping[str, str], plan: Mapping[str, Any]) -> Iterator[str]:
    if not any(".broker_cpu." in name for name in rows):
        return
    yield (
        f"MQTT end to end: medians of {plan['rounds']} rounds of {plan['seconds']:g} s [median least..most of the "
        "ratios within a round]\nTLS 1.3, mutual, on both sides of each proxy; Mosquitto on one core, "
        "the proxy and the generator on the other\n"
    )
    for metric, title, digits in METRICS:
        yield title
        yield f"  {'':22}" + "".join(f"{scenario.title:>27}" for scenario in SCENARIOS)
        for name in (*titles, DIRECT):
            found = [rows.get(f"mqtt.{name}.{metric}.{scenario.name}") for scenario in SCENARIOS]
            if any(found):
                cells = "".join(f"{cell(row, digits):>27}" for row in found)
                yield f"  {titles.get(name, 'Mosquitto alone'):22}{cells}"
        yield ""


def cell(row: Row | None, digits: int) -> str:
    if row is None:
        return ""
    ratio = ""
    if row.ratio is not None and row.ratio_spread:
        ratio = f" [{row.ratio:.2f} {row.ratio_spread[0]:.2f}..{row.ratio_spread[1]:.2f}]"
    return f"{row.value:,.{digits}f}{ratio}"


def fairness_table(rows: Mapping[str, Row], by_name: Mapping[tuple[str, str | None], Row]) -> Iterator[str]:
    if f"mqtt.fairness.{QUIET}.p99" not in rows:
        return
    yield "MQTT, twenty honest devices at 10 Hz, QoS 1: acknowledged after, microseconds [against its CPU burnt]"
    yield f"  {'':38}{'median':>12}{'99 of 100':>32}{'core taken':>14}{'flood, 1/s':>14}"
    for situation, title in SITUATIONS.items():
        start = f"mqtt.fairness.{situation}"
        if f"{start}.p99" not in rows:
            continue
        burnt = next((row for (name, peer), row in by_name.items() if name == f"{start}.p99" and peer != QUIET), None)
        p99 = cell(burnt, 0) if burnt is not None else f"{rows[f'{start}.p99'].value:,.0f}"
        flood = f"{rows[f'{start}.flood'].value:,.0f}" if f"{start}.flood" in rows else ""
        yield (
            f"  {title:38}{rows[f'{start}.p50'].value:>12,.0f}{p99:>32}{rows[f'{start}.share'].value:>14.2f}{flood:>14}"
        )
    yield ""
