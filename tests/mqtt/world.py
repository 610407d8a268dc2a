"""A model client, the inspector and a model broker, with a wire on either side that delivers in any cut and order."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from proxy.protocols.mqtt import properties as props
from proxy.protocols.mqtt.actions import Message, Subscription
from proxy.protocols.mqtt.packets import Malformed, Packet, Publish, Subscribe, decode
from tests.mqtt.harness import SENSOR, Epochs, Link
from tests.mqtt.peers import Frames, ModelBroker, ModelClient
from tests.support.setting import FakeSetting

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Iterable

    from proxy.protocols.mqtt.actions import MqttAction
    from proxy.protocols.mqtt.service import MqttService

SOON = 0.01
"""Seconds."""


def is_command(topic: str) -> bool:
    """The default commands of a broker, `spBv1.0/+/NCMD/#` and DCMD, said another way."""
    levels = topic.split("/")
    return len(levels) >= 3 and levels[0] == "spBv1.0" and levels[2] in ("NCMD", "DCMD")


def needs(packet: Publish) -> list[MqttAction]:
    """The rights that a publish takes, written from protocols.md 2.3 and not from the inspector."""
    command, size = is_command(packet.topic), len(packet.payload)
    clears = packet.retain and not size
    verbs = [
        name
        for name, wanted in {
            "publish": not command and not clears,
            "command": command,
            "retain": packet.retain and not clears,
            "clear-retained": clears,
        }.items()
        if wanted
    ]
    found: list[MqttAction] = [Message(verb, packet.topic, packet.qos, size) for verb in verbs]
    response = props.get(packet.properties, props.P.RESPONSE_TOPIC)
    if isinstance(response, str):
        found += [Message("reply-to", response), Subscription("subscribe", response)]
        found += [Message("command", response)] if is_command(response) else []
    return found


def filter_needs(text: str, qos: int) -> Subscription:
    if text.startswith("$share/"):
        _, group, inner = text.split("/", 2)
        return Subscription("share", inner, qos, group)
    return Subscription("subscribe", text, qos)


class Auditor:
    """Reads what leaves the inspector, the moment it leaves, and holds it against the policy of that moment."""

    def __init__(self, epochs: Epochs, level: int) -> None:
        self.epochs = epochs
        self.level = level
        self._up = Frames()
        self._down = Frames()

    def look(self, broker: bytes, client: bytes) -> None:
        for frame in self._up.feed(broker):
            packet = decode(frame, self.level, to_broker=True)
            assert not isinstance(packet, Malformed), f"{packet.what}: {frame.hex()}"
            for action in self._asked(packet):
                self.must_be_allowed(action)
        for frame in self._down.feed(client):
            packet = decode(frame, self.level, to_broker=False)
            assert not isinstance(packet, Malformed), f"{packet.what}: {frame.hex()}"
            if isinstance(packet, Publish):
                self.must_be_allowed(Message("receive", packet.topic, packet.qos, len(packet.payload)))

    def must_be_allowed(self, action: MqttAction) -> None:
        verdict = self.epochs.now.judge((action,))
        assert verdict.allowed, f"{action.describe()} went on: {verdict}"

    def _asked(self, packet: Packet) -> Iterable[MqttAction]:
        if isinstance(packet, Publish):
            return needs(packet)
        if isinstance(packet, Subscribe):
            return [filter_needs(one.filter, one.qos) for one in packet.filters]
        return []


class World:
    """``transcript`` keeps what went into the inspector: (side, packet), or ("again", b"") for a new epoch. It is the
    order in which packets became whole if nothing is ``cutting`` them."""

    def __init__(
        self,
        level: int,
        epochs: Epochs,
        random: Random,
        service: MqttService,
        *,
        deny_style: str = "nack",
        cutting: bool = True,
    ) -> None:
        self.client = ModelClient(level)
        self.broker = ModelBroker(level)
        self.link = Link(epochs, FakeSetting(deny_style=deny_style), service, SENSOR)
        self.auditor = Auditor(epochs, level)
        self.random = random
        self.cutting = cutting
        self.transcript: list[tuple[str, bytes]] = []
        self._to_client = b""
        self._to_broker = b""
        self._from_client = b""
        self._from_broker = b""

    @property
    def busy(self) -> bool:
        wires = self._to_client or self._to_broker or self._from_client or self._from_broker
        return bool(wires or self.client.out or self.broker.out or self.link.told.holds or self._soon())

    def _soon(self) -> bool:
        """The inspector goes on with something by itself, any moment now."""
        due = self.link.inspector.deadline()
        return due is not None and due <= self.link.now + SOON

    def pump(self, most: int = 1 << 30) -> None:
        """Moves a bit of something that is under way, at most ``most`` times."""
        steps = [
            self._client_sends,
            self._broker_sends,
            self._client_reads,
            self._broker_reads,
            self._records,
            self._waits,
        ]
        while self.busy and most > 0 and not self.link.closed:
            most -= 1
            self.random.choice(steps)()

    def connect(self) -> None:
        self.pump()
        assert self.client.welcome is not None, self.link.all_events

    def again(self) -> None:
        self.link.again()
        self.transcript.append(("again", b""))
        self._carry()

    def _records(self) -> None:
        if self.link.told.holds:
            self.link.resume(self.link.told.holds.pop(0))
            self._carry()

    def _waits(self) -> None:
        if self._soon():
            self.link.at(self.link.now + SOON)
            self._carry()

    def _client_sends(self) -> None:
        if not self._from_client and self.client.out:
            self._from_client = self._batch("client", self.client.out.popleft, self.client.out)
        piece, self._from_client = self._cut(self._from_client)
        if piece:
            self.link.send(piece)
            self._carry()

    def _broker_sends(self) -> None:
        if not self._from_broker and self.broker.out:
            self._from_broker = self._batch("broker", self.broker.pop, self.broker.out)
        piece, self._from_broker = self._cut(self._from_broker)
        if piece:
            self.link.reply(piece)
            self._carry()

    def _batch(self, side: str, pop: Callable[[], bytes], waiting: deque[bytes]) -> bytes:
        found = b""
        while waiting and (not found or (self.cutting and self.random.random() < 0.6)):
            frame = pop()
            self.transcript.append((side, frame))
            found += frame
        return found

    def _client_reads(self) -> None:
        piece, self._to_client = self._cut(self._to_client)
        self.client.feed(piece)

    def _broker_reads(self) -> None:
        piece, self._to_broker = self._cut(self._to_broker)
        self.broker.feed(piece)

    def _cut(self, data: bytes) -> tuple[bytes, bytes]:
        if not self.cutting or len(data) < 2 or self.random.random() < 0.5:
            return data, b""
        at = self.random.randrange(1, len(data))
        return data[:at], data[at:]

    def _carry(self) -> None:
        told = self.link.told
        self.auditor.look(told.broker, told.client)
        self._to_broker += told.broker
        self._to_client += told.client
        told.broker = told.client = b""
