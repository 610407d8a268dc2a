"""The MES: subscribes through the gateway to what the line says, and counts what it hears."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import aiomqtt

from proxy.demo import sparkplug
from proxy.demo.sensors import ALIASES, FILLED, LEVEL, ONLINE, Edge, Sensor
from proxy.demo.voice import Voice

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from proxy.demo.connection import Speaker
    from proxy.demo.ledger import Ledger


class Mes(Voice):
    """``subscribed`` is set when it hears. What is no sensor's own word goes into the ledger as something else."""

    def __init__(
        self,
        name: str,
        filters: Sequence[str],
        sensors: Sequence[Sensor],
        edge: Edge,
        subscribed: asyncio.Event,
        speaker: Speaker,
        ledger: Ledger,
        *,
        version5: bool = False,
    ) -> None:
        super().__init__(name, speaker, ledger, version5=version5)
        self._filters = filters
        self._readings = {sensor.reading: sensor.name for sensor in sensors}
        self._states = {sensor.state for sensor in sensors}
        self._edge = edge
        self._subscribed = subscribed
        self._births = 0
        self._seq = 0

    async def _speak(self, client: aiomqtt.Client) -> None:
        await client.subscribe([(one, 1) for one in self._filters])
        self._ledger.connected(self.name)
        self._subscribed.set()
        async for message in client.messages:
            try:
                known = self._understand(str(message.topic), message.payload)
            except (ValueError, KeyError, TypeError):
                known = False
            if not known:
                self._ledger.heard_other(str(message.topic))

    def _understand(self, topic: str, payload: bytes) -> bool:
        """Raises ValueError, KeyError or TypeError for a payload that is not as the sensors' are."""
        if topic in self._states:
            return payload in (ONLINE, b"")
        if topic in self._readings:
            reading = json.loads(payload)
            self._ledger.heard_reading(self._readings[topic], int(reading["n"]), float(reading["celsius"]))
            return True
        return topic in (self._edge.birth, self._edge.data) and self._sparkplug(topic, sparkplug.decode(payload))

    def _sparkplug(self, topic: str, payload: sparkplug.Payload) -> bool:
        """A message of the edge. A birth that it was commanded to is something else, too."""
        values = {metric.alias: metric.value for metric in payload.metrics}
        if topic == self._edge.birth:
            self._births += 1
        elif payload.seq != (self._seq + 1) % 256:
            self._ledger.gap()
        self._seq = payload.seq or 0
        self._ledger.heard_reading(self._edge.name, int(values[ALIASES[FILLED]]), float(values[ALIASES[LEVEL]]))
        return topic != self._edge.birth or self._births <= self._ledger.connections(self._edge.name)
