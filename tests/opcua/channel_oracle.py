"""The two ends of asyncua's own secure channel, without sockets: what ours is compared with."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from asyncua import ua
from asyncua.common.connection import SecureConnection, TransportLimits
from asyncua.common.utils import Buffer
from asyncua.crypto import security_policies as theirs
from asyncua.ua.ua_binary import header_from_binary, struct_from_binary, struct_to_binary, uatcp_to_binary
from cryptography import x509

if TYPE_CHECKING:
    from proxy.protocols.opcua.security.certificates import OwnCertificate, Peer
    from proxy.protocols.opcua.security.policies import Mode

POLICIES = {
    "None": theirs.SecurityPolicyNone,
    "Basic256Sha256": theirs.SecurityPolicyBasic256Sha256,
    "Aes128_Sha256_RsaOaep": theirs.SecurityPolicyAes128Sha256RsaOaep,
    "Aes256_Sha256_RsaPss": theirs.SecurityPolicyAes256Sha256RsaPss,
    "Basic256": theirs.SecurityPolicyBasic256,
    "Basic128Rsa15": theirs.SecurityPolicyBasic128Rsa15,
}


def mode_of(mode: Mode) -> ua.MessageSecurityMode:
    return ua.MessageSecurityMode(mode.value)


def frames(data: bytes) -> list[bytes]:
    found = []
    while data:
        size = struct.unpack_from("<I", data, 4)[0]
        found.append(data[:size])
        data = data[size:]
    return found


class AsyncuaClient:
    """``nonce`` is random per request, as asyncua has it."""

    def __init__(self, policy: str, mode: Mode, own: OwnCertificate, server: Peer) -> None:
        self.mode = mode_of(mode)
        made = POLICIES[policy]
        if policy == "None":
            self._policy = made()
        else:
            certificate = x509.load_der_x509_certificate(own.der)
            self._policy = made(server.certificate, certificate, own.key, self.mode)
        self.connection = SecureConnection(self._policy, TransportLimits(65535, 65535, 0, 0))
        self._asked: ua.OpenSecureChannelParameters | None = None

    def hello(self) -> bytes:
        message = ua.Hello()
        message.EndpointUrl = "opc.tcp://plc:4840"
        return bytes(uatcp_to_binary(ua.MessageType.Hello, message))

    def open(self, *, renew: bool = False, request: int = 1, lifetime: int = 60_000) -> bytes:
        asked = ua.OpenSecureChannelParameters()
        asked.ClientProtocolVersion = 0
        asked.RequestType = ua.SecurityTokenRequestType.Renew if renew else ua.SecurityTokenRequestType.Issue
        asked.SecurityMode = self.mode
        asked.RequestedLifetime = lifetime
        length = self._policy.secure_channel_nonce_length
        asked.ClientNonce = ua.utils.create_nonce(length) if length else b""
        message = ua.OpenSecureChannelRequest()
        message.Parameters = asked
        self._asked = asked
        kind = ua.MessageType.SecureOpen
        return bytes(self.connection.message_to_binary(struct_to_binary(message), kind, request))

    def says(self, body: bytes, request: int = 2) -> bytes:
        if self.connection.next_security_token.TokenId:
            self.connection.revolve_tokens()
        return bytes(self.connection.message_to_binary(body, request_id=request))

    def hears(self, data: bytes) -> list[tuple[int, bytes]]:
        """Request id and body of each whole message; an OPN response is taken in as asyncua does it."""
        said = []
        for frame in frames(data):
            buffer = Buffer(frame)
            header = header_from_binary(buffer)
            message = self.connection.receive_from_header_and_body(header, buffer)
            if isinstance(message, ua.Message):
                if header.MessageType == ua.MessageType.SecureOpen:
                    self._opened(bytes(message.body().read(len(message.body()))))
                    continue
                said.append((message.request_id(), bytes(message.body().read(len(message.body())))))
        return said

    def _opened(self, body: bytes) -> None:
        answer = struct_from_binary(ua.OpenSecureChannelResponse, Buffer(body))
        answer.ResponseHeader.ServiceResult.check()
        assert self._asked is not None
        self.connection.set_channel(answer.Parameters, self._asked.RequestType, self._asked.ClientNonce)


class AsyncuaServer:
    def __init__(self, policy: str, mode: Mode, own: OwnCertificate) -> None:
        made = POLICIES[policy]
        plain = theirs.SecurityPolicyNone()
        self.connection = SecureConnection(plain, TransportLimits())
        certificate = None if policy == "None" else x509.load_der_x509_certificate(own.der)
        key = None if policy == "None" else own.key
        self.connection.set_policy_factories([theirs.SecurityPolicyFactory(made, mode_of(mode), certificate, key)])

    def get_new_channel_id(self) -> int:
        return 4711

    def hears(self, data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
        """Whole messages, and the bytes to answer with: ACK, OPN response."""
        said: list[tuple[int, bytes]] = []
        answers = b""
        for frame in frames(data):
            buffer = Buffer(frame)
            header = header_from_binary(buffer)
            message = self.connection.receive_from_header_and_body(header, buffer)
            if isinstance(message, ua.Hello):
                limits = TransportLimits().create_acknowledge_and_set_limits(message)
                answers += uatcp_to_binary(ua.MessageType.Acknowledge, limits)
            elif isinstance(message, ua.Message):
                body = bytes(message.body().read(len(message.body())))
                if header.MessageType == ua.MessageType.SecureOpen:
                    answers += self._answer(message.request_id(), body)
                else:
                    said.append((message.request_id(), body))
        return said, answers

    def says(self, body: bytes, request: int) -> bytes:
        return bytes(self.connection.message_to_binary(body, request_id=request))

    def _answer(self, request: int, body: bytes) -> bytes:
        asked = struct_from_binary(ua.OpenSecureChannelRequest, Buffer(body))
        answer = ua.OpenSecureChannelResponse()
        answer.Parameters = self.connection.open(asked.Parameters, self)
        answer.ResponseHeader.RequestHandle = asked.RequestHeader.RequestHandle
        kind = ua.MessageType.SecureOpen
        return bytes(self.connection.message_to_binary(struct_to_binary(answer), kind, request))
