"""NodeManagement service set (Part 4, 5.8)."""

from typing import ClassVar

from proxy.protocols.opcua import type_ids
from proxy.protocols.opcua.node_id import ExpandedNodeId, NodeId
from proxy.protocols.opcua.services.messages import Request, Response
from proxy.protocols.opcua.structures import Boolean, Enumeration, StatusCode, String, Struct, struct
from proxy.protocols.opcua.values import DiagnosticInfo, ExtensionObject, QualifiedName


@struct
class AddNodesItem(Struct):
    parent_node_id: ExpandedNodeId
    reference_type_id: NodeId
    requested_new_node_id: ExpandedNodeId
    browse_name: QualifiedName
    node_class: Enumeration
    node_attributes: ExtensionObject
    type_definition: ExpandedNodeId


@struct
class AddNodesResult(Struct):
    status_code: StatusCode
    added_node_id: NodeId


@struct
class AddNodesRequest(Request):
    ID: ClassVar[int] = type_ids.ADD_NODES_REQUEST
    nodes_to_add: tuple[AddNodesItem, ...] | None


@struct
class AddNodesResponse(Response):
    ID: ClassVar[int] = type_ids.ADD_NODES_RESPONSE
    results: tuple[AddNodesResult, ...] | None
    diagnostic_infos: tuple[DiagnosticInfo, ...] | None


@struct
class AddReferencesItem(Struct):
    source_node_id: NodeId
    reference_type_id: NodeId
    is_forward: Boolean
    target_server_uri: String
    target_node_id: ExpandedNodeId
    target_node_class: Enumeration


@struct
class AddReferencesRequest(Request):
    ID: ClassVar[int] = type_ids.ADD_REFERENCES_REQUEST
    references_to_add: tuple[AddReferencesItem, ...] | None


@struct
class AddReferencesResponse(Response):
    ID: ClassVar[int] = type_ids.ADD_REFERENCES_RESPONSE
    results: tuple[StatusCode, ...] | None
    diagnostic_infos: tuple[DiagnosticInfo, ...] | None


@struct
class DeleteNodesItem(Struct):
    node_id: NodeId
    delete_target_references: Boolean


@struct
class DeleteNodesRequest(Request):
    ID: ClassVar[int] = type_ids.DELETE_NODES_REQUEST
    nodes_to_delete: tuple[DeleteNodesItem, ...] | None


@struct
class DeleteNodesResponse(Response):
    ID: ClassVar[int] = type_ids.DELETE_NODES_RESPONSE
    results: tuple[StatusCode, ...] | None
    diagnostic_infos: tuple[DiagnosticInfo, ...] | None


@struct
class DeleteReferencesItem(Struct):
    source_node_id: NodeId
    reference_type_id: NodeId
    is_forward: Boolean
    target_node_id: ExpandedNodeId
    delete_bidirectional: Boolean


@struct
class DeleteReferencesRequest(Request):
    ID: ClassVar[int] = type_ids.DELETE_REFERENCES_REQUEST
    references_to_delete: tuple[DeleteReferencesItem, ...] | None


@struct
class DeleteReferencesResponse(Response):
    ID: ClassVar[int] = type_ids.DELETE_REFERENCES_RESPONSE
    results: tuple[StatusCode, ...] | None
    diagnostic_infos: tuple[DiagnosticInfo, ...] | None
