"""What the broker sends, and what of it the client gets to see."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from proxy.core.events import Event
from proxy.core.reason import Reason
from proxy.protocols.mqtt import answers, reasons
from proxy.protocols.mqtt.deliveries import PUBREC, PUBREL, short_ack
from proxy.protocols.mqtt.framing import MAX_FRAME, Malformed, frame_end
from proxy.protocols.mqtt.packets import (
    Ack,
    Connack,
    Disconnect,
    Ping,
    Publish,
    Suback,
    Unsuback,
    decode,
    delivery_head,
    encode,
)
from proxy.protocols.mqtt.properties import P, number_of, without
from proxy.protocols.mqtt.session import Phase, wake

if TYPE_CHECKING:
    from proxy.protocols.base import Effects
    from proxy.protocols.mqtt.opening import Opening
    from proxy.protocols.mqtt.session import Session


_HEAD = 5 + 2 + 65535 + 2
"""Bytes of a PUBLISH in which its packet id has come."""


class BrokerSide:
    """Stateless but for the session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def packet(self, frame: bytes, now: float, out: Effects) -> None:
        """One whole packet."""
        session = self._session
        if session.phase is Phase.ASKED:
            self._connack(frame, out)
            return
        packet = short_ack(frame) or decode(frame, session.level, to_broker=False)
        match packet:
            case Publish():
                self._delivery(frame, packet, now, out)
            case Ack():
                self._ack(frame, packet, now, out)
            case Suback():
                self._suback(frame, packet, out)
            case Unsuback():
                self._unsuback(frame, packet, out)
            case Ping():
                if session.alive.answered():
                    out.client.append(frame)
            case Disconnect():
                self._goodbye(frame, packet, out)
            case Malformed() if frame[0] >> 4 == 3 and (head := delivery_head(frame)) is not None:
                self._odd_delivery(packet, head, now, out)
            case Malformed():
                session.broker_broke(packet.what, out)
            case _:
                session.broker_broke(f"packet type {frame[0] >> 4} is not expected", out)

    def _connack(self, frame: bytes, out: Effects) -> None:
        session = self._session
        answer = _old_refusal(frame) if session.level == 5 else None
        packet = answer or decode(frame, session.level, to_broker=False)
        if not isinstance(packet, Connack) or session.opening is None:
            what = packet.what if isinstance(packet, Malformed) else f"packet type {frame[0] >> 4} before CONNACK"
            session.broker_broke(what, out)
            return
        if session.level == 5:
            frame = encode(session.opening.connack(packet), 5)
        out.client.append(frame)
        if packet.code:
            detail = f"CONNACK 0x{packet.code:02X}"
            out.events.append(Event("device", reason=Reason.UPSTREAM_REFUSED, detail=detail))
            session.finish(Reason.UPSTREAM_REFUSED, out)
            return
        if session.level == 5:
            self._limits(packet, session.opening, out)
        session.greet(out)

    def _limits(self, answer: Connack, opening: Opening, out: Effects) -> None:
        """Those that the broker adds to ours."""
        session = self._session
        publishing, service = session.publishing, session.service
        receive = number_of(answer.properties, P.RECEIVE_MAXIMUM, 65535)
        publishing.receive_maximum = min(receive, service.receive_maximum)
        publishing.broker_limit = number_of(answer.properties, P.MAXIMUM_PACKET_SIZE, publishing.broker_limit)
        publishing.scanner.forget()  # it knows what passed before the limit was known
        session.alive.interval = opening.kept_alive(answer)
        wake(session.alive.lost_at, out)

    def _delivery(self, frame: bytes, packet: Publish, now: float, out: Effects) -> None:
        session = self._session
        if number_of(packet.properties, P.TOPIC_ALIAS, 0):
            session.broker_broke("a topic alias, though none was offered", out)
            return
        event = session.receiving.judge(frame[0], packet, now)
        if event is None:
            out.client.append(frame)
            return
        out.events.append(event)
        self._drop(packet.qos, packet.packet_id, now, out)

    def too_large(self, data: bytes, at: int, fault: Malformed, now: float, out: Effects) -> int | None:
        """What begins at ``at`` is larger than any packet may be. How much of it is still to come and to be thrown
        away; None while that cannot be said, since the packet id may be to come.

        A broker of 3.1.1 is told no limit, so this too is an odd message of somebody else. One of MQTT 5 was told.
        """
        session = self._session
        end = frame_end(data, at, MAX_FRAME)
        if session.phase is Phase.OPEN and session.level == 4 and data[at] >> 4 == 3 and isinstance(end, int):
            head = delivery_head(data[at : at + _HEAD])
            if head is not None:
                self._odd_delivery(fault, head, now, out)
                return end - at
            if len(data) - at < _HEAD:
                return None
        session.broker_broke(fault.what, out)
        return 0

    def _odd_delivery(self, fault: Malformed, head: tuple[int, int | None], now: float, out: Effects) -> None:
        """A message that brokers pass on and we do not: one beyond our limits, or with properties that make no sense.
        Whoever made it must not end the session of everybody who subscribes to it, least of all a retained one, each
        time anew. What frames it and what acknowledges it was readable."""
        out.events.append(Event("device", reason=Reason.UPSTREAM_INVALID, detail=fault.what))
        self._drop(*head, now, out)

    def _drop(self, qos: int, packet_id: int | None, now: float, out: Effects) -> None:
        if packet_id is not None:
            for word in self._session.receiving.deliveries.drop(qos, packet_id):
                self._session.to_broker(word, now, out)

    def _ack(self, frame: bytes, packet: Ack, now: float, out: Effects) -> None:
        session = self._session
        if frame[0] == PUBREL:
            if (answer := session.receiving.deliveries.released(packet.packet_id)) is not None:
                session.to_broker(answer, now, out)
                return
        elif frame[0] != PUBREC or packet.code >= 0x80:
            session.publishing.in_flight.discard(packet.packet_id)
        out.client.append(frame)

    def _suback(self, frame: bytes, packet: Suback, out: Effects) -> None:
        """In the order in which the client asked, with our refusals among the broker's answers."""
        session = self._session
        codes = session.subscriptions.answered(session.level, packet.packet_id, packet.codes)
        if codes is None:
            session.broker_broke("a SUBACK that answers no SUBSCRIBE", out)
            return
        if tuple(codes) != packet.codes:
            frame = encode(replace(packet, codes=tuple(codes)), session.level)
        out.client.append(frame)
        session.parked = False

    def _unsuback(self, frame: bytes, packet: Unsuback, out: Effects) -> None:
        session = self._session
        if not session.subscriptions.withdrawn(packet.packet_id):
            if not session.subscriptions.left(packet.packet_id):
                session.broker_broke("an UNSUBACK that answers no UNSUBSCRIBE", out)
                return
            out.client.append(frame)
        session.parked = False

    def _goodbye(self, frame: bytes, packet: Disconnect, out: Effects) -> None:
        """Without a Server Reference, which would lead the client past us."""
        session = self._session
        properties = without(packet.properties, P.SERVER_REFERENCE)
        if properties != packet.properties:
            frame = encode(replace(packet, properties=properties), session.level)
        out.client.append(frame)
        detail = f"DISCONNECT 0x{packet.code:02X}"
        out.events.append(Event("device", reason=Reason.UPSTREAM_REFUSED, detail=detail))
        session.finish(Reason.UPSTREAM_REFUSED, out)


def _old_refusal(frame: bytes) -> Connack | None:
    """A broker without MQTT 5 says so in the words of 3.1.1 (nats-server: 20 02 00 84)."""
    if len(frame) != 4 or frame[:3] != b"\x20\x02\x00" or not frame[3]:
        return None
    code = frame[3]
    if code not in reasons.CONNACK:
        code = reasons.VERSION if code == 1 else answers.SERVER_UNAVAILABLE
    return Connack(False, code)
