"""Which part of the inspector takes which request. What is not in the table is not forwarded (T27).

Services that need no session come first, then those that make one, then all that need one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from proxy.protocols.opcua import delivery, elements, itemwise, monitoring, subscribing, views
from proxy.protocols.opcua.conversation import Ask, Conversation
from proxy.protocols.opcua.itemwise import Service
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.services.attribute import ReadRequest, ReadResponse, WriteRequest, WriteResponse
from proxy.protocols.opcua.services.history import (
    HistoryReadRequest,
    HistoryReadResponse,
    HistoryReadResult,
    HistoryUpdateRequest,
    HistoryUpdateResponse,
    HistoryUpdateResult,
)
from proxy.protocols.opcua.services.manage import (
    AddNodesRequest,
    AddNodesResponse,
    AddNodesResult,
    AddReferencesRequest,
    AddReferencesResponse,
    DeleteNodesRequest,
    DeleteNodesResponse,
    DeleteReferencesRequest,
    DeleteReferencesResponse,
)
from proxy.protocols.opcua.services.method import CallMethodResult, CallRequest, CallResponse
from proxy.protocols.opcua.services.monitor import (
    CreateMonitoredItemsRequest,
    CreateMonitoredItemsResponse,
    DeleteMonitoredItemsRequest,
    DeleteMonitoredItemsResponse,
    ModifyMonitoredItemsRequest,
    ModifyMonitoredItemsResponse,
    MonitoredItemCreateResult,
    MonitoredItemModifyResult,
    SetMonitoringModeRequest,
    SetMonitoringModeResponse,
    SetTriggeringRequest,
)
from proxy.protocols.opcua.services.session import CancelRequest, CancelResponse
from proxy.protocols.opcua.services.subscription import (
    CreateSubscriptionRequest,
    DeleteSubscriptionsRequest,
    DeleteSubscriptionsResponse,
    ModifySubscriptionRequest,
    PublishRequest,
    RepublishRequest,
    SetPublishingModeRequest,
    SetPublishingModeResponse,
    TransferResult,
    TransferSubscriptionsRequest,
    TransferSubscriptionsResponse,
)
from proxy.protocols.opcua.services.view import (
    BrowseNextRequest,
    BrowseNextResponse,
    BrowsePathResult,
    BrowseRequest,
    BrowseResponse,
    BrowseResult,
    RegisterNodesRequest,
    TranslateBrowsePathsToNodeIdsRequest,
    TranslateBrowsePathsToNodeIdsResponse,
    UnregisterNodesRequest,
)
from proxy.protocols.opcua.status import (
    BAD_CONTINUATION_POINT_INVALID,
    BAD_MONITORED_ITEM_ID_INVALID,
    BAD_SUBSCRIPTION_ID_INVALID,
)
from proxy.protocols.opcua.values import DataValue, ExtensionObject
from proxy.protocols.opcua.wire import U32, Writer

if TYPE_CHECKING:
    from proxy.protocols.opcua.services.messages import Request
    from proxy.protocols.opcua.structures import Struct

Handler = Callable[[Conversation, Ask], None]


def _raw(result: Struct | DataValue) -> bytes:
    writer = Writer()
    result.WIRE.write(writer, result)
    return writer.bytes()


def _told(make: Callable[[int], Struct | DataValue]) -> Callable[[int], bytes]:
    return lambda code: _raw(make(code))


_CODE = U32.pack
_ITEMS = (
    Service(ReadRequest, ReadResponse, "nodes_to_read", elements.read, _told(lambda code: DataValue(status=code))),
    Service(WriteRequest, WriteResponse, "nodes_to_write", elements.write, _CODE),
    Service(
        CallRequest, CallResponse, "methods_to_call", elements.call,
        _told(lambda code: CallMethodResult(code, None, None, None)),
    ),
    Service(
        HistoryUpdateRequest, HistoryUpdateResponse, "history_update_details", elements.history_update,
        _told(lambda code: HistoryUpdateResult(code, None, None)),
    ),
    Service(
        AddNodesRequest, AddNodesResponse, "nodes_to_add", elements.add_node,
        _told(lambda code: AddNodesResult(code, NodeId.NULL)),
    ),
    Service(AddReferencesRequest, AddReferencesResponse, "references_to_add", elements.add_reference, _CODE),
    Service(DeleteNodesRequest, DeleteNodesResponse, "nodes_to_delete", elements.delete_node, _CODE),
    Service(
        DeleteReferencesRequest, DeleteReferencesResponse, "references_to_delete", elements.delete_reference, _CODE
    ),
    Service(
        SetPublishingModeRequest, SetPublishingModeResponse, "subscription_ids", subscribing.mine, _CODE,
        BAD_SUBSCRIPTION_ID_INVALID,
    ),
)  # fmt: skip
"""All that is judged item by item and no more."""

_SPECIAL: tuple[tuple[Service, Callable[[Conversation, Ask, Service], None]], ...] = (
    (
        Service(
            BrowseRequest, BrowseResponse, "nodes_to_browse", elements.browse,
            _told(lambda code: BrowseResult(code, None, None)),
        ),
        views.browse,
    ),
    (
        Service(
            BrowseNextRequest, BrowseNextResponse, "continuation_points", views.continued,
            _told(lambda code: BrowseResult(code, None, None)), BAD_CONTINUATION_POINT_INVALID,
        ),
        views.browse_next,
    ),
    (
        Service(
            HistoryReadRequest, HistoryReadResponse, "nodes_to_read", elements.history_read,
            _told(lambda code: HistoryReadResult(code, None, ExtensionObject.NULL)),
        ),
        views.history,
    ),
    (
        Service(
            TranslateBrowsePathsToNodeIdsRequest, TranslateBrowsePathsToNodeIdsResponse, "browse_paths",
            elements.translate, _told(lambda code: BrowsePathResult(code, None)),
        ),
        views.translate,
    ),
    (
        Service(
            CreateMonitoredItemsRequest, CreateMonitoredItemsResponse, "items_to_create", elements.monitor,
            _told(lambda code: MonitoredItemCreateResult(code, 0, 0.0, 0, ExtensionObject.NULL)),
        ),
        monitoring.create_items,
    ),
    (
        Service(
            ModifyMonitoredItemsRequest, ModifyMonitoredItemsResponse, "items_to_modify", monitoring.modify,
            _told(lambda code: MonitoredItemModifyResult(code, 0.0, 0, ExtensionObject.NULL)),
        ),
        monitoring.modify_items,
    ),
    (
        Service(
            SetMonitoringModeRequest, SetMonitoringModeResponse, "monitored_item_ids", monitoring.mode, _CODE
        ),
        monitoring.of_subscription,
    ),
    (
        Service(
            DeleteMonitoredItemsRequest, DeleteMonitoredItemsResponse, "monitored_item_ids", monitoring.there, _CODE,
            BAD_MONITORED_ITEM_ID_INVALID,
        ),
        monitoring.of_subscription,
    ),
    (
        Service(
            DeleteSubscriptionsRequest, DeleteSubscriptionsResponse, "subscription_ids", subscribing.mine, _CODE,
            BAD_SUBSCRIPTION_ID_INVALID,
        ),
        subscribing.delete_subscriptions,
    ),
    (
        Service(
            TransferSubscriptionsRequest, TransferSubscriptionsResponse, "subscription_ids", subscribing.movable,
            _told(lambda code: TransferResult(code, None)),
        ),
        subscribing.transfer,
    ),
)  # fmt: skip
"""Those whose answers are looked at as well."""


def _cancel(talk: Conversation, ask: Ask) -> None:
    """It names requests of its own session only."""
    talk.forward(ask, CancelResponse)


def _items(service: Service) -> Handler:
    return lambda talk, ask: itemwise.handle(talk, ask, service)


def _special(service: Service, take: Callable[[Conversation, Ask, Service], None]) -> Handler:
    return lambda talk, ask: take(talk, ask, service)


IN_SESSION: Mapping[type[Request], Handler] = MappingProxyType(
    {service.request: _items(service) for service in _ITEMS}
    | {service.request: _special(service, take) for service, take in _SPECIAL}
    | {
        RegisterNodesRequest: views.register,
        UnregisterNodesRequest: views.register,
        CreateSubscriptionRequest: subscribing.create_subscription,
        ModifySubscriptionRequest: subscribing.with_one,
        RepublishRequest: subscribing.with_one,
        PublishRequest: delivery.publish,
        SetTriggeringRequest: monitoring.set_triggering,
        CancelRequest: _cancel,
    }
)
"""What may be asked in a session, and who sees to it."""
