"""The run as one JSON document, or as tables for a reader."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from bench.mqtt.rows import DIRECT as MOSQUITTO
from bench.mqtt.tables import tables as mqtt_tables
from bench.opcua.tables import tables as opcua_tables
from bench.plan import CONNECTIONS
from bench.policy.tables import tables as policy_tables
from bench.rows import BASELINE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.correctness import Check
    from bench.rows import Row

DECISIONS = {
    "cached": "request known to its link",
    "miss": "decision, allowed",
    "refusal": "decision, refused",
    "uncached": "whole new request, allowed",
    "refused": "whole new request, refused",
    "open": "opening a link",
}
BUSY = 0.05
DIRECT_TITLE = "no proxy (plain TCP)"


@dataclass(slots=True)
class Report:
    machine: dict[str, str | int]
    plan: dict[str, Any]
    titles: dict[str, str]  # target to title, in the order of the tables
    missing: list[str] = field(default_factory=list)  # peers not installed, each with what would bring it
    failed: list[str] = field(default_factory=list)  # phases that ended early, each with why
    checks: list[Check] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    competition: float | None = None  # share of the time in which others had a core that is measured
    mqtt_titles: dict[str, str] = field(default_factory=dict)
    opcua_titles: dict[str, str] = field(default_factory=dict)

    @property
    def wrong(self) -> list[Check]:
        return [check for check in self.checks if not check.ok]

    @property
    def missed(self) -> list[Row]:
        return [row for row in self.rows if row.ok is False]

    @property
    def unjudged(self) -> list[Row]:
        return [row for row in self.rows if row.target and row.ok is None]

    def as_json(self) -> str:
        document = {
            "machine": self.machine,
            "plan": self.plan,
            "competition": self.competition,
            "missing": self.missing,
            "failed": self.failed,
            "checks": [asdict(check) for check in self.checks],
            "results": [row.as_json() for row in self.rows],
        }
        return json.dumps(document, indent=1)

    def as_text(self) -> str:
        parts = [
            *self.headlines(), *self.load_tables(), *self.other_tables(), *self.decision_table(),
            *mqtt_tables(self.rows, self.mqtt_titles, self.plan.get("mqtt", {})),
            *opcua_tables(self.rows, self.opcua_titles, self.plan.get("opcua", {})),
            *policy_tables(self.rows),
            *self.check_lines(), *self.competition_lines(), *self.target_lines(),
            *[f"not measured: {text}" for text in [*self.missing, *self.failed]],
        ]  # fmt: skip
        return "\n".join(parts)

    def headlines(self) -> Iterator[str]:
        words = self.machine | self.plan
        yield f"{words['cpu']}, {words['cores']} cores, kernel {words['kernel']}, Python {words['python']}\n"
        if any(".cpu_per_request." in row.name for row in self.rows):
            yield (
                f"Modbus: medians of {words['rounds']} rounds of {words['seconds']:g} s, in brackets [median "
                f"least..most] of the ratios within a round\nTLS 1.3, mutual, P-256, AES-256-GCM; "
                f"each proxy on one core, generator and PLC on another\n"
            )

    def find(self, name: str, peer: str | None = None) -> Row | None:
        """The first row of that name; with `peer`, the one held against it."""
        return next((row for row in self.rows if row.name == name and peer in (None, row.peer)), None)

    def load_tables(self) -> Iterator[str]:
        kinds = (
            ("cpu_per_request", "CPU per request, microseconds [requests per CPU against HAProxy]", 1),
            ("requests", "Requests per second", 0),
            ("p50", "Latency, median, microseconds", 0),
            ("p99", "Latency, 99 of 100 are faster, microseconds [against HAProxy]", 0),
            ("p999", "Latency, 999 of 1,000 are faster, microseconds", 0),
        )
        heads = [f"{count} connection{'s' * (count > 1)}" for count in CONNECTIONS]
        for metric, title, digits in kinds:
            ratios = metric in ("cpu_per_request", "p99")
            yield from self.table(title, heads, [f".{metric}.{count}" for count in CONNECTIONS], digits, ratios)

    def other_tables(self) -> Iterator[str]:
        suffixes = sorted(
            {row.name.split(".", 1)[1] for row in self.rows if ".memory_per_idle_link." in row.name},
            key=lambda name: int(name.rsplit(".", 1)[1]),
        )
        heads = [f"{int(suffix.rsplit('.', 1)[1]):,} links" for suffix in suffixes]
        yield from self.table("Memory per idle TLS link, KiB", heads, ["." + each for each in suffixes], 1, False)
        metrics = ["handshakes", "handshakes_per_cpu_second", "links", "links_per_cpu_second"]
        titles = ["handshakes/s", "per CPU second", "with one read/s", "per CPU second"]
        yield from self.table(
            "Full mutual handshakes [against HAProxy]", titles, ["." + each for each in metrics], 0, True
        )

    def table(
        self, title: str, heads: Sequence[str], suffixes: Sequence[str], digits: int, ratios: bool
    ) -> Iterator[str]:
        lines = []
        for name, label in self.titles.items():
            cells = [self.cell(name + suffix, digits, ratios) for suffix in suffixes]
            if any(cells):
                lines.append((label, cells))
        if not lines:
            return
        yield title
        yield f"  {'':22}" + "".join(f"{head:>27}" for head in heads)
        for label, cells in lines:
            yield f"  {label:22}" + "".join(f"{cell:>27}" for cell in cells)
        yield ""

    def cell(self, name: str, digits: int, ratios: bool) -> str:
        row = self.find(name, BASELINE) or self.find(name)
        if row is None:
            return ""
        text = f"{row.value:,.{digits}f}"
        if ratios and row.ratio is not None and row.ratio_spread:
            low, high = row.ratio_spread
            text += f" [{row.ratio:.2f} {low:.2f}..{high:.2f}]"
        return text

    def decision_table(self) -> Iterator[str]:
        rows = [row for row in self.rows if row.name.startswith("decision.") and row.unit == "us"]
        counts = sorted({int(row.name.rsplit(".", 1)[1]) for row in rows})
        if not rows:
            return
        yield "Decisions, microseconds [pycasbin alone, same question]"
        yield f"  {'':34}" + "".join(f"{f'{count:,} rules':>27}" for count in counts)
        for what, title in DECISIONS.items():
            cells = []
            for count in counts:
                row = self.find(f"decision.{what}.{count}")
                other = f" [{row.peer_value:,.0f}]" if row and row.peer_value is not None else ""
                cells.append(f"{row.value:,.2f}{other}" if row else "")
            yield f"  {title:34}" + "".join(f"{cell:>27}" for cell in cells)
        yield ""

    def check_lines(self) -> Iterator[str]:
        good = len(self.checks) - len(self.wrong)
        if self.checks:
            yield f"Correctness, before and after: {good} of {len(self.checks)} checks as expected"
        for check in self.wrong:
            yield f"  WRONG  {check.target}: {check.name}: {check.detail}"
        yield ""

    def competition_lines(self) -> Iterator[str]:
        if self.competition is not None and self.competition > BUSY:
            yield f"Other programs had a core that is measured for {self.competition:.0%} of the time: rates and"
            yield "latencies above say little, and CPU figures are too high. Repeat where nothing else runs."
            yield ""

    def title_of(self, row: Row) -> str:
        titles = self.opcua_titles if row.name.startswith("opcua.") else self.titles
        return "Mosquitto alone" if row.peer == MOSQUITTO else titles.get(row.peer or "", row.peer or "")

    def target_lines(self) -> Iterator[str]:
        held = [row for row in self.rows if row.target]
        if held:
            yield "Targets"
        for row in held:
            verdict = {True: "met", False: "MISSED", None: "not judged"}[row.ok]
            against = f" against {self.title_of(row)}" if row.peer else ""
            ratio = row.ratio is not None and str(row.target).startswith("ratio")
            measured = f"{row.ratio:.2f}" if ratio else f"{row.value:,.2f} {row.unit}"
            yield f"  {verdict:10}  {row.name + against:60}  {row.target:16}  {measured}"
        yield ""
