"""`budget`: how many changes a rule lets through, whoever makes them (T53)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.reason import Reason
from proxy.policy.constraints.base import Block

if TYPE_CHECKING:
    from collections.abc import Hashable

    from proxy.core.action import Action
    from proxy.policy.rates import RateKey, Rates

EVERYBODY = "everybody"
"""The speaker of a budget's key. No speaker is called so: theirs begin with a kind, like ``id:``."""


class Budget:
    """As a rate, but for all speakers together, and what changes nothing costs nothing and is never in need of it."""

    __slots__ = ("_key", "_rates")

    def __init__(self, key: RateKey, rates: Rates) -> None:
        self._key = key
        self._rates = rates

    def blocks(self, action: Action, atoms: int, now: float) -> Block | None:
        if not action.changes or self._rates.ready(self._key, now):
            return None
        rate = self._key.rate
        return Block(atoms, Reason.RATE_SPENT, f"{rate.count} changes in {rate.span}, by all speakers together")

    def take(self, action: Action, atoms: int, now: float, taken: set[Hashable]) -> None:
        if action.changes and self._key not in taken:
            taken.add(self._key)
            self._rates.take(self._key, now)
