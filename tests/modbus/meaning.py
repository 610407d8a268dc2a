"""What a `modbus:` section means, register by register, without any class of ours: the oracle for targets.

Reads the same YAML value as `parse_rule` and answers for one `oracle.Touch` at a time. Only for sections that are
right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tests.modbus.oracle import Touch, number

LEVEL = {"basic": 1, "regular": 2, "extended": 3}
TABLES = {"read": ("coil", "discrete", "input", "holding"), "write": ("coil", "holding"), "read-fifo": ("holding",)}
Bounds = tuple[str, int, int]


def allows(section: dict[str, Any], unit: int, touches: Sequence[Touch], at: int) -> bool:
    """Whether the section lets the touch number ``at`` of a request pass; its neighbours hold the other register."""
    units = section.get("units")
    if (unit not in units) if units is not None else (unit == 0):
        return False
    touch = touches[at]
    verb = "write" if touch.verb == "mask" else touch.verb
    if verb not in section:
        return False
    value = section[verb]
    if verb == "identify":
        return touch.where <= LEVEL[value]
    if verb in ("diagnose", "control", "program", "vendor"):
        name: object = f"function {touch.where}" if touch.space == "function" else touch.where
        return name in (value if isinstance(value, list) else [value])
    if isinstance(value, dict):
        return any(_inside(span, touch) and window_allows(window, span, touches, at) for span, window in _all(value))
    return any(_inside(span, touch) for span in _spans(verb, value))


def forbids(section: dict[str, Any], unit: int, function: int, touch: Touch) -> bool:
    """Whether a never section touches it. A broadcast reaches every unit."""
    units = section.get("units")
    if units is not None and unit != 0 and unit not in units:
        return False
    if function in section.get("function", []):
        return True
    verb = "write" if touch.verb == "mask" else touch.verb
    return verb in section and any(_inside(span, touch) for span in _spans(verb, section[verb]))


def window_allows(window: dict[str, Any], span: Bounds, touches: Sequence[Touch], at: int) -> bool:
    touch = touches[at]
    if not window:
        return True
    kind = window.get("type", "u16")
    wide = kind.endswith("32")
    if isinstance(touch.value, tuple):
        changed = touch.value[0] ^ 0xFFFF
        if "bits" in window and any(changed >> bit & 1 and not window["bits"] >> bit & 1 for bit in range(16)):
            return False
        if "bits" in window and "min" not in window and "max" not in window:
            return True
        return changed == 0xFFFF and not wide and _fits(window, kind, (touch.value[1],))
    if "bits" in window and window["bits"] != 0xFFFF:
        return False
    if not wide:
        return _fits(window, kind, (touch.value,))
    low = touch.where - (touch.where - span[1]) % 2
    pair = {t.where: t.value for t in touches if t.verb == "write" and t.space == touch.space}
    return low in pair and low + 1 in pair and _fits(window, kind, (pair[low], pair[low + 1]))


def _fits(window: dict[str, Any], kind: str, raw: tuple[Any, ...]) -> bool:
    value = number(raw, kind, little=window.get("order") == "little")
    if value is None:
        return False
    value = value * window.get("scale", 1.0)
    if value in (float("inf"), float("-inf")):
        return False
    return bool(window.get("min", value) <= value <= window.get("max", value))


def _inside(span: Bounds, touch: Touch) -> bool:
    return span[0] == touch.space and span[1] <= touch.where <= span[2]


def _all(value: dict[str, Any]) -> Iterator[tuple[Bounds, dict[str, Any]]]:
    for text, window in value.items():
        yield _bounds(text), window


def _spans(verb: str, value: Any) -> list[Bounds]:
    if value == "all":
        return [(table, 0, 65535) for table in TABLES[verb]]
    texts = [f"file {text}" if verb.endswith("-file") else text for text in value]
    return [_bounds(text) for text in texts]


def _bounds(text: str) -> Bounds:
    space, _, numbers = text.rpartition(" ")
    first, _, last = numbers.partition("-")
    return space, int(first), int(last or first)
