"""Discovery service set (Part 4, 5.5)."""

from typing import ClassVar

from proxy.protocols.opcua import type_ids
from proxy.protocols.opcua.services.messages import Request, Response
from proxy.protocols.opcua.structures import (
    Boolean,
    Byte,
    ByteString,
    DateTime,
    Enumeration,
    StatusCode,
    String,
    Struct,
    UInt32,
    struct,
)
from proxy.protocols.opcua.values import DiagnosticInfo, ExtensionObject, LocalizedText


@struct
class ApplicationDescription(Struct):
    application_uri: String
    product_uri: String
    application_name: LocalizedText
    application_type: Enumeration
    gateway_server_uri: String
    discovery_profile_uri: String
    discovery_urls: tuple[String, ...] | None


@struct
class UserTokenPolicy(Struct):
    policy_id: String
    token_type: Enumeration
    issued_token_type: String
    issuer_endpoint_url: String
    security_policy_uri: String


@struct
class EndpointDescription(Struct):
    endpoint_url: String
    server: ApplicationDescription
    server_certificate: ByteString
    security_mode: Enumeration
    security_policy_uri: String
    user_identity_tokens: tuple[UserTokenPolicy, ...] | None
    transport_profile_uri: String
    security_level: Byte


@struct
class FindServersRequest(Request):
    ID: ClassVar[int] = type_ids.FIND_SERVERS_REQUEST
    endpoint_url: String
    locale_ids: tuple[String, ...] | None
    server_uris: tuple[String, ...] | None


@struct
class FindServersResponse(Response):
    ID: ClassVar[int] = type_ids.FIND_SERVERS_RESPONSE
    servers: tuple[ApplicationDescription, ...] | None


@struct
class ServerOnNetwork(Struct):
    record_id: UInt32
    server_name: String
    discovery_url: String
    server_capabilities: tuple[String, ...] | None


@struct
class FindServersOnNetworkRequest(Request):
    ID: ClassVar[int] = type_ids.FIND_SERVERS_ON_NETWORK_REQUEST
    starting_record_id: UInt32
    max_records_to_return: UInt32
    server_capability_filter: tuple[String, ...] | None


@struct
class FindServersOnNetworkResponse(Response):
    ID: ClassVar[int] = type_ids.FIND_SERVERS_ON_NETWORK_RESPONSE
    last_counter_reset_time: DateTime
    servers: tuple[ServerOnNetwork, ...] | None


@struct
class GetEndpointsRequest(Request):
    ID: ClassVar[int] = type_ids.GET_ENDPOINTS_REQUEST
    endpoint_url: String
    locale_ids: tuple[String, ...] | None
    profile_uris: tuple[String, ...] | None


@struct
class GetEndpointsResponse(Response):
    ID: ClassVar[int] = type_ids.GET_ENDPOINTS_RESPONSE
    endpoints: tuple[EndpointDescription, ...] | None


@struct
class RegisteredServer(Struct):
    server_uri: String
    product_uri: String
    server_names: tuple[LocalizedText, ...] | None
    server_type: Enumeration
    gateway_server_uri: String
    discovery_urls: tuple[String, ...] | None
    semaphore_file_path: String
    is_online: Boolean


@struct
class RegisterServerRequest(Request):
    ID: ClassVar[int] = type_ids.REGISTER_SERVER_REQUEST
    server: RegisteredServer


@struct
class RegisterServerResponse(Response):
    ID: ClassVar[int] = type_ids.REGISTER_SERVER_RESPONSE


@struct
class RegisterServer2Request(Request):
    ID: ClassVar[int] = type_ids.REGISTER_SERVER_2_REQUEST
    server: RegisteredServer
    discovery_configuration: tuple[ExtensionObject, ...] | None


@struct
class RegisterServer2Response(Response):
    ID: ClassVar[int] = type_ids.REGISTER_SERVER_2_RESPONSE
    configuration_results: tuple[StatusCode, ...] | None
    diagnostic_infos: tuple[DiagnosticInfo, ...] | None
