"""The demo that ends: every step once, and an answer that a machine can take."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from proxy.demo.runner import Runner
from proxy.demo.steps import all_steps
from proxy.demo.table import WIDE, Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.demo.plant import Plant
    from proxy.demo.step import Result


def play(plant: Plant, took: Callable[[Result], None]) -> list[Result]:
    """All results; ``took`` gets each as it comes."""
    runner = Runner(plant, alone=True)
    results: list[Result] = []
    for step in all_steps():
        results.append(runner.perform(step))
        took(results[-1])
    for result in runner.accounts():
        results.append(result)
        took(result)
    return results


def as_json(plant: Plant) -> tuple[str, bool]:
    results = play(plant, lambda _: None)
    good = all(result.ok for result in results)
    steps = [
        {
            "name": f"{result.who}: {result.name}",
            "expected": result.expected,
            "observed": result.observed,
            "ok": result.ok,
        }
        for result in results
    ]
    return json.dumps({"steps": steps, "ok": good}, indent=2), good


def as_text(plant: Plant, say: Callable[[str], None]) -> bool:
    """The table, a line after each step, and a line about all of it."""
    began = time.monotonic()
    table = Table.fitting(all_steps(), WIDE)
    say(table.head())

    def took(result: Result) -> None:
        say(table.row(result))
        if not result.ok:
            say(f"      expected  {result.expected}")
            say(f"      observed  {result.observed}")

    results = play(plant, took)
    good = sum(result.ok for result in results)
    say("")
    say(f"{good} of {len(results)} as expected in {time.monotonic() - began:.1f} s; meanwhile")
    for line in meanwhile(plant):
        say(f"  {line}")
    return good == len(results)


def meanwhile(plant: Plant) -> list[str]:
    """How those fared who had nothing to do with the steps."""
    cell, floor, panel = plant.scada.health(), plant.floor.ledger.health(), plant.panel.health()
    sensors = (
        f"the sensors published {floor.published} readings, the MES heard {floor.heard}, {floor.gaps} out of order"
    )
    return [
        f"the SCADA polled {cell.polls} times, {cell.failures} failed, p99 {cell.p99 * 1000:.1f} ms",
        f"{sensors}, p99 {floor.p99 * 1000:.1f} ms",
        f"the panel read the robot {panel.asked} times, {panel.failures} failed, p99 {panel.p99 * 1000:.1f} ms",
    ]
