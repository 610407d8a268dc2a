"""Filters of monitored items and queries (Part 4, 7.7 and 7.22)."""

from typing import ClassVar

from proxy.protocols.opcua import type_ids
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.services.view import RelativePath
from proxy.protocols.opcua.structures import (
    Boolean,
    Byte,
    DateTime,
    Double,
    Enumeration,
    StatusCode,
    String,
    Struct,
    UInt32,
    struct,
)
from proxy.protocols.opcua.values import DiagnosticInfo, ExtensionObject, QualifiedName, Variant


@struct
class SimpleAttributeOperand(Struct):
    ID: ClassVar[int] = type_ids.SIMPLE_ATTRIBUTE_OPERAND
    type_definition_id: NodeId
    browse_path: tuple[QualifiedName, ...] | None
    attribute_id: UInt32
    index_range: String


@struct
class AttributeOperand(Struct):
    ID: ClassVar[int] = type_ids.ATTRIBUTE_OPERAND
    node_id: NodeId
    alias: String
    browse_path: RelativePath
    attribute_id: UInt32
    index_range: String


@struct
class LiteralOperand(Struct):
    ID: ClassVar[int] = type_ids.LITERAL_OPERAND
    value: Variant


@struct
class ElementOperand(Struct):
    ID: ClassVar[int] = type_ids.ELEMENT_OPERAND
    index: UInt32


@struct
class ContentFilterElement(Struct):
    filter_operator: Enumeration
    filter_operands: tuple[ExtensionObject, ...] | None


@struct
class ContentFilter(Struct):
    elements: tuple[ContentFilterElement, ...] | None


@struct
class DataChangeFilter(Struct):
    ID: ClassVar[int] = type_ids.DATA_CHANGE_FILTER
    trigger: Enumeration
    deadband_type: UInt32
    deadband_value: Double


@struct
class EventFilter(Struct):
    ID: ClassVar[int] = type_ids.EVENT_FILTER
    select_clauses: tuple[SimpleAttributeOperand, ...] | None
    where_clause: ContentFilter


@struct
class AggregateConfiguration(Struct):
    use_server_capabilities_defaults: Boolean
    treat_uncertain_as_bad: Boolean
    percent_data_bad: Byte
    percent_data_good: Byte
    use_sloped_extrapolation: Boolean


@struct
class AggregateFilter(Struct):
    ID: ClassVar[int] = type_ids.AGGREGATE_FILTER
    start_time: DateTime
    aggregate_type: NodeId
    processing_interval: Double
    aggregate_configuration: AggregateConfiguration


@struct
class ContentFilterElementResult(Struct):
    STRICT: ClassVar[bool] = False
    status_code: StatusCode
    operand_status_codes: tuple[StatusCode, ...] | None
    operand_diagnostic_infos: tuple[DiagnosticInfo, ...] | None


@struct
class ContentFilterResult(Struct):
    STRICT: ClassVar[bool] = False
    element_results: tuple[ContentFilterElementResult, ...] | None
    element_diagnostic_infos: tuple[DiagnosticInfo, ...] | None


@struct
class EventFilterResult(Struct):
    ID: ClassVar[int] = type_ids.EVENT_FILTER_RESULT
    STRICT: ClassVar[bool] = False
    select_clause_results: tuple[StatusCode, ...] | None
    select_clause_diagnostic_infos: tuple[DiagnosticInfo, ...] | None
    where_clause_result: ContentFilterResult


@struct
class AggregateFilterResult(Struct):
    ID: ClassVar[int] = type_ids.AGGREGATE_FILTER_RESULT
    STRICT: ClassVar[bool] = False
    revised_start_time: DateTime
    revised_processing_interval: Double
    revised_aggregate_configuration: AggregateConfiguration
