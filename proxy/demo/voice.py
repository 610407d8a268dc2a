"""One MQTT client of the demo's floor: aiomqtt, as a plant would use it, from an address of its own."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import aiomqtt

from proxy.demo import packets

if TYPE_CHECKING:
    from proxy.demo.connection import Speaker
    from proxy.demo.ledger import Ledger

TIMEOUT, RETRY = 3.0, 0.5
"""Seconds: for an answer of the broker, and until the next try after a failure."""
KEEP_ALIVE = 20


class Voice(ABC):
    """Connects, speaks, and connects again after a failure, until it is told to `stop`."""

    def __init__(self, name: str, speaker: Speaker, ledger: Ledger, *, version5: bool = False) -> None:
        self.name = name
        self._speaker = speaker
        self._ledger = ledger
        self._version = aiomqtt.ProtocolVersion.V5 if version5 else aiomqtt.ProtocolVersion.V311
        self._wake = asyncio.Event()
        self._stopping = False

    async def run(self) -> None:
        while not self._stopping:
            try:
                async with self._client() as client:
                    await self._speak(client)
            except* aiomqtt.MqttError:  # alone, or out of a task group
                self._ledger.failed()
                await asyncio.sleep(RETRY)

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()

    def wake(self) -> None:
        """Speak now, whatever the interval says."""
        self._wake.set()

    def will(self) -> packets.Will | None:
        """Asked before each connection."""
        return None

    @abstractmethod
    async def _speak(self, client: aiomqtt.Client) -> None:
        """What is done on one connection. Returns when `stop` was called. Raises aiomqtt.MqttError."""

    async def _say(
        self, client: aiomqtt.Client, topic: str, payload: bytes, qos: int = 0, *, retain: bool = False
    ) -> None:
        await client.publish(topic, payload, qos, retain)
        self._ledger.said(self.name, packets.show(packets.publish(topic, payload, qos=qos, retain=retain)))

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), seconds)
        except TimeoutError:
            pass
        if not self._stopping:
            self._wake.clear()

    def _client(self) -> aiomqtt.Client:
        door, papers = self._speaker.door, self._speaker.papers
        will = self.will()
        return aiomqtt.Client(
            door.host,
            door.port,
            identifier=self.name,
            protocol=self._version,
            will=None if will is None else aiomqtt.Will(will.topic, will.payload, will.qos, will.retain),
            timeout=TIMEOUT,
            keepalive=KEEP_ALIVE,
            bind_address=self._speaker.source,
            tls_context=papers.context(door.version) if papers is not None and door.version is not None else None,
        )
