"""A scripted OPC UA server without sockets: the channel is `NorthChannel`, the session layer is written out here.

It checks what a strict server checks (client signature, nonce in a password) and answers what a test tells it to:
``answers`` maps a type of request to what makes the answer; None for silence.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from proxy.protocols.opcua import status
from proxy.protocols.opcua.channel import Said
from proxy.protocols.opcua.decode import decode, decode_inner, encode
from proxy.protocols.opcua.node_id import ExpandedNodeId, NodeId
from proxy.protocols.opcua.north_channel import NorthChannel, NorthSetting
from proxy.protocols.opcua.security.certificates import OwnCertificate, Peer, Trust
from proxy.protocols.opcua.security.policies import BY_NAME, POLICIES, PREFIX, Mode
from proxy.protocols.opcua.services.attribute import ReadRequest, ReadResponse
from proxy.protocols.opcua.services.discovery import (
    ApplicationDescription,
    EndpointDescription,
    GetEndpointsRequest,
    GetEndpointsResponse,
    UserTokenPolicy,
)
from proxy.protocols.opcua.services.fault import ServiceFault
from proxy.protocols.opcua.services.messages import ResponseHeader
from proxy.protocols.opcua.services.session import (
    ActivateSessionRequest,
    ActivateSessionResponse,
    CloseSessionRequest,
    CloseSessionResponse,
    CreateSessionRequest,
    CreateSessionResponse,
    SignatureData,
    UserNameIdentityToken,
)
from proxy.protocols.opcua.services.view import (
    BrowseNextRequest,
    BrowseNextResponse,
    BrowseRequest,
    BrowseResponse,
    BrowseResult,
    ReferenceDescription,
)
from proxy.protocols.opcua.values import DataValue, LocalizedText, QualifiedName, Variant
from proxy.protocols.opcua.wire import Malformed

UA = "http://opcfoundation.org/UA/"
ROBOT = "urn:robot:7"
TRANSPORT = "http://opcfoundation.org/UA-Profile/Transport/uatcp-uasc-uabinary"
FOREIGN = "opc.tcp://robot-7.cell.invalid:4840"
Answer = Callable[[Any], Any]


@dataclass
class Live:
    """A session in the server. ``client``: the certificate that created it."""

    token: NodeId
    nonce: bytes
    client: bytes | None
    user: str | None = None
    active: bool = False


def user_policy(name: str, kind: int, policy: str = "") -> UserTokenPolicy:
    return UserTokenPolicy(name, kind, None, None, PREFIX + policy if policy else None)


USERS = (user_policy("anon-7", 0), user_policy("user-7", 1))


class Server:
    """``tree``: string identifiers (namespace 2) to those below. ``log``: every request that came, decoded."""

    def __init__(
        self,
        policy: str = "None",
        mode: Mode = Mode.NONE,
        own: OwnCertificate | None = None,
        clients: tuple[bytes, ...] = (),
        users: tuple[UserTokenPolicy, ...] = USERS,
    ) -> None:
        self.policy, self.mode, self.own = BY_NAME[policy], mode, own
        self.entropy = random.Random(7).randbytes
        self.setting = NorthSetting(own, frozenset({policy}), frozenset({mode}), Trust(clients) if clients else None)
        self.users = users
        self.namespaces: tuple[str, ...] | None = (UA, "urn:plant:robot-7", ROBOT)
        self.tree: dict[str, list[str]] = {}
        self.page = 1_000
        self.log: list[Any] = []
        self.sessions: dict[object, Live] = {}
        self.passwords: dict[str, bytes] = {"operator": b"op-secret"}
        self.answers: dict[type, Answer] = {}
        self.points: dict[bytes, list[str]] = {}
        self.connect(0.0)

    def connect(self, now: float) -> None:
        """A new connection; sessions live on."""
        self.channel = NorthChannel(self.setting, self.entropy, now, lambda: 1.8e9)
        self.channel.in_session = True
        self.broke: list[Any] = []

    def receive(self, data: bytes, now: float) -> bytes:
        out = bytearray()
        for event in self.channel.receive(data, now, out):
            if isinstance(event, Said):
                request = decode(event.body)
                assert not isinstance(request, Malformed), request
                self.log.append(request)
                if (answer := self.answer(request)) is not None:
                    assert self.channel.send(
                        event.request_id, answer if isinstance(answer, bytes) else encode(answer), out
                    )
            else:
                self.broke.append(event)
        return bytes(out)

    def answer(self, request: Any) -> Any:
        scripted = self.answers.get(type(request))
        return self.usual(request) if scripted is None else scripted(request)

    def usual(self, request: Any) -> Any:
        if isinstance(request, GetEndpointsRequest):
            return GetEndpointsResponse(good(request), self.endpoints())
        if isinstance(request, CreateSessionRequest):
            return self.create(request)
        session = self.sessions.get(request.header.authentication_token.key)
        if session is None:
            return fault(request, status.BAD_SESSION_ID_INVALID)
        if isinstance(request, ActivateSessionRequest):
            return self.activate(request, session)
        if isinstance(request, CloseSessionRequest):
            del self.sessions[session.token.key]
            return CloseSessionResponse(good(request))
        if not session.active:
            return fault(request, status.BAD_SESSION_NOT_ACTIVATED)
        if isinstance(request, ReadRequest):
            return self.read(request)
        if isinstance(request, BrowseRequest):
            below = [self.tree.get(str(one.node_id.identifier)) for one in request.nodes_to_browse or ()]
            return BrowseResponse(good(request), tuple(map(self.references, below)), None)
        if isinstance(request, BrowseNextRequest):
            points = [self.points.pop(point or b"") for point in request.continuation_points or ()]
            if request.release_continuation_points:
                return BrowseNextResponse(good(request), (), None)
            return BrowseNextResponse(good(request), tuple(map(self.references, points)), None)
        return fault(request, status.BAD_SERVICE_UNSUPPORTED)

    def endpoints(self) -> tuple[EndpointDescription, ...]:
        none = LocalizedText(None, None)
        who = ApplicationDescription("urn:plant:robot-7", None, none, 0, None, None, (FOREIGN,))
        der = self.own.der if self.own is not None else None
        return (
            EndpointDescription(FOREIGN, who, der, self.mode.value, self.policy.uri, self.users, TRANSPORT, 1),
            EndpointDescription(FOREIGN, who, der, 1, PREFIX + "Basic128Rsa15", (user_policy("bad", 0),), TRANSPORT, 0),
        )

    def create(self, request: CreateSessionRequest) -> CreateSessionResponse:
        number = len(self.sessions) + 1
        live = Live(NodeId(0, self.entropy(16), 5), self.entropy(32), request.client_certificate)
        self.sessions[live.token.key] = live
        signature = SignatureData(None, None)
        if self.policy.secured and self.own is not None:
            signed = (request.client_certificate or b"") + (request.client_nonce or b"")
            signature = SignatureData(self.policy.signature_uri, self.policy.asym_sign(self.own.key, signed))
        der = self.own.der if self.own is not None else None
        return CreateSessionResponse(
            good(request), NodeId.numeric(1, number), live.token, 60_000.0, live.nonce, der,
            self.endpoints(), None, signature, 0,
        )  # fmt: skip

    def activate(self, request: ActivateSessionRequest, session: Live) -> Any:
        if self.policy.secured and self.own is not None:
            peer = Peer.read(session.client or b"")
            assert isinstance(peer, Peer)
            signature = request.client_signature
            signed = self.own.der + session.nonce
            if signature.algorithm != self.policy.signature_uri or not self.policy.asym_verify(
                peer.public_key, signature.signature or b"", signed
            ):
                return fault(request, status.BAD_APPLICATION_SIGNATURE_INVALID)
        code = self.identify(request, session)
        if code:
            return fault(request, code)
        session.active = True
        session.nonce = self.entropy(32)
        return ActivateSessionResponse(good(request), session.nonce, None, None)

    def identify(self, request: ActivateSessionRequest, session: Live) -> int:
        token: Any = decode_inner(request.user_identity_token)
        policies = {one.policy_id: one for one in self.users}
        session.user = None
        if token is None:
            return 0 if not self.users else status.BAD_IDENTITY_TOKEN_INVALID
        if token.policy_id not in policies:
            return status.BAD_IDENTITY_TOKEN_INVALID
        if isinstance(token, UserNameIdentityToken):
            password = self.password(token, policies[token.policy_id], session)
            if self.passwords.get(token.user_name or "") != password:
                return status.BAD_USER_ACCESS_DENIED
            session.user = token.user_name
        return 0

    def password(self, token: UserNameIdentityToken, policy: UserTokenPolicy, session: Live) -> bytes | None:
        """As Part 4 7.40.2.2 packs it."""
        used = POLICIES[policy.security_policy_uri] if policy.security_policy_uri else self.policy
        if not used.secured:
            return token.password if token.encryption_algorithm is None else None
        assert self.own is not None
        plain = used.asym_decrypt(self.own.key, token.password or b"")
        if plain is None or token.encryption_algorithm != used.encryption_uri or not plain.endswith(session.nonce):
            return None
        size = struct.unpack_from("<I", plain)[0]
        return plain[4:-32] if size == len(plain) - 4 else None

    def read(self, request: ReadRequest) -> ReadResponse:
        results = []
        for one in request.nodes_to_read or ():
            if one.node_id.key == (0, "i", 2255) and one.attribute_id == 13:
                known = self.namespaces
                results.append(
                    DataValue(status=status.BAD_USER_ACCESS_DENIED)
                    if known is None
                    else DataValue(Variant.of_strings(known))
                )
            else:
                results.append(DataValue(Variant.of_double(1.5)))
        return ReadResponse(good(request), tuple(results), None)

    def references(self, below: list[str] | None) -> BrowseResult:
        if below is None:
            return BrowseResult(status.BAD_NODE_ID_UNKNOWN, None, None)
        point = None
        if len(below) > self.page:
            point = self.entropy(4)
            self.points[point] = below[self.page :]
        return BrowseResult(0, point, tuple(map(reference, below[: self.page])))

    def requests(self, kind: type) -> list[Any]:
        return [request for request in self.log if type(request) is kind]


def reference(name: str) -> ReferenceDescription:
    """In namespace 2; a name like ``nsu=urn:x;y`` by URI, ``server:y`` on another server."""
    where = ExpandedNodeId(NodeId.string(2, name))
    if name.startswith("nsu="):
        uri, _, identifier = name.removeprefix("nsu=").partition(";")
        where = ExpandedNodeId(NodeId.string(0, identifier), uri)
    elif name.startswith("server:"):
        where = replace(where, server_index=3)
    nothing = QualifiedName(0, None)
    return ReferenceDescription(
        NodeId.numeric(0, 35), True, where, nothing, LocalizedText(None, None), 0, ExpandedNodeId(NodeId.NULL)
    )


def good(request: Any) -> ResponseHeader:
    return ResponseHeader.make(request.header.request_handle)


def fault(request: Any, code: int) -> ServiceFault:
    return ServiceFault(ResponseHeader.make(request.header.request_handle, result=code))
