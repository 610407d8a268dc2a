"""Sessions towards the client: who creates them, who may activate them, and where they may be used (Part 4, 5.7).

The session itself is the server's: its id, token and subscriptions pass through. What binds it to a client is ours:
certificate, nonces, signatures, endpoints (protocols.md 4.3).

    created -> active -> (active, on another channel of the same client, or as another user) -> closed
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from typing import TYPE_CHECKING

from proxy.core.reason import Reason
from proxy.protocols.opcua import status
from proxy.protocols.opcua.actions import Session as SessionAction
from proxy.protocols.opcua.conversation import ACCESS_DENIED, Then
from proxy.protocols.opcua.decode import decode, encode
from proxy.protocols.opcua.memory import SESSIONS
from proxy.protocols.opcua.north_state import NorthState, Owner, Waiting, north_of
from proxy.protocols.opcua.security.certificates import cut_chain
from proxy.protocols.opcua.security.policies import Mode
from proxy.protocols.opcua.services.session import (
    ActivateSessionRequest,
    ActivateSessionResponse,
    CloseSessionRequest,
    CloseSessionResponse,
    CreateSessionRequest,
    CreateSessionResponse,
    SignatureData,
)
from proxy.protocols.opcua.services.subscription import PublishRequest
from proxy.protocols.opcua.user_tokens import User, read_user
from proxy.protocols.opcua.wire import Malformed

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.protocols.opcua.conversation import Ask, Conversation
    from proxy.protocols.opcua.discovery import Front
    from proxy.protocols.opcua.memory import Session
    from proxy.protocols.opcua.security.certificates import OwnCertificate

NONCE = 32
"""Bytes of a nonce of ours; a client's has 32 to 128 (Part 4, 5.7.2.2)."""
MOST_NONCE = 128
MOST_SESSIONS = 4
"""Of one channel."""
MOST_OF_ONE = SESSIONS // 2
"""In use by one client on all its channels: there is room for others, whatever it does (T47)."""
NO_SIGNATURE = SignatureData(None, None)
MOST_MESSAGE = 1 << 20
"""Bytes of a request, as CreateSession tells the client."""


