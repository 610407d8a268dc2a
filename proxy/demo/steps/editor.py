"""What somebody does to the files of the running plant, and what it looks like from two connections."""

from __future__ import annotations

import select
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from proxy.demo import edits
from proxy.demo.client import Client
from proxy.demo.frames import read, read_holding, write_register
from proxy.demo.step import Claim, Seen
from proxy.demo.steps import common as c

if TYPE_CHECKING:
    from proxy.demo.control import Reload
    from proxy.demo.plant import Plant

CELL, STOP = "policies/surfaces/cell-3.yaml", "policies/windows/planned-stop.yaml"
VALVES, SETPOINT, TIGHT, TRIM, RECIPE, SHORT = "valves", "setpoint", "setpoint-tight", "trim", "recipe", "recipe-short"

COUNTER, FOREIGN = read_holding(22, 3), write_register(41, 7)
"""What the MES may ask and what it may not."""
LOOK_AT_VALVES, MEANWHILE = read(1, 0, 4), read_holding(24, 2)
FAST, PRESS, TRIM_IT = write_register(40, 1200), write_register(69, 1), write_register(50, 110)
"""The first two are within the rules in force, and not within the ones in monitor."""

TIMES, EARLY, LATE = 60, 10, 10
"""So many questions of the MES, some before the files change and some when the other link has been cut."""
PAUSE, SLOW = 0.02, 10.0
"""Seconds between two questions; and for the gateway to take the files, on a machine that is busy."""
CUT_WITHIN = 1.0
"""Seconds, as for a revocation."""
WATCHED_FOR = timedelta(days=7)
LEAD, LEADS = 1.5, 3.0
"""Seconds until something in monitor comes due, and so many times as long as the gateway took over its files before:
it must have them in time."""
MARGIN = 0.3
WINDOW = """\
window: planned-stop
zone: UTC
open: "{day} 22:00"
close: "{day} 23:00"
"""
TIGHTER = """\
  setpoint-tight:                   # the new filler jams above 900
    from: scada
    to: plc-3a
    needs: [x509]
    modbus: {{ write: {{ holding 40: {{ min: 0, max: 900 }} }} }}
    rate: 6/min
    mode: monitor
    monitor: {{ until: "{until}", why: the new filler, then: alarm }}
    replaces: setpoint

"""
SHORTER = """\
  recipe-short:                     # register 69 starts the old press
    from: mes
    to: plc-3a
    modbus: {{ write: [holding 60-68] }}
    mode: monitor
    monitor: {{ until: "{until}", why: the old press goes, then: enforce }}
    replaces: recipe

"""


