"""What a client that has said CONNECT may send, and what becomes of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from proxy.core.events import Event
from proxy.core.reason import Reason
from proxy.protocols.mqtt import answers, reasons
from proxy.protocols.mqtt.actions import Subscription
from proxy.protocols.mqtt.asking import refusal
from proxy.protocols.mqtt.deliveries import PUBACK, PUBREC, PUBREL, short_ack
from proxy.protocols.mqtt.framing import Malformed
from proxy.protocols.mqtt.packets import Ack, Disconnect, Ping, Publish, Subscribe, Unsubscribe, decode, encode
from proxy.protocols.mqtt.properties import P, number_of, replaced
from proxy.protocols.mqtt.strings import split_share

if TYPE_CHECKING:
    from proxy.protocols.base import Effects
    from proxy.protocols.mqtt.session import Session


class ClientSide:
    """Stateless but for the session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def packet(self, frame: bytes, now: float, out: Effects) -> None:
        """One whole packet. If the session `waits` afterwards, it is held, or parked: to be offered again."""
        session = self._session
        packet = short_ack(frame) or decode(frame, session.level, to_broker=True)
        match packet:
            case Publish():
                self.publish(frame, packet, now, out)
            case Ack():
                self._ack(frame, packet, now, out)
            case Subscribe():
                self._subscribe(frame, packet, now, out)
            case Unsubscribe():
                self._unsubscribe(frame, packet, now, out)
            case Ping():
                session.alive.client_pings()
                session.to_broker(frame, now, out)
            case Disconnect():
                self._disconnect(packet, now, out)
            case Malformed():
                session.malformed(packet, out)
            case _:  # a second CONNECT [MQTT-3.1.0-2], AUTH on a session without a method (4.12)
                what = f"packet type {frame[0] >> 4} is not expected"
                session.malformed(Malformed(what, reasons.PROTOCOL_ERROR), out)

    def publish(self, frame: bytes, packet: Publish, now: float, out: Effects, *, recorded: bool = False) -> None:
        session = self._session
        if packet.packet_id is not None and packet.packet_id in session.subscriptions.ours:
            session.parked = True
            return
        outcome = session.publishing.judge(frame, packet, now, recorded=recorded)
        if outcome.event is not None:
            out.events.append(outcome.event)
            session.kept_back(out)
        if outcome.forward is not None:
            session.to_broker(outcome.forward, now, out)
        elif outcome.answer is not None:
            session.say(outcome.answer, out)
        elif outcome.hold is not None:
            session.hold(frame, outcome.hold, out)
        elif outcome.fault is not None:
            session.malformed(outcome.fault, out)
        elif outcome.cut is not None:
            session.goodbye(answers.refusal_code(outcome.cut), outcome.cut, out)
            session.finish(outcome.cut, out)

    def _ack(self, frame: bytes, packet: Ack, now: float, out: Effects) -> None:
        """Acknowledgements of what was forwarded pass; those of what was not are ours to deal with."""
        session = self._session
        first, deliveries = frame[0], session.receiving.deliveries
        if first == PUBREL:
            if (answer := session.publishing.released(packet.packet_id)) is not None:
                session.say(answer, out)
                return
        elif deliveries.ours(packet.packet_id):
            return  # never delivered, so never acknowledged: the broker hears it from us
        session.to_broker(frame, now, out)
        if first in (PUBACK, PUBREC):
            out.upstream += deliveries.acknowledged(first, packet.packet_id)

    def _subscribe(self, frame: bytes, packet: Subscribe, now: float, out: Effects) -> None:
        session = self._session
        if session.subscriptions.must_wait(packet.packet_id):
            session.parked = True
            return
        slots: list[int | None] = []
        for wanted in packet.filters:
            group, inner = split_share(wanted.filter)
            action = Subscription("subscribe" if group is None else "share", inner, wanted.qos, group)
            slots.append(self._judge(wanted.filter, action, now, out))
        if None not in slots:
            codes = answers.suback_codes(session.level, [slot for slot in slots if slot is not None])
            session.say(answers.suback(session.level, packet.packet_id, codes), out)
            session.kept_back(out)
            return
        filters = tuple(wanted.filter for wanted in packet.filters)
        session.subscriptions.asked(packet.packet_id, filters, slots, len(frame))
        if any(slot is not None for slot in slots):
            kept = tuple(wanted for wanted, slot in zip(packet.filters, slots, strict=True) if slot is None)
            frame = encode(replace(packet, filters=kept), session.level)
        session.to_broker(frame, now, out)

    def _judge(self, filter: str, action: Subscription, now: float, out: Effects) -> int | None:
        """Each filter by itself (dojot#2529); None if it may go to the broker, else the code that answers it."""
        session = self._session
        if not session.subscriptions.room(filter):
            detail = "more filters than a session may have"
            out.events.append(Event("refuse", reason=Reason.OVERLOAD, action=action.describe(), detail=detail))
            return reasons.QUOTA
        verdict = session.decide((action,), now)
        if verdict.reason is not None:
            out.events.append(refusal((action,), verdict))
            return answers.refusal_code(verdict.reason)
        session.counted[verdict.tag] += 1
        session.subscriptions.stand(filter, action)
        return None

    def _unsubscribe(self, frame: bytes, packet: Unsubscribe, now: float, out: Effects) -> None:
        """Always allowed; for a filter that never got there the broker has the right answer itself."""
        session = self._session
        if session.subscriptions.must_wait(packet.packet_id):
            session.parked = True
            return
        session.subscriptions.leaving(packet.packet_id, packet.filters, len(frame))
        session.to_broker(frame, now, out)

    def _disconnect(self, packet: Disconnect, now: float, out: Effects) -> None:
        """With 0x04 the Will is published on purpose, so it is judged like a publish once more."""
        session = self._session
        if packet.code == reasons.DISCONNECT_WITH_WILL and len(session.standing) > 1:
            verdict = session.decide(session.standing[1], now)
            if verdict.reason is not None:
                out.events.append(refusal(session.standing[1], verdict))
                packet = replace(packet, code=reasons.SUCCESS)
        most, asked = session.service.session_expiry, number_of(packet.properties, P.SESSION_EXPIRY, 0)
        if asked and session.opening is not None and not session.opening.outlives:  # [MQTT-3.14.2-2]
            session.malformed(Malformed("a session expiry, though the session had none", reasons.PROTOCOL_ERROR), out)
            return
        if asked > most:
            packet = replace(packet, properties=replaced(packet.properties, P.SESSION_EXPIRY, most))
        session.to_broker(encode(packet, session.level), now, out)
        session.leave(now, out)
