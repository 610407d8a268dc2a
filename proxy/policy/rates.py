"""What decisions book: how often each rule was used, and what values went on (T53). The only state they have."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from proxy.core.process import Point
    from proxy.core.surface import Rate
    from proxy.policy.trail import Trail

FORGOTTEN = 60.0
"""Seconds after which a value that went on may be forgotten, if there are too many (`constraints.pace`)."""


class RateKey(NamedTuple):
    """One budget: all links of a speaker share it. It outlives every reload: what was spent under another ``rate`` of
    the same rule counts, or a change to a smaller one would be a way to have both."""

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


Name = tuple[str, str, str]
"""Of a `RateKey`, all but the rate."""


class _Spent:
    """When the last messages went, as many as any rate of this name looks back at, and how far such a rate does."""

    __slots__ = ("seconds", "times")

    def __init__(self, times: deque[float], seconds: float) -> None:
        self.times = times
        self.seconds = seconds

    def reach(self, rate: Rate) -> None:
        self.seconds = max(self.seconds, rate.seconds)
        if (self.times.maxlen or 0) < rate.count:
            self.times = deque(self.times, maxlen=rate.count)


class Rates:
    """Time is an argument (monotonic seconds). Bounded: what is as good as new is forgotten beyond ``limit``.

    A refilled bucket of ``count`` tokens lets almost twice ``count`` pass within one window (a full bucket, then the
    refill). The promise is *any* window, so a budget keeps the times of its last ``count`` messages instead.
    """

    def __init__(self, limit: int = 65_536) -> None:
        self._limit = limit
        self._taken: dict[Name, _Spent] = {}
        self._sent: dict[tuple[str, Point], Sent] = {}

    def ready(self, key: RateKey, now: float) -> bool:
        """Whether one more message may pass now. Takes nothing."""
        spent = self._taken.get(key[:3])
        if spent is None:
            return True
        spent.reach(key.rate)
        return len(spent.times) < key.rate.count or now - spent.times[-key.rate.count] >= key.rate.seconds

    def take(self, key: RateKey, now: float) -> None:
        """Book one message. Only after `ready`, in the same decision."""
        spent = self._taken.get(key[:3])
        if spent is None:
            if len(self._taken) >= self._limit:
                self._forget(now)
            spent = self._taken[key[:3]] = _Spent(deque(maxlen=key.rate.count), key.rate.seconds)
        spent.reach(key.rate)
        spent.times.append(now)

    def inherit(self, heirs: Mapping[tuple[str, str], Collection[str]]) -> None:
        """Rules took the place of others: (surface, rule that is gone) -> rules that begin with what it spent."""
        for name, spent in list(self._taken.items()):
            for heir in heirs.get(name[:2], ()):
                own = self._taken.get((name[0], heir, name[2]))
                times = sorted((*spent.times, *(own.times if own is not None else ())))
                most = max(len(times), spent.times.maxlen or 0)
                seconds = max(spent.seconds, own.seconds if own is not None else 0.0)
                self._taken[name[0], heir, name[2]] = _Spent(deque(times, maxlen=most), seconds)

    def sent(self, device: str, point: Point) -> Sent | None:
        return self._sent.get((device, point))

    def send(self, device: str, point: Point, sent: Sent) -> None:
        """Book what went on to ``point``."""
        if len(self._sent) >= self._limit:
            self._sent = {k: s for k, s in self._sent.items() if sent.when - s.when < FORGOTTEN}
        self._sent[device, point] = sent

    def _forget(self, now: float) -> None:
        """Budgets untouched for a whole window are as good as new."""
        self._taken = {name: one for name, one in self._taken.items() if now - one.times[-1] < one.seconds}

    def __len__(self) -> int:
        return len(self._taken)
