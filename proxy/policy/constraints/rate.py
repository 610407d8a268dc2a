"""`rate`: how many messages of one speaker a rule lets through (T53)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.reason import Reason
from proxy.policy.constraints.base import Block

if TYPE_CHECKING:
    from collections.abc import Hashable

    from proxy.core.action import Action
    from proxy.policy.rates import RateKey, Rates


class RateLimit:
    """At most ``count`` messages in any ``seconds``; whatever of a message the rule allows, it is charged once."""

    __slots__ = ("_key", "_rates")

    def __init__(self, key: RateKey, rates: Rates) -> None:
        self._key = key
        self._rates = rates

    def blocks(self, action: Action, atoms: int, now: float) -> Block | None:
        if self._rates.ready(self._key, now):
            return None
        rate = self._key.rate
        return Block(atoms, Reason.RATE_SPENT, f"{rate.count} in {rate.span}")

    def take(self, action: Action, atoms: int, now: float, taken: set[Hashable]) -> None:
        if self._key not in taken:
            taken.add(self._key)
            self._rates.take(self._key, now)