class Sessions:
    """Those of one link. ``renewed`` is called when a session has another user: what stood must be judged again."""

    def __init__(
        self,
        talk: Conversation,
        front: Front,
        own: OwnCertificate | None,
        renewed: Callable[[Session, NorthState], None],
    ) -> None:
        self._talk = talk
        self._front = front
        self._own = own
        self._renewed = renewed
        self.settled = False
        self.place = object()
        """What stands for this channel in a session, which outlives it."""
        self._creating = 0

    def mine(self) -> list[tuple[Session, NorthState]]:
        """All that are on this channel."""
        found = ((session, north_of(session)) for session in self._talk.memory.sessions.values())
        return [(session, north) for session, north in found if north is not None and north.channel is self.place]

    def active(self) -> bool:
        """Some session on this channel has a user. ``settled`` is what was so when that was asked last."""
        self.settled = any(north.active for _, north in self.mine())
        return self.settled

    def has(self, session: Session) -> bool:
        """It is on this channel and may be used. As `of`, which says why not."""
        north = session.north
        return isinstance(north, NorthState) and north.channel is self.place and north.active and not north.changing

    def of(self, ask: Ask) -> bool:
        """Finds the session that the request names, and answers it if it may not be used here: a token is worth
        nothing on another channel (T21, CVE-2023-26150)."""
        talk = self._talk
        session = talk.memory.find(ask.header.authentication_token)
        north = None if session is None else north_of(session)
        if session is None or north is None or north.channel is not self.place:
            talk.refused(Reason.CHANNEL_REFUSED, _name(ask), "a session token that is not of this channel")
            talk.fault(ask, status.BAD_SESSION_ID_INVALID)
            return False
        if not north.active:
            talk.refused(Reason.CHANNEL_REFUSED, _name(ask), "the session is not activated")
            talk.fault(ask, status.BAD_SESSION_NOT_ACTIVATED)
            return False
        if north.changing and not isinstance(ask.request, PublishRequest):  # a Publish is judged when it is answered
            talk.refused(Reason.CHANNEL_REFUSED, _name(ask), "another user of the session is on its way")
            talk.fault(ask, status.BAD_SESSION_NOT_ACTIVATED)
            return False
        ask.session, ask.north = session, north
        return True

    def leave(self) -> None:
        """The channel is gone; a session may be activated on another one until the server lets it end."""
        for _, north in self.mine():
            north.channel = None

    # CreateSession.

    def create(self, ask: Ask) -> None:
        request, talk = ask.request, self._talk
        if not isinstance(request, CreateSessionRequest):
            raise TypeError("not a CreateSession")
        if not self._may_prove(ask):
            return
        code = self._create_fault(request)
        if code is not None:
            talk.refused(Reason.CHANNEL_REFUSED, _name(ask), f"the client does not fit its channel ({code:#010x})")
            talk.fault(ask, code)
            return
        if len(self.mine()) + self._creating >= MOST_SESSIONS:
            self._full(ask, f"more than {MOST_SESSIONS} sessions on one channel")
            return
        onward = replace(request, server_uri=None, endpoint_url=None, client_nonce=None, client_certificate=None)

        def failed() -> None:
            self._creating -= 1

        def created(body: bytes) -> bytes | None:
            failed()
            return self._created(ask, request, body)

        self._creating += 1
        talk.forward(ask, CreateSessionResponse, Then(created, failed), encode(onward))

    def _may_prove(self, ask: Ask) -> bool:
        """Our key signs in CreateSession, and decrypts passwords in ActivateSession: each client has so much of it."""
        talk, owner = self._talk, self._owner()
        whose = owner.certificate or repr(owner.names).encode()
        if self._own is None or self._front.proofs.take(whose, talk.now):
            return True
        talk.refused(Reason.OVERLOAD, _name(ask), "too many signatures and passwords of one client")
        talk.fault(ask, status.BAD_TCP_SERVER_TOO_BUSY)
        return False

    def _full(self, ask: Ask, why: str) -> None:
        self._talk.refused(Reason.SESSION_LIMIT, "CreateSession", why)
        self._talk.fault(ask, status.BAD_TOO_MANY_SESSIONS)

    def _of_the_same(self) -> int:
        """Sessions in use by who speaks here, on whichever channel."""
        norths = [north_of(session) for session in self._talk.memory.sessions.values() if session.attached]
        return sum(north is not None and north.owner.names == self._talk.names for north in norths)

    def _create_fault(self, request: CreateSessionRequest) -> int | None:
        """What must agree on a secured channel: certificate, ApplicationUri, nonce (Part 4, 5.7.2)."""
        channel = self._talk.channel
        if channel.mode is Mode.NONE or channel.peer is None:
            return None
        chain = cut_chain(request.client_certificate or b"")
        if isinstance(chain, Malformed) or chain[0] != channel.peer.der:
            return status.BAD_CERTIFICATE_INVALID
        if request.client_description.application_uri not in channel.peer.uris:
            return status.BAD_CERTIFICATE_URI_INVALID
        if not NONCE <= len(request.client_nonce or b"") <= MOST_NONCE:
            return status.BAD_NONCE_INVALID
        return None

    def _created(self, ask: Ask, request: CreateSessionRequest, body: bytes) -> bytes | None:
        talk, response = self._talk, decode(body)
        if not isinstance(response, CreateSessionResponse):
            talk.fault(ask, status.BAD_UNKNOWN_RESPONSE)
            return None
        session = talk.memory.find(response.authentication_token)
        if session is None or response.header.service_result >= status.BAD:
            talk.fault(ask, max(response.header.service_result, status.BAD))
            return None
        if self._of_the_same() >= MOST_OF_ONE:
            talk.submit(CloseSessionRequest(talk.own_header(session), True), CloseSessionResponse)
            talk.memory.drop(session.token)
            self._full(ask, f"more than {MOST_OF_ONE} sessions of one client")
            return None
        nonce = talk.client.entropy(NONCE)
        session.north = NorthState(self._owner(), self.place, nonce)
        told = replace(
            response,
            server_nonce=nonce,
            server_certificate=self._front.certificate,
            server_endpoints=self._front.endpoints(request.endpoint_url),
            server_software_certificates=None,
            server_signature=self._sign((request.client_certificate or b"") + (request.client_nonce or b"")),
            max_request_message_size=MOST_MESSAGE,
        )
        return encode(told)

    def _sign(self, data: bytes) -> SignatureData:
        channel = self._talk.channel
        if channel.mode is Mode.NONE or self._own is None:
            return NO_SIGNATURE
        return SignatureData(channel.policy.signature_uri, channel.policy.asym_sign(self._own.key, data))

    def _owner(self) -> Owner:
        channel = self._talk.channel
        certificate = b"" if channel.peer is None else hashlib.sha256(channel.peer.der).digest()
        return Owner(self._talk.names, certificate, channel.policy.name, self._talk.mode)

    # ActivateSession.

    def activate(self, ask: Ask) -> None:
        request, talk = ask.request, self._talk
        if not isinstance(request, ActivateSessionRequest):
            raise TypeError("not an ActivateSession")
        session = talk.memory.find(ask.header.authentication_token)
        north = None if session is None else north_of(session)
        if session is None or north is None or north.owner != self._owner():
            # Another client: that it knows the token gives it nothing (T08, Part 4 5.7.3).
            talk.refused(Reason.CHANNEL_REFUSED, _name(ask), "a session of another client, or of none")
            talk.fault(ask, status.BAD_SESSION_ID_INVALID)
            return
        if not self._may_prove(ask):
            return
        if not self._signed(request.client_signature, north.nonce):
            talk.refused(Reason.CHANNEL_REFUSED, _name(ask), "the signature does not prove the client's key")
            talk.fault(ask, status.BAD_APPLICATION_SIGNATURE_INVALID)
            return
        user = self._user(request, north.nonce)
        if isinstance(user, int):
            talk.refused(Reason.CHANNEL_REFUSED, _name(ask), "the user's token is refused")
            talk.fault(ask, user)
        elif north.active and north.channel is not self.place and user.name != north.user:
            talk.refused(Reason.CHANNEL_REFUSED, _name(ask), "another user on another channel")
            talk.fault(ask, status.BAD_IDENTITY_TOKEN_REJECTED)
        else:
            self._admit(ask, request, session, north, user)

    def _user(self, request: ActivateSessionRequest, nonce: bytes) -> User | int:
        listener = self._talk.listener
        policy = self._front.token_policy(self._talk.channel.policy.uri)
        return read_user(request.user_identity_token, listener.users, policy, self._own, nonce)

    def _signed(self, signature: SignatureData, nonce: bytes) -> bool:
        """Over our certificate and the nonce that we gave last, which is good for one signature."""
        channel = self._talk.channel
        if channel.mode is Mode.NONE:
            return True
        if channel.peer is None or self._own is None or signature.signature is None:
            return False
        fits = hmac.compare_digest((signature.algorithm or "").encode(), channel.policy.signature_uri.encode())
        signed = (self._own.der + nonce, self._own.chain + nonce)
        key = channel.peer.public_key
        return fits and any(channel.policy.asym_verify(key, signature.signature, data) for data in signed)

    def _admit(
        self, ask: Ask, request: ActivateSessionRequest, session: Session, north: NorthState, user: User
    ) -> None:
        talk = self._talk
        action = SessionAction(talk.channel.policy.name, talk.mode, user.kind, user.name)
        verdict = talk.judge(ask, action)
        if not verdict.allowed:
            talk.refusal(action, verdict)
            talk.fault(ask, ACCESS_DENIED)
            return
        talk.count((verdict.tag,))
        onward = replace(
            request,
            client_signature=NO_SIGNATURE,
            client_software_certificates=None,
            user_identity_token=user.token,
            user_token_signature=NO_SIGNATURE,
        )

        another = north.active and user.name != north.user

        def activated(body: bytes) -> bytes | None:
            north.changing -= another
            return self._activated(ask, session, north, user, body)

        def failed() -> None:
            north.changing -= another
            if another:  # refused, or not answered in time: which user the server has now is not known
                north.active = False

        north.changing += another
        talk.forward(ask, ActivateSessionResponse, Then(activated, failed), encode(onward))

    def _activated(self, ask: Ask, session: Session, north: NorthState, user: User, body: bytes) -> bytes | None:
        talk, response = self._talk, decode(body)
        if not isinstance(response, ActivateSessionResponse):
            talk.fault(ask, status.BAD_UNKNOWN_RESPONSE)
            return None
        if response.header.service_result >= status.BAD:
            talk.fault(ask, response.header.service_result)
            return None
        changed = not north.active or north.user != user.name or north.channel is not self.place
        if north.channel is not self.place:
            north.waiting = Waiting()
        north.channel, north.user, north.active = self.place, user.name, True
        north.nonce = talk.client.entropy(NONCE)
        talk.channel.in_session = self.settled = True
        if changed:
            self._renewed(session, north)
        return encode(replace(response, server_nonce=north.nonce))

    def still_allowed(self, north: NorthState) -> bool:
        """Under what is in force now; a refusal goes on record."""
        talk = self._talk
        kind = "anonymous" if north.user is None else "username"
        action = SessionAction(talk.channel.policy.name, talk.mode, kind, north.user)
        verdict = talk.judge(None, action)
        talk.refusal(action, verdict)
        return verdict.allowed

    # CloseSession.

    def close(self, ask: Ask) -> None:
        talk = self._talk
        session = talk.memory.find(ask.header.authentication_token)
        north = None if session is None else north_of(session)
        if session is None or north is None or north.channel is not self.place:
            talk.fault(ask, status.BAD_SESSION_ID_INVALID)
            return
        north.active = False
        north.subscriptions.clear()
        self.active()
        talk.forward(ask, CloseSessionResponse)

    def close_all(self) -> None:
        """The client is to do nothing more: its sessions end at the server as well."""
        for session, north in self.mine():
            north.active = False
            self._talk.submit(CloseSessionRequest(self._talk.own_header(session), True), CloseSessionResponse)


def _name(ask: Ask) -> str:
    return type(ask.request).__name__.removesuffix("Request")
