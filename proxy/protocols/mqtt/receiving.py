"""PUBLISH from the broker: delivery is a use of a right, and is judged like every other.

A subscription was judged when it was made, but sessions, retained messages and the broker's own idea of who
subscribed what outlive policy and connection (CVE-2021-34434, CVE-2018-12546).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.protocols.mqtt.actions import Message
from proxy.protocols.mqtt.asking import refusal
from proxy.protocols.mqtt.deliveries import Deliveries
from proxy.protocols.mqtt.scan import Scanner

if TYPE_CHECKING:
    from proxy.core.events import Event
    from proxy.protocols.base import Decide
    from proxy.protocols.mqtt.packets import Publish

ROOM = 65535
"""Packets with an id that one walk may pass; the broker keeps to Receive Maximum by itself."""


class Receiving:
    """The client's side of being delivered to, for one session."""

    def __init__(self, level: int, decide: Decide) -> None:
        self.scanner = Scanner(level)
        self.deliveries = Deliveries()
        self._decide = decide

    def walked(self) -> None:
        scanner = self.scanner
        if scanner.ids1 or scanner.ids2:
            self.deliveries.passed_all(scanner.ids1, scanner.ids2)

    def judge(self, first: int, packet: Publish, now: float) -> Event | None:
        """None: it goes on to the client. Else it does not, and the broker is owed what `Deliveries.drop` says."""
        action = Message("receive", packet.topic, packet.qos, len(packet.payload))
        verdict = self._decide((action,), now)
        if verdict.reason is not None:
            return refusal((action,), verdict)
        if packet.packet_id is not None:
            self.deliveries.passed(packet.qos, packet.packet_id)
        self.scanner.count(verdict.tag)
        if verdict.reusable and not packet.properties:
            self.scanner.learn(first, packet.topic.encode(), verdict.tag, len(packet.payload))
        return None
