"""The sensors of cell 3: two that publish JSON, and one Sparkplug B edge."""

from __future__ import annotations

import asyncio
import json
import math
import time
from typing import TYPE_CHECKING

from proxy.demo import packets, sparkplug
from proxy.demo.sparkplug import BDSEQ, BOOLEAN, DOUBLE, INT64, REBIRTH, UINT64, Counters, Metric, Payload
from proxy.demo.voice import Voice

if TYPE_CHECKING:
    import aiomqtt

    from proxy.demo.connection import Speaker
    from proxy.demo.ledger import Ledger

GROUP = "line-2"
ONLINE, OFFLINE = b"online", b"offline"
FILLED, LEVEL = "Bottles/Filled", "Tank/Level"
ALIASES = {FILLED: 1, LEVEL: 2}


def wave(number: int, middle: float, height: float) -> float:
    """A value that moves as values in a plant do: slowly, and never quite the same."""
    return round(middle + height * math.sin(number / 9), 2)


class Sensor(Voice):
    """``{place}/{name}/temperature`` at QoS 1, and ``state``: retained "online", or "offline" by its Will."""

    def __init__(
        self,
        name: str,
        place: str,
        interval: float,
        speaker: Speaker,
        ledger: Ledger,
        *,
        middle: float,
        version5: bool = False,
    ) -> None:
        """``middle``: degrees Celsius around which it swings."""
        super().__init__(name, speaker, ledger, version5=version5)
        self._interval = interval
        self._middle = middle
        self.reading = f"{place}/{name}/temperature"
        self.state = f"{place}/{name}/state"

    def will(self) -> packets.Will:
        return packets.Will(self.state, OFFLINE, qos=1, retain=True)

    async def _speak(self, client: aiomqtt.Client) -> None:
        self._ledger.connected(self.name)
        await self._say(client, self.state, ONLINE, 1, retain=True)
        while not self._stopping:
            number = self._ledger.next_reading(self.name)
            reading = {"at": round(time.time() * 1000), "n": number, "celsius": wave(number, self._middle, 0.4)}
            await self._say(client, self.reading, json.dumps(reading).encode(), 1)
            await self._pause(self._interval)
        await self._say(client, self.state, b"", 1, retain=True)  # nothing of it stays on a broker that is not ours


class Edge(Voice):
    """A Sparkplug B edge node: NBIRTH, then NDATA by alias, NDEATH as its Will, and Rebirth when it is commanded."""

    def __init__(self, name: str, interval: float, speaker: Speaker, ledger: Ledger) -> None:
        super().__init__(name, speaker, ledger)
        self._interval = interval
        self._counters = Counters()
        self._born = False
        self.birth, self.data, self.death, self.command = (
            sparkplug.topic(GROUP, message, name) for message in ("NBIRTH", "NDATA", "NDEATH", "NCMD")
        )

    def will(self) -> packets.Will:
        bdseq = Metric(INT64, self._counters.connecting(), BDSEQ)
        self._last_words = packets.Will(self.death, sparkplug.encode(Payload(_now(), None, (bdseq,))), qos=1)
        return self._last_words

    async def _speak(self, client: aiomqtt.Client) -> None:
        await client.subscribe(self.command, qos=1)
        self._ledger.connected(self.name)
        async with asyncio.TaskGroup() as tasks:
            commands = tasks.create_task(self._obey(client))
            self._born = False
            while not self._stopping:
                await self._say(client, *self._next())
                await self._pause(self._interval)
            # A host hears of no Will when an edge says farewell in order.
            await self._say(client, self.death, self._last_words.payload, 1)
            commands.cancel()

    def _next(self) -> tuple[str, bytes]:
        metrics = self._metrics(by_name=not self._born)
        if self._born:
            return self.data, sparkplug.encode(Payload(_now(), self._counters.data(), metrics))
        self._born = True
        extra = (Metric(INT64, self._counters.bdseq, BDSEQ), Metric(BOOLEAN, False, REBIRTH))
        return self.birth, sparkplug.encode(Payload(_now(), self._counters.birth(), extra + metrics))

    def _metrics(self, *, by_name: bool) -> tuple[Metric, ...]:
        number = self._ledger.next_reading(self.name)
        values = ((FILLED, UINT64, number), (LEVEL, DOUBLE, wave(number, 62.0, 9.0)))
        return tuple(Metric(kind, value, name if by_name else None, ALIASES[name]) for name, kind, value in values)

    async def _obey(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            try:
                command = sparkplug.decode(message.payload)
            except ValueError:
                continue
            if (metric := command.metric(REBIRTH)) is not None and metric.value:
                self._born = False
                self.wake()


def _now() -> int:
    return round(time.time() * 1000)
