"""From what was measured to rows. A ratio is `peer_value / value`: 2 means that ours takes half as long."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from bench.rows import Row, Target, judged_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

OURS = "bulkhead"
KINDS = ("first", "allowed", "refused")
LOADED = Target("value", "<=", 10.0)
MEMORY = Target("value", "<=", 400.0)
KNOWN = Target("value", "<=", 20.0)
OPENED = Target("value", "<=", 1_000.0)
STALL = Target("value", "<=", 20.0)

row = partial(judged_row, "policy", inverse=True)


def engine_rows(
    rules: int, engines: Mapping[str, tuple[Mapping[str, float], Sequence[Mapping[str, float]]]]
) -> Iterator[Row]:
    """By engine: what loading cost, and the medians of each round."""
    ours = engines.get(OURS)
    for name, (loaded, rounds) in engines.items():
        yield row(f"{name}.load.{rules}", "s", [loaded["seconds"]])
        yield row(f"{name}.memory.{rules}", "MiB", [loaded["mib"]])
        for kind in KINDS:
            values = [one[kind] for one in rounds]
            if name == OURS:
                yield row(f"{name}.{kind}.{rules}", "us", values, target=OPENED if kind == "first" else KNOWN)
            elif ours is None:
                yield row(f"{name}.{kind}.{rules}", "us", values)
            else:
                yield row(f"{name}.{kind}.{rules}", "us", values, OURS, [one[kind] for one in ours[1]])


def loading_rows(rules: int, form: str, rounds: Sequence[Mapping[str, float]]) -> Iterator[Row]:
    judged = rules >= 100_000
    seconds = [one["read"] + one["compiled"] for one in rounds]
    yield row(f"site.{form}.{rules}", "s", seconds, target=LOADED if judged else None)
    yield row(f"site.{form}.read.{rules}", "s", [one["read"] for one in rounds])
    yield row(f"site.{form}.memory.{rules}", "MiB", [one["mib"] for one in rounds], target=MEMORY if judged else None)


def reload_rows(found: Mapping[str, Any]) -> Iterator[Row]:
    """Milliseconds at one live link: quiet, while reloads go on, and what they add to the 99th percentile."""
    yield row("reload.p99.quiet", "ms", found["quiet"])
    yield row("reload.p99.during", "ms", found["during"])
    added = [during - quiet for quiet, during in zip(found["quiet"], found["during"], strict=True)]
    yield row("reload.p99.added", "ms", added, target=STALL)
    yield row("reload.longest", "ms", found["longest"])
    yield row("reload.takes", "s", found["takes"])
