"""Attribute service set (Part 4, 5.11): Read and Write. History is in `history`."""

from typing import ClassVar

from proxy.protocols.opcua import type_ids
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.services.messages import Request, Response
from proxy.protocols.opcua.structures import Double, Enumeration, StatusCode, String, Struct, UInt32, struct
from proxy.protocols.opcua.values import DataValue, DiagnosticInfo, QualifiedName
from proxy.protocols.opcua.wire import Reader

_WHOLE = b"\xff\xff\xff\xff" + b"\0\0\xff\xff\xff\xff"
"""No index range and no data encoding, as nearly every item has it."""


@struct
class ReadValueId(Struct):
    node_id: NodeId
    attribute_id: UInt32
    index_range: String
    data_encoding: QualifiedName

    @staticmethod
    def read(reader: Reader) -> "ReadValueId":
        node_id, attribute_id = NodeId.read(reader), reader.u32()
        at = reader.at
        if reader.data.startswith(_WHOLE, at) and at + len(_WHOLE) <= reader.end:
            reader.at = at + len(_WHOLE)
            return ReadValueId(node_id, attribute_id, None, QualifiedName.NULL)
        return ReadValueId(node_id, attribute_id, reader.string(), QualifiedName.read(reader))


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
