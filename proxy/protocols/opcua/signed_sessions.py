"""What is said on a channel that is only read: the same services, judged by the same parts as on a channel of ours.

The parts answer, change and forward through `Conversation`. Here forwarding means to let the frames go as they came,
and whatever else a part wants to say to the client cannot be said: it is a `Cut`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.reason import Reason
from proxy.protocols.opcua import delivery, status
from proxy.protocols.opcua.actions import Session as SessionAction
from proxy.protocols.opcua.conversation import ACCESS_DENIED, FAULT, Ask, Conversation, Pending
from proxy.protocols.opcua.decode import decode, decode_inner
from proxy.protocols.opcua.desk import IN_SESSION
from proxy.protocols.opcua.listener import OpcUaListener
from proxy.protocols.opcua.memory import Memory, Session
from proxy.protocols.opcua.namespaces import NAMESPACE_ARRAY, read_array
from proxy.protocols.opcua.north_channel import NorthChannel, NorthSetting
from proxy.protocols.opcua.north_state import NorthState, Owner, north_of
from proxy.protocols.opcua.security.policies import Mode
from proxy.protocols.opcua.services.attribute import ReadRequest, ReadResponse
from proxy.protocols.opcua.services.discovery import FindServersRequest, GetEndpointsRequest
from proxy.protocols.opcua.services.messages import Request, RequestHeader, Response
from proxy.protocols.opcua.services.session import (
    ActivateSessionRequest,
    ActivateSessionResponse,
    AnonymousIdentityToken,
    CloseSessionRequest,
    CreateSessionRequest,
    CreateSessionResponse,
    UserNameIdentityToken,
)
from proxy.protocols.opcua.survey import watched_roots
from proxy.protocols.opcua.type_ids import prefix
from proxy.protocols.opcua.user_tokens import is_name
from proxy.protocols.opcua.words import VALUE

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from proxy.core.events import Event
    from proxy.core.verdict import Verdict
    from proxy.protocols.base import Client, Decide, Effects
    from proxy.protocols.opcua.conversation import Then

PASSED = GetEndpointsRequest | FindServersRequest
MOST_OPEN = 256
"""Requests without an answer."""


class Cut(Exception):
    """Ends the link from wherever it is noticed. Raised here and in `signed`, and caught there."""

    def __init__(self, code: int, reason: Reason, why: str = "") -> None:
        super().__init__(why)
        self.code, self.reason, self.why = code, reason, why


class Watching(Conversation):
    """A conversation that can only be let go on or ended."""

    def forward(self, ask: Ask, response: type[Response], then: Then | None = None, body: bytes | None = None) -> None:
        if body is not None and body != ask.body:
            raise Cut(ACCESS_DENIED, Reason.PART_REFUSED)
        if len(self.pending) >= MOST_OPEN:
            raise Cut(status.BAD_TCP_NOT_ENOUGH_RESOURCES, Reason.OVERLOAD, "too many requests wait for their answers")
        self.pending[ask.request_id] = Pending(ask.request_id, ask.header.request_handle, prefix(response.ID), then)

    def say(self, request_id: int, body: bytes) -> None:
        raise Cut(ACCESS_DENIED, Reason.PART_REFUSED)

    def submit(self, request: Request, response: type[Response]) -> None:
        """Nothing can be put in."""

    def look_again(self) -> None:
        """The client's own reading of the array is all there is."""


