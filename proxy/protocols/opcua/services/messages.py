"""What every request and every response begins with (Part 4, 7.32 and 7.33), and their base classes."""

from struct import Struct as Numbers
from typing import ClassVar

from proxy.protocols.opcua import type_ids
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.structures import DateTime, StatusCode, String, Struct, UInt32, struct
from proxy.protocols.opcua.values import DiagnosticInfo, ExtensionObject
from proxy.protocols.opcua.wire import CUT, Broken, Reader

_NUMBERS = Numbers("<qII")


@struct
class RequestHeader(Struct):
    authentication_token: NodeId
    timestamp: DateTime
    request_handle: UInt32
    return_diagnostics: UInt32
    audit_entry_id: String
    timeout_hint: UInt32
    additional_header: ExtensionObject

    @staticmethod
    def read(reader: Reader) -> "RequestHeader":
        token = NodeId.read(reader)
        at = reader.at
        if at + 16 > reader.end:
            raise Broken(CUT)
        reader.at = at + 16
        timestamp, handle, diagnostics = _NUMBERS.unpack_from(reader.data, at)
        audit, timeout = reader.string(), reader.u32()
        return RequestHeader(token, timestamp, handle, diagnostics, audit, timeout, ExtensionObject.read(reader))

    @staticmethod
    def make(
        token: NodeId = NodeId.NULL, handle: int = 0, *, timestamp: int = 0, timeout_hint: int = 0
    ) -> "RequestHeader":
        return RequestHeader(token, timestamp, handle, 0, None, timeout_hint, ExtensionObject.NULL)


@struct
class ResponseHeader(Struct):
    timestamp: DateTime
    request_handle: UInt32
    service_result: StatusCode
    service_diagnostics: DiagnosticInfo
    string_table: tuple[String, ...] | None
    additional_header: ExtensionObject

    @staticmethod
    def make(handle: int, result: int = 0, timestamp: int = 0) -> "ResponseHeader":
        return ResponseHeader(timestamp, handle, result, DiagnosticInfo.NULL, None, ExtensionObject.NULL)


@struct
class Request(Struct):
    """The base of requests."""

    header: RequestHeader


@struct
class Response(Struct):
    """The base of responses."""

    STRICT: ClassVar[bool] = False
    header: ResponseHeader


@struct
class ServiceFault(Response):
    """Part 4, 7.34."""

    ID: ClassVar[int] = type_ids.SERVICE_FAULT
