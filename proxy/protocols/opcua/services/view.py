"""View service set (Part 4, 5.9)."""

from typing import ClassVar

from proxy.protocols.opcua import type_ids
from proxy.protocols.opcua.node_id import ExpandedNodeId, NodeId
from proxy.protocols.opcua.services.messages import Request, Response
from proxy.protocols.opcua.structures import (
    Boolean,
    ByteString,
    DateTime,
    Enumeration,
    StatusCode,
    Struct,
    UInt32,
    struct,
)
from proxy.protocols.opcua.values import DiagnosticInfo, LocalizedText, QualifiedName


@struct
class ViewDescription(Struct):
    view_id: NodeId
    timestamp: DateTime
    view_version: UInt32


@struct
class BrowseDescription(Struct):
    node_id: NodeId
    browse_direction: Enumeration
    reference_type_id: NodeId
    include_subtypes: Boolean
    node_class_mask: UInt32
    result_mask: UInt32


@struct
class ReferenceDescription(Struct):
    reference_type_id: NodeId
    is_forward: Boolean
    node_id: ExpandedNodeId
    browse_name: QualifiedName
    display_name: LocalizedText
    node_class: Enumeration
    type_definition: ExpandedNodeId


@struct
class BrowseResult(Struct):
    status_code: StatusCode
    continuation_point: ByteString
    references: tuple[ReferenceDescription, ...] | None


@struct
class BrowseRequest(Request):
    ID: ClassVar[int] = type_ids.BROWSE_REQUEST
    view: ViewDescription
    requested_max_references_per_node: UInt32
    nodes_to_browse: tuple[BrowseDescription, ...] | None


@struct
class BrowseResponse(Response):
    ID: ClassVar[int] = type_ids.BROWSE_RESPONSE
    results: tuple[BrowseResult, ...] | None
    diagnostic_infos: tuple[DiagnosticInfo, ...] | None


@struct
class BrowseNextRequest(Request):
    ID: ClassVar[int] = type_ids.BROWSE_NEXT_REQUEST
    release_continuation_points: Boolean
    continuation_points: tuple[ByteString, ...] | None


@struct
class BrowseNextResponse(Response):
    ID: ClassVar[int] = type_ids.BROWSE_NEXT_RESPONSE
    results: tuple[BrowseResult, ...] | None
    diagnostic_infos: tuple[DiagnosticInfo, ...] | None


@struct
class RelativePathElement(Struct):
    reference_type_id: NodeId
    is_inverse: Boolean
    include_subtypes: Boolean
    target_name: QualifiedName


@struct
class RelativePath(Struct):
    elements: tuple[RelativePathElement, ...] | None


@struct
class BrowsePath(Struct):
    starting_node: NodeId
    relative_path: RelativePath


@struct
class BrowsePathTarget(Struct):
    target_id: ExpandedNodeId
    remaining_path_index: UInt32


@struct
class BrowsePathResult(Struct):
    status_code: StatusCode
    targets: tuple[BrowsePathTarget, ...] | None


@struct
class TranslateBrowsePathsToNodeIdsRequest(Request):
    ID: ClassVar[int] = type_ids.TRANSLATE_BROWSE_PATHS_TO_NODE_IDS_REQUEST
    browse_paths: tuple[BrowsePath, ...] | None


@struct
class TranslateBrowsePathsToNodeIdsResponse(Response):
    ID: ClassVar[int] = type_ids.TRANSLATE_BROWSE_PATHS_TO_NODE_IDS_RESPONSE
    results: tuple[BrowsePathResult, ...] | None
    diagnostic_infos: tuple[DiagnosticInfo, ...] | None


@struct
class RegisterNodesRequest(Request):
    ID: ClassVar[int] = type_ids.REGISTER_NODES_REQUEST
    nodes_to_register: tuple[NodeId, ...] | None


@struct
class RegisterNodesResponse(Response):
    ID: ClassVar[int] = type_ids.REGISTER_NODES_RESPONSE
    registered_node_ids: tuple[NodeId, ...] | None


@struct
class UnregisterNodesRequest(Request):
    ID: ClassVar[int] = type_ids.UNREGISTER_NODES_REQUEST
    nodes_to_unregister: tuple[NodeId, ...] | None


@struct
class UnregisterNodesResponse(Response):
    ID: ClassVar[int] = type_ids.UNREGISTER_NODES_RESPONSE
