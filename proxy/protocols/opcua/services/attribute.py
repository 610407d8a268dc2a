"""Attribute service set (Part 4, 5.11): Read and Write. History is in `history`."""

from typing import ClassVar

from proxy.protocols.opcua import type_ids
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.services.messages import Request, Response
from proxy.protocols.opcua.structures import Double, Enumeration, StatusCode, String, Struct, UInt32, struct
from proxy.protocols.opcua.values import DataValue, DiagnosticInfo, QualifiedName


@struct
class ReadValueId(Struct):
    node_id: NodeId
    attribute_id: UInt32
    index_range: String
    data_encoding: QualifiedName


@struct
class ReadRequest(Request):
    ID: ClassVar[int] = type_ids.READ_REQUEST
    max_age: Double
    timestamps_to_return: Enumeration
    nodes_to_read: tuple[ReadValueId, ...] | None


@struct
class ReadResponse(Response):
    ID: ClassVar[int] = type_ids.READ_RESPONSE
    results: tuple[DataValue, ...] | None
    diagnostic_infos: tuple[DiagnosticInfo, ...] | None


@struct
class WriteValue(Struct):
    node_id: NodeId
    attribute_id: UInt32
    index_range: String
    value: DataValue


@struct
class WriteRequest(Request):
    ID: ClassVar[int] = type_ids.WRITE_REQUEST
    nodes_to_write: tuple[WriteValue, ...] | None


@struct
class WriteResponse(Response):
    ID: ClassVar[int] = type_ids.WRITE_RESPONSE
    results: tuple[StatusCode, ...] | None
    diagnostic_infos: tuple[DiagnosticInfo, ...] | None
