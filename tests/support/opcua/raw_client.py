"""A client that says what asyncua cannot: any bytes, any order, other people's tokens, services that it lacks.

Blocking, on our own codec and channel. Everything it sent is in `sent`, frame by frame, to be sent again.
"""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from proxy.protocols.opcua import status
from proxy.protocols.opcua.channel import Broke, Closed, Opened, Renewed, Said
from proxy.protocols.opcua.decode import Malformed, UnknownService, decode, encode, make_extension
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.security.certificates import OwnCertificate, Peer
from proxy.protocols.opcua.security.policies import NONE, POLICIES, Mode, Policy
from proxy.protocols.opcua.services.discovery import ApplicationDescription, UserTokenPolicy
from proxy.protocols.opcua.services.fault import ServiceFault
from proxy.protocols.opcua.services.messages import Request, RequestHeader
from proxy.protocols.opcua.services.session import (
    ActivateSessionRequest,
    ActivateSessionResponse,
    AnonymousIdentityToken,
    CreateSessionRequest,
    CreateSessionResponse,
    SignatureData,
    UserNameIdentityToken,
)
from proxy.protocols.opcua.south_channel import SouthChannel, SouthSetting
from proxy.protocols.opcua.values import ExtensionObject, LocalizedText
from tests.support.opcua.names import USERS

if TYPE_CHECKING:
    from proxy.protocols.opcua.structures import Struct
    from tests.support.opcua.applications import ApplicationFiles

R = TypeVar("R", bound="Struct")
SECONDS = 5.0
UNSIGNED = SignatureData(None, None)


class Ended(Exception):
    """The server ended the connection; ``status`` is that of its ERR, None if it said nothing."""

    def __init__(self, code: int | None) -> None:
        super().__init__("closed" if code is None else status.name_of(code))
        self.status = code


@dataclass(frozen=True)
class Security:
    """``certificate``: the server's, DER."""

    policy: Policy = NONE
    mode: Mode = Mode.NONE
    own: OwnCertificate | None = None
    certificate: bytes = b""

    @classmethod
    def of(cls, policy: str, mode: Mode, application: ApplicationFiles, server: bytes) -> Security:
        own = OwnCertificate.load(application.der, application.key.read_bytes())
        uri = "http://opcfoundation.org/UA/SecurityPolicy#" + policy
        return cls(POLICIES[uri], mode, own, server)


@dataclass
class Session:
    """What CreateSession gave. ``nonce`` is the server's last one."""

    token: NodeId
    nonce: bytes
    created: CreateSessionResponse


