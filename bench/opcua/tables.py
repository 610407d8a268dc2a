"""The OPC UA part of a run as tables for a reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.opcua.inspector_cases import CASES
from bench.opcua.plan import OPERATIONS, SESSIONS
from bench.opcua.rows import BUSY, CPU, LOAD, P50, P99, PER_CPU, RATE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from bench.rows import Row

METRICS = (
    (P50, "median, microseconds [against]", 0),
    (P99, "99 of 100 are faster, microseconds [against]", 0),
    (RATE, "requests per second [against]", 0),
    (PER_CPU, "requests per CPU second of the proxy [against]", 0),
    (CPU, "CPU of the proxy per request, microseconds", 1),
    (LOAD, "CPU of generator and device together per request, microseconds", 1),
    (BUSY, "share of the time in which generator or device ran", 2),
)


def tables(rows: Sequence[Row], titles: Mapping[str, str], plan: Mapping[str, Any]) -> Iterator[str]:
    """Nothing when there are no OPC UA rows."""
    names = {row.name: row for row in rows if row.name.startswith("opcua.")}
    lines = [(case.title, names[name]) for case in CASES if (name := f"opcua.inspector.{case.name}") in names]
    if lines:
        yield "OPC UA: the inspector and its channels alone, microseconds of CPU [least..most]"
        for title, row in lines:
            low, high = row.spread
            yield f"  {title:66}{row.value:>10,.1f} [{low:,.1f}..{high:,.1f}]"
        yield ""
    if any(f".{P50}." in name for name in names):
        yield (
            f"OPC UA end to end: medians of {plan['rounds']} rounds of {plan['seconds']:g} s [median least..most of "
            "the ratios within a round]\nthe proxy on one core, generator and device on the other; HAProxy against no "
            "proxy, the relay against HAProxy,\nBulkhead with a secured channel against asyncua with the same\n"
        )
        for operation, title in OPERATIONS.items():
            for metric, what, digits in METRICS:
                yield from trip_table(names, titles, operation, metric, f"{title}: {what}", digits)


def trip_table(
    rows: Mapping[str, Row], titles: Mapping[str, str], operation: str, metric: str, title: str, digits: int
) -> Iterator[str]:
    lines = []
    for name, label in titles.items():
        found = [rows.get(f"opcua.{name}.{metric}.{operation}.{sessions}") for sessions in SESSIONS]
        if any(found):
            lines.append(f"  {label:26}" + "".join(f"{cell(row, digits, metric):>30}" for row in found))
    if lines:
        yield title
        heads = [f"{count} session{'s' * (count > 1)}" for count in SESSIONS]
        yield f"  {'':26}" + "".join(f"{head:>30}" for head in heads)
        yield from lines
        yield ""


def cell(row: Row | None, digits: int, metric: str) -> str:
    if row is None:
        return ""
    ratio = ""
    if metric in (P50, P99, RATE, PER_CPU) and row.ratio is not None and row.ratio_spread:
        ratio = f" [{row.ratio:.2f} {row.ratio_spread[0]:.2f}..{row.ratio_spread[1]:.2f}]"
    return f"{row.value:,.{digits}f}{ratio}"
