"""One value of a Modbus device, as rules name it: ``holding 40``, ``input 7 f32 little (unit 2)``, ``coil 3``.

The number is raw * scale, the same that a value window compares. Two points are the same if their names are.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from proxy.core.process import Point

FORMATS = {"u16": "H", "i16": "h", "u32": "I", "i32": "i", "f32": "f"}
TYPES = tuple(FORMATS)
BITS = ("coil", "discrete")
REGISTERS = ("holding", "input")
EXAMPLES = "holding 10; holding 10 f32; input 3 i16 unit 2; coil 5"
_POINT = re.compile(
    r"(?P<space>[a-z]+) +(?P<address>[0-9]{1,5})(?: +(?P<kind>[a-z]+[0-9]+))?(?P<little> +little)?"
    r"(?: +scale +(?P<scale>-?[0-9][0-9.e+-]{0,30}))?(?: +unit +(?P<unit>[0-9]{1,3})| +\(unit +(?P<said>[0-9]{1,3})\))?"
)


class Register(NamedTuple):
    """A point taken apart. ``kind`` is empty for a bit."""

    space: str
    address: int
    kind: str = "u16"
    little: bool = False
    scale: float = 1.0
    unit: int = 1

    @property
    def width(self) -> int:
        """Addresses that hold it."""
        return width_of(self.kind)

    @property
    def point(self) -> Point:
        kind = f" {self.kind}" if self.kind else ""
        order = " little" if self.little else ""
        scale = f" scale {exact(self.scale)}" if self.scale != 1.0 else ""
        return Point("modbus", f"{self.space} {self.address}{kind}{order}{scale} (unit {self.unit})")


def width_of(kind: str) -> int:
    return 2 if kind.endswith("32") else 1


def number(kind: str, little: bool, scale: float, words: tuple[int, ...]) -> float:
    """What registers hold; they come most significant first unless ``little``. May be infinite or no number."""
    ordered = tuple(reversed(words)) if little else words
    raw: float = struct.unpack(f">{FORMATS[kind]}", struct.pack(f">{len(ordered)}H", *ordered))[0]
    return raw * scale


def exact(value: float | None) -> str:
    """Every digit: the text of a target goes into the digest by which a changed policy is known."""
    return "" if value is None else repr(value + 0.0).removesuffix(".0")


def parse_register(text: str) -> Register:
    """``holding 10 [TYPE] [little] [scale X] [unit N]``, or the canonical name. ValueError with a mend."""
    match = _POINT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a point; for example: {EXAMPLES}")
    space, address = match["space"], int(match["address"])
    unit = int(match["unit"] or match["said"] or 1)
    if space not in (*REGISTERS, *BITS):
        raise ValueError(f"there is no table {space!r}; one of {', '.join((*REGISTERS, *BITS))}")
    if unit == 0 or 247 < unit != 255:
        raise ValueError(f"unit {unit} tells nothing; units are 1 to 247, and 255")
    if space in BITS:
        if match["kind"] or match["little"] or match["scale"]:
            raise ValueError(f"a {space} is 0 or 1 and has neither type, order nor scale")
        register = Register(space, address, "", unit=unit)
    else:
        kind = match["kind"] or "u16"
        if kind not in TYPES:
            raise ValueError(f"unknown type {kind!r}; one of {', '.join(TYPES)}")
        register = Register(space, address, kind, bool(match["little"]), _scale(match["scale"]), unit)
    if address + register.width - 1 > 65535:
        raise ValueError(f"address {address} lies beyond 65535")
    return register


def _scale(text: str | None) -> float:
    try:
        scale = float(text or 1.0)
    except ValueError:
        scale = 0.0
    if not 0 < abs(scale) <= 1e300:
        raise ValueError(f"scale {text} is not a factor; write for example scale 0.1")
    return scale
