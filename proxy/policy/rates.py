"""How often: at most ``count`` messages of one speaker under one rule in any window of ``seconds`` (T53)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from proxy.core.surface import Rate


class RateKey(NamedTuple):
    """One budget: all links of a speaker share it, and it outlives a reload that leaves the rate as it was."""

    surface: str
    rule: str
    speaker: str
    rate: Rate


class Rates:
    """The only state a decision has. Time is an argument (monotonic seconds).

    A refilled bucket of ``count`` tokens lets almost twice ``count`` pass within one window (a full bucket, then the
    refill). The promise is *any* window, so a budget keeps the times of its last ``count`` messages instead.
    """

    def __init__(self, limit: int = 65_536) -> None:
        self._limit = limit
        self._taken: dict[RateKey, deque[float]] = {}

    def ready(self, key: RateKey, now: float) -> bool:
        """Whether one more message may pass now. Takes nothing."""
        taken = self._taken.get(key)
        return taken is None or len(taken) < key.rate.count or now - taken[0] >= key.rate.seconds

    def take(self, key: RateKey, now: float) -> None:
        """Book one message. Only after `ready`, in the same decision."""
        taken = self._taken.get(key)
        if taken is None:
            if len(self._taken) >= self._limit:
                self._forget(now)
            taken = self._taken[key] = deque(maxlen=key.rate.count)
        taken.append(now)

    def _forget(self, now: float) -> None:
        """Budgets untouched for a whole window are as good as new."""
        self._taken = {k: t for k, t in self._taken.items() if now - t[-1] < k.rate.seconds}

    def __len__(self) -> int:
        return len(self._taken)
