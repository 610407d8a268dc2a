"""The event loop's pulse: how late its timers ring, and whether they ring at all (T78)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

PERIOD = 0.1
"""Seconds between beats. *"""
WINDOW = 15.0
"""The worst delay is that of the last 15 to 30 seconds, so that two scrapers see the same. *"""
STALL = 1.0
"""A loop that is late by this much has stalled. *"""


class Heartbeat:
    """`start` on the loop that is watched; `age` may be asked from any thread."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._last = monotonic()
        self._worst = 0.0
        self._worst_before = 0.0
        self._window_ends = self._last + WINDOW
        self._timer: asyncio.TimerHandle | None = None
        self.stalls = 0

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._last = self._monotonic()
        self._timer = loop.call_later(PERIOD, self._ring, loop)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def beat(self) -> None:
        """One beat, `PERIOD` after the one before if the loop is well."""
        now = self._monotonic()
        lag = max(0.0, now - self._last - PERIOD)
        self._last = now
        if now >= self._window_ends:
            self._window_ends = now + WINDOW
            self._worst_before, self._worst = self._worst, 0.0
        self._worst = max(self._worst, lag)
        if lag >= STALL:
            self.stalls += 1

    @property
    def age(self) -> float:
        """Seconds since the last beat. More than `STALL` means that the loop is stuck now."""
        return self._monotonic() - self._last

    @property
    def lag(self) -> float:
        """The worst delay lately, seconds; includes one that is going on."""
        return max(self._worst, self._worst_before, self.age - PERIOD)

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        self.beat()
        self._timer = loop.call_later(PERIOD, self._ring, loop)