class SignedSessions:
    """Of one link; no other link's sessions are known here."""

    def __init__(self, decide: Decide, client: Client) -> None:
        channel = NorthChannel(
            NorthSetting(None, frozenset(), frozenset(), None), client.entropy, client.opened, client.wall
        )
        channel.mode = Mode.SIGN
        self._memory = Memory()
        self._talk = Watching(decide, OpcUaListener(), client, self._memory, channel)
        self._talk.names = client.names
        self._users: dict[int, tuple[Session, str | None]] = {}
        self._asked: dict[int, Ask] = {}

    def request(self, id: int, body: bytes, now: float, out: Effects) -> tuple[list[Event], Callable[[], None]] | None:
        """None: it may go on. Else what has to be on record first, and what is to be called then. Raises Cut."""
        request = decode(body)
        if not isinstance(request, Request):
            raise Cut(status.BAD_SECURITY_CHECKS_FAILED, Reason.CHANNEL_REFUSED, "a message that cannot be read")
        talk = self._talk
        talk.now, talk.out = now, out
        ask = Ask(id, request.header, request, body)
        if id in self._asked:
            raise Cut(status.BAD_SECURITY_CHECKS_FAILED, Reason.CHANNEL_REFUSED, "one request id for two requests")
        self._asked[id] = ask
        if len(self._asked) > MOST_OPEN:
            raise Cut(status.BAD_TCP_NOT_ENOUGH_RESOURCES, Reason.OVERLOAD, "too many requests wait for their answers")
        self._take(ask)
        if not talk.held:
            ask.body = b""  # on its way: up to 1 MiB, and a Publish waits for hours
            return None
        talk.held.clear()
        events = [event for _, event in out.held]
        out.held.clear()

        def again() -> None:
            self._take(ask)
            ask.body = b""

        return events, again

    def _take(self, ask: Ask) -> None:
        request = ask.request
        if isinstance(request, PASSED | CreateSessionRequest):
            return
        session = self._memory.find(ask.header.authentication_token)
        north = None if session is None else north_of(session)
        if session is None or north is None:
            raise Cut(status.BAD_SESSION_ID_INVALID, Reason.CHANNEL_REFUSED, "a session that is not of this channel")
        ask.session, ask.north = session, north
        if isinstance(request, ActivateSessionRequest):
            self._activate(ask, request, session)
        elif isinstance(request, CloseSessionRequest):
            north.active = False
        elif (handler := IN_SESSION.get(type(request))) is None or not north.active:
            name = type(request).__name__.removesuffix("Request")
            raise Cut(status.BAD_SERVICE_UNSUPPORTED, Reason.UNKNOWN_FUNCTION, f"{name} is not let through here")
        else:
            handler(self._talk, ask)

    def _activate(self, ask: Ask, request: ActivateSessionRequest, session: Session) -> None:
        token = decode_inner(request.user_identity_token)
        user = token.user_name if isinstance(token, UserNameIdentityToken) else None
        named = isinstance(token, UserNameIdentityToken) and is_name(user)
        if not named and not isinstance(token, AnonymousIdentityToken):
            raise Cut(status.BAD_IDENTITY_TOKEN_REJECTED, Reason.CHANNEL_REFUSED, "a user's token that is not known")
        verdict = self._judge_user(user)
        if not verdict.allowed:
            raise Cut(ACCESS_DENIED, verdict.reason or Reason.DEFAULT_DENY)
        self._users[ask.request_id] = session, user

    def _judge_user(self, user: str | None) -> Verdict:
        """Which policy it is that signs is not told: the strictest is not assumed, the plainest name is."""
        kind = "anonymous" if user is None else "username"
        action = SessionAction("Basic256Sha256", "sign", kind, user)
        verdict = self._talk.judge(None, action)
        self._talk.refusal(action, verdict)
        return verdict

    def response(self, id: int, body: bytes, now: float, out: Effects) -> None:
        """An answer that may go on, or Cut."""
        talk = self._talk
        talk.now, talk.out = now, out
        ask = self._asked.pop(id, None)
        if ask is None:
            raise Cut(status.BAD_UNKNOWN_RESPONSE, Reason.UPSTREAM_INVALID, "an answer to no question")
        pending = talk.pending.pop(id, None)
        user = self._users.pop(id, None)
        found = decode(body)
        if isinstance(found, CreateSessionResponse) and isinstance(ask.request, CreateSessionRequest):
            self._created(found, now)
        elif isinstance(found, ActivateSessionResponse) and user is not None:
            self._activated(found, *user)
        elif isinstance(found, ReadResponse) and isinstance(ask.request, ReadRequest) and ask.session is not None:
            self._learn(ask.session, ask.request, found)
        if pending is not None and body.startswith(pending.kind):
            if pending.then is not None and pending.then.told(body) != body:
                raise Cut(ACCESS_DENIED, Reason.PART_REFUSED, "an answer that tells what may not be told")
        elif pending is not None:
            pending.fails()
            if not body.startswith(FAULT):
                raise Cut(status.BAD_UNKNOWN_RESPONSE, Reason.UPSTREAM_INVALID, "an answer of another kind")

    def _created(self, response: CreateSessionResponse, now: float) -> None:
        if response.header.service_result >= status.BAD:
            return
        session = Session(response.authentication_token, response.session_id, 60.0, holder=self)
        session.north = NorthState(Owner(self._talk.names, b"", "", "sign"), self, b"")
        session.watch(watched_roots(self._talk.client.watched))
        self._memory.add(session, now)

    def _activated(self, response: ActivateSessionResponse, session: Session, user: str | None) -> None:
        north = north_of(session)
        if north is None or response.header.service_result >= status.BAD:
            return
        changed = north.active and north.user != user
        north.active, north.user = True, user
        if changed:
            self._again(session, north)

    def _learn(self, session: Session, request: ReadRequest, response: ReadResponse) -> None:
        for asked, told in zip(request.nodes_to_read or (), response.results or (), strict=False):
            whole = asked.attribute_id == VALUE and not asked.index_range
            if whole and asked.node_id.key == NAMESPACE_ARRAY.key and told.value is not None:
                array = read_array(told.value.strings())
                if isinstance(array, str):
                    raise Cut(status.BAD_DECODING_ERROR, Reason.UPSTREAM_INVALID, array)
                session.know(array, session.above, session.partial, session.roots)
                self._talk.forget()

    def decide_again(self, now: float, out: Effects) -> None:
        """Raises Cut where what stands is not allowed any more: nobody can be told less."""
        talk = self._talk
        talk.now, talk.out = now, out
        talk.forget()
        for session in self._memory.sessions.values():
            north = north_of(session)
            session.watch(watched_roots(talk.client.watched))
            if north is None or not north.active:
                continue
            if not self._judge_user(north.user).allowed:
                raise Cut(ACCESS_DENIED, Reason.POLICY_CHANGED)
            self._again(session, north)

    def _again(self, session: Session, north: NorthState) -> None:
        header = RequestHeader.make(session.token)
        delivery.decide_again(self._talk, Ask(0, header, Request(header), b"", session, north))

    def tally(self) -> Mapping[Hashable, int]:
        return self._talk.tally()
