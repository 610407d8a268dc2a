"""Somebody edits the files while everything runs: what is wrong changes nothing, what narrows cuts at once and nobody
else, what widens waits for a word, and what is only monitored is counted.

Each step begins with the file that the one before has left; the last ones put it back as it was.
"""

from __future__ import annotations

from proxy.demo.client import ANSWERED
from proxy.demo.connection import CLOSED
from proxy.demo.frames import content
from proxy.demo.step import Expect, Step
from proxy.demo.steps import common as c
from proxy.demo.steps.editor import COUNTER, FAST, LOOK_AT_VALVES, MEANWHILE, SETPOINT, TIMES, VALVES, Editor


def steps() -> list[Step]:
    editor = Editor()
    return [*_taken(editor), *_watched(editor), *_widened(editor)]


def _taken(editor: Editor) -> list[Step]:
    question, valves = content(COUNTER), content(LOOK_AT_VALVES)
    return [
        Step(
            "MES",
            "a typo in a file: all as before",
            editor.misspells,
            Expect(
                (ANSWERED, c.REFUSED, ANSWERED, c.REFUSED, ANSWERED),
                allowed=(c.COUNTERS,),
                reason=c.DEFAULT_DENY,
                arrives=(question,) * 3,
            ),
        ),
        Step(
            "anna (Operator)",
            "loses her rule; the MES goes on",
            editor.takes_away,
            Expect(
                (*(ANSWERED,) * (1 + TIMES), CLOSED),
                allowed=(c.COUNTERS, f"cell-3/{VALVES}"),
                reason=c.POLICY_CHANGED,
                arrives=(valves, *(content(MEANWHILE),) * TIMES),
            ),
        ),
    ]


def _watched(editor: Editor) -> list[Step]:
    return [
        Step("SCADA", "a tighter rule, in monitor", editor.watches, c.allowed(f"cell-3/{SETPOINT}", content(FAST))),
        Step("intruder as MES", "the same write beside it", editor.beside, c.refused(c.DEFAULT_DENY)),
        Step("engineer", "the trim, outside its hours", editor.puts_hours, c.refused(c.OUTSIDE_HOURS)),
        Step("MES", "a rule in monitor comes due", editor.comes_due, c.refused(c.DEFAULT_DENY)),
    ]


def _widened(editor: Editor) -> list[Step]:
    return [
        Step(
            "anna (Operator)",
            "has it back, once acknowledged",
            editor.puts_back,
            Expect(
                (c.REFUSED, c.REFUSED, ANSWERED),
                allowed=(f"cell-3/{VALVES}",),
                reason=c.DEFAULT_DENY,
                arrives=(content(LOOK_AT_VALVES),),
            ),
        ),
        Step(
            "SCADA", "and so has everybody else", c.asks(c.scada, FAST), c.allowed(f"cell-3/{SETPOINT}", content(FAST))
        ),
    ]
