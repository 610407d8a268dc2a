"""HistoryRead and HistoryUpdate (Part 4, 5.11.3 and 5.11.5) and their details (Part 11, 6)."""

from typing import ClassVar

from proxy.protocols.opcua import type_ids
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.services.filters import AggregateConfiguration, EventFilter
from proxy.protocols.opcua.services.messages import Request, Response
from proxy.protocols.opcua.structures import (
    Boolean,
    ByteString,
    DateTime,
    Double,
    Enumeration,
    StatusCode,
    String,
    Struct,
    UInt32,
    struct,
)
from proxy.protocols.opcua.values import DataValue, DiagnosticInfo, ExtensionObject, QualifiedName, Variant


@struct
class HistoryReadValueId(Struct):
    node_id: NodeId
    index_range: String
    data_encoding: QualifiedName
    continuation_point: ByteString


@struct
class HistoryReadResult(Struct):
    status_code: StatusCode
    continuation_point: ByteString
    history_data: ExtensionObject


@struct
class HistoryReadRequest(Request):
    ID: ClassVar[int] = type_ids.HISTORY_READ_REQUEST
    history_read_details: ExtensionObject
    timestamps_to_return: Enumeration
    release_continuation_points: Boolean
    nodes_to_read: tuple[HistoryReadValueId, ...] | None


@struct
class HistoryReadResponse(Response):
    ID: ClassVar[int] = type_ids.HISTORY_READ_RESPONSE
    results: tuple[HistoryReadResult, ...] | None
    diagnostic_infos: tuple[DiagnosticInfo, ...] | None


@struct
class HistoryUpdateResult(Struct):
    status_code: StatusCode
    operation_results: tuple[StatusCode, ...] | None
    diagnostic_infos: tuple[DiagnosticInfo, ...] | None


@struct
class HistoryUpdateRequest(Request):
    ID: ClassVar[int] = type_ids.HISTORY_UPDATE_REQUEST
    history_update_details: tuple[ExtensionObject, ...] | None


@struct
class HistoryUpdateResponse(Response):
    ID: ClassVar[int] = type_ids.HISTORY_UPDATE_RESPONSE
    results: tuple[HistoryUpdateResult, ...] | None
    diagnostic_infos: tuple[DiagnosticInfo, ...] | None


@struct
class ReadEventDetails(Struct):
    ID: ClassVar[int] = type_ids.READ_EVENT_DETAILS
    num_values_per_node: UInt32
    start_time: DateTime
    end_time: DateTime
    filter: EventFilter


@struct
class ReadEventDetails2(Struct):
    ID: ClassVar[int] = type_ids.READ_EVENT_DETAILS_2
    num_values_per_node: UInt32
    start_time: DateTime
    end_time: DateTime
    filter: EventFilter
    read_modified: Boolean


@struct
class ReadRawModifiedDetails(Struct):
    ID: ClassVar[int] = type_ids.READ_RAW_MODIFIED_DETAILS
    is_read_modified: Boolean
    start_time: DateTime
    end_time: DateTime
    num_values_per_node: UInt32
    return_bounds: Boolean


@struct
class ReadProcessedDetails(Struct):
    ID: ClassVar[int] = type_ids.READ_PROCESSED_DETAILS
    start_time: DateTime
    end_time: DateTime
    processing_interval: Double
    aggregate_type: tuple[NodeId, ...] | None
    aggregate_configuration: AggregateConfiguration


@struct
class ReadAtTimeDetails(Struct):
    ID: ClassVar[int] = type_ids.READ_AT_TIME_DETAILS
    req_times: tuple[DateTime, ...] | None
    use_simple_bounds: Boolean


@struct
class ReadAnnotationDataDetails(Struct):
    ID: ClassVar[int] = type_ids.READ_ANNOTATION_DATA_DETAILS
    req_times: tuple[DateTime, ...] | None


@struct
class ModificationInfo(Struct):
    modification_time: DateTime
    update_type: Enumeration
    user_name: String


@struct
class HistoryData(Struct):
    ID: ClassVar[int] = type_ids.HISTORY_DATA
    STRICT: ClassVar[bool] = False
    data_values: tuple[DataValue, ...] | None


@struct
class HistoryModifiedData(Struct):
    ID: ClassVar[int] = type_ids.HISTORY_MODIFIED_DATA
    STRICT: ClassVar[bool] = False
    data_values: tuple[DataValue, ...] | None
    modification_infos: tuple[ModificationInfo, ...] | None


@struct
class HistoryEventFieldList(Struct):
    event_fields: tuple[Variant, ...] | None


@struct
class HistoryEvent(Struct):
    ID: ClassVar[int] = type_ids.HISTORY_EVENT
    STRICT: ClassVar[bool] = False
    events: tuple[HistoryEventFieldList, ...] | None


@struct
class UpdateDataDetails(Struct):
    ID: ClassVar[int] = type_ids.UPDATE_DATA_DETAILS
    node_id: NodeId
    perform_insert_replace: Enumeration
    update_values: tuple[DataValue, ...] | None


@struct
class UpdateStructureDataDetails(Struct):
    ID: ClassVar[int] = type_ids.UPDATE_STRUCTURE_DATA_DETAILS
    node_id: NodeId
    perform_insert_replace: Enumeration
    update_values: tuple[DataValue, ...] | None


@struct
class UpdateEventDetails(Struct):
    ID: ClassVar[int] = type_ids.UPDATE_EVENT_DETAILS
    node_id: NodeId
    perform_insert_replace: Enumeration
    filter: EventFilter
    event_data: tuple[HistoryEventFieldList, ...] | None


@struct
class DeleteRawModifiedDetails(Struct):
    ID: ClassVar[int] = type_ids.DELETE_RAW_MODIFIED_DETAILS
    node_id: NodeId
    is_delete_modified: Boolean
    start_time: DateTime
    end_time: DateTime


@struct
class DeleteAtTimeDetails(Struct):
    ID: ClassVar[int] = type_ids.DELETE_AT_TIME_DETAILS
    node_id: NodeId
    req_times: tuple[DateTime, ...] | None


@struct
class DeleteEventDetails(Struct):
    ID: ClassVar[int] = type_ids.DELETE_EVENT_DETAILS
    node_id: NodeId
    event_ids: tuple[ByteString, ...] | None
