"""One publisher, sans-IO: from a device's subscription through the backlog to the broker, each side with its own luck.

    device -> OpcUaSession -> Source -> Backlog -> Form -> MqttSession -> broker

What is lost is counted, told in the payload of the next value, and noted for people. Neither side waits for the other:
while the broker is away samples gather in the backlog, and while the device is away the broker is told so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from proxy.protocols.opcua.status import name_of
from proxy.protocols.opcua.wire import date_time
from proxy.uplink.backoff import Backoff
from proxy.uplink.figures import Figures, SideFigures
from proxy.uplink.mqtt_session import Delivered, Ended, Greeted, Heard, MqttSession, Opening, Unheard
from proxy.uplink.opcua_session import Missed, OpcUaSession, Over, Plan, Subscribed, Told
from proxy.uplink.source import Source

if TYPE_CHECKING:
    from proxy.uplink import mqtt_session, opcua_session
    from proxy.uplink.backlog import Backlog
    from proxy.uplink.form import Form, Message
    from proxy.uplink.sample import Sample

SETTLES_WITHIN = 2.0
"""Seconds, and two rounds of the subscription, that a birth waits for the first value of every node."""
AT_ONCE = 100
"""Samples that become one round of messages, where the broker acknowledges none."""
MOST_OUT = 65_536
"""Bytes that the broker has not taken, above which the rest stays in the backlog."""
REBIRTH_EVERY = 1.0
"""Seconds. To be asked for everything again and again is a load attack (protocols.md 3.1)."""


class Side(Enum):
    DEVICE = "device"
    BROKER = "broker"


class Note(NamedTuple):
    """What an operator should read. ``bad``: something is lost, or somebody has to do something."""

    text: str
    bad: bool = False


class _Line:
    """How one side stands: when it is dialled next, what it counts."""

    def __init__(self, figures: SideFigures, entropy: Callable[[int], bytes]) -> None:
        self.figures = figures
        self.dial_at = float("inf")
        self._backoff = Backoff(entropy)

    def up(self) -> None:
        self.figures.state, self.figures.why = "up", ""
        self._backoff.succeeded()

    def down(self, why: str, now: float) -> bool:
        """Whether that is news."""
        was, news = self.figures.up, self.figures.why != why
        self.figures.state, self.figures.why = "down", why
        self.figures.losses += was
        self.dial_at = now + self._backoff.wait()
        return was or news


class Publisher:
    """The driver calls `dialled` for each side in `dial` once it is connected, `lost` when it cannot be or is no more
    (not for what `hang_up` named), and after each call takes `out`, `dial`, `hang_up` and `notes`."""

    def __init__(
        self,
        plan: Plan,
        form: Form,
        backlog: Backlog,
        *,
        entropy: Callable[[int], bytes],
        wall: Callable[[], float],
    ) -> None:
        self.figures = Figures()
        self.dial: set[Side] = set()
        self.hang_up: set[Side] = set()
        self.notes: list[Note] = []
        self._plan = plan
        self._form = form
        self._backlog = backlog
        self._entropy = entropy
        self._wall = wall
        self._lines = {
            Side.DEVICE: _Line(self.figures.device, entropy),
            Side.BROKER: _Line(self.figures.broker, entropy),
        }
        self._source = Source(plan.nodes, wall)
        self._device: OpcUaSession | None = None
        self._broker: MqttSession | None = None
        self._level = 5
        self._settled_at = float("inf")
        self._handed = 0
        self._done = 0
        self._flying: deque[int] = deque()
        self._arrived: set[int] = set()
        self._rebirth_at = 0.0

    # What the driver calls.

    def start(self) -> None:
        self.dial = {Side.DEVICE, Side.BROKER}

    def dialled(self, side: Side, now: float) -> None:
        if side is Side.DEVICE:
            self._source.began()
            self._device = OpcUaSession(self._plan, self._entropy, self._wall, now)
        else:
            opening = Opening(self._plan.publisher, self._form.connecting(self._ticks()), self._form.filters)
            self._broker = MqttSession(opening, self._level, now)

    def received(self, side: Side, data: bytes, now: float) -> None:
        if side is Side.DEVICE and self._device is not None:
            self._from_device(self._device.receive(data, now), now)
        elif side is Side.BROKER and self._broker is not None:
            self._from_broker(self._broker.receive(data, now), now)

    def lost(self, side: Side, why: str, now: float) -> None:
        if side is Side.DEVICE:
            self._device_is_lost(why, now)
        else:
            self._broker_is_lost(why, now)

    def out(self, side: Side) -> bytearray:
        """What is to be sent; the driver clears it."""
        session = self._device if side is Side.DEVICE else self._broker
        return bytearray() if session is None else session.out

    def sent(self, side: Side, now: float) -> None:
        """`out` was taken, and there is room for more."""
        if side is Side.BROKER:
            self._pump(now)

    def deadline(self) -> float:
        sessions = [session.deadline() for session in (self._device, self._broker) if session is not None]
        return min(*sessions, *(line.dial_at for line in self._lines.values()), self._settled_at)

    def tick(self, now: float) -> None:
        if self._device is not None:
            self._from_device(self._device.tick(now), now)
        if self._broker is not None:
            self._from_broker(self._broker.tick(now), now)
        for side, line in self._lines.items():
            if now >= line.dial_at:
                line.dial_at = float("inf")
                line.figures.state = "connecting"
                self.dial.add(side)
        if now >= self._settled_at:
            self._settled_at = float("inf")
            self._pump(now)

    def stop(self, now: float) -> None:
        """Goodbyes on both sides; `out` is to be sent, then both are hung up."""
        if self._device is not None:
            self._device.leave(now)
        if self._broker is not None:
            if self._broker.open:
                self._say(self._form.leaving(self._ticks()), now)
            self._broker.leave(now)

    # The device.

    def _from_device(self, happenings: Iterable[opcua_session.Happening], now: float) -> None:
        for one in happenings:
            match one:
                case Told(name=name, value=value):
                    self._put(self._source.value(name, value))
                case Subscribed(refused=refused):
                    self._subscribed(refused, now)
                case Missed(messages=messages):
                    self.figures.missed += messages
                    self._gap(
                        f"{messages} notifications of the device are lost; the server does not have them any more"
                    )
                    self._source.missing(-1)
                case Over(why=why):
                    self._device_is_lost(why, now)
        if not self._source.awaited:
            self._settled_at = float("inf")
        self._pump(now)

    def _subscribed(self, refused: dict[str, int] | object, now: float) -> None:
        codes: dict[str, int] = dict(refused) if isinstance(refused, dict) else {}
        if not self.figures.device.up:
            self._lines[Side.DEVICE].up()
            self._note(f"subscribed to {len(self._plan.nodes) - len(codes)} of {len(self._plan.nodes)} nodes")
            self._settled_at = now + max(SETTLES_WITHIN, 2 * self._plan.every)
        named = {name: name_of(code) for name, code in codes.items()}
        for name in named:
            if named[name] != self.figures.refused.get(name):
                self._warn(f"node {name} ({self._plan.nodes[name].text}) is refused: {named[name]}")
            sample = self._source.refused(name, codes[name])
            if sample is not None:
                self._put(sample)
        for name in self.figures.refused.keys() - named.keys():
            self._note(f"node {name} is told again")
        self.figures.refused = named

    def _device_is_lost(self, why: str, now: float) -> None:
        self._device = None
        self.hang_up.add(Side.DEVICE)
        self._settled_at = float("inf")
        was = self.figures.device.up
        if self._lines[Side.DEVICE].down(why, now):
            self._warn(f"the device is not to be had: {why}")
        if was:
            for sample in self._source.lost():
                self._put(sample)
            self._gap("values of the device are lost from here on, until it is back")
        self._pump(now)

    def _put(self, sample: Sample) -> None:
        self.figures.samples += 1
        if sample.missed and sample.status & 0x0480 == 0x0480:
            self.figures.gaps += 1
        self._form.arrived(sample)
        if dropped := self._backlog.put(sample):
            if not self.figures.dropped:
                self._warn("the backlog is full: the oldest values make room")
            self.figures.dropped += dropped
        self.figures.waiting = len(self._backlog)

    def _gap(self, what: str) -> None:
        self.figures.gaps += 1
        self._warn(what)

    # The broker.

    def _from_broker(self, happenings: Iterable[mqtt_session.Happening], now: float) -> None:
        for one in happenings:
            match one:
                case Greeted():
                    self._lines[Side.BROKER].up()
                    self._note("the broker is there")
                    self._handed = self._done
                    self._flying.clear()
                    self._arrived.clear()
                    self._say(self._form.opened(self._ticks()), now)
                case Delivered():
                    self._delivered(one)
                case Heard(topic=topic, payload=payload):
                    self._heard(topic, payload, now)
                case Unheard(filter=filter, code=code):
                    self._warn(f"the broker or the policy refuses to let it hear {filter}: 0x{code:02X}")
                case Ended(why=why, older=older):
                    self._level = 4 if older else self._level
                    self._broker_is_lost(why, now)
        self._pump(now)

    def _broker_is_lost(self, why: str, now: float) -> None:
        self._broker = None
        self.hang_up.add(Side.BROKER)
        if self._lines[Side.BROKER].down(why, now):
            self._warn(f"the broker is not to be had: {why}")

    def _heard(self, topic: str, payload: bytes, now: float) -> None:
        if now < self._rebirth_at or not self._form.heard(topic, payload):
            return
        self._rebirth_at = now + REBIRTH_EVERY
        self.figures.rebirths += 1
        self._say(self._form.opened(self._ticks()), now)

    def _delivered(self, one: Delivered) -> None:
        if one.code:
            if not self.figures.unpublished:
                self._warn(f"a message was refused by the broker or the policy: 0x{one.code:02X}")
            self.figures.unpublished += 1
        elif one.token:
            self.figures.published += 1
        if not one.token:
            return
        self._arrived.add(one.token)
        while self._flying and self._flying[0] in self._arrived:
            self._done = self._flying.popleft()
            self._arrived.discard(self._done)
        self._backlog.done(self._done)
        self.figures.waiting = len(self._backlog)

    def _pump(self, now: float) -> None:
        """One round: what is left waits until that was sent, and everybody else had a turn."""
        broker = self._broker
        if broker is None or not broker.open or len(broker.out) >= MOST_OUT:
            return
        if self._form.settles and self._settled_at < float("inf"):
            return
        most = broker.room if self._form.qos else AT_ONCE
        samples = self._backlog.after(self._handed, most) if most else ()
        if not samples:
            return
        self._handed = samples[-1].number
        self._say(self._form.told(samples, self._ticks()), now)
        if not self._form.qos:
            self._done = self._handed
            self._backlog.done(self._done)
            self.figures.published += len(samples)
            self.figures.waiting = len(self._backlog)

    def _say(self, messages: Iterable[Message], now: float) -> None:
        broker = self._broker
        if broker is None:
            return
        for message in messages:
            token = message.last or 0 if self._form.qos else 0
            if token:
                self._flying.append(token)
            at_once = broker.publish(message.topic, message.payload, self._form.qos, token, now)
            if at_once is not None:
                self._delivered(at_once)

    def _note(self, text: str) -> None:
        self.notes.append(Note(text))

    def _warn(self, text: str) -> None:
        self.notes.append(Note(text, bad=True))

    def _ticks(self) -> int:
        return date_time(self._wall())
