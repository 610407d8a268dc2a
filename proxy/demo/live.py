"""The demo that goes on: the steps again and again at a pace that eyes can follow, until Ctrl-C."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from proxy.demo.once import meanwhile
from proxy.demo.runner import Runner
from proxy.demo.screen import Screen, is_live, paint
from proxy.demo.steps import all_steps
from proxy.demo.table import WIDE, Table, clip
from proxy.demo.workplace import LISTENERS

if TYPE_CHECKING:
    from typing import TextIO

    from proxy.demo.audit_log import Fields
    from proxy.demo.guide import Guide
    from proxy.demo.plant import Plant
    from proxy.demo.step import Result, Step

PACE = 1.5
"""Seconds from one step to the next."""
REDRAW = 0.25
VISITORS, FEW, LOW = 3, 2, 36
"""Records about the person's own clients that are shown; ``FEW`` on a screen of fewer rows than ``LOW``."""
ENDLESS = 1000
HERE = "127.0.0.1:"
"""Where those come from; the demo's own clients have other addresses."""


UNITS = {"sensor-3-1": "C", "sensor-3-2": "C", "sensor-3-3": "%"}


class Live:
    """``go`` returns by KeyboardInterrupt alone. ``failed`` counts the steps that were not as expected."""

    def __init__(self, plant: Plant, guide: Guide, output: TextIO) -> None:
        self._plant = plant
        self._guide = guide
        self._output = output
        self._runner = Runner(plant, alone=False)
        self._steps = all_steps()
        self._rows: list[Result] = []
        self._yours: list[str] = []
        self._screen: Screen | None = None
        self._lines = Table.fitting(self._steps, WIDE)
        self.done = 0
        self.failed = 0

    def go(self) -> None:
        if is_live(self._output):
            with Screen(self._output) as self._screen:
                self._rounds()
        else:
            self._say(*self._guide.lines(ENDLESS), "", self._lines.head())
            self._rounds()

    def _rounds(self) -> None:
        while True:
            for step in self._steps:
                self._draw(step)
                self._take(self._runner.perform(step))
                self._wait()
            for result in self._runner.accounts():
                self._take(result)
                self._wait()
            if self._screen is None:
                self._say(*(f"      {line}" for line in meanwhile(self._plant)))

    def _take(self, result: Result) -> None:
        self.done += 1
        self.failed += not result.ok
        self._rows = [*self._rows, result][-200:]
        if self._screen is None:
            self._say(self._lines.row(result))
            if not result.ok:
                self._say(*_why(result))

    def _wait(self) -> None:
        until = time.monotonic() + PACE
        while (left := until - time.monotonic()) > 0:
            for record in self._plant.audit.refresh():
                if record.get("peer", "").startswith(HERE) and (text := _yours(record)):
                    self._yours = [*self._yours, text][-VISITORS:]
                    if self._screen is None:
                        self._say(f"      {text}")
            self._draw(None)
            time.sleep(min(REDRAW, left))

    def _draw(self, step: Step | None) -> None:
        if self._screen is None:
            return
        width, height = self._screen.size
        table = Table.fitting(self._steps, width, paint)
        top = [clip(line, width) for line in self._header()]
        low = height < LOW
        bottom = [clip(line, width) for line in self._yours[-FEW if low else -VISITORS :]]
        bottom = ["", *bottom, *self._guide.lines(width, short=low)]
        rows = [line for result in self._rows for line in self._row(table, result, width)]
        if step is not None:
            rows.append(table.waiting(step))
        room = max(3, height - len(top) - len(bottom) - 2)
        rows = rows[-room:]
        self._screen.show([*top, "", table.head(), *rows, *[""] * (room - len(rows)), *bottom])

    def _header(self) -> list[str]:
        health = self._plant.scada.health()
        place = self._plant.place
        mbaps, old, plain, sensors, uns, robot = (place.listener(name).bind.port for name in LISTENERS)
        times = f"last {health.last * 1000:.1f} ms, p99 {health.p99 * 1000:.1f} ms"
        modbus = f"Modbus {mbaps} TLS, {old} TLS 1.2, {plain} plain"
        return [
            f"Bulkhead: {modbus}; MQTT {uns} TLS, {sensors} plain; OPC UA {robot}",
            f"SCADA:   {health.polls} polls, {health.failures} failed, {times}, {health.bottles} bottles",
            *self._floor(),
            f"Steps:   {self.done}, {self.failed} not as expected",
        ]

    def _floor(self) -> list[str]:
        floor = self._plant.floor.ledger.health()
        values = ", ".join(f"{name} {value:.2f} {UNITS[name]}" for name, value in sorted(floor.values.items()))
        times = f"last {floor.last * 1000:.1f} ms, p99 {floor.p99 * 1000:.1f} ms"
        return [
            f"Sensors: {floor.published} readings published, {floor.heard} heard by the MES, {times}",
            f"         {values}, by {self._plant.broker.name}",
        ]

    def _row(self, table: Table, result: Result, width: int) -> list[str]:
        more = [] if result.ok else [clip(line, width) for line in _why(result)]
        return [table.row(result), *more]

    def _say(self, *lines: str) -> None:
        self._output.write("".join(f"{line}\n" for line in lines))
        self._output.flush()


def _why(result: Result) -> list[str]:
    return [f"      expected  {result.expected}", f"      observed  {result.observed}"]


def _yours(record: Fields) -> str:
    """One of the person's own requests, in the gateway's words; empty for what says nothing new."""
    who = f"yours: {record.get('who', 'unknown')}:"
    allowed = record.get("allowed")
    if record["what"] == "close" and allowed:
        through = ", ".join(f"{count} by {rule}" for rule, count in allowed.items())
        refused = sum(record.get("refused", {}).values())
        return f"{who} allowed {through}" + (f", refused {refused}" if refused else "")
    if record["what"] == "device":
        return f"{who} {record['reason']} {record['slug']}: {record.get('detail', '')}"
    if record["what"] in ("refuse", "malformed") or (record["what"] == "connect" and record.get("reason")):
        what = record.get("action") or record.get("detail") or record["what"]
        return f"{who} refused {record['reason']} {record['slug']}: {what}"
    return ""
