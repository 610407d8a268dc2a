"""What the floor's MQTT clients said and heard, written by their thread and read by the others."""

from __future__ import annotations

import statistics
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass

PATIENCE = 3.0
KEPT = 1000


@dataclass(frozen=True, slots=True)
class Said:
    """One of the floor's own packets, as `packets.show` tells it. ``client`` is its id."""

    client: str
    text: str


@dataclass(frozen=True, slots=True)
class FloorHealth:
    """Since the start. ``seconds`` from a sensor's publishing to the MES' hearing of it, both through the gateway."""

    published: int
    heard: int
    gaps: int
    failures: int
    connections: dict[str, int]
    seconds: tuple[float, ...]
    values: dict[str, float]

    @property
    def last(self) -> float:
        return self.seconds[-1] if self.seconds else 0.0

    @property
    def p99(self) -> float:
        return statistics.quantiles(self.seconds, n=100)[98] if len(self.seconds) > 1 else self.last


class Ledger:
    """Every method may be called from any thread. A *reading* is one numbered value of one sensor, from 1."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._said: Counter[Said] = Counter()
        self._number: dict[str, int] = {}
        self._began: dict[tuple[str, int], float] = {}
        self._last_heard: dict[str, int] = {}
        self._values: dict[str, float] = {}
        self._others: list[str] = []
        self._connections: Counter[str] = Counter()
        self._seconds: deque[float] = deque(maxlen=KEPT)
        self._heard = self._gaps = self._failures = 0

    def connected(self, client: str) -> None:
        with self._changed:
            self._connections[client] += 1
            self._changed.notify_all()

    def failed(self) -> None:
        with self._changed:
            self._failures += 1

    def connections(self, client: str) -> int:
        with self._changed:
            return self._connections[client]

    def said(self, client: str, text: str) -> None:
        with self._changed:
            self._said[Said(client, text)] += 1

    def next_reading(self, sensor: str) -> int:
        with self._changed:
            number = self._number[sensor] = self._number.get(sensor, 0) + 1
            self._began[sensor, number] = time.monotonic()
            return number

    def heard_reading(self, sensor: str, number: int, value: float) -> None:
        """A number that does not follow the last one is a gap, and so is one that came twice."""
        with self._changed:
            before = self._last_heard.get(sensor)
            self._gaps += before is not None and number != before + 1
            self._last_heard[sensor] = number
            self._values[sensor] = value
            self._heard += 1
            if (began := self._began.pop((sensor, number), None)) is not None:
                self._seconds.append(time.monotonic() - began)
            self._changed.notify_all()

    def gap(self) -> None:
        with self._changed:
            self._gaps += 1

    def heard_other(self, topic: str) -> None:
        """What no sensor says by itself."""
        with self._changed:
            self._others = [*self._others, topic][-KEPT:]
            self._changed.notify_all()

    def health(self) -> FloorHealth:
        with self._changed:
            published = sum(self._number.values())
            return FloorHealth(
                published,
                self._heard,
                self._gaps,
                self._failures,
                dict(self._connections),
                tuple(self._seconds),
                dict(self._values),
            )

    def all_said(self) -> Counter[Said]:
        with self._changed:
            return self._said.copy()

    def numbers(self) -> dict[str, int]:
        with self._changed:
            return dict(self._number)

    def wait_heard_after(self, numbers: dict[str, int], sensors: frozenset[str]) -> bool:
        """Whether the MES hears of each sensor a reading later than these, in time."""

        def heard() -> bool:
            return all(self._last_heard.get(sensor, 0) > numbers.get(sensor, 0) for sensor in sensors)

        with self._changed:
            return self._changed.wait_for(heard, PATIENCE)

    def wait_others(self, topics: Counter[str]) -> None:
        with self._changed:
            self._changed.wait_for(lambda: topics <= Counter(self._others), PATIENCE)

    def take_others(self) -> tuple[str, ...]:
        with self._changed:
            others, self._others = self._others, []
            return tuple(others)
