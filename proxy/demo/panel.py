"""The panel beside the robot: reads one value through the gateway all the time, in a session that stays open."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asyncua import ua

from proxy.demo.connection import PATIENCE
from proxy.demo.robot_words import SPEED
from proxy.demo.ua_client import Seat, Talk, quiet, talking

if TYPE_CHECKING:
    from proxy.demo.ua_papers import UaSpeaker

KEPT = 1000
RETRY = 0.5
"""Seconds until it connects again."""


@dataclass(frozen=True, slots=True)
class PanelHealth:
    """Since the start. ``asked`` counts questions, answered or not."""

    asked: int
    failures: int
    connections: int
    seconds: tuple[float, ...]
    speed: float

    @property
    def last(self) -> float:
        return self.seconds[-1] if self.seconds else 0.0

    @property
    def p99(self) -> float:
        return statistics.quantiles(self.seconds, n=100)[98] if len(self.seconds) > 1 else self.last


class Panel:
    """Asks every ``interval`` seconds in a thread of its own; at once when somebody waits for it."""

    def __init__(self, speaker: UaSpeaker, interval: float) -> None:
        quiet()
        self._speaker = speaker
        self._interval = interval
        self._changed = threading.Condition()
        self._stop = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._good_since = 0.0  # when the last answered question began
        self._asked = self._failures = self._connections = 0
        self._speed = 0.0
        self._seconds: deque[float] = deque(maxlen=KEPT)
        self._thread = threading.Thread(target=self._run, name="demo-panel", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop = True
        self._ask_now()
        if self._thread.ident is not None:
            self._thread.join()

    def health(self) -> PanelHealth:
        with self._changed:
            return PanelHealth(self._asked, self._failures, self._connections, tuple(self._seconds), self._speed)

    def reads_from_now(self) -> bool:
        """Waits for a question that began after this call and was answered by the robot, through the gateway."""
        began = time.monotonic()
        self._ask_now()
        with self._changed:
            return self._changed.wait_for(lambda: self._good_since >= began, PATIENCE)

    def _ask_now(self) -> None:
        loop = self._loop
        if loop is not None and self._thread.is_alive():
            loop.call_soon_threadsafe(self._wake.set)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: Seat(self._speaker.source)) as runner:
            runner.run(self._main())
        self._loop = None

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        while not self._stop:
            try:
                async with talking(self._speaker) as talk:
                    with self._changed:
                        self._connections += 1
                    await self._look(talk)
            except (ua.UaError, OSError, TimeoutError):
                with self._changed:
                    self._failures += 1
                await asyncio.sleep(RETRY)

    async def _look(self, talk: Talk) -> None:
        """Until it shall stop. Raises ConnectionError for a question without a good answer."""
        while not self._stop:
            self._wake.clear()
            began = time.monotonic()
            with self._changed:
                self._asked += 1
            (speed,) = await talk.read(SPEED) or (None,)
            talk.asked.clear()
            if speed is None:
                raise ConnectionError(talk.answers[-1].kind)
            with self._changed:
                self._good_since, self._speed = began, speed
                self._seconds.append(time.monotonic() - began)
                self._changed.notify_all()
            talk.answers.clear()
            try:
                await asyncio.wait_for(self._wake.wait(), self._interval)
            except TimeoutError:
                pass
