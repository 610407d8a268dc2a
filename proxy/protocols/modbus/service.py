"""``services: modbus:`` of a device: how it wants to be spoken to."""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proxy.core.options import access, no_access
from proxy.protocols.modbus.windows import nearest

if TYPE_CHECKING:
    from proxy.protocols.base import Report

_SECONDS = re.compile(r"([0-9]{1,5}(?:\.[0-9]{1,3})?)(ms|s)")


def _more_units(now: frozenset[int] | None, before: frozenset[int] | None) -> bool:
    return before is not None and (now is None or not now <= before)


@dataclass(frozen=True, slots=True)
class ModbusService:
    """``units``: the unit ids behind this address, None for any. ``connections``: TCP connections the device takes
    from us; ``pipeline``: requests it takes at once on each (most PLCs: 1). ``timeout`` seconds until 0x0B.
    ``answers_other_unit``: it answers with a unit id of its own (Messaging Guide 4.4.1.3)."""

    units: frozenset[int] | None = field(default=None, metadata=access(_more_units))
    connections: int = field(default=1, metadata=access(no_access))
    pipeline: int = field(default=1, metadata=access(no_access))
    timeout: float = field(default=1.0, metadata=access(no_access))
    answers_other_unit: bool = field(default=False, metadata=access(operator.gt))


def parse_service(value: object, report: Report) -> ModbusService | None:
    """``value`` is the mapping without `port` and `shared`. None after a report."""
    if not isinstance(value, Mapping):
        report((), "is not a section", "write modbus: { port: 502 }")
        return None
    known = ("units", "connections", "pipeline", "timeout", "answers_other_unit")
    good = True

    def wrong(key: str, what: str, mend: str) -> None:
        nonlocal good
        good = False
        report((key,), what, mend)

    for key in value:
        if key not in known:
            wrong(str(key), f"unknown key {key!r}", nearest(key, [*known, "port", "shared", "tls"]))
    numbers = {"connections": (1, 16), "pipeline": (1, 64)}
    for key, (low, high) in numbers.items():
        number = value.get(key, low)
        if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
            wrong(
                key,
                f"{number!r} is not a number {low}..{high}",
                "most PLCs take 1 to 4 connections and pipeline 1",
            )
    other = value.get("answers_other_unit", False)
    if not isinstance(other, bool):
        wrong("answers_other_unit", f"{other!r} is neither true nor false", "true or false")
    units = _units(value.get("units"), wrong)
    timeout = _timeout(value.get("timeout", "1s"), wrong)
    if not good:
        return None
    return ModbusService(units, value.get("connections", 1), value.get("pipeline", 1), timeout, bool(other))


def _units(value: object, wrong: _Wrong) -> frozenset[int] | None:
    if value is None:
        return None
    numbers = value if isinstance(value, list) else [value]
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int) or not (0 <= number <= 247 or number == 255):
            wrong("units", f"{number!r} is not a unit id", "0..247 or 255; 248..254 are reserved")
            return None
    if not numbers:
        wrong("units", "is empty", "name the units, or leave the line out for any")
    return frozenset(numbers)


def _timeout(value: object, wrong: _Wrong) -> float:
    match = _SECONDS.fullmatch(value) if isinstance(value, str) else None
    seconds = float(match[1]) * (0.001 if match[2] == "ms" else 1.0) if match else 0.0
    if not 0.01 <= seconds <= 60:
        wrong("timeout", f"{value!r} is not a time from 10ms to 60s", "write for example 1s or 500ms")
    return seconds


if TYPE_CHECKING:
    from collections.abc import Callable

    _Wrong = Callable[[str, str, str], None]