class RawClient:
    """Use as a context manager: connected, and the channel open, unless ``open`` is False."""

    def __init__(
        self,
        url: str,
        security: Security = Security(),
        *,
        uri: str = "urn:raw",
        open: bool = True,
        source: str = "127.0.0.1",
    ) -> None:
        host, _, port = url.removeprefix("opc.tcp://").partition("/")[0].rpartition(":")
        self.url, self.security, self.uri = url, security, uri
        self._open = open
        peer = Peer.read(security.certificate) if security.certificate else None
        assert not isinstance(peer, Malformed), peer
        setting = SouthSetting(security.policy, security.mode, security.own, peer, url)
        self.channel = SouthChannel(setting, os.urandom, time.time)
        self.socket = socket.create_connection((host, int(port)), SECONDS, (source, 0))
        self.socket.settimeout(SECONDS)
        self.sent: list[bytes] = []
        self._said: list[Said] = []
        self._request = 0
        self._handle = 0

    def __enter__(self) -> RawClient:
        if self._open:
            self.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.socket.close()

    # The channel.

    def open(self) -> None:
        out = bytearray()
        self.channel.start(time.monotonic(), out)
        self.wire(out)
        while not any(isinstance(event, Opened) for event in self._receive()):
            pass

    def renew(self) -> None:
        """OPN with the renewal that the channel would send by itself after three quarters of its lifetime."""
        out = bytearray()
        self.channel._ask(1, out)
        self.wire(out)
        while not any(isinstance(event, Renewed) for event in self._receive()):
            pass

    def wire(self, data: bytes | bytearray) -> None:
        """Any bytes; as a frame they are remembered in `sent`."""
        self.sent.append(bytes(data))
        self.socket.sendall(data)

    def frames(self, body: bytes, request: int | None = None) -> bytes:
        """What `say` would send, in whole, without sending it: numbers are used up."""
        out = bytearray()
        assert self.channel.send(self._next() if request is None else request, body, out)
        return bytes(out)

    def skip_sequence(self, by: int) -> None:
        """The next sequence number is ``by`` too many, or too few."""
        self.channel._sent += by

    def _next(self) -> int:
        self._request += 1
        return self._request

    def _receive(self) -> list[Any]:
        """Events of the channel. Raises Ended, also after an ERR."""
        try:
            data = self.socket.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            raise Ended(None)
        out = bytearray()
        events = self.channel.receive(data, time.monotonic(), out)
        if out:
            self.wire(out)
        for event in events:
            if isinstance(event, Said):
                self._said.append(event)
            elif isinstance(event, (Broke, Closed)):
                raise Ended(event.status if isinstance(event, Broke) else None)
        return events

    # Messages.

    def say(self, message: Request | bytes) -> int:
        """Its request id."""
        body = message if isinstance(message, bytes) else encode(message)
        self.wire(self.frames(body))
        return self._request

    def hear(self, request: int | None = None) -> Said:
        """The next message; or the one to a request. TimeoutError if none comes."""
        while True:
            for at, said in enumerate(self._said):
                if request is None or said.request_id == request:
                    return self._said.pop(at)
            self._receive()

    def ask(self, message: Request | bytes) -> Struct:
        """The answer of whatever kind."""
        answer = decode(self.hear(self.say(message)).body)
        assert not isinstance(answer, (Malformed, UnknownService)), answer
        return answer

    def asked(self, message: Request, kind: type[R]) -> R:
        """The answer, which must be of this kind."""
        answer = self.ask(message)
        assert isinstance(answer, kind), answer
        return answer

    def refused(self, message: Request | bytes) -> int:
        """The status of the fault that must be the answer; it must carry the request's own handle."""
        answer = self.ask(message)
        assert isinstance(answer, ServiceFault), answer
        assert isinstance(message, bytes) or answer.header.request_handle == message.header.request_handle
        return answer.header.service_result

    def ended(self) -> int | None:
        """The status with which the server ends the connection, which it must."""
        try:
            while True:
                self._receive()
        except Ended as ended:
            return ended.status

    def ended_or_refused(self) -> int | None:
        """For what may be answered either way."""
        try:
            answer = decode(self.hear().body)
        except Ended as ended:
            return ended.status
        assert isinstance(answer, ServiceFault), answer
        return answer.header.service_result

    # Sessions.

    def header(self, token: NodeId | None = None) -> RequestHeader:
        self._handle += 1
        return RequestHeader.make(NodeId.NULL if token is None else token, self._handle, timeout_hint=4000)

    def create(self, **changed: Any) -> Session:
        """``changed``: fields of the request."""
        own = self.security.own
        text = LocalizedText(None, "raw")
        description = ApplicationDescription(self.uri, "urn:raw:product", text, 1, None, None, None)
        request = CreateSessionRequest(
            self.header(),
            description,
            None,
            self.url,
            "raw",
            os.urandom(32),
            own.der if own is not None else None,
            60_000.0,
            0,
        )
        created = self.asked(replace(request, **changed), CreateSessionResponse)
        return Session(created.authentication_token, created.server_nonce or b"", created)

    def activation(self, session: Session, user: str | None = None, **changed: Any) -> ActivateSessionRequest:
        """As it should be, signed for this channel."""
        request = ActivateSessionRequest(
            self.header(session.token), self.signature(session), None, None, self.token_of(session, user), UNSIGNED
        )
        return replace(request, **changed)

    def activate(self, session: Session, user: str | None = None, **changed: Any) -> ActivateSessionResponse:
        answer = self.asked(self.activation(session, user, **changed), ActivateSessionResponse)
        session.nonce = answer.server_nonce or b""
        return answer

    def session(self, user: str | None = None) -> Session:
        """Created and activated."""
        session = self.create()
        self.activate(session, user)
        return session

    def signature(self, session: Session) -> SignatureData:
        policy, own = self.security.policy, self.security.own
        if own is None or not policy.secured:
            return UNSIGNED
        signed = policy.asym_sign(own.key, (session.created.server_certificate or b"") + session.nonce)
        return SignatureData(policy.signature_uri, signed)

    def offered(self, session: Session, kind: int) -> tuple[UserTokenPolicy, bytes]:
        """How the endpoint of this channel takes user tokens of a kind, and the certificate to encrypt them for."""
        for endpoint in session.created.server_endpoints or ():
            mine = (endpoint.security_policy_uri, endpoint.security_mode)
            if mine == (self.security.policy.uri, self.security.mode.value):
                for one in endpoint.user_identity_tokens or ():
                    if one.token_type == kind:
                        return one, endpoint.server_certificate or b""
        raise AssertionError("the server takes no such user token")

    def token_of(self, session: Session, user: str | None, password: str | None = None) -> ExtensionObject:
        """``password``: if not the right one. Encrypted with the token's own policy, or else the channel's."""
        if user is None:
            return make_extension(AnonymousIdentityToken(self.offered(session, 0)[0].policy_id))
        taken, certificate = self.offered(session, 1)
        secret = (USERS[user] if password is None else password).encode()
        return make_extension(self.user_name(taken, certificate, user, secret, session.nonce))

    def user_name(
        self, taken: UserTokenPolicy, certificate: bytes, user: str, secret: bytes, nonce: bytes
    ) -> UserNameIdentityToken:
        policy = POLICIES[taken.security_policy_uri or self.security.policy.uri]
        if not policy.secured:
            return UserNameIdentityToken(taken.policy_id, user, secret, None)
        peer = Peer.read(certificate)
        assert isinstance(peer, Peer), peer
        plain = (len(secret) + len(nonce)).to_bytes(4, "little") + secret + nonce
        return UserNameIdentityToken(
            taken.policy_id, user, policy.asym_encrypt(peer.public_key, plain), policy.encryption_uri
        )
