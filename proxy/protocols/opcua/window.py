"""What numbers an OPC UA rule lets somebody write or pass, and how far they may lie from those before (T53)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from proxy.protocols.opcua.words import exact


@dataclass(frozen=True, slots=True)
class Window:
    """Numbers between ``low`` and ``high``. ``step`` and ``ramp`` (per minute) say how far a number may lie from what
    was there before (`core.process.Move`); `admits` knows nothing of before, and leaves them to whoever does."""

    low: float | None = None
    high: float | None = None
    step: float | None = None
    ramp: float | None = None

    @property
    def paced(self) -> bool:
        return self.step is not None or self.ramp is not None

    def admits(self, numbers: tuple[float, ...] | None) -> bool:
        """At least one number, and each inside. If it is `paced`, one alone: an array has no single distance."""
        if not numbers or (len(numbers) > 1 and self.paced):
            return False
        low, high = self.low, self.high
        for one in numbers:
            if not math.isfinite(one):  # a window without a maximum still means numbers
                return False
            if (low is not None and one < low) or (high is not None and one > high):
                return False
        return True

    def within(self, other: Window) -> bool:
        """Whatever this admits, from wherever, ``other`` admits too."""
        return (
            (other.low is None or (self.low is not None and self.low >= other.low))
            and (other.high is None or (self.high is not None and self.high <= other.high))
            and (other.step is None or (self.step is not None and self.step <= other.step))
            and (other.ramp is None or (self.ramp is not None and self.ramp <= other.ramp))
        )

    def describe(self) -> str:
        parts = []
        if self.low is not None or self.high is not None:
            parts.append(f"{exact(self.low)}..{exact(self.high)}")
        if self.step is not None:
            parts.append(f"step {exact(self.step)}")
        if self.ramp is not None:
            parts.append(f"ramp {exact(self.ramp)}/min")
        return " ".join(parts) or "any number"
