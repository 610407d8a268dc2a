"""Our own session layer towards the server: what is put into session requests, and what must be true of the answers
(Part 4 5.7, protocols.md 4.3).

The client's session stays the server's: ids and tokens pass through. Certificates, nonces, signatures, policy ids and
the encryption of passwords are those of one side each, and made again here.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from proxy.protocols.opcua import status
from proxy.protocols.opcua.decode import decode_inner, make_extension
from proxy.protocols.opcua.memory import SouthState, TokenPolicy
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.security.certificates import OwnCertificate, Peer
from proxy.protocols.opcua.security.policies import POLICIES, Mode
from proxy.protocols.opcua.services.session import (
    ActivateSessionRequest,
    AnonymousIdentityToken,
    CreateSessionRequest,
    CreateSessionResponse,
    SignatureData,
    UserNameIdentityToken,
)
from proxy.protocols.opcua.values import ExtensionObject
from proxy.protocols.opcua.wire import Malformed, Writer

if TYPE_CHECKING:
    from proxy.protocols.opcua.services.discovery import EndpointDescription
    from proxy.protocols.opcua.services.messages import RequestHeader
    from proxy.protocols.opcua.south_identity import Identity

NONCE = 32
LONGEST_NONCE = 128
"""Bytes (Part 4 5.7.2): what we send, and the most that a server may."""
LONGEST_TIMEOUT = 3_600_000.0
"""Milliseconds that a client may let its session idle."""
MOST_ENDPOINTS = 100
LONGEST_CHAIN, LONGEST_TOKEN = 16_384, 1_024
"""Bytes that are kept of a server for each session."""
TRANSPORT = "http://opcfoundation.org/UA-Profile/Transport/uatcp-uasc-uabinary"
ANONYMOUS, USER_NAME = 0, 1
_NO_SIGNATURE = SignatureData(None, None)


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that is not sent: the StatusCode for the client, and a sentence for the record if the server is why."""

    status: int
    why: str = ""


def create_request(request: CreateSessionRequest, identity: Identity, nonce: bytes) -> CreateSessionRequest:
    """As the server is to see it: from us, to its own URL. The rest stays the client's."""
    description = request.client_description
    if identity.own is not None and (uris := _uris_of(identity.own)):
        description = replace(description, application_uri=uris[0])
    wanted = request.requested_session_timeout
    return replace(
        request,
        header=_own_header(request.header),
        client_description=description,
        server_uri=None,
        endpoint_url=identity.url,
        client_nonce=nonce,
        client_certificate=identity.own.der if identity.own is not None else None,
        requested_session_timeout=wanted if 0 <= wanted <= LONGEST_TIMEOUT else LONGEST_TIMEOUT,
    )


def created(
    response: CreateSessionResponse,
    identity: Identity,
    nonce: bytes,
    offered: Sequence[EndpointDescription] | None,
) -> SouthState | str:
    """What is kept of a Good answer to our request with ``nonce``, or why this is not the server that we know.

    ``offered``: what GetEndpoints said on this channel; None where the channel is not secured and proves nothing.
    """
    endpoints = response.server_endpoints or ()
    if len(endpoints) > MOST_ENDPOINTS:
        return f"the server lists {len(endpoints)} endpoints, more than {MOST_ENDPOINTS}"
    ours = _ours(endpoints, identity)
    shown = response.server_certificate
    if not identity.secured:  # some say it there alone, and it is for passwords only
        shown = shown or next((one.server_certificate for one in ours if one.server_certificate), None)
    if identity.server is not None and not _shows(shown, identity.server):
        return "CreateSession: the server's certificate is not the one it is known by"
    if identity.own is not None:
        fault = _unproved(response, identity, identity.own, nonce)
        if fault is not None:
            return fault
    if offered is not None:
        if not ours:
            return "CreateSession does not list the policy, mode and certificate that this channel has"
        if set(map(_essence, ours)) != set(map(_essence, _ours(offered, identity))):
            return "CreateSession lists other endpoints than GetEndpoints"
    if len(shown or b"") > LONGEST_CHAIN or len(encode_id(response.authentication_token)) > LONGEST_TOKEN:
        return "CreateSession: a certificate or an authenticationToken that is too long"
    if len(response.server_nonce or b"") > LONGEST_NONCE:
        return f"CreateSession: a nonce of more than {LONGEST_NONCE} bytes"
    return SouthState(response.server_nonce or b"", shown or b"", _tokens(ours))


def activate_request(
    request: ActivateSessionRequest, state: SouthState, identity: Identity
) -> ActivateSessionRequest | Refused:
    """As the server is to see it: signed by us, over its own certificate and its last nonce, for its own policies."""
    token = _user_token(request.user_identity_token, state, identity)
    if isinstance(token, Refused):
        return token
    signature = _NO_SIGNATURE
    if identity.own is not None and identity.server is not None:
        signed = identity.policy.asym_sign(identity.own.key, identity.server.der + state.nonce)
        signature = SignatureData(identity.policy.signature_uri, signed)
    return replace(
        request,
        header=_own_header(request.header),
        client_signature=signature,
        user_identity_token=token,
        user_token_signature=_NO_SIGNATURE,
    )


def _own_header(header: RequestHeader) -> RequestHeader:
    """An additionalHeader of session services holds keys of one side (17537, 17549)."""
    return replace(header, additional_header=ExtensionObject.NULL)


