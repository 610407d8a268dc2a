"""Messages of QoS 1 and 2 on their way from the broker to the client, some of which we drop.

A dropped one still owes the broker its acknowledgement, or the broker's window stalls (Mosquitto: 20 in flight) and
starves the topics that are allowed. Acknowledgements keep the order of arrival, for each QoS by itself
[MQTT-4.6.0-2, MQTT-4.6.0-3], so ours wait behind those that the client owes.
"""

from __future__ import annotations

from proxy.protocols.mqtt.packets import Ack

PUBACK, PUBREC, PUBREL, PUBCOMP = 0x40, 0x50, 0x62, 0x70
"""First bytes."""
_SHORT = frozenset({PUBACK, PUBREC, PUBREL, PUBCOMP})


def ack(first: int, packet_id: int) -> bytes:
    """The short form, which means success in both versions."""
    return bytes((first, 2, packet_id >> 8, packet_id & 0xFF))


def short_ack(frame: bytes) -> Ack | None:
    """The commonest packets besides PUBLISH, read at once; None for all others, the decoder's matter."""
    if len(frame) != 4 or frame[0] not in _SHORT or not (number := frame[2] << 8 | frame[3]):
        return None
    return Ack(frame[0] >> 4, number)


class Deliveries:
    """Bounded by the packet ids there are; a broker that keeps to Receive Maximum uses far fewer."""

    __slots__ = ("_dropped", "_owed1", "_owed2", "_queued")

    def __init__(self) -> None:
        # Packet id -> our acknowledgement, or None while the client owes it; in the order of arrival.
        self._owed1: dict[int, bytes | None] = {}
        self._owed2: dict[int, bytes | None] = {}
        self._dropped: set[int] = set()
        self._queued = 0

    def passed(self, qos: int, packet_id: int) -> None:
        self._dropped.discard(packet_id)
        owed = self._owed1 if qos == 1 else self._owed2
        if owed.get(packet_id) is not None:
            self._queued -= 1
        owed[packet_id] = None

    def passed_all(self, first: list[int], second: list[int]) -> None:
        """What a scanner walked over."""
        for packet_id in first:
            self.passed(1, packet_id)
        for packet_id in second:
            self.passed(2, packet_id)
        first.clear()
        second.clear()

    def drop(self, qos: int, packet_id: int) -> list[bytes]:
        """The acknowledgements that may go to the broker now."""
        if qos == 1:
            owed, word = self._owed1, ack(PUBACK, packet_id)
        else:
            owed, word = self._owed2, ack(PUBREC, packet_id)
            self._dropped.add(packet_id)
        if owed.get(packet_id) is None:
            self._queued += 1
        owed[packet_id] = word
        return self._ready(owed)

    def acknowledged(self, first: int, packet_id: int) -> list[bytes]:
        """The client sent PUBACK or PUBREC: ours that waited behind it."""
        owed = self._owed1 if first == PUBACK else self._owed2
        if owed.pop(packet_id, None) is not None:
            self._queued -= 1
        return self._ready(owed)

    @property
    def all_pass(self) -> bool:
        """No PUBREL of the broker is ours to answer."""
        return not self._dropped

    def walk(self, data: bytes, at: int, *, releases: bool) -> int:
        """The end of the run of short acknowledgements of the client that begins at ``at``, PUBREL among them if no
        ``releases`` is ours to answer; there is none to look for while one of ours is among them."""
        if self._dropped or self._queued:
            return at
        last = len(data) - 4
        while at <= last:
            first, number = data[at], data[at + 2] << 8 | data[at + 3]
            if data[at + 1] != 2 or not number:
                break
            if first == PUBACK:
                self._owed1.pop(number, None)
            elif first == PUBREC:
                self._owed2.pop(number, None)
            elif first != PUBCOMP and not (releases and first == PUBREL):
                break
            at += 4
        return at

    def ours(self, packet_id: int) -> bool:
        """The client never saw it and cannot acknowledge it."""
        return packet_id in self._dropped or self._owed1.get(packet_id) is not None

    def released(self, packet_id: int) -> bytes | None:
        """The broker sent PUBREL: our PUBCOMP, if the client never saw the message."""
        if packet_id not in self._dropped:
            return None
        self._dropped.discard(packet_id)
        return ack(PUBCOMP, packet_id)

    def _ready(self, owed: dict[int, bytes | None]) -> list[bytes]:
        words: list[bytes] = []
        while self._queued and owed:
            packet_id, word = next(iter(owed.items()))
            if word is None:
                break
            del owed[packet_id]
            self._queued -= 1
            words.append(word)
        return words
