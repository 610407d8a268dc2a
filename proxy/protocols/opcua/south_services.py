"""The services of a session on their way to the server, and the surveys that go before its use."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from proxy.core.events import Event
from proxy.core.reason import Reason
from proxy.protocols.opcua import status, type_ids
from proxy.protocols.opcua.decode import decode, encode
from proxy.protocols.opcua.memory import Session
from proxy.protocols.opcua.services.discovery import GetEndpointsRequest, GetEndpointsResponse
from proxy.protocols.opcua.services.fault import ServiceFault
from proxy.protocols.opcua.services.messages import RequestHeader
from proxy.protocols.opcua.services.session import (
    ActivateSessionRequest,
    ActivateSessionResponse,
    CloseSessionRequest,
    CloseSessionResponse,
    CreateSessionRequest,
    CreateSessionResponse,
)
from proxy.protocols.opcua.south_line import ID, wake
from proxy.protocols.opcua.south_session import (
    NONCE,
    Refused,
    activate_request,
    create_request,
    created,
    next_nonce,
)
from proxy.protocols.opcua.survey import Survey, watched_roots

if TYPE_CHECKING:
    from proxy.protocols.base import Far, UpstreamEffects
    from proxy.protocols.opcua.memory import Key, Memory
    from proxy.protocols.opcua.services.discovery import EndpointDescription
    from proxy.protocols.opcua.south_identity import Identity
    from proxy.protocols.opcua.south_line import SouthLine

AGAIN = 1.0
"""Seconds between two readings of the NamespaceArray that the inspector asked for."""
_NOBODY = bytes(ID)

T = TypeVar("T")
Finished = Callable[[Survey, float, "UpstreamEffects"], None]


class SouthServices:
    """For the one client of a channel. It is the ``holder`` of the sessions that the client uses."""

    def __init__(self, line: SouthLine, identity: Identity, memory: Memory, far: Far, client: int) -> None:
        self._line = line
        self._identity = identity
        self._memory = memory
        self._far = far
        self._client = client
        self._offered: tuple[EndpointDescription, ...] | None = None
        self._handle = 0
        self._read_after = -math.inf
        self._read_due = math.inf
        self._reading: set[Key] = set()
        self._special = {
            b"": self._read_again,
            type_ids.prefix(type_ids.CREATE_SESSION_REQUEST): self._create,
            type_ids.prefix(type_ids.ACTIVATE_SESSION_REQUEST): self._activate,
            type_ids.prefix(type_ids.CLOSE_SESSION_REQUEST): self._close,
        }

    def take(self, message: bytes, now: float, out: UpstreamEffects) -> None:
        special = self._special.get(message[ID : ID + 4])
        if special is None:
            self._line.forward(message, now, out)
        else:
            special(message, now, out)

    def deadline(self) -> float:
        return self._read_due

    def tick(self, now: float, out: UpstreamEffects) -> None:
        if now >= self._read_due:
            self._read_due = math.inf
            self._read_again(_NOBODY, now, out)

    # CreateSession

    def _create(self, message: bytes, now: float, out: UpstreamEffects) -> None:
        request = _decoded(message, CreateSessionRequest)
        if self._identity.secured and self._offered is None:
            asked = GetEndpointsRequest(self._header(), self._identity.url, None, None)
            self._line.ask(message[:ID] + encode(asked), partial(self._endpoints, message), now, out)
            return
        nonce = self._far.entropy(NONCE)
        body = encode(create_request(request, self._identity, nonce))
        self._line.ask(message[:ID] + body, partial(self._created, message, nonce), now, out)

    def _endpoints(self, message: bytes, body: bytes | None, now: float, out: UpstreamEffects) -> None:
        """T51: what CreateSession lists is held against this."""
        if body is None:
            self._line.fault(message, status.BAD_TIMEOUT, out)
            return
        answer = decode(body)
        if isinstance(answer, GetEndpointsResponse) and status.is_good(answer.header.service_result):
            self._offered = answer.endpoints or ()
            self._create(message, now, out)
        else:
            self._distrust(message, "no fitting answer to GetEndpoints", out)

    def _created(self, message: bytes, nonce: bytes, body: bytes | None, now: float, out: UpstreamEffects) -> None:
        answer = self._answer(message, body, CreateSessionResponse, out)
        if answer is None or body is None:
            return
        state = created(answer, self._identity, nonce, self._offered)
        if isinstance(state, str) or answer.authentication_token.is_null:
            why = state if isinstance(state, str) else "CreateSession gives no authenticationToken"
            self._distrust(message, why, out)
            self._abandon(answer, now, out)
            return
        timeout = answer.revised_session_timeout / 1000
        session = Session(answer.authentication_token, answer.session_id, timeout, south=state, holder=self)
        if self._memory.add(session, now):
            out.clients.append((self._client, message[:ID] + body))
        else:
            self._line.fault(message, status.BAD_TOO_MANY_SESSIONS, out)
            self._abandon(answer, now, out)

    # ActivateSession

    def _activate(self, message: bytes, now: float, out: UpstreamEffects) -> None:
        request = _decoded(message, ActivateSessionRequest)
        session = self._memory.find(request.header.authentication_token)
        if session is None:
            self._line.fault(message, status.BAD_SESSION_ID_INVALID, out)
            return
        signed = activate_request(request, session.south, self._identity)
        if isinstance(signed, Refused):
            if signed.why:
                self._tell(signed.why, out)
            self._line.fault(message, signed.status, out)
            return
        self._line.ask(message[:ID] + encode(signed), partial(self._activated, message, session), now, out)

    def _activated(
        self, message: bytes, session: Session, body: bytes | None, now: float, out: UpstreamEffects
    ) -> None:
        answer = self._answer(message, body, ActivateSessionResponse, out)
        if answer is None or body is None:
            return
        nonce = next_nonce(answer.server_nonce, self._identity)
        if isinstance(nonce, str):
            self._distrust(message, nonce, out)
            self._drop(session, now, out)
            return
        session.south.nonce = nonce
        session.holder = self
        self._survey(session, partial(self._surveyed, message, body), now, out)

    def _surveyed(self, message: bytes, body: bytes, survey: Survey, now: float, out: UpstreamEffects) -> None:
        if survey.fault:
            self._tell(survey.fault, out)
            self._drop(survey.session, now, out)
            self._line.fault(message, status.BAD_CONFIGURATION_ERROR, out)
        else:
            self._memory.share(survey.session)
            out.clients.append((self._client, message[:ID] + body))

    # CloseSession

    def _close(self, message: bytes, now: float, out: UpstreamEffects) -> None:
        request = _decoded(message, CloseSessionRequest)
        self._line.ask(message, partial(self._closed, message, request), now, out)

    def _closed(
        self, message: bytes, request: CloseSessionRequest, body: bytes | None, now: float, out: UpstreamEffects
    ) -> None:
        if self._answer(message, body, CloseSessionResponse, out) is not None and body is not None:
            self._memory.drop(request.header.authentication_token)
            out.clients.append((self._client, message[:ID] + body))

    def _drop(self, session: Session, now: float, out: UpstreamEffects) -> None:
        """Nobody may use it any more, here or at the server."""
        session.know((), {}, frozenset(), frozenset())
        if self._memory.find(session.token) is session:
            self._memory.drop(session.token)
        self._end_at_server(session, now, out)

    def _abandon(self, answer: CreateSessionResponse, now: float, out: UpstreamEffects) -> None:
        self._end_at_server(Session(answer.authentication_token, answer.session_id, 0.0), now, out)

    def _end_at_server(self, session: Session, now: float, out: UpstreamEffects) -> None:
        request = CloseSessionRequest(RequestHeader.make(token=session.token, handle=self._next_handle()), True)
        self._line.ask(_NOBODY + encode(request), _ignore, now, out)

    # Surveys

    def _survey(
        self, session: Session, finished: Finished, now: float, out: UpstreamEffects, *, again: bool = False
    ) -> None:
        survey = Survey(session, sorted(watched_roots(self._far.watched)), now, again=again)
        self._ask(survey, survey.first(self._next_handle()), finished, now, out)

    def _ask(self, survey: Survey, body: bytes, finished: Finished, now: float, out: UpstreamEffects) -> None:
        due = max(survey.until, now + AGAIN)
        self._line.ask(_NOBODY + body, partial(self._told, survey, finished), now, out, due)

    def _told(self, survey: Survey, finished: Finished, body: bytes | None, now: float, out: UpstreamEffects) -> None:
        following = survey.answered(body, self._next_handle(), now)
        if following is None:
            if survey.session.watch(watched_roots(self._far.watched)):  # policy changed meanwhile
                self._read_due = now + AGAIN
                wake(out, self._read_due)
            finished(survey, now, out)
        else:
            self._ask(survey, following, finished, now, out)

    def _read_again(self, message: bytes, now: float, out: UpstreamEffects) -> None:
        """The inspector has a reason to think that the array or the watched subtrees changed."""
        if now < self._read_after:
            self._read_due = self._read_after
            wake(out, self._read_due)
            return
        self._read_after = now + AGAIN
        for session in self._memory.held_by(self):
            if session.namespaces and session.token.key not in self._reading:
                self._reading.add(session.token.key)
                self._survey(session, self._read, now, out, again=True)

    def _read(self, survey: Survey, now: float, out: UpstreamEffects) -> None:
        self._reading.discard(survey.session.token.key)
        self._memory.share(survey.session)
        if survey.silent:
            self._read_due = now + AGAIN
            wake(out, self._read_due)
        elif survey.fault:
            self._tell(survey.fault, out)
            self._drop(survey.session, now, out)

    # What they share

    def _answer(self, message: bytes, body: bytes | None, kind: type[T], out: UpstreamEffects) -> T | None:
        """The Good answer of the right kind. Else the client got it as it is, or a fault for it."""
        if body is None:
            self._line.fault(message, status.BAD_TIMEOUT, out)
            return None
        answer = decode(body)
        if isinstance(answer, ServiceFault) or (
            isinstance(answer, CreateSessionResponse | ActivateSessionResponse | CloseSessionResponse)
            and not status.is_good(answer.header.service_result)
        ):
            out.clients.append((self._client, message[:ID] + body))
            return None
        if isinstance(answer, kind):
            return answer
        self._tell(f"no fitting answer to {kind.__name__.removesuffix('Response')}", out)
        self._line.fault(message, status.BAD_UNKNOWN_RESPONSE, out)
        return None

    def _distrust(self, message: bytes, why: str, out: UpstreamEffects) -> None:
        self._tell(why, out)
        self._line.fault(message, status.BAD_SECURITY_CHECKS_FAILED, out)

    def _tell(self, why: str, out: UpstreamEffects) -> None:
        out.events.append((self._client, Event("device", reason=Reason.UPSTREAM_INVALID, detail=why)))

    def _header(self) -> RequestHeader:
        return RequestHeader.make(handle=self._next_handle())

    def _next_handle(self) -> int:
        self._handle = self._handle % 0xFFFFFFFF + 1
        return self._handle


def _decoded(message: bytes, kind: type[T]) -> T:
    request = decode(message[ID:])
    if not isinstance(request, kind):
        raise ValueError(f"an inspector forwarded what is no {kind.__name__}")
    return request


def _ignore(body: bytes | None, now: float, out: UpstreamEffects) -> None:
    """An answer that nobody waits for."""
