"""The policy part of a run as tables for a reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.policy.engines import ENGINES
from bench.policy.site import FORMS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.rows import Row

METRICS = (
    ("first", "first question of a speaker about a device, us", 1),
    ("allowed", "the same again, allowed, us", 1),
    ("refused", "refused, us", 1),
    ("load", "loading rules that are in memory, s", 3),
    ("memory", "memory that loading took, MiB", 1),
)
RELOAD = (
    ("p99.quiet", "99 of 100 answers within, quiet, ms"),
    ("p99.during", "the same while the policy is reloaded, ms"),
    ("p99.added", "what the reload adds, ms"),
    ("longest", "the longest of all while it is reloaded, ms"),
    ("takes", "from the signal to the new policy in force, s"),
)


def tables(rows: Sequence[Row]) -> Iterator[str]:
    """Nothing when there are no policy rows."""
    found = {row.name: row for row in rows if row.name.startswith("policy.")}
    if not found:
        return
    sizes = sorted({int(name.rsplit(".", 1)[1]) for name in found if name.startswith("policy.bulkhead.allowed.")})
    for metric, title, digits in METRICS if sizes else ():
        yield f"Policy engines: {title} [times ours]"
        yield f"  {'':22}" + "".join(f"{f'{size:,} rules':>22}" for size in sizes)
        for kind in ENGINES:
            cells = [_cell(found.get(f"policy.{kind.name}.{metric}.{size}"), digits) for size in sizes]
            if any(cells):
                yield f"  {kind.title:22}" + "".join(f"{cell:>22}" for cell in cells)
        yield ""
    yield from _site(found)
    yield from _reload(found)


def _cell(row: Row | None, digits: int) -> str:
    if row is None:
        return ""
    ratio = "" if row.ratio is None else f" [{1 / row.ratio:,.1f}]"
    return f"{row.value:,.{digits}f}{ratio}"


def _site(found: dict[str, Row]) -> Iterator[str]:
    lines = [row for form in FORMS for name, row in found.items() if name.startswith(f"policy.site.{form}")]
    if lines:
        yield "A site from its files to what decides, in a fresh process [least..most]"
        for row in lines:
            low, high = row.spread
            name = row.name.removeprefix("policy.site.")
            yield f"  {name:34}{row.value:>10,.1f} {row.unit:4} [{low:,.1f}..{high:,.1f}]"
        yield ""


def _reload(found: dict[str, Row]) -> Iterator[str]:
    lines = [(title, found[f"policy.reload.{name}"]) for name, title in RELOAD if f"policy.reload.{name}" in found]
    if lines:
        yield "A live Modbus link while the policy is reloaded [least..most]"
        for title, row in lines:
            low, high = row.spread
            yield f"  {title:50}{row.value:>10,.2f} [{low:,.2f}..{high:,.2f}]"
        yield ""
