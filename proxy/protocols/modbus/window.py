"""What values a Modbus rule lets somebody write, and how far they may lie from those before (T53)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from proxy.protocols.modbus.points import exact, number, width_of


@dataclass(frozen=True, slots=True)
class Window:
    """What values may be written (T53): numbers between ``low`` and ``high``, or only some ``bits`` of a register.

    ``kind`` u16, i16, u32, i32 or f32; the 32-bit kinds take two registers, most significant first unless
    ``little`` (word order). The number compared is raw * ``scale``. ``bits``: a masked write (FC 22) may set or clear
    these bits; an ordinary write sets all sixteen and is then not admitted unless ``bits`` is 0xFFFF.

    ``step`` and ``ramp`` (per minute) say how far a value may lie from what was there before (`core.process.Move`);
    `admits` knows nothing of before, and leaves them to whoever does.
    """

    low: float | None = None
    high: float | None = None
    kind: str = "u16"
    little: bool = False
    scale: float = 1.0
    bits: int | None = None
    step: float | None = None
    ramp: float | None = None

    @property
    def width(self) -> int:
        """Registers per value."""
        return width_of(self.kind)

    def number(self, words: tuple[int, ...]) -> float:
        return number(self.kind, self.little, self.scale, words)

    def within(self, other: Window) -> bool:
        """Whatever this admits, from wherever, ``other`` admits too. May be False where both look at other bits."""
        same = (self.kind, self.little, self.scale, self.bits) == (other.kind, other.little, other.scale, other.bits)
        return (
            same
            and (other.low is None or (self.low is not None and self.low >= other.low))
            and (other.high is None or (self.high is not None and self.high <= other.high))
            and (other.step is None or (self.step is not None and self.step <= other.step))
            and (other.ramp is None or (self.ramp is not None and self.ramp <= other.ramp))
        )

    def admits(self, words: tuple[int, ...]) -> bool:
        if self.bits is not None and self.bits != 0xFFFF:
            return False
        value = self.number(words)
        if not math.isfinite(value):  # a window without a maximum still means numbers
            return False
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def admits_mask(self, and_mask: int, or_mask: int) -> bool:
        """FC 22 changes the bits that are 0 in ``and_mask``, to ``or_mask``; the others keep an unknown value.

        A window with both ``bits`` and bounds admits only what keeps both: nothing but a whole value can be compared.
        """
        touched = ~and_mask & 0xFFFF
        if self.bits is not None:
            if touched & ~self.bits:
                return False
            if self.low is None and self.high is None:
                return True
        return touched == 0xFFFF and self.width == 1 and self.admits((or_mask,))

    def describe(self) -> str:
        parts = []
        if self.low is not None or self.high is not None:
            parts.append(f"{exact(self.low)}..{exact(self.high)}")
        if self.scale != 1.0:
            parts.append(f"scale {exact(self.scale)}")
        if self.bits is not None:
            parts.append(f"bits 0x{self.bits:04X}")
        if self.step is not None:
            parts.append(f"step {exact(self.step)}")
        if self.ramp is not None:
            parts.append(f"ramp {exact(self.ramp)}/min")
        if self.kind != "u16" or self.little or not parts:
            parts.insert(0, self.kind + (" little" if self.little else ""))
        return " ".join(parts)