class Editor:
    """Keeps the file as it was when the first step came to it, and as it is."""

    def __init__(self) -> None:
        self._original = self._text = ""
        self._due = self._slowest = 0.0
        self._watched = False

    def misspells(self, plant: Plant) -> Seen:
        control = plant.control
        self._original = self._text = control.read(CELL)
        wrong, line = edits.misspelt(self._text, "modbus")
        with Client(c.mes(plant)) as mes:
            answers = [mes.ask(COUNTER)[0], mes.ask(FOREIGN)[0]]
            refused = self._write(plant, wrong)
            answers += [mes.ask(COUNTER)[0], mes.ask(FOREIGN)[0]]
            mended = self._write(plant, self._text)
            answers += mes.ask(COUNTER)
        where = f"{CELL}:{line}"
        found = next((one for one in refused.told if one.startswith(f"{where}:")), "; ".join(refused.told))
        told = Claim(
            f"the file is refused at {where}",
            f"the file is {refused.outcome} at {_place(found)}",
            refused.outcome == "refused" and _place(found) == where,
        )
        good = mended.outcome in ("taken", "unchanged")
        return Seen.of([mes], answers, told, Claim("then mended", f"then {'mended' if good else mended.outcome}", good))

    def takes_away(self, plant: Plant) -> Seen:
        """The link of the one who loses is watched between two questions of the one who does not."""
        self._text = edits.without_rule(self._text, VALVES)
        with Client(c.operator(plant)) as anna, Client(c.mes(plant)) as mes:
            answers = [*anna.ask(LOOK_AT_VALVES), *(mes.ask(MEANWHILE)[0] for _ in range(EARLY))]
            before = plant.control.number()
            plant.control.write(CELL, self._text)
            asked = plant.control.hang_up()
            cut = 0.0
            for left in range(TIMES - EARLY, 0, -1):
                if not cut and select.select([anna.sock], [], [], SLOW if left == LATE else PAUSE)[0]:
                    cut = time.time()
                answers += mes.ask(MEANWHILE)
            last = anna.answer()
            cut = cut or time.time()
        taken = self._took(plant.control.wait(before, asked))
        answers.append(replace(last, seconds=cut - asked))
        names = _names(plant, anna.peer, f"cell-3/{VALVES}")
        return Seen.of([anna, mes], answers, _outcome(taken, "taken"), _cut(cut - taken.taken), names)

    def watches(self, plant: Plant) -> Seen:
        """Two things in monitor: one to be counted, and one that comes due soon."""
        lead = LEAD + LEADS * self._slowest
        self._due = time.time() + lead
        text = edits.without_tests(self._text, RECIPE)
        for rule, ahead in ((SHORTER, timedelta(seconds=lead)), (TIGHTER, WATCHED_FOR)):
            text = edits.with_entry(text, "rules", rule.format(until=_text(ahead)))
        self._text = text
        taken = self._write(plant, text)
        before = _counted(plant)
        with Client(c.scada(plant)) as scada:
            answers = scada.ask(FAST)
        would = _would(before, plant, 1)
        self._watched = plant.control.monitored(SHORT) is not None
        return Seen.of([scada], answers, _outcome(taken, "taken"), would)

    def beside(self, plant: Plant) -> Seen:
        before = _counted(plant)
        seen = c.asks(c.as_mes, FAST)(plant)
        return replace(seen, claims=(_would(before, plant, 0),))

    def puts_hours(self, plant: Plant) -> Seen:
        day = datetime.now(UTC) + timedelta(days=2)
        plant.control.write(STOP, WINDOW.format(day=day.date()))
        self._text = edits.with_key(self._text, TRIM, "when: planned-stop")
        taken = self._write(plant, self._text)
        return replace(c.asks(c.engineer, TRIM_IT)(plant), claims=(_outcome(taken, "taken"),))

    def comes_due(self, plant: Plant) -> Seen:
        time.sleep(max(0.0, self._due + MARGIN - time.time()))
        seen = c.asks(c.mes, PRESS)(plant)
        gone = plant.control.monitored(SHORT) is None
        text = "it was in monitor until now"
        return replace(
            seen, claims=(Claim(text, text if self._watched and gone else "it was not", self._watched and gone),)
        )

    def puts_back(self, plant: Plant) -> Seen:
        control = plant.control
        with Client(c.operator(plant)) as anna:
            answers = anna.ask(LOOK_AT_VALVES)
            control.write(CELL, self._original)
            control.write(STOP, None)
            waits = control.reload()
            answers += anna.ask(LOOK_AT_VALVES)
            code, said = control.apply(waits.accept)
            answers += anna.ask(LOOK_AT_VALVES)
        text = f"policy apply --accept-widening: {said.get('outcome')}"
        applied = Claim("policy apply --accept-widening: taken", text, code == 0 and said.get("outcome") == "taken")
        return Seen.of([anna], answers, _outcome(waits, "pending"), applied)

    def _write(self, plant: Plant, text: str) -> Reload:
        plant.control.write(CELL, text)
        return self._took(plant.control.reload())

    def _took(self, reload: Reload) -> Reload:
        self._slowest = max(self._slowest, reload.taken - reload.asked)
        return reload


def _text(ahead: timedelta) -> str:
    """RFC 3339."""
    return (datetime.now(UTC) + ahead).isoformat(timespec="milliseconds")


def _counted(plant: Plant) -> int | None:
    """What would have been refused by the tighter rule so far; None if it is not in monitor."""
    found = plant.control.monitored(TIGHT)
    return None if found is None else int(found["would_refuse"])


def _would(before: int | None, plant: Plant, more: int) -> Claim:
    now = _counted(plant)
    wanted = f"{TIGHT} would have refused {more} more"
    if before is None or now is None:
        return Claim(wanted, f"{TIGHT} is not in monitor", False)
    return Claim(wanted, f"{TIGHT} would have refused {now - before} more", now - before == more)


def _outcome(reload: Reload, wanted: str) -> Claim:
    why = f" ({'; '.join(reload.told)})" if reload.told and reload.outcome != wanted else ""
    return Claim(f"the files are {wanted}", f"the files are {reload.outcome}{why}", reload.outcome == wanted)


def _cut(seconds: float) -> Claim:
    """From the moment at which the gateway took the files to the end of the link, at the client."""
    return Claim(f"cut within {CUT_WITHIN:g} s", f"cut after {max(0.0, seconds):.2f} s", seconds < CUT_WITHIN)


def _names(plant: Plant, peer: str, rule: str) -> Claim:
    """The record of the link's end says which rule had let it in, and where that stood."""
    ends = [record.get("detail", "") for record in plant.audit.of({peer}) if record["what"] == "close"]
    good = any(f"rule {rule} ({CELL}:" in detail for detail in ends)
    text = f"its record names {rule}"
    return Claim(text, text if good else f"its record says {'; '.join(ends) or 'nothing'}", good)


def _place(told: str) -> str:
    """``FILE:LINE`` of a problem."""
    return ":".join(told.split(":")[:2])