def next_nonce(nonce: bytes | None, identity: Identity) -> bytes | str:
    """The nonce of a Good ActivateSession answer, or why it will not do."""
    said = nonce or b""
    if len(said) > LONGEST_NONCE or (identity.secured and len(said) < NONCE):
        return f"ActivateSession: a nonce of {len(said)} bytes"
    return said


def _unproved(response: CreateSessionResponse, identity: Identity, own: OwnCertificate, nonce: bytes) -> str | None:
    """Why the answer does not show that its sender has the key of the pinned certificate."""
    signature = response.server_signature
    if signature.algorithm != identity.policy.signature_uri or identity.server is None:
        return "CreateSession: the server signs with another algorithm than the channel's policy has"
    signed = own.der + nonce
    if not identity.policy.asym_verify(identity.server.public_key, signature.signature or b"", signed):
        return "CreateSession: the server's signature is wrong"
    if len(response.server_nonce or b"") < NONCE:
        return f"CreateSession: a nonce of less than {NONCE} bytes"
    return None


def _ours(endpoints: Sequence[EndpointDescription], identity: Identity) -> list[EndpointDescription]:
    """Those that describe this very channel. The URL does not count: a server may know itself by another name."""
    return [
        one
        for one in endpoints
        if one.security_policy_uri == identity.policy.uri
        and one.security_mode == identity.mode.value
        and (one.transport_profile_uri or TRANSPORT) == TRANSPORT
        and (not identity.secured or identity.server is None or _shows(one.server_certificate, identity.server))
    ]


def _essence(endpoint: EndpointDescription) -> tuple[object, ...]:
    """What a client must compare (Part 4 5.7.2.1), but for the URL."""
    tokens = frozenset(
        (policy.policy_id, policy.token_type, policy.security_policy_uri or "")
        for policy in endpoint.user_identity_tokens or ()
    )
    return endpoint.security_mode, endpoint.security_policy_uri, endpoint.security_level, tokens


def _tokens(endpoints: Sequence[EndpointDescription]) -> tuple[TokenPolicy, ...]:
    """Of the first endpoint that has any; all that describe one channel say the same."""
    for endpoint in endpoints:
        if endpoint.user_identity_tokens:
            return tuple(
                TokenPolicy(one.policy_id or "", one.token_type, one.security_policy_uri or "")
                for one in endpoint.user_identity_tokens
            )
    return ()


def _user_token(token: ExtensionObject, state: SouthState, identity: Identity) -> ExtensionObject | Refused:
    if identity.login is not None:
        return _user_name(identity.login.user, identity.login.password.encode(), state, identity)
    if token.type_id.key == NodeId.NULL.key:
        return _anonymous(state)
    said = decode_inner(token)
    if isinstance(said, AnonymousIdentityToken):
        return _anonymous(state)
    if isinstance(said, UserNameIdentityToken):
        return _user_name(said.user_name or "", said.password or b"", state, identity)
    return Refused(status.BAD_IDENTITY_TOKEN_REJECTED)


def _anonymous(state: SouthState) -> ExtensionObject | Refused:
    for policy in state.tokens:
        if policy.kind == ANONYMOUS:
            return make_extension(AnonymousIdentityToken(policy.id))
    if not state.tokens:  # it lists nothing: a null token always means anonymous (Part 4 5.7.3.2)
        return ExtensionObject.NULL
    return Refused(status.BAD_IDENTITY_TOKEN_REJECTED)


def _user_name(user: str, password: bytes, state: SouthState, identity: Identity) -> ExtensionObject | Refused:
    offers = [policy for policy in state.tokens if policy.kind == USER_NAME]
    if not offers:
        return Refused(status.BAD_IDENTITY_TOKEN_REJECTED)
    for offer in offers:
        policy = POLICIES.get(offer.policy) if offer.policy else identity.policy
        if policy is None or not policy.secured:
            continue
        server = Peer.read(state.certificate)
        if isinstance(server, Malformed):
            return Refused(status.BAD_IDENTITY_TOKEN_REJECTED, "no certificate of the server to encrypt a password for")
        secret = struct.pack("<I", len(password) + len(state.nonce)) + password + state.nonce
        cipher = policy.asym_encrypt(server.public_key, secret)
        return make_extension(UserNameIdentityToken(offer.id, user, cipher, policy.encryption_uri))
    for offer in offers:
        policy = POLICIES.get(offer.policy) if offer.policy else identity.policy
        if policy is not None and identity.mode is not Mode.SIGN:
            return make_extension(UserNameIdentityToken(offer.id, user, password, None))
    why = "the server takes passwords only in the clear or under a policy that is broken (T51)"
    return Refused(status.BAD_IDENTITY_TOKEN_REJECTED, why)


def encode_id(id: NodeId) -> bytes:
    writer = Writer()
    id.write(writer)
    return writer.bytes()


def _uris_of(own: OwnCertificate) -> tuple[str, ...]:
    peer = Peer.read(own.der)
    return () if isinstance(peer, Malformed) else peer.uris


def _shows(chain: bytes | None, peer: Peer) -> bool:
    """The first certificate of what may be a chain is this one: DER says its own length."""
    return (chain or b"")[: len(peer.der)] == peer.der
