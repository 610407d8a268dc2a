"""Session service set (Part 4, 5.7) and user identity tokens (7.40)."""

from typing import ClassVar

from proxy.protocols.opcua import type_ids
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.services.discovery import ApplicationDescription, EndpointDescription
from proxy.protocols.opcua.services.messages import Request, Response
from proxy.protocols.opcua.structures import Boolean, ByteString, Double, StatusCode, String, Struct, UInt32, struct
from proxy.protocols.opcua.values import DiagnosticInfo, ExtensionObject


@struct
class SignatureData(Struct):
    algorithm: String
    signature: ByteString


@struct
class SignedSoftwareCertificate(Struct):
    certificate_data: ByteString
    signature: ByteString


@struct
class CreateSessionRequest(Request):
    ID: ClassVar[int] = type_ids.CREATE_SESSION_REQUEST
    client_description: ApplicationDescription
    server_uri: String
    endpoint_url: String
    session_name: String
    client_nonce: ByteString
    client_certificate: ByteString
    requested_session_timeout: Double
    max_response_message_size: UInt32


@struct
class CreateSessionResponse(Response):
    ID: ClassVar[int] = type_ids.CREATE_SESSION_RESPONSE
    session_id: NodeId
    authentication_token: NodeId
    revised_session_timeout: Double
    server_nonce: ByteString
    server_certificate: ByteString
    server_endpoints: tuple[EndpointDescription, ...] | None
    server_software_certificates: tuple[SignedSoftwareCertificate, ...] | None
    server_signature: SignatureData
    max_request_message_size: UInt32


@struct
class ActivateSessionRequest(Request):
    ID: ClassVar[int] = type_ids.ACTIVATE_SESSION_REQUEST
    client_signature: SignatureData
    client_software_certificates: tuple[SignedSoftwareCertificate, ...] | None
    locale_ids: tuple[String, ...] | None
    user_identity_token: ExtensionObject
    user_token_signature: SignatureData


@struct
class ActivateSessionResponse(Response):
    ID: ClassVar[int] = type_ids.ACTIVATE_SESSION_RESPONSE
    server_nonce: ByteString
    results: tuple[StatusCode, ...] | None
    diagnostic_infos: tuple[DiagnosticInfo, ...] | None


@struct
class CloseSessionRequest(Request):
    ID: ClassVar[int] = type_ids.CLOSE_SESSION_REQUEST
    delete_subscriptions: Boolean


@struct
class CloseSessionResponse(Response):
    ID: ClassVar[int] = type_ids.CLOSE_SESSION_RESPONSE


@struct
class CancelRequest(Request):
    ID: ClassVar[int] = type_ids.CANCEL_REQUEST
    request_handle: UInt32


@struct
class CancelResponse(Response):
    ID: ClassVar[int] = type_ids.CANCEL_RESPONSE
    cancel_count: UInt32


@struct
class AnonymousIdentityToken(Struct):
    ID: ClassVar[int] = type_ids.ANONYMOUS_IDENTITY_TOKEN
    policy_id: String


@struct
class UserNameIdentityToken(Struct):
    ID: ClassVar[int] = type_ids.USER_NAME_IDENTITY_TOKEN
    policy_id: String
    user_name: String
    password: ByteString
    encryption_algorithm: String


@struct
class X509IdentityToken(Struct):
    ID: ClassVar[int] = type_ids.X509_IDENTITY_TOKEN
    policy_id: String
    certificate_data: ByteString


@struct
class IssuedIdentityToken(Struct):
    ID: ClassVar[int] = type_ids.ISSUED_IDENTITY_TOKEN
    policy_id: String
    token_data: ByteString
    encryption_algorithm: String
