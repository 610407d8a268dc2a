"""Everybody who speaks MQTT through the gateway all the time: three sensors and the MES, in a thread of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.demo.ledger import Ledger
from proxy.demo.mes import Mes
from proxy.demo.sensors import GROUP, Edge, Sensor

if TYPE_CHECKING:
    from proxy.demo.connection import Speaker
    from proxy.demo.voice import Voice

SENSORS = ("sensor-3-1", "sensor-3-2")
EDGE, MES = "sensor-3-3", "mes"
VOICES = frozenset((*SENSORS, EDGE, MES))
FAREWELL = 5.0
"""Seconds in which the sensors may say it, at the end."""
NEW_LOOP = asyncio.SelectorEventLoop
"""aiomqtt needs one that can watch sockets."""


@dataclass(frozen=True, slots=True)
class Setup:
    """``speakers`` by name (`VOICES`), ``places`` of the sensors, ``version5``: for those who may choose."""

    speakers: Mapping[str, Speaker]
    place: str
    interval: float
    version5: bool = False


class Floor:
    """``ledger`` tells what came of it."""

    def __init__(self, setup: Setup) -> None:
        self.ledger = Ledger()
        self._setup = setup
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sensors: list[Voice] = []
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demo-floor", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def heard_from_now(self) -> bool:
        """Has every sensor speak at once; whether the MES heard each of them, through the gateway, in time."""
        numbers = self.ledger.numbers()
        if self._loop is not None:
            for sensor in self._sensors:
                self._loop.call_soon_threadsafe(sensor.wake)
        return self.ledger.wait_heard_after(numbers, frozenset((*SENSORS, EDGE)))

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=NEW_LOOP) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        setup, ledger, speakers = self._setup, self.ledger, self._setup.speakers
        subscribed = asyncio.Event()
        first, second = (
            Sensor(name, setup.place, setup.interval, speakers[name], ledger, middle=middle, version5=version5)
            for name, middle, version5 in zip(SENSORS, (4.2, 6.5), (False, setup.version5), strict=True)
        )
        edge = Edge(EDGE, setup.interval, speakers[EDGE], ledger)
        births = [f"spBv1.0/{GROUP}/{message}/+" for message in ("NBIRTH", "NDATA", "NDEATH")]
        filters = [f"{setup.place}/#", *births]
        mes = Mes(MES, filters, (first, second), edge, subscribed, speakers[MES], ledger, version5=setup.version5)
        self._loop, self._stop, self._sensors = asyncio.get_running_loop(), asyncio.Event(), [first, second, edge]
        self._ready.set()
        listening = asyncio.create_task(mes.run())
        speaking = [asyncio.create_task(self._after(subscribed, sensor)) for sensor in self._sensors]
        await self._stop.wait()
        for sensor in self._sensors:
            sensor.stop()
        if subscribed.is_set():
            await asyncio.wait(speaking, timeout=FAREWELL)
        for task in (*speaking, listening):
            task.cancel()
        await asyncio.gather(*speaking, listening, return_exceptions=True)

    async def _after(self, subscribed: asyncio.Event, sensor: Voice) -> None:
        """A sensor begins when the MES listens: so that it hears the first word, too."""
        await subscribed.wait()
        await sensor.run()
