"""How value windows of OPC UA are written: ``{ min: 0, max: 100, step: 5, ramp: 20, status: any }``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from proxy.protocols.opcua.reading import nearest, quoted
from proxy.protocols.opcua.window import Window

if TYPE_CHECKING:
    from proxy.protocols.base import Path, Report

BOUNDS = ("min", "max")
PACE = ("step", "ramp")
STATUS = "status"
_EXAMPLE = "write { min: 0, max: 100 }, or {} for any value"


class Limits(NamedTuple):
    """What a line of `write` says behind its node."""

    window: Window | None
    status: bool


def parse_limits(value: object, place: Path, report: Report) -> Limits | None:
    """None after a report."""
    if not isinstance(value, Mapping):
        report(place, "is not a value window", _EXAMPLE)
        return None
    status = value.get(STATUS)
    good = status in (None, "any") and (STATUS not in value or status is not None)
    if not good:
        report((*place, STATUS), f"{quoted(status)} is no status to write", "any, or leave the line out for Good alone")
    window = _parse(value, place, report, (*BOUNDS, *PACE, STATUS))
    return Limits(window, status == "any") if good and window is not False else None


def parse_argument(value: object, place: Path, report: Report) -> Window | None | Literal[False]:
    """The window of one argument, None for any; False after a report. A call has no last value to be near to."""
    if value == "any":
        return None
    if not isinstance(value, Mapping):
        report(place, f"{quoted(value)} is neither a window nor any", "write { min: 0, max: 3 }, or any")
        return False
    if not value:
        report(place, "is empty", "write { min: 0, max: 3 }, or any")
        return False
    for key in PACE:
        if key in value:
            report((*place, key), f"an argument has no {key}: nobody sees the one before", "write min and max alone")
            return False
    return _parse(value, place, report, BOUNDS)


def _parse(
    value: Mapping[Any, object], place: Path, report: Report, known: tuple[str, ...]
) -> Window | None | Literal[False]:
    good = True

    def wrong(key: str, what: str, mend: str) -> None:
        nonlocal good
        good = False
        report((*place, key), what, mend)

    for key in value:
        if key not in known:
            wrong(str(key), f"unknown key {quoted(key)}", nearest(key, known))
    found = {key: _number(value, key, wrong) for key in (*BOUNDS, *PACE)}
    low, high = found["min"], found["max"]
    if low is not None and high is not None and low > high:
        wrong("max", f"{high:g} is below min {low:g}", "swap them")
    for key in PACE:
        distance = found[key]
        if distance is not None and distance <= 0:
            wrong(key, f"{distance!r} lets nothing move", "give the distance that is allowed, above 0")
    if not good:
        return False
    numbers = [found[key] for key in (*BOUNDS, *PACE)]
    return None if all(one is None for one in numbers) else Window(*numbers)


def _number(value: Mapping[Any, object], key: str, wrong: Any) -> float | None:
    if key not in value:
        return None
    number = value[key]
    # The bound leaves out NaN, infinities and integers that no float holds.
    if isinstance(number, bool) or not isinstance(number, int | float) or not abs(number) <= 1e300:
        wrong(key, f"{quoted(number)} is not a number", "give a plain number")
        return None
    return number if number != float(number) else float(number)  # an int of 64 bits that no float holds stays
