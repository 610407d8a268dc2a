"""From what was measured to rows: value, peer, ratio with its spread, target.

A ratio says how many times as much: `value / peer_value` for everything but CPU per request and decisions,
where it is `peer_value / value`, so that there "1.2" means 1.2 times the requests for the same CPU time.
"""

from __future__ import annotations

import operator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bench.figures import Spread, paired, spread
from bench.plan import CONNECTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bench.decisions import Costs
    from bench.measure import Measured

BASELINE = "haproxy"
INSPECTING_PEER = "nginx-njs"
BULKHEAD = ("bulkhead", "bulkhead-1to1")
COMPARE = {">=": operator.ge, "<=": operator.le, ">": operator.gt}


@dataclass(frozen=True, slots=True)
class Target:
    """What the project promised: `ratio` or `value`, a comparison and a limit."""

    what: str
    sign: str
    limit: float

    def __str__(self) -> str:
        return f"{self.what} {self.sign} {self.limit:g}"

    def met(self, value: float, ratio: float | None) -> bool | None:
        """None when the peer it needs was not measured."""
        measured = value if self.what == "value" else ratio
        return None if measured is None else bool(COMPARE[self.sign](measured, self.limit))


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of one program: medians, and the least and greatest of the rounds in the two spreads."""

    name: str
    value: float
    unit: str
    peer: str | None
    peer_value: float | None
    ratio: float | None
    target: str | None
    ok: bool | None
    spread: tuple[float, float]
    ratio_spread: tuple[float, float] | None

    def as_json(self) -> dict[str, Any]:
        return {key: rounded(value) for key, value in asdict(self).items()}


def rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    return [rounded(each) for each in value] if isinstance(value, tuple) else value


def targets(name: str, metric: str, size: int, peer: str | None) -> Target | None:
    """The bench line of the project's "done when", row by row."""
    if name not in BULKHEAD:
        return None
    if metric == "cpu_per_request" and peer == BASELINE:
        promised = {("bulkhead", 100): 1.2, ("bulkhead-1to1", 16): 0.8}.get((name, size))
        return Target("ratio", ">=", promised) if promised else None
    if metric == "cpu_per_request" and peer == INSPECTING_PEER:
        return Target("ratio", ">", 1.0) if size in (16, 100) else None
    if metric == "p99" and peer == BASELINE:
        return Target("ratio", "<=", 1.15)
    if metric == "handshakes" and peer == BASELINE:
        return Target("ratio", ">=", 1.0)
    if metric == "memory_per_idle_link":
        return Target("value", "<=", 64.0)
    return None


# Microseconds that one piece of deciding may take; the same limit with 10 rules as with 100,000.
DECISION_LIMITS = {"cached": 1.0, "miss": 20.0, "refusal": 20.0, "open": 1000.0}


def make_row(
    name: str,
    metric: str,
    size: int,
    unit: str,
    values: Sequence[float],
    peer: str | None = None,
    peer_values: Sequence[float] | None = None,
) -> Row:
    what, target = f"{metric}.{size}" if size else metric, targets(name, metric, size, peer)
    return judged_row(name, what, unit, values, peer, peer_values, target, inverse=metric == "cpu_per_request")


def judged_row(
    prefix: str,
    name: str,
    unit: str,
    values: Sequence[float],
    peer: str | None = None,
    others: Sequence[float] | None = None,
    target: Target | None = None,
    *,
    inverse: bool = False,
) -> Row:
    """``others`` are the peer's, round by round. ``inverse``: the ratio is `peer_value / value`."""
    own = spread(values)
    ratio: Spread | None = None
    if others:
        ratio = paired(others, values) if inverse else paired(values, others)
    return Row(
        name=f"{prefix}.{name}", value=own.median, unit=unit, peer=peer,
        peer_value=spread(others).median if others else None,
        ratio=ratio.median if ratio else None,
        target=str(target) if target else None,
        ok=target.met(own.median, ratio.median if ratio else None) if target else None,
        spread=(own.low, own.high), ratio_spread=(ratio.low, ratio.high) if ratio else None,
    )  # fmt: skip


def decision_rows(costs: Mapping[int, Costs]) -> Iterator[Row]:
    """`decision.WHAT.RULES` in microseconds beside pycasbin on the same questions, in the same order of asking."""
    for rules, cost in costs.items():
        for what in ("cached", "miss", "refusal", "uncached", "refused", "open"):
            own = spread(getattr(cost, what))
            plain_costs = {"cached": cost.plain_allowed, "miss": cost.plain_allowed, "refusal": cost.plain_refused}
            other = plain_costs.get(what, [])
            limit = DECISION_LIMITS.get(what)
            target = Target("value", "<=", limit) if limit else None
            plain = spread(other).median if other else None
            yield Row(
                name=f"decision.{what}.{rules}", value=own.median, unit="us",
                peer="pycasbin" if other else None, peer_value=plain,
                ratio=plain / own.median if plain else None,
                target=str(target) if target else None,
                ok=target.met(own.median, None) if target else None,
                spread=(own.low, own.high), ratio_spread=None,
            )  # fmt: skip
        yield Row(
            f"decision.compile.{rules}", cost.compiled, "s", None, None, None, None, None,
            (cost.compiled, cost.compiled), None,
        )  # fmt: skip


def peers_of(name: str, metric: str) -> list[str | None]:
    """HAProxy is everyone's baseline; Bulkhead is also held against the peer that inspects."""
    if name in BULKHEAD and metric not in ("memory_per_idle_link", "handshakes", "links"):
        return [BASELINE, INSPECTING_PEER]
    return [BASELINE] if name != BASELINE else [None]


def figures(measured: Measured) -> dict[tuple[str, str, int, str], list[float]]:
    """(target, metric, size, unit) to the rounds' values."""
    found: dict[tuple[str, str, int, str], list[float]] = {}
    for connections in CONNECTIONS:
        for (name, size), rounds in measured.load.items():
            if size != connections:
                continue
            cpu = [each.cpu_us for each in rounds if each.cpu_us is not None]
            if cpu:
                found[name, "cpu_per_request", size, "us"] = cpu
            found[name, "requests", size, "1/s"] = [each.rate for each in rounds]
            found[name, "p50", size, "us"] = [each.p50_us for each in rounds]
            found[name, "p99", size, "us"] = [each.p99_us for each in rounds]
            found[name, "p999", size, "us"] = [each.p999_us for each in rounds]
    for (name, request), shaken in measured.handshakes.items():
        metric = "links" if request else "handshakes"
        found[name, metric, 0, "1/s"] = [each.rate for each in shaken]
        found[name, metric + "_per_cpu_second", 0, "1/s"] = [each.per_cpu_second for each in shaken]
    for (name, size), kib in measured.memory.items():
        found[name, "memory_per_idle_link", size, "KiB"] = [kib]
    return found


def rows(measured: Measured) -> list[Row]:
    found = figures(measured)
    made = list(decision_rows(measured.decisions))
    for (name, metric, size, unit), values in found.items():
        for peer in peers_of(name, metric):
            others = found.get((peer, metric, size, unit)) if peer else None
            made.append(make_row(name, metric, size, unit, values, peer, others))
    return made
