"""A publisher's session with a broker, sans-IO: MQTT 5 or 3.1.1, QoS 0 and 1, in order.

Every session is new (Clean Start, expiry 0): what the broker has not acknowledged is published again by whoever owns
the messages, which a session left behind in the broker would double. The Will tells of a publisher that is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.protocols.mqtt import packets
from proxy.protocols.mqtt.packets import (
    PUBACK,
    Ack,
    Connack,
    Connect,
    Disconnect,
    Malformed,
    P,
    Ping,
    Property,
    Publish,
    Suback,
    Subscribe,
    Subscription,
    Will,
)
from proxy.protocols.mqtt.properties import number_of

if TYPE_CHECKING:
    from proxy.protocols.mqtt.packets import Packet

KEEP_ALIVE = 30
ANSWERS_WITHIN = 10.0
"""Seconds for CONNACK, PINGRESP and the oldest PUBACK."""
WINDOW = 16
"""Messages that the broker has not acknowledged yet."""
MOST = 256 * 1024
"""Bytes of a packet from the broker; commands are short."""
_OLD_ANSWER = b"\x20\x02\x00\x01"
"""CONNACK of 3.1.1: the version is not supported."""
_OLDER = 0x84
"""The same in MQTT 5."""


@dataclass(frozen=True, slots=True)
class Greeted:
    """The broker took the session."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """``code`` 0: it is with the broker. Else the broker, or the policy on the way to it, refused it for good."""

    token: int
    code: int = 0


@dataclass(frozen=True, slots=True)
class Heard:
    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Unheard:
    """A filter was refused; the session goes on without it."""

    filter: str
    code: int


@dataclass(frozen=True, slots=True)
class Ended:
    """``older``: the broker speaks an older version."""

    why: str
    older: bool = False


Happening = Greeted | Delivered | Heard | Unheard | Ended


@dataclass(frozen=True, slots=True)
class Opening:
    """How the session begins. ``filters`` are subscribed to with QoS 1."""

    client_id: str
    will: Will | None = None
    filters: tuple[str, ...] = ()


class MqttSession:
    """One connection's worth. ``out`` holds the bytes for the broker until the driver takes them."""

    def __init__(self, opening: Opening, level: int, now: float) -> None:
        self._opening = opening
        self._level = level
        self._data = b""
        self._open = False
        self._over = False
        self._ids = 0
        self._window = WINDOW
        self._most_qos = 1
        self._most_size = 1 << 28
        self._flying: dict[int, tuple[int, float]] = {}
        self._told = now
        self._waits: float | None = now + ANSWERS_WITHIN
        self.out = bytearray()
        properties = (Property(P.RECEIVE_MAXIMUM, WINDOW), Property(P.MAXIMUM_PACKET_SIZE, MOST)) if level == 5 else ()
        self._send(Connect(level, opening.client_id, True, KEEP_ALIVE, properties, opening.will), now)

    @property
    def open(self) -> bool:
        return self._open and not self._over

    @property
    def room(self) -> int:
        """How many messages of QoS 1 may go now."""
        return max(0, self._window - len(self._flying)) if self.open else 0

    def publish(self, topic: str, payload: bytes, qos: int, token: int, now: float) -> Delivered | None:
        """None: `Delivered` comes later. Otherwise that was all: QoS 0, or larger than the broker takes."""
        if len(payload) + len(topic) + 16 > self._most_size:
            return Delivered(token, 0x95)
        if min(qos, self._most_qos) == 0:
            self._send(Publish(topic, payload), now)
            return Delivered(token)
        number = self._free_id()
        self._flying[number] = (token, now + ANSWERS_WITHIN)
        self._send(Publish(topic, payload, 1, packet_id=number), now)
        return None

    def receive(self, data: bytes, now: float) -> list[Happening]:
        """Bytes in any cut. Nothing follows `Ended`."""
        self._data += data
        found: list[Happening] = []
        while not self._over:
            end = packets.frame_end(self._data, 0, MOST)
            if isinstance(end, Malformed):
                return [*found, self._end(f"the broker sent {end.what}")]
            if end is None or end > len(self._data):
                break
            frame, self._data = self._data[:end], self._data[end:]
            if frame == _OLD_ANSWER and self._level == 5 and not self._open:
                return [self._end("the broker speaks an older version", older=True)]
            packet = packets.decode(frame, self._level, to_broker=False)
            if isinstance(packet, Malformed):
                return [*found, self._end(f"the broker sent {packet.what}")]
            found += self._take(packet, now)
        return found

    def leave(self, now: float) -> None:
        """A clean goodbye: the broker forgets the Will."""
        if not self._over:
            self._send(Disconnect(), now)
            self._over = True

    def deadline(self) -> float:
        oldest = min((until for _, until in self._flying.values()), default=float("inf"))
        waits = float("inf") if self._waits is None else self._waits
        return min(self._told + KEEP_ALIVE * 2 / 3, oldest, waits)

    def tick(self, now: float) -> list[Happening]:
        if self._over:
            return []
        if self._waits is not None and now >= self._waits:
            return [self._end("the broker does not answer")]
        if any(now >= until for _, until in self._flying.values()):
            return [self._end("the broker does not acknowledge what it was sent")]
        if now >= self._told + KEEP_ALIVE * 2 / 3:
            self._send(Ping(), now)
            self._waits = now + ANSWERS_WITHIN
        return []

    def _take(self, packet: Packet, now: float) -> list[Happening]:
        if not self._open:
            return [self._greeted(packet, now)] if isinstance(packet, Connack) else [self._end("no CONNACK came first")]
        match packet:
            case Ack(kind=kind, packet_id=number, code=code) if kind == PUBACK and number in self._flying:
                token, _ = self._flying.pop(number)
                return [Delivered(token, code if code >= 0x80 else 0)]
            case Publish(topic=topic, payload=payload, qos=qos, packet_id=number) if qos < 2:
                if number is not None:
                    self._send(Ack(PUBACK, number), now)
                return [Heard(topic, payload)]
            case Suback(codes=codes):
                refused = zip(self._opening.filters, codes, strict=False)
                return [Unheard(filter, code) for filter, code in refused if code >= 0x80]
            case Ping(response=True):
                self._waits = None
                return []
            case Disconnect(code=code):
                return [self._end(f"the broker ended the session, code 0x{code:02X}")]
            case _:
                return [self._end(f"the broker sent {type(packet).__name__}, which nothing asked for")]

    def _greeted(self, answer: Connack, now: float) -> Happening:
        if answer.code:
            older = self._level == 5 and answer.code == _OLDER
            return self._end(f"the broker refused the session, code 0x{answer.code:02X}", older=older)
        self._open = True
        self._waits = None
        self._window = min(WINDOW, number_of(answer.properties, P.RECEIVE_MAXIMUM, WINDOW))
        self._most_qos = number_of(answer.properties, P.MAXIMUM_QOS, 1)
        self._most_size = number_of(answer.properties, P.MAXIMUM_PACKET_SIZE, self._most_size)
        if self._opening.filters:
            wanted = tuple(Subscription(filter, 1) for filter in self._opening.filters)
            self._send(Subscribe(self._free_id(), wanted), now)
        return Greeted()

    def _end(self, why: str, *, older: bool = False) -> Ended:
        self._over = True
        return Ended(why, older)

    def _free_id(self) -> int:
        while True:
            self._ids = self._ids % 65_535 + 1
            if self._ids not in self._flying:
                return self._ids

    def _send(self, packet: Packet, now: float) -> None:
        self.out += packets.encode(packet, self._level)
        self._told = now
