"""Method service set (Part 4, 5.12)."""

from typing import ClassVar

from proxy.protocols.opcua import type_ids
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.services.messages import Request, Response
from proxy.protocols.opcua.structures import StatusCode, Struct, struct
from proxy.protocols.opcua.values import DiagnosticInfo, Variant


@struct
class CallMethodRequest(Struct):
    object_id: NodeId
    method_id: NodeId
    input_arguments: tuple[Variant, ...] | None


@struct
class CallMethodResult(Struct):
    status_code: StatusCode
    input_argument_results: tuple[StatusCode, ...] | None
    input_argument_diagnostic_infos: tuple[DiagnosticInfo, ...] | None
    output_arguments: tuple[Variant, ...] | None


@struct
class CallRequest(Request):
    ID: ClassVar[int] = type_ids.CALL_REQUEST
    methods_to_call: tuple[CallMethodRequest, ...] | None


@struct
class CallResponse(Response):
    ID: ClassVar[int] = type_ids.CALL_RESPONSE
    results: tuple[CallMethodResult, ...] | None
    diagnostic_infos: tuple[DiagnosticInfo, ...] | None
