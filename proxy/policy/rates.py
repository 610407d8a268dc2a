"""What decisions book: how often each rule was used, and what values went on (T53). The only state they have."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from proxy.core.process import Point
    from proxy.core.surface import Rate
    from proxy.policy.trail import Trail

FORGOTTEN = 60.0
"""Seconds after which a value that went on may be forgotten, if there are too many (`constraints.pace`)."""


class RateKey(NamedTuple):
    """One budget: all links of a speaker share it, and it outlives a reload that leaves the rate as it was."""

    surface: str
    rule: str
    speaker: str
    rate: Rate


class Sent(NamedTuple):
    """Values that went on to one point, since it was last known for sure: from ``low`` to ``high``, the ``latest`` of
    them at ``when``. ``before`` has those that went before and are settled, at the time when they were."""

    low: float
    high: float
    latest: float
    when: float
    before: Trail


class Rates:
    """Time is an argument (monotonic seconds). Bounded: what is as good as new is forgotten beyond ``limit``.

    A refilled bucket of ``count`` tokens lets almost twice ``count`` pass within one window (a full bucket, then the
    refill). The promise is *any* window, so a budget keeps the times of its last ``count`` messages instead.
    """

    def __init__(self, limit: int = 65_536) -> None:
        self._limit = limit
        self._taken: dict[RateKey, deque[float]] = {}
        self._sent: dict[tuple[str, Point], Sent] = {}

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

    def sent(self, device: str, point: Point) -> Sent | None:
        return self._sent.get((device, point))

    def send(self, device: str, point: Point, sent: Sent) -> None:
        """Book what went on to ``point``."""
        if len(self._sent) >= self._limit:
            self._sent = {k: s for k, s in self._sent.items() if sent.when - s.when < FORGOTTEN}
        self._sent[device, point] = sent

    def _forget(self, now: float) -> None:
        """Budgets untouched for a whole window are as good as new."""
        self._taken = {k: t for k, t in self._taken.items() if now - t[-1] < k.rate.seconds}

    def __len__(self) -> int:
        return len(self._taken)
