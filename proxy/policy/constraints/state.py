"""`while`: a rule holds only in some state of the process, as far as that was seen (T54)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.reason import Reason
from proxy.policy.constraints.base import Block

if TYPE_CHECKING:
    from collections.abc import Hashable

    from proxy.core.action import Action
    from proxy.core.process import Predicate
    from proxy.policy.circumstances import Circumstances


class ProcessState:
    """All of ``whilst`` must hold. What was not seen, or not lately, is not known, and that is no yes (BH-1404).

    Only what a device told counts, never what somebody is about to write to it.
    """

    __slots__ = ("_circumstances", "_whilst")

    def __init__(self, whilst: tuple[Predicate, ...], circumstances: Circumstances) -> None:
        self._whilst = whilst
        self._circumstances = circumstances

    def blocks(self, action: Action, atoms: int, now: float) -> Block | None:
        unknown: Block | None = None
        for predicate in self._whilst:
            seen = self._circumstances.last(predicate.device, predicate.point)
            if seen is None:
                unknown = unknown or Block(atoms, Reason.PROCESS_UNKNOWN, f"{predicate.describe()}: never seen")
                continue
            value, when = seen
            told = f"{predicate.describe()}: it was {value:.10g}, seen {max(now - when, 0.0):.1f} s ago"
            if now - when > predicate.fresh:
                unknown = unknown or Block(atoms, Reason.PROCESS_UNKNOWN, told)
            elif not predicate.holds(value):
                return Block(atoms, Reason.PROCESS_STATE, told)
        return unknown

    def take(self, action: Action, atoms: int, now: float, taken: set[Hashable]) -> None:
        """Nothing is used up."""
