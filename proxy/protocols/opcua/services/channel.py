"""SecureChannel service set (Part 4, 5.6)."""

from typing import ClassVar

from proxy.protocols.opcua import type_ids
from proxy.protocols.opcua.services.messages import Request, Response
from proxy.protocols.opcua.structures import ByteString, DateTime, Enumeration, Struct, UInt32, struct


@struct
class ChannelSecurityToken(Struct):
    channel_id: UInt32
    token_id: UInt32
    created_at: DateTime
    revised_lifetime: UInt32


@struct
class OpenSecureChannelRequest(Request):
    """``request_type``: 0 Issue, 1 Renew."""

    ID: ClassVar[int] = type_ids.OPEN_SECURE_CHANNEL_REQUEST
    client_protocol_version: UInt32
    request_type: Enumeration
    security_mode: Enumeration
    client_nonce: ByteString
    requested_lifetime: UInt32


@struct
class OpenSecureChannelResponse(Response):
    ID: ClassVar[int] = type_ids.OPEN_SECURE_CHANNEL_RESPONSE
    server_protocol_version: UInt32
    security_token: ChannelSecurityToken
    server_nonce: ByteString


@struct
class CloseSecureChannelRequest(Request):
    ID: ClassVar[int] = type_ids.CLOSE_SECURE_CHANNEL_REQUEST


@struct
class CloseSecureChannelResponse(Response):
    ID: ClassVar[int] = type_ids.CLOSE_SECURE_CHANNEL_RESPONSE
