"""Query service set (Part 4, 5.10)."""

from typing import ClassVar

from proxy.protocols.opcua import type_ids
from proxy.protocols.opcua.node_id import ExpandedNodeId
from proxy.protocols.opcua.services.filters import ContentFilter, ContentFilterResult
from proxy.protocols.opcua.services.messages import Request, Response
from proxy.protocols.opcua.services.view import RelativePath, ViewDescription
from proxy.protocols.opcua.structures import Boolean, ByteString, StatusCode, String, Struct, UInt32, struct
from proxy.protocols.opcua.values import DiagnosticInfo, Variant


@struct
class QueryDataDescription(Struct):
    relative_path: RelativePath
    attribute_id: UInt32
    index_range: String


@struct
class NodeTypeDescription(Struct):
    type_definition_node: ExpandedNodeId
    include_sub_types: Boolean
    data_to_return: tuple[QueryDataDescription, ...] | None


@struct
class QueryDataSet(Struct):
    node_id: ExpandedNodeId
    type_definition_node: ExpandedNodeId
    values: tuple[Variant, ...] | None


@struct
class ParsingResult(Struct):
    status_code: StatusCode
    data_status_codes: tuple[StatusCode, ...] | None
    data_diagnostic_infos: tuple[DiagnosticInfo, ...] | None


@struct
class QueryFirstRequest(Request):
    ID: ClassVar[int] = type_ids.QUERY_FIRST_REQUEST
    view: ViewDescription
    node_types: tuple[NodeTypeDescription, ...] | None
    filter: ContentFilter
    max_data_sets_to_return: UInt32
    max_references_to_return: UInt32


@struct
class QueryFirstResponse(Response):
    ID: ClassVar[int] = type_ids.QUERY_FIRST_RESPONSE
    query_data_sets: tuple[QueryDataSet, ...] | None
    continuation_point: ByteString
    parsing_results: tuple[ParsingResult, ...] | None
    diagnostic_infos: tuple[DiagnosticInfo, ...] | None
    filter_result: ContentFilterResult


@struct
class QueryNextRequest(Request):
    ID: ClassVar[int] = type_ids.QUERY_NEXT_REQUEST
    release_continuation_point: Boolean
    continuation_point: ByteString


@struct
class QueryNextResponse(Response):
    ID: ClassVar[int] = type_ids.QUERY_NEXT_RESPONSE
    query_data_sets: tuple[QueryDataSet, ...] | None
    revised_continuation_point: ByteString
