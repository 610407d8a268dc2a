"""The server towards one client: its secure channel, its sessions, and every service call judged.

    bytes -> NorthChannel -> body -> Ask -> desk -> judged -> message for the upstream
                                      |                          |
    bytes <- NorthChannel <- body <---+------- merged, cut <-----+

What a request asks for is decided element by element (`itemwise`, `elements`), sessions are bound to their client
(`sessions`), notifications are judged when they are delivered (`delivery`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING

from proxy.core.events import Event
from proxy.core.reason import Reason
from proxy.protocols.base import Introduction, UpstreamState
from proxy.protocols.opcua import delivery, status
from proxy.protocols.opcua.channel import Broke, Closed, Opened, Said
from proxy.protocols.opcua.conversation import MOST_PENDING, Ask, Conversation
from proxy.protocols.opcua.decode import UnknownService, decode, header_of
from proxy.protocols.opcua.desk import IN_SESSION
from proxy.protocols.opcua.discovery import discover
from proxy.protocols.opcua.entry import entry_of
from proxy.protocols.opcua.listener import OpcUaListener
from proxy.protocols.opcua.memory import Memory
from proxy.protocols.opcua.north_channel import NorthChannel
from proxy.protocols.opcua.quick import READ
from proxy.protocols.opcua.security.policies import Mode
from proxy.protocols.opcua.services.messages import Request, RequestHeader
from proxy.protocols.opcua.services.session import ActivateSessionRequest, CloseSessionRequest, CreateSessionRequest
from proxy.protocols.opcua.sessions import Sessions
from proxy.protocols.opcua.survey import watched_roots
from proxy.protocols.opcua.wire import Malformed

if TYPE_CHECKING:
    from proxy.core.names import Names
    from proxy.protocols.base import Client, Decide, Effects, Setting
    from proxy.protocols.opcua.channel import Event as ChannelEvent
    from proxy.protocols.opcua.memory import Session
    from proxy.protocols.opcua.north_state import NorthState

SESSION_WITHIN = 30.0
"""Seconds that a channel may be silent without an active session. A client has nothing to wait for there (T45)."""
MOST_WAITING = 64
"""Requests behind one that is held for its record, or behind the introduction."""


class OpcUaInspector:
    """See `proxy.protocols.base.Inspector` for the contract. `signed.SignedInspector` is the one for signed
    channels that are not ours."""

    def __init__(self, decide: Decide, setting: Setting, client: Client) -> None:
        listener = setting.options if isinstance(setting.options, OpcUaListener) else OpcUaListener()
        memory = client.memory if isinstance(client.memory, Memory) else Memory()
        entry = entry_of(memory, listener, setting)
        channel = NorthChannel(entry.north, client.entropy, client.opened, client.wall)
        self._channel = channel
        self._talk = Conversation(decide, listener, client, memory, channel)
        self._talk.names = client.names
        self._front = entry.front
        self._pool = entry.pool
        self._unfinished = 0
        self._sessions = Sessions(self._talk, entry.front, entry.own, self._user_changed)
        self._waiting: deque[Said] = deque()
        self._introduces = listener.mode == "terminate"
        self._known = not self._introduces
        self._heard = client.opened
        self._over = False

    # The client.

    def from_client(self, data: bytes, now: float, out: Effects) -> None:
        if self._over:
            return
        talk = self._turn(now, out)
        self._heard = now
        reply = bytearray()
        events = self._channel.receive(data, now, reply)
        if reply:
            out.client.append(bytes(reply))
        for event in events:
            if type(event) is Said:
                if talk.held or self._waiting or not self._known:
                    self._wait(event, out)
                else:
                    self._said(event)
            else:
                self._happened(event, out)
            if out.closing:
                return
        if self._channel.partial or self._unfinished:
            self._keeps(out)
        if self._channel.partial or not self._sessions.settled or len(events) != 1:
            self._wake(out)

    def _keeps(self, out: Effects) -> None:
        """What a client has us keep of a message that is not whole is little, or there is room for it (T43)."""
        unfinished = self._channel.unfinished
        if self._pool.holds(self._unfinished, unfinished):
            self._unfinished = unfinished
        else:
            why = "too much of messages that are not whole"
            self._fail(status.BAD_TCP_NOT_ENOUGH_RESOURCES, Reason.OVERLOAD, why, out)

    def _wake(self, out: Effects) -> None:
        if (due := self.deadline()) is not None and (out.wake is None or due < out.wake):
            out.wake = due

    def _turn(self, now: float, out: Effects) -> Conversation:
        talk = self._talk
        talk.now, talk.out = now, out
        return talk

    def _happened(self, event: ChannelEvent, out: Effects) -> None:
        if isinstance(event, Opened):
            self._opened(event, out)
        elif isinstance(event, Broke):
            self._broke(event, out)
        elif isinstance(event, Closed):
            self._finish(None, out)

    def _opened(self, event: Opened, out: Effects) -> None:
        if not self._introduces or self._channel.discovery_only:
            self._known = True  # as whoever is at that address, or as nobody who may ask where we are
        elif event.peer is None or event.mode is Mode.NONE:
            out.introduced = Introduction()
        else:
            out.introduced = Introduction(event.peer.der, event.peer.uris[0] if event.peer.uris else None)

    def _broke(self, broke: Broke, out: Effects) -> None:
        out.events.append(Event("malformed", reason=broke.reason, detail=broke.why))
        self._finish(broke.reason, out)

    def identified(self, names: Names, now: float, out: Effects) -> None:
        talk = self._turn(now, out)
        talk.names = names
        self._known = True
        self._go_on(out)

    def _wait(self, said: Said, out: Effects) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self._fail(status.BAD_TCP_NOT_ENOUGH_RESOURCES, Reason.OVERLOAD, "too many requests behind one", out)
        else:
            self._waiting.append(said)

    def _go_on(self, out: Effects) -> None:
        while self._waiting and self._known and not self._talk.held and not self._over:
            self._said(self._waiting.popleft())

    # One request.

    def _said(self, said: Said) -> None:
        body = said.body
        if body.startswith(READ):
            for quick in self._talk.quick.values():
                session = quick.session
                if not self._sessions.has(session) or not quick.holds(session):
                    continue
                if len(self._talk.pending) >= MOST_PENDING:
                    break
                handle = quick.handle_of(body)
                if handle is not None:
                    self._talk.forward_read(said.request_id, handle, body)
                    return
        request = decode(body)
        if isinstance(request, Request):
            self._asked(Ask(said.request_id, request.header, request, body))
        else:
            self._not_taken(said, request)

    def _not_taken(self, said: Said, found: object) -> None:
        """What cannot be read ends the channel; a service that is not known is refused, and the session lives on."""
        talk = self._talk
        header = header_of(said.body)
        if isinstance(found, UnknownService) and not isinstance(header, Malformed):
            talk.refused(Reason.UNKNOWN_FUNCTION, f"service {str(found.type_id)[:60]}")
            self._fault(said, header[1], status.BAD_SERVICE_UNSUPPORTED)
            return
        why = found.why if isinstance(found, Malformed) else "a message that is no request"
        code = found.status if isinstance(found, Malformed) else status.BAD_DECODING_ERROR
        self._fail(code, Reason.MALFORMED, why, talk.effects)

    def _fault(self, said: Said, header: RequestHeader, code: int) -> None:
        self._talk.fault(Ask(said.request_id, header, Request(header), said.body), code)

    def _asked(self, ask: Ask) -> None:
        talk, request = self._talk, ask.request
        handler = IN_SESSION.get(type(request))
        if handler is not None:
            if not self._channel.discovery_only and self._sessions.of(ask):
                handler(talk, ask)
            elif self._channel.discovery_only:
                self._refuse_insecure(ask)
        elif discover(talk, ask, self._front):
            pass
        elif self._channel.discovery_only:
            self._refuse_insecure(ask)
        elif isinstance(request, CreateSessionRequest):
            self._sessions.create(ask)
        elif isinstance(request, ActivateSessionRequest):
            self._sessions.activate(ask)
        elif isinstance(request, CloseSessionRequest):
            self._sessions.close(ask)
        else:
            talk.refused(Reason.UNKNOWN_FUNCTION, type(request).__name__.removesuffix("Request"))
            talk.fault(ask, status.BAD_SERVICE_UNSUPPORTED)

    def _refuse_insecure(self, ask: Ask) -> None:
        """A channel without security on a listener that wants one (T51)."""
        name = type(ask.request).__name__.removesuffix("Request")
        self._talk.refused(Reason.CHANNEL_REFUSED, name, "policy None is for discovery here")
        self._talk.fault(ask, status.BAD_SECURITY_MODE_INSUFFICIENT)

    # The server.

    def from_upstream(self, message: bytes, now: float, out: Effects) -> None:
        if not self._over:
            self._turn(now, out).answered(message)

    def upstream_is(self, state: UpstreamState, now: float, out: Effects) -> None:
        """A server that is gone takes its sessions with it: the client is told as it would be without us, and starts
        anew."""
        if state is UpstreamState.OPEN or self._over:
            return
        talk = self._turn(now, out)
        talk.all_fail(status.BAD_SERVER_NOT_CONNECTED)
        self._fail(status.BAD_SERVER_NOT_CONNECTED, Reason.UPSTREAM_UNREACHABLE, "", out, recorded=True)

    # Changes.

    def _user_changed(self, session: Session, north: NorthState) -> None:
        self._talk.forget()
        delivery.decide_again(self._talk, self._standing(session, north))

    def _standing(self, session: Session, north: NorthState) -> Ask:
        """What stands in for a request where nobody asks."""
        header = self._talk.own_header(session)
        return Ask(0, header, Request(header), b"", session, north)

    def decide_again(self, now: float, out: Effects) -> None:
        talk = self._turn(now, out)
        talk.forget()
        if self._over or not self._known:
            return
        roots = watched_roots(talk.client.watched)
        for session, north in self._sessions.mine():
            if session.watch(roots):
                talk.look_again()
            if north.active and not self._sessions.still_allowed(north):
                self.end(Reason.POLICY_CHANGED, now, out)
                return
            delivery.decide_again(talk, self._standing(session, north))

    def resume(self, token: int, recorded: bool, now: float, out: Effects) -> None:
        talk = self._turn(now, out)
        ask = talk.resume(token, recorded)
        if ask is None or self._over:
            return
        if not ask.recorded:
            talk.refused(Reason.AUDIT_NOT_WRITABLE, type(ask.request).__name__.removesuffix("Request"))
            talk.fault(ask, status.BAD_RESOURCE_UNAVAILABLE)
        else:
            self._asked(ask)
        self._go_on(out)

    # The end.

    def eof(self, now: float, out: Effects) -> None:
        self._finish(None, out)

    def end(self, reason: Reason, now: float, out: Effects) -> None:
        """What is owed is answered, sessions end at the server, and the client is told that the channel is closed."""
        if self._over:
            return
        talk = self._turn(now, out)
        code = status.BAD_USER_ACCESS_DENIED if reason in _DENIED else status.BAD_TIMEOUT
        talk.all_fail(code)
        if reason is not Reason.DRAINING:
            self._sessions.close_all()
        gone = status.BAD_SHUTDOWN if reason is Reason.DRAINING else status.BAD_SECURE_CHANNEL_CLOSED
        self._fail(gone, reason, "", out, recorded=True)

    def _fail(self, code: int, reason: Reason, why: str, out: Effects, *, recorded: bool = False) -> None:
        """ERR: the code, and no more."""
        said = bytearray()
        self._channel.fail(code, said)
        out.client.append(bytes(said))
        if not recorded:
            out.events.append(Event("malformed", reason=reason, detail=why))
        self._finish(reason, out)

    def _finish(self, why: Reason | None, out: Effects) -> None:
        self._over = True
        self._pool.holds(self._unfinished, 0)
        self._unfinished = 0
        self._talk.forget_all()
        self._sessions.leave()
        out.close(why)

    def deadline(self) -> float | None:
        if self._over:
            return None
        due = self._channel.deadline()
        if self._channel.channel_id and not self._sessions.settled:
            quiet = self._heard + SESSION_WITHIN
            return quiet if due is None else min(due, quiet)
        return due

    def tick(self, now: float, out: Effects) -> None:
        if self._over:
            return
        if self._channel.channel_id and now >= self._heard + SESSION_WITHIN and not self._sessions.active():
            self._fail(status.BAD_TIMEOUT, Reason.IDLE, "a channel without a session", out)
            return
        said = bytearray()
        broke = self._channel.overdue(now, said)
        if broke is not None:
            out.client.append(bytes(said))
            self._broke(broke, out)

    def tally(self) -> Mapping[Hashable, int]:
        return self._talk.tally()


_DENIED = frozenset((Reason.POLICY_CHANGED, Reason.IDENTITY_CHANGED, Reason.CERTIFICATE_ENDED, Reason.NO_CONNECT_RULE))
