"""A broker and a client that keep to MQTT to the letter, sans-IO, and raise `Complaint` when the other side does not.

Each is driven by a test, reads bytes in any cut and puts what it has to say into ``out``. They are models for tests:
small, strict, and written from the standard, with no code of the inspector in them but the codec.
"""

from __future__ import annotations

from collections import Counter, deque

from proxy.protocols.mqtt.packets import (
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    Ack,
    Connack,
    Connect,
    Malformed,
    Packet,
    Ping,
    Publish,
    Suback,
    Subscribe,
    Subscription,
    Unsuback,
    Unsubscribe,
    decode,
    encode,
    frame_end,
)
from proxy.protocols.mqtt.properties import P, Properties, Property, get, number_of

WINDOW = 20
"""Deliveries that a broker of 3.1.1 has on the way at once, like Mosquitto."""
FAILING = "ok/fail"
"""The filter that the broker's own access list refuses."""


class Complaint(AssertionError):
    """The gateway did what MQTT forbids."""


class Frames:
    """Cuts a stream into packets."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        self._rest += data
        found = []
        while self._rest:
            end = frame_end(self._rest, 0, 1 << 28)
            if isinstance(end, Malformed):
                raise Complaint(f"no packet: {end.what}")
            if end is None or end > len(self._rest):
                break
            found.append(self._rest[:end])
            self._rest = self._rest[end:]
        return found

    @property
    def whole(self) -> bool:
        return not self._rest


class Peer:
    """What both have in common: reading, and the windows of both directions of PUBLISH."""

    to_broker: bool
    """The direction that it reads."""

    def __init__(self, level: int) -> None:
        self.level = level
        self.frames = Frames()
        self.out: deque[bytes] = deque()
        self.got: list[Publish] = []
        """Messages that came in, a QoS 2 exchange once."""
        self.sent: dict[int, str] = {}
        """Packet ids of our own: what each waits for."""
        self.incoming: set[int] = set()
        """Packet ids of QoS 2 exchanges that wait for the other's PUBREL."""
        self.room = WINDOW if level == 4 else 65535
        self.refused: Counter[int] = Counter()

    def say(self, packet: Packet) -> None:
        self.out.append(encode(packet, self.level))

    def feed(self, data: bytes) -> None:
        for frame in self.frames.feed(data):
            packet = decode(frame, self.level, to_broker=self.to_broker)
            if isinstance(packet, Malformed):
                raise Complaint(f"{packet.what}: {frame.hex()}")
            self.take(packet)

    def take(self, packet: Packet) -> None:
        raise NotImplementedError

    def free_id(self) -> int:
        return next(number for number in range(1, 65536) if number not in self.sent)

    @property
    def may_publish(self) -> bool:
        return sum(state in ("PUBACK", "PUBREC", "PUBCOMP") for state in self.sent.values()) < self.room

    def publish(
        self, topic: str, payload: bytes, qos: int, *, retain: bool = False, properties: Properties = ()
    ) -> int | None:
        """The packet id that it took."""
        number = None
        if qos:
            number = self.free_id()
            self.sent[number] = "PUBACK" if qos == 1 else "PUBREC"
        self.say(Publish(topic, payload, qos, retain, False, number, properties))
        return number

    def message(self, packet: Publish) -> None:
        """One from the other side."""
        if get(packet.properties, P.TOPIC_ALIAS) is not None:
            raise Complaint("a topic alias that was not offered")
        if packet.packet_id is None:
            self.got.append(packet)
        elif packet.qos == 1:
            self.got.append(packet)
            self.say(Ack(PUBACK, packet.packet_id))
        else:
            if packet.packet_id in self.incoming:
                raise Complaint(f"packet id {packet.packet_id} is still in use")
            self.incoming.add(packet.packet_id)
            self.got.append(packet)
            self.say(Ack(PUBREC, packet.packet_id))

    def ack(self, packet: Ack) -> None:
        number = packet.packet_id
        if packet.kind == PUBREL:
            if packet.code == 0 and number not in self.incoming:
                raise Complaint(f"PUBREL {number} for nothing")
            self.incoming.discard(number)
            self.say(Ack(PUBCOMP, number))
            return
        waits = {PUBACK: "PUBACK", PUBREC: "PUBREC", PUBCOMP: "PUBCOMP"}[packet.kind]
        if self.sent.get(number) != waits:
            raise Complaint(f"{waits} {number} where {self.sent.get(number)} is due")
        if packet.code >= 0x80:
            self.refused[packet.code] += 1
        if packet.kind == PUBREC and packet.code < 0x80:
            self.sent[number] = "PUBCOMP"
            self.say(Ack(PUBREL, number))
        else:
            del self.sent[number]

    @property
    def idle(self) -> bool:
        return not self.sent and not self.incoming and not self.out and self.frames.whole


