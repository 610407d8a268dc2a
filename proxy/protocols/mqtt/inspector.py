"""Judges one client's MQTT session with a broker that is not ours, packet by packet, in both directions.

    client -> Inbox -> Scanner (runs of known PUBLISH) -> decoder -> ClientSide -> broker
    client <- BrokerSide <- decoder <- Scanner <- Inbox <- broker

The session is relayed one to one. What is refused never passes, and whatever answer its sender is owed comes from
here; what is allowed passes unchanged, but for the edits in `opening` and written-out topic aliases.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING

from proxy.core.events import Event
from proxy.core.reason import Reason
from proxy.protocols.base import UpstreamState
from proxy.protocols.mqtt import answers, connecting
from proxy.protocols.mqtt.asking import refusal
from proxy.protocols.mqtt.backlog import Backlog
from proxy.protocols.mqtt.broker_side import BrokerSide
from proxy.protocols.mqtt.client_side import ClientSide
from proxy.protocols.mqtt.framing import Malformed, frame_end
from proxy.protocols.mqtt.inbox import Inbox
from proxy.protocols.mqtt.opening import Login, Opening, read_login
from proxy.protocols.mqtt.packets import Connect, Publish, Unsubscribe, claimed_level, decode, encode
from proxy.protocols.mqtt.receiving import ROOM
from proxy.protocols.mqtt.session import Phase, Session, wake
from proxy.protocols.mqtt.subscriptions import in_packets

if TYPE_CHECKING:
    from proxy.core.names import Names
    from proxy.protocols.base import Client, Decide, Effects, Setting
    from proxy.protocols.mqtt.packets import Will
    from proxy.protocols.mqtt.service import MqttService

CONNECT_WITHIN = 5.0
"""Seconds from the opened link to a whole CONNECT (T45)."""
CONNECT_LIMIT = 16384
"""Bytes of a CONNECT (CVE-2017-7651, CVE-2023-0809)."""
PARTIAL = 10.0
"""Seconds a packet may take to arrive whole."""
PARKED_LIMIT = 1 << 20
"""Bytes of a client that wait while one of its packets cannot go on."""
TURN_BYTES = 16384
TURN_PACKETS = 64
"""How much of what waited is gone through at a time, and of it the packets that are not quickly known: all at once
would stop everybody else for seconds (T47)."""
NEXT_TURN = 0.001
"""Seconds until the next part of it."""
PINGREQ = b"\xc0\0"


class MqttInspector:
    """The server side towards one client. See `proxy.protocols.base.Inspector` for the contract."""

    def __init__(self, decide: Decide, setting: Setting, service: MqttService, client: Client) -> None:
        self._client = client
        self._service = service
        self._login = read_login(setting.secret(service.login)) if service.login else Login()
        self._session = Session(decide, service, setting.deny_style, client.opened)
        self._client_side = ClientSide(self._session)
        self._broker_side = BrokerSide(self._session)
        self._inbox = Inbox()
        self._backlog = Backlog()
        self._turn = 0
        """Packets until the turn is over; 0: this is none."""
        self._turn_at: float | None = None
        self._broker_inbox = Inbox()
        self._limit = CONNECT_LIMIT
        self._skip = 0
        """Bytes of a delivery that are thrown away as they come."""
        self._partial_until: float | None = None
        self._quiet = False
        self._eof = False

    def identified(self, names: Names, now: float, out: Effects) -> None:
        """Never called: who speaks is known before the first byte."""

    def from_client(self, data: bytes, now: float, out: Effects) -> None:
        session = self._session
        if session.over or session.leaves_by is not None:
            return
        session.alive.heard = now
        if session.waits or self._backlog.kept:
            self._backlog.push(data)
            if self._backlog.kept > PARKED_LIMIT:
                session.cut(Reason.OVERLOAD, "too much input while a packet waits", out)
            elif self._turn_at is not None and now >= self._turn_at:
                self._continue(now, out)  # a client that goes on sending is not ticked
        elif whole := self._inbox.add(data):
            self._take(whole, now, out)
        if session.alive.told != now and not session.over:
            session.kept_back(out)

    def _take(self, data: bytes, now: float, out: Effects) -> None:
        """Whole packets, from the first byte of one on; what is left begins one that is not whole."""
        at, end = 0, len(data)
        session = self._session
        while at < end:
            after = self._known(data, at, now, out)
            if after != at:
                at = after
                continue
            stop = frame_end(data, at, self._limit)
            if isinstance(stop, Malformed):
                session.malformed(stop, out)
                return
            if stop is None or stop > end:
                self._wait_for(data[at:], end - at + 1 if stop is None else stop - at, at > 0, now, out)
                return
            self._packet(data[at:stop], now, out)
            if session.over or session.leaves_by is not None:
                return
            if session.waits:
                # What is parked is offered again, and all that is behind it waits in any case.
                self._backlog.put_back(data[at if session.parked else stop :])
                break
            at = stop
            if self._turn:
                self._turn -= 1
                if not self._turn:
                    self._backlog.put_back(data[at:])
                    break
        self._partial_until = None

    def _known(self, data: bytes, at: int, now: float, out: Effects) -> int:
        """Forwards the run of known packets that begins at ``at`` as one slice; gives its end."""
        session = self._session
        publishing = session.publishing
        if session.subscriptions.ours:
            return at  # packet ids have to be compared
        after = publishing.scanner.walk(data, at, publishing.room)
        if after != at:
            publishing.walked()
        elif session.opening is not None:
            after = session.receiving.deliveries.walk(data, at, releases=publishing.all_pass)
        if after != at:
            session.to_broker(data if after - at == len(data) else data[at:after], now, out)
        return after

    def _wait_for(self, rest: bytes, need: int, fresh: bool, now: float, out: Effects) -> None:
        self._inbox.keep(rest, need)
        if fresh or self._partial_until is None:
            self._partial_until = now + PARTIAL
            wake(self._partial_until, out)

    def _packet(self, frame: bytes, now: float, out: Effects) -> None:
        if self._session.phase is Phase.WAITING:
            self._first(frame, now, out)
        else:
            self._client_side.packet(frame, now, out)

    def _continue(self, now: float, out: Effects) -> None:
        """What waited goes on, in turns."""
        self._turn_at = None
        if self._backlog.kept and not self._stands:
            if whole := self._inbox.add(self._backlog.take(TURN_BYTES)):
                self._turn = TURN_PACKETS
                self._take(whole, now, out)
                self._turn = 0
            if self._backlog.kept and not self._stands:
                self._turn_at = now + NEXT_TURN
                wake(self._turn_at, out)
        if self._eof and not self._backlog.kept and not self._stands:
            self._session.finish(None, out)

    @property
    def _stands(self) -> bool:
        """Nothing of the client is looked at."""
        session = self._session
        return session.over or session.waits or session.leaves_by is not None

    # CONNECT.

    def _first(self, frame: bytes, now: float, out: Effects, *, recorded: bool = False) -> None:
        session = self._session
        if frame[0] >> 4 != 1:
            session.malformed(Malformed(f"the first packet has type {frame[0] >> 4}, not CONNECT"), out)
            return
        packet = decode(frame, 5, to_broker=True)
        if isinstance(packet, Connect):
            session.level = packet.level
            self._connect(frame, packet, now, out, recorded)
        elif isinstance(packet, Malformed):
            session.level = 5 if (claimed_level(frame) or 0) >= 5 else 4
            session.malformed(packet, out)

    def _connect(self, frame: bytes, packet: Connect, now: float, out: Effects, recorded: bool) -> None:
        session = self._session
        names = self._client.names
        judged = connecting.judge(packet, names, session.decide, self._service, now, recorded=recorded)
        out.events += judged.events
        if judged.code is not None:
            session.refuse(judged.code, judged.events[-1].reason, out)
        elif judged.hold is not None:
            session.hold(frame, judged.hold, out)
        else:
            session.standing = [asked for asked, _ in judged.standing]
            session.counted.update(tag for _, tag in judged.standing)
            self._open(packet, names.device or "", judged.will, now, out)

    def _open(self, packet: Connect, device: str, will: Will | None, now: float, out: Effects) -> None:
        fresh_id = f"bh-{self._client.entropy(8).hex()}"
        opening = Opening(packet, self._service, device, self._login, fresh_id)
        self._session.ask(opening)
        self._limit = self._service.max_packet
        self._quiet = packet.level == 4 and packet.keep_alive == 0
        self._session.to_broker(encode(opening.connect(will), packet.level), now, out)
        wake(self._session.alive.lost_at, out)

    # The broker.

    def from_upstream(self, message: bytes, now: float, out: Effects) -> None:
        session = self._session
        if session.over or session.opening is None:
            return
        said = len(out.client)
        if whole := self._broker_inbox.add(message):
            self._give(whole, now, out)
        if self._quiet and len(out.client) > said and not session.over:
            # A client of 3.1.1 that promised nothing is taken to live while it is delivered to.
            session.alive.heard = now
            session.kept_back(out)
        if self._backlog.kept and self._turn_at is None:
            self._continue(now, out)

    def _give(self, data: bytes, now: float, out: Effects) -> None:
        """As `_take`, the other way."""
        at, end = 0, len(data)
        session = self._session
        receiving = session.receiving
        while at < end:
            if self._skip:
                skipped = min(self._skip, end - at)
                self._skip -= skipped
                at += skipped
                continue
            after = receiving.scanner.walk(data, at, ROOM)
            if after != at:
                receiving.walked()
            elif session.phase is Phase.OPEN:
                after = session.publishing.acknowledged(data, at, releases=receiving.deliveries.all_pass)
            if after != at:
                out.client.append(data if after - at == end else data[at:after])
                at = after
                continue
            stop = frame_end(data, at, self._service.max_packet)
            if isinstance(stop, Malformed):
                skip = self._broker_side.too_large(data, at, stop, now, out)
                if skip is None:
                    self._broker_inbox.keep(data[at:], end - at + 1)
                if not skip:
                    return
                self._skip = skip
                continue
            if stop is None or stop > end:
                self._broker_inbox.keep(data[at:], end - at + 1 if stop is None else stop - at)
                return
            self._broker_side.packet(data[at:stop], now, out)
            if session.over:
                return
            at = stop

    def upstream_is(self, state: UpstreamState, now: float, out: Effects) -> None:
        session = self._session
        if state is UpstreamState.OPEN or session.over or session.opening is None:
            return
        if session.phase is Phase.ASKED:
            session.goodbye(answers.SERVER_UNAVAILABLE, Reason.UPSTREAM_UNREACHABLE, out)
        elif session.leaves_by is not None:
            session.finish(None, out)
            return
        session.finish(Reason.UPSTREAM_UNREACHABLE, out)

    # The rest of the contract.

    def eof(self, now: float, out: Effects) -> None:
        """Without DISCONNECT the client is lost, and its Will fires: the broker's connection just goes as well. After
        one, the client may have closed its half only."""
        self._eof = True
        if not self._backlog.kept and not self._stands:
            self._session.finish(None, out)

    def decide_again(self, now: float, out: Effects) -> None:
        """Verdicts are forgotten; CONNECT, Will and subscriptions stand only while they are still allowed."""
        session = self._session
        session.publishing.forget()
        session.receiving.scanner.forget()
        if session.over or session.opening is None:
            return
        for asked in session.standing:
            verdict = session.decide(asked, now)
            if verdict.reason is not None:
                out.events.append(refusal(asked, verdict))
                session.end(Reason.POLICY_CHANGED, now, out)
                return
        lost = []
        for filter, action in session.subscriptions:
            verdict = session.decide((action,), now)
            if verdict.reason is not None:
                out.events.append(refusal((action,), verdict))
                lost.append(filter)
        if lost and self._service.disconnect_lost:
            session.end(Reason.POLICY_CHANGED, now, out)
        elif lost:
            self._withdraw(tuple(lost), now, out)

    def _withdraw(self, filters: tuple[str, ...], now: float, out: Effects) -> None:
        """MQTT cannot tell the client. The check at delivery holds already; this spares the broker the work."""
        session = self._session
        for some in in_packets(filters, session.publishing.broker_limit):
            packet_id = session.subscriptions.withdraw(session.publishing.in_flight, some)
            if packet_id is not None:
                session.to_broker(encode(Unsubscribe(packet_id, some), session.level), now, out)

    def resume(self, token: int, recorded: bool, now: float, out: Effects) -> None:
        session = self._session
        if session.held is None or token != session.token or session.over:
            return
        frame, session.held = session.held, None
        if not recorded:
            self._not_recorded(frame, out)
        elif session.phase is Phase.WAITING:
            self._first(frame, now, out, recorded=True)
        elif isinstance(packet := decode(frame, session.level, to_broker=True), Publish):
            self._client_side.publish(frame, packet, now, out, recorded=True)
        self._continue(now, out)
        if (due := self.deadline()) is not None:
            wake(due, out)  # there was none while it was held

    def _not_recorded(self, frame: bytes, out: Effects) -> None:
        """Nothing is said to have happened that is not on record: the client must try again later."""
        out.events.append(Event("refuse", reason=Reason.AUDIT_NOT_WRITABLE, action=f"packet type {frame[0] >> 4}"))
        self._session.goodbye(answers.IMPLEMENTATION, Reason.AUDIT_NOT_WRITABLE, out)
        self._session.finish(Reason.AUDIT_NOT_WRITABLE, out)

    def end(self, reason: Reason, now: float, out: Effects) -> None:
        if not self._session.over:
            self._session.end(reason, now, out)

    def deadline(self) -> float | None:
        session = self._session
        due = float("inf") if self._partial_until is None else self._partial_until
        if session.over:
            return None
        if session.leaves_by is not None:
            return session.leaves_by
        if session.held is not None:
            pass  # whoever records has a deadline of its own
        elif session.phase is Phase.WAITING:
            due = min(due, self._client.opened + CONNECT_WITHIN)
        else:
            due = min(due, session.alive.lost_at, session.alive.ping_at)
            due = due if self._turn_at is None else min(due, self._turn_at)
        return None if due == float("inf") else due

    def tick(self, now: float, out: Effects) -> None:
        session = self._session
        if self._turn_at is not None and now >= self._turn_at:
            self._continue(now, out)
        if session.over or session.held is not None:
            return
        if session.leaves_by is not None:
            if now >= session.leaves_by:
                session.finish(None, out)
        elif self._partial_until is not None and now >= self._partial_until:
            session.cut(Reason.TOO_SLOW, f"a packet incomplete for {PARTIAL:g} s", out)
        elif session.phase is Phase.WAITING:
            if now >= self._client.opened + CONNECT_WITHIN:
                session.cut(Reason.TOO_SLOW, f"no CONNECT within {CONNECT_WITHIN:g} s", out)
        elif now >= session.alive.lost_at:
            session.cut(Reason.IDLE, "", out)  # [MQTT-3.1.2-22]
        elif now >= session.alive.ping_at and session.alive.we_ping(now):
            out.upstream.append(PINGREQ)

    def tally(self) -> Mapping[Hashable, int]:
        return self._session.tally()
