"""PUBLISH from the client: resolved, judged, and what becomes of it.

A refused one never reaches the broker, and its exchange is brought to an end with the client alone (protocols.md 2.6).
MQTT 3.1.1 has no word for no: there the exchange is acted out, and a packet id of QoS 2 stays ours until its PUBREL.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from proxy.core.events import Event
from proxy.core.reason import Reason
from proxy.protocols.mqtt import answers, reasons
from proxy.protocols.mqtt.asking import asked_by, describe, is_what_it_says, refusal
from proxy.protocols.mqtt.deliveries import PUBACK, PUBCOMP, PUBREC, PUBREL, ack
from proxy.protocols.mqtt.framing import Malformed
from proxy.protocols.mqtt.opening import ALIASES
from proxy.protocols.mqtt.packet_ids import PacketIds, bounded
from proxy.protocols.mqtt.packets import encode
from proxy.protocols.mqtt.properties import P, number_of, without
from proxy.protocols.mqtt.scan import Scanner

if TYPE_CHECKING:
    from proxy.core.verdict import Verdict
    from proxy.protocols.base import Decide
    from proxy.protocols.mqtt.packets import Publish
    from proxy.protocols.mqtt.service import MqttService

REFUSED = 256
"""Packet ids of QoS 2 remembered after a refusal, for a PUBREL that still comes."""


DENIED = 256
"""Refusals remembered with their event: a flood of them is the dearest thing that a client can send (T47)."""
_WHATEVER_SIZE = frozenset({Reason.DEFAULT_DENY, Reason.NEVER_RULE})
"""Refusals that look at no more than topic, QoS and flags."""


class Outcome:
    """What becomes of one packet: at most one of ``forward``, ``hold``, ``fault`` and ``cut``."""

    __slots__ = ("answer", "cut", "event", "fault", "forward", "hold")

    def __init__(
        self,
        *,
        forward: bytes | None = None,
        answer: bytes | None = None,
        event: Event | None = None,
        hold: Event | None = None,
        fault: Malformed | None = None,
        cut: Reason | None = None,
    ) -> None:
        self.forward = forward
        self.answer = answer
        self.event = event
        self.hold = hold
        self.fault = fault
        self.cut = cut
        """The link ends because this was refused."""


class Publishing:
    """The client's side of publishing, for one session. ``say_why``: the client wants Reason Strings."""

    def __init__(self, level: int, decide: Decide, service: MqttService, deny_style: str, *, say_why: bool) -> None:
        self.scanner = Scanner(level)
        self.in_flight: set[int] | PacketIds = set()
        """Packet ids that the broker has not finished with."""
        self.receive_maximum = 65535 if level == 4 else service.receive_maximum
        self.broker_limit = 1 << 28
        """Bytes of a packet that the broker takes."""
        self._level = level
        self._decide = decide
        self._service = service
        self._deny_style = deny_style
        self._say_why = say_why
        self._aliases: dict[int, str] = {}
        self._owned: set[int] | PacketIds = set()
        self._refused: dict[int, None] = {}
        self._denied: dict[tuple[str, int, bool, bool], tuple[Event, bool]] = {}

    @property
    def room(self) -> int:
        """Packets with an id that may pass unseen. None while ids are ours: they have to be compared."""
        return 0 if self._owned else max(0, self.receive_maximum - len(self.in_flight))

    def walked(self) -> None:
        """The scanner passed packets with ids."""
        for ids in (self.scanner.ids1, self.scanner.ids2):
            if ids:
                self.in_flight.update(ids)
                self.in_flight = bounded(self.in_flight)
                for packet_id in ids:
                    self._refused.pop(packet_id, None)
                ids.clear()

    @property
    def all_pass(self) -> bool:
        """No PUBREL of the client is ours to answer."""
        return not self._owned and not self._refused

    def acknowledged(self, data: bytes, at: int, *, releases: bool) -> int:
        """The end of the run of short acknowledgements of the broker that begins at ``at``: they all pass, and so does
        PUBREL if none of those ``releases`` is ours to answer."""
        in_flight = self.in_flight
        last = len(data) - 4
        while at <= last:
            first, number = data[at], data[at + 2] << 8 | data[at + 3]
            if data[at + 1] != 2 or not number:
                break
            if first in (PUBACK, PUBCOMP):
                in_flight.discard(number)
            elif first != PUBREC and not (releases and first == PUBREL):
                break
            at += 4
        return at

    def judge(self, frame: bytes, packet: Publish, now: float, *, recorded: bool = False) -> Outcome:
        """Every PUBLISH is judged, DUP too, and a known packet id with another topic."""
        sent = packet
        alias = number_of(packet.properties, P.TOPIC_ALIAS, 0)
        if alias:
            resolved = self._resolve(packet, alias)
            if isinstance(resolved, Malformed):
                return Outcome(fault=resolved)
            packet, frame = resolved, encode(resolved, 5)
        if len(frame) > min(self.broker_limit, self._service.max_packet):
            return Outcome(fault=Malformed(f"a packet of {len(frame)} bytes for this broker", reasons.TOO_LARGE))
        packet_id = packet.packet_id or 0
        if packet_id in self._owned:
            return Outcome(answer=ack(PUBREC, packet_id))
        if packet_id and packet_id not in self.in_flight and len(self.in_flight) >= self.receive_maximum:
            what = f"more than {self.receive_maximum} messages unacknowledged"
            return Outcome(fault=Malformed(what, answers.RECEIVE_MAXIMUM_EXCEEDED))
        kind = (packet.topic, packet.qos, packet.retain, not packet.payload)
        if not packet.properties and (denied := self._denied.get(kind)) is not None:
            event, command = denied
            return self._refuse(packet, event.reason or Reason.DEFAULT_DENY, event, command=command)
        asked = asked_by(packet, self._service)
        if not is_what_it_says(packet.properties, packet.payload):
            event = Event("refuse", reason=Reason.PAYLOAD, action=describe(asked), detail="not UTF-8")
            return self._refuse(packet, Reason.PAYLOAD, event, command=asked[0].changes)
        verdict = self._decide(asked, now, True) if recorded else self._decide(asked, now)
        if verdict.reason is not None:
            command = any(action.changes for action in asked)
            event = refusal(asked, verdict)
            if verdict.reusable and verdict.reason in _WHATEVER_SIZE and not packet.properties:
                if len(self._denied) >= DENIED:
                    self._denied.clear()
                self._denied[kind] = event, command
            return self._refuse(packet, verdict.reason, event, command=command)
        if verdict.record_first and not recorded:
            return Outcome(hold=Event("act", action=describe(asked), verdict=verdict))
        return self._pass(frame, packet, sent, verdict)

    def forget(self) -> None:
        """Every verdict."""
        self.scanner.forget()
        self._denied.clear()

    def released(self, packet_id: int) -> bytes | None:
        """The client sent PUBREL: our PUBCOMP, if the broker must not see it."""
        if packet_id in self._owned:
            self._owned.discard(packet_id)
            return answers.completed(self._level, packet_id, known=True)
        if packet_id in self._refused:
            del self._refused[packet_id]
            return answers.completed(self._level, packet_id, known=False)
        return None

    def _resolve(self, packet: Publish, alias: int) -> Publish | Malformed:
        """With its topic written out. An alias is set even if the packet that sets it is refused: later ones that
        carry the alias alone mean that topic and are judged by it."""
        if alias > ALIASES:
            return Malformed(f"topic alias {alias}, more than {ALIASES}", reasons.ALIAS_INVALID)
        topic = packet.topic
        if topic:
            self._aliases[alias] = topic
        elif (known := self._aliases.get(alias)) is not None:
            topic = known
        else:
            return Malformed(f"topic alias {alias} was never set", reasons.PROTOCOL_ERROR)
        return replace(packet, topic=topic, properties=without(packet.properties, P.TOPIC_ALIAS))

    def _pass(self, frame: bytes, packet: Publish, sent: Publish, verdict: Verdict) -> Outcome:
        if packet.packet_id is not None:
            self.in_flight.add(packet.packet_id)
            self.in_flight = bounded(self.in_flight)
            self._refused.pop(packet.packet_id, None)
        self.scanner.count(verdict.tag)
        if verdict.reusable and not verdict.record_first and not sent.properties:
            size = len(packet.payload)
            self.scanner.learn(frame[0], packet.topic.encode(), verdict.tag, size)
        return Outcome(forward=frame)

    def _refuse(self, packet: Publish, reason: Reason, event: Event, *, command: bool) -> Outcome:
        style = self._deny_style
        if style == "disconnect" or (command and (self._level == 4 or style == "ack-and-drop")):
            # A false acknowledgement of a command is worse than a lost link (protocols.md 2.4).
            return Outcome(event=event, cut=reason)
        packet_id = packet.packet_id or 0
        code = answers.refusal_code(reason) if self._level == 5 and style == "nack" else 0
        if packet_id in self.in_flight:
            # What the broker got first under this id was allowed, and it is the broker that answers that.
            return Outcome(event=event)
        if packet.qos == 2:
            if code:
                self._remember(packet_id)
            else:
                self._owned.add(packet_id)
                self._owned = bounded(self._owned)
        text = answers.why(reason) if self._say_why else ""
        return Outcome(event=event, answer=answers.refused_publish(self._level, packet.qos, packet_id, code, text))

    def _remember(self, packet_id: int) -> None:
        if len(self._refused) >= REFUSED:
            del self._refused[next(iter(self._refused))]
        self._refused[packet_id] = None