class ModelClient(Peer):
    """Complains about the gateway as a server."""

    to_broker = False

    def __init__(self, level: int, client_id: str = "sensor-1") -> None:
        super().__init__(level)
        self.welcome: Connack | None = None
        self.pings = 0
        self.asked: dict[int, tuple[str, ...]] = {}
        self.granted: list[tuple[tuple[str, ...], tuple[int, ...]]] = []
        self.say(Connect(level, client_id, True, 60))

    def free_id(self) -> int:
        """From both ends: the gateway takes its own from the upper one, and the two must not meet."""
        numbers = (65535 - at // 2 if at % 2 else at // 2 + 1 for at in range(65535))
        return next(number for number in numbers if number not in self.sent)

    def ping(self) -> None:
        self.pings += 1
        self.say(Ping())

    def subscribe(self, filters: list[tuple[str, int]]) -> None:
        number = self.free_id()
        self.sent[number] = "SUBACK"
        self.asked[number] = tuple(text for text, _ in filters)
        self.say(Subscribe(number, tuple(Subscription(text, qos) for text, qos in filters)))

    def unsubscribe(self, filters: list[str]) -> None:
        number = self.free_id()
        self.sent[number] = "UNSUBACK"
        self.asked[number] = tuple(filters)
        self.say(Unsubscribe(number, tuple(filters)))

    def take(self, packet: Packet) -> None:
        if self.welcome is None:
            if not isinstance(packet, Connack) or packet.code:
                raise Complaint(f"{packet} instead of a welcome")
            self.welcome = packet
            if self.level == 5:
                self.room = number_of(packet.properties, P.RECEIVE_MAXIMUM, 65535)
            return
        match packet:
            case Publish():
                self.message(packet)
            case Ack():
                self.ack(packet)
            case Suback(number, codes):
                self.granted.append((self._asked(number, "SUBACK", len(codes)), codes))
            case Unsuback(number, codes):
                self._asked(number, "UNSUBACK", len(codes) if self.level == 5 else None)
            case Ping(response=True) if self.pings:
                self.pings -= 1
            case _:
                raise Complaint(f"nobody asked for {packet}")

    def _asked(self, number: int, what: str, count: int | None) -> tuple[str, ...]:
        """The filters that this answers, one code for each."""
        filters = self.asked.pop(number, ())
        if self.sent.get(number) != what or (count is not None and len(filters) != count):
            raise Complaint(f"{what} {number} with {count} codes is not what was asked")
        del self.sent[number]
        return filters

    @property
    def idle(self) -> bool:
        return super().idle and not self.pings


class ModelBroker(Peer):
    """Complains about the gateway as a client. Acknowledgements have to come in the order of what they are for."""

    to_broker = True

    def __init__(self, level: int, receive_maximum: int = 10) -> None:
        super().__init__(level)
        self.receive_maximum = receive_maximum
        self.hello: Connect | None = None
        self.standing: set[str] = set()
        self.order: dict[str, deque[int]] = {"PUBACK": deque(), "PUBREC": deque(), "PUBREL": deque()}
        self.busy: dict[int, str] = {}
        """Packet ids of the client, and what took them."""

    def take(self, packet: Packet) -> None:
        if self.hello is None:
            self._greet(packet)
            return
        match packet:
            case Publish():
                self._message(packet)
            case Ack():
                self._keeps_order(packet)
                self.ack(packet)
            case Subscribe():
                self._subscribe(packet)
            case Unsubscribe(number, filters):
                self._take_id(number, "UNSUBSCRIBE")
                self.standing -= set(filters)
                self.say(Unsuback(number, (0,) * len(filters)))
            case Ping(response=False):
                self.say(Ping(True))
            case _:
                raise Complaint(f"nobody expects {packet}")

    def deliver(
        self, topic: str, payload: bytes, qos: int, *, retain: bool = False, properties: Properties = ()
    ) -> None:
        number = self.publish(topic, payload, qos, retain=retain, properties=properties)
        if number is not None:
            self.order["PUBACK" if qos == 1 else "PUBREC"].append(number)

    def pop(self) -> bytes:
        """What it has to say next. A packet id is the client's again once its answer is on the way."""
        frame = self.out.popleft()
        packet = decode(frame, self.level, to_broker=False)
        if isinstance(packet, Suback | Unsuback) or (isinstance(packet, Ack) and packet.kind in (PUBACK, PUBCOMP)):
            self.busy.pop(packet.packet_id, None)
        return frame

    def _greet(self, packet: Packet) -> None:
        if not isinstance(packet, Connect):
            raise Complaint(f"{packet} before CONNECT")
        if get(packet.properties, P.TOPIC_ALIAS_MAXIMUM) is not None:
            raise Complaint("offers topic aliases")
        self.hello = packet
        says: Properties = ()
        if self.level == 5:
            self.room = number_of(packet.properties, P.RECEIVE_MAXIMUM, 65535)
            says = (Property(P.RECEIVE_MAXIMUM, self.receive_maximum),)
        self.say(Connack(False, 0, says))

    def _message(self, packet: Publish) -> None:
        if packet.packet_id is not None:
            self._take_id(packet.packet_id, "PUBLISH")
            if self.level == 5 and list(self.busy.values()).count("PUBLISH") > self.receive_maximum:
                raise Complaint("more than Receive Maximum")
        self.message(packet)

    def _keeps_order(self, packet: Ack) -> None:
        """[MQTT-4.6.0-2] PUBACK, [MQTT-4.6.0-3] PUBREC as their PUBLISH came, [MQTT-4.6.0-4] PUBREL as PUBREC."""
        word = {PUBACK: "PUBACK", PUBREC: "PUBREC", PUBREL: "PUBREL"}.get(packet.kind)
        if word is None or (word == "PUBREL" and packet.packet_id not in self.order[word]):
            return
        queue = self.order[word]
        if not queue or queue[0] != packet.packet_id:
            raise Complaint(f"{word} {packet.packet_id} out of order, {list(queue)}")
        queue.popleft()

    def _subscribe(self, packet: Subscribe) -> None:
        self._take_id(packet.packet_id, "SUBSCRIBE")
        codes = []
        for one in packet.filters:
            fails = one.filter.startswith(FAILING)
            codes.append(0x80 if fails else one.qos)
            if not fails:
                self.standing.add(one.filter)
        self.say(Suback(packet.packet_id, tuple(codes)))

    def _take_id(self, number: int, what: str) -> None:
        """[MQTT-2.2.1-3], [MQTT-2.2.1-4]"""
        if number in self.busy:
            raise Complaint(f"packet id {number} of {what} is in use by {self.busy[number]}")
        self.busy[number] = what

    def say(self, packet: Packet) -> None:
        if isinstance(packet, Ack) and packet.kind == PUBREC:
            self.order["PUBREL"].append(packet.packet_id)
        super().say(packet)
