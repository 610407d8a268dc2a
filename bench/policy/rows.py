"""From what was measured to rows. A ratio is `peer_value / value`: 2 means that ours takes half as long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.figures import paired, spread
from bench.rows import Row, Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

OURS = "bulkhead"
KINDS = ("first", "allowed", "refused")
LOADED = Target("value", "<=", 10.0)
MEMORY = Target("value", "<=", 400.0)
KNOWN = Target("value", "<=", 20.0)
OPENED = Target("value", "<=", 1_000.0)
STALL = Target("value", "<=", 20.0)


def row(
    name: str,
    unit: str,
    values: Sequence[float],
    peer: str | None = None,
    others: Sequence[float] | None = None,
    target: Target | None = None,
) -> Row:
    own = spread(values)
    ratio = paired(others, values) if others else None
    return Row(
        name=f"policy.{name}", value=own.median, unit=unit, peer=peer,
        peer_value=spread(others).median if others else None,
        ratio=ratio.median if ratio else None,
        target=str(target) if target else None,
        ok=target.met(own.median, None) if target else None,
        spread=(own.low, own.high), ratio_spread=(ratio.low, ratio.high) if ratio else None,
    )  # fmt: skip


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
