"""MonitoredItem service set (Part 4, 5.13)."""

from typing import ClassVar

from proxy.protocols.opcua import type_ids
from proxy.protocols.opcua.services.attribute import ReadValueId
from proxy.protocols.opcua.services.messages import Request, Response
from proxy.protocols.opcua.structures import Boolean, Double, Enumeration, StatusCode, Struct, UInt32, struct
from proxy.protocols.opcua.values import DiagnosticInfo, ExtensionObject


@struct
class MonitoringParameters(Struct):
    client_handle: UInt32
    sampling_interval: Double
    filter: ExtensionObject
    queue_size: UInt32
    discard_oldest: Boolean


@struct
class MonitoredItemCreateRequest(Struct):
    item_to_monitor: ReadValueId
    monitoring_mode: Enumeration
    requested_parameters: MonitoringParameters


@struct
class MonitoredItemCreateResult(Struct):
    status_code: StatusCode
    monitored_item_id: UInt32
    revised_sampling_interval: Double
    revised_queue_size: UInt32
    filter_result: ExtensionObject


@struct
class CreateMonitoredItemsRequest(Request):
    ID: ClassVar[int] = type_ids.CREATE_MONITORED_ITEMS_REQUEST
    subscription_id: UInt32
    timestamps_to_return: Enumeration
    items_to_create: tuple[MonitoredItemCreateRequest, ...] | None


@struct
class CreateMonitoredItemsResponse(Response):
    ID: ClassVar[int] = type_ids.CREATE_MONITORED_ITEMS_RESPONSE
    results: tuple[MonitoredItemCreateResult, ...] | None
    diagnostic_infos: tuple[DiagnosticInfo, ...] | None


@struct
class MonitoredItemModifyRequest(Struct):
    monitored_item_id: UInt32
    requested_parameters: MonitoringParameters


@struct
class MonitoredItemModifyResult(Struct):
    status_code: StatusCode
    revised_sampling_interval: Double
    revised_queue_size: UInt32
    filter_result: ExtensionObject


@struct
class ModifyMonitoredItemsRequest(Request):
    ID: ClassVar[int] = type_ids.MODIFY_MONITORED_ITEMS_REQUEST
    subscription_id: UInt32
    timestamps_to_return: Enumeration
    items_to_modify: tuple[MonitoredItemModifyRequest, ...] | None


@struct
class ModifyMonitoredItemsResponse(Response):
    ID: ClassVar[int] = type_ids.MODIFY_MONITORED_ITEMS_RESPONSE
    results: tuple[MonitoredItemModifyResult, ...] | None
    diagnostic_infos: tuple[DiagnosticInfo, ...] | None


@struct
class SetMonitoringModeRequest(Request):
    ID: ClassVar[int] = type_ids.SET_MONITORING_MODE_REQUEST
    subscription_id: UInt32
    monitoring_mode: Enumeration
    monitored_item_ids: tuple[UInt32, ...] | None


@struct
class SetMonitoringModeResponse(Response):
    ID: ClassVar[int] = type_ids.SET_MONITORING_MODE_RESPONSE
    results: tuple[StatusCode, ...] | None
    diagnostic_infos: tuple[DiagnosticInfo, ...] | None


@struct
class SetTriggeringRequest(Request):
    ID: ClassVar[int] = type_ids.SET_TRIGGERING_REQUEST
    subscription_id: UInt32
    triggering_item_id: UInt32
    links_to_add: tuple[UInt32, ...] | None
    links_to_remove: tuple[UInt32, ...] | None


@struct
class SetTriggeringResponse(Response):
    ID: ClassVar[int] = type_ids.SET_TRIGGERING_RESPONSE
    add_results: tuple[StatusCode, ...] | None
    add_diagnostic_infos: tuple[DiagnosticInfo, ...] | None
    remove_results: tuple[StatusCode, ...] | None
    remove_diagnostic_infos: tuple[DiagnosticInfo, ...] | None


@struct
class DeleteMonitoredItemsRequest(Request):
    ID: ClassVar[int] = type_ids.DELETE_MONITORED_ITEMS_REQUEST
    subscription_id: UInt32
    monitored_item_ids: tuple[UInt32, ...] | None


@struct
class DeleteMonitoredItemsResponse(Response):
    ID: ClassVar[int] = type_ids.DELETE_MONITORED_ITEMS_RESPONSE
    results: tuple[StatusCode, ...] | None
    diagnostic_infos: tuple[DiagnosticInfo, ...] | None
