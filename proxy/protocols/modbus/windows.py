"""How value windows are written: ``{ min: 0, max: 1500, step: 50, ramp: 200 }``."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from proxy.protocols.modbus.points import TYPES
from proxy.protocols.modbus.window import Window

if TYPE_CHECKING:
    from proxy.protocols.base import Path, Report

PACED = 125
"""Registers of one line with `step` or `ramp`: each is watched, so they are named and not swept together."""
_NUMBERS = ("min", "max", "step", "ramp")


def parse_window(value: object, place: Path, report: Report) -> Window | None | Literal[False]:
    """A value window; None for ``{}`` (any value), False after a report."""
    if not isinstance(value, Mapping):
        report(place, "is not a value window", "write { min: 0, max: 1500 }, or {} for any value")
        return False
    known = ("min", "max", "type", "order", "scale", "bits", "step", "ramp")
    good = True
    for key in value:
        if key not in known:
            report((*place, str(key)), f"unknown key {key!r}", nearest(str(key), list(known)))
            good = False
    good = _window_values(value, place, report) and good
    if not good:
        return False
    if not value:
        return None
    low, high, step, ramp = (None if value.get(key) is None else float(value[key]) for key in _NUMBERS)
    return Window(
        low,
        high,
        value.get("type", "u16"),
        value.get("order", "big") == "little",
        float(value.get("scale", 1.0)),
        value.get("bits"),
        step,
        ramp,
    )


def _window_values(value: Mapping[str, object], place: Path, report: Report) -> bool:
    good = True

    def wrong(key: str, what: str, mend: str) -> None:
        nonlocal good
        good = False
        report((*place, key), what, mend)

    for key in (*_NUMBERS, "scale"):
        number = value.get(key, 1)
        # The bound leaves out NaN, infinities and integers that no float holds.
        if isinstance(number, bool) or not isinstance(number, int | float) or not abs(number) <= 1e300:
            wrong(key, f"{number!r} is not a number", "give a plain number")
    for key in ("step", "ramp"):
        distance = value.get(key, 1)
        if good and isinstance(distance, int | float) and distance <= 0:
            wrong(key, f"{distance!r} lets nothing move", "give the distance that is allowed, above 0")
    if "bits" in value and not {"step", "ramp"}.isdisjoint(value):
        wrong("bits", "has no distance that a step or ramp could limit", "give a window of its own to each")
    if value.get("scale") == 0:
        wrong("scale", "is 0", "give the factor from raw to engineering units")
    if value.get("type", "u16") not in TYPES:
        wrong("type", f"unknown type {value.get('type')!r}", f"one of {', '.join(TYPES)}")
    if value.get("order", "big") not in ("big", "little"):
        wrong("order", f"unknown word order {value.get('order')!r}", "big or little")
    bits = value.get("bits", 0)
    if isinstance(bits, bool) or not isinstance(bits, int) or not 0 <= bits <= 0xFFFF:
        wrong("bits", f"{bits!r} is not a mask of 16 bits", "give a number 0..65535")
    low, high = value.get("min"), value.get("max")
    if good and isinstance(low, int | float) and isinstance(high, int | float) and low > high:
        wrong("max", f"{high:g} is below min {low:g}", "swap them")
    return good


def window_fault(space: str, first: int, last: int, window: Window) -> tuple[str, str] | None:
    """What is wrong with a window on these addresses, and how to mend it."""
    registers = last - first + 1
    if registers % window.width:
        return (
            f"{registers} registers do not hold whole {window.kind} values",
            "give each 32-bit value its two registers; windows are for registers",
        )
    paced = window.step is not None or window.ramp is not None
    if space == "coil" and (window.width != 1 or window.bits is not None or window.kind != "u16" or paced):
        return "a coil is 0 or 1 and has neither type, bits, step nor ramp", "windows are for registers"
    if paced and registers > PACED:
        return f"step and ramp watch {registers} registers", f"name at most {PACED} in one line: those it is about"
    return None


def nearest(word: object, known: list[str]) -> str:
    close = difflib.get_close_matches(str(word), known, 1)
    return f"did you mean {close[0]!r}?" if close else f"one of {', '.join(known)}"
