"""Subscription service set (Part 4, 5.14) and what a NotificationMessage holds (7.25, 7.26)."""

from typing import ClassVar

from proxy.protocols.opcua import type_ids
from proxy.protocols.opcua.services.messages import Request, Response
from proxy.protocols.opcua.structures import Boolean, Byte, DateTime, Double, StatusCode, Struct, UInt32, struct
from proxy.protocols.opcua.values import DataValue, DiagnosticInfo, ExtensionObject, Variant
from proxy.protocols.opcua.wire import Reader


@struct
class CreateSubscriptionRequest(Request):
    ID: ClassVar[int] = type_ids.CREATE_SUBSCRIPTION_REQUEST
    requested_publishing_interval: Double
    requested_lifetime_count: UInt32
    requested_max_keep_alive_count: UInt32
    max_notifications_per_publish: UInt32
    publishing_enabled: Boolean
    priority: Byte


@struct
class CreateSubscriptionResponse(Response):
    ID: ClassVar[int] = type_ids.CREATE_SUBSCRIPTION_RESPONSE
    subscription_id: UInt32
    revised_publishing_interval: Double
    revised_lifetime_count: UInt32
    revised_max_keep_alive_count: UInt32


@struct
class ModifySubscriptionRequest(Request):
    ID: ClassVar[int] = type_ids.MODIFY_SUBSCRIPTION_REQUEST
    subscription_id: UInt32
    requested_publishing_interval: Double
    requested_lifetime_count: UInt32
    requested_max_keep_alive_count: UInt32
    max_notifications_per_publish: UInt32
    priority: Byte


@struct
class ModifySubscriptionResponse(Response):
    ID: ClassVar[int] = type_ids.MODIFY_SUBSCRIPTION_RESPONSE
    revised_publishing_interval: Double
    revised_lifetime_count: UInt32
    revised_max_keep_alive_count: UInt32


@struct
class SetPublishingModeRequest(Request):
    ID: ClassVar[int] = type_ids.SET_PUBLISHING_MODE_REQUEST
    publishing_enabled: Boolean
    subscription_ids: tuple[UInt32, ...] | None


@struct
class SetPublishingModeResponse(Response):
    ID: ClassVar[int] = type_ids.SET_PUBLISHING_MODE_RESPONSE
    results: tuple[StatusCode, ...] | None
    diagnostic_infos: tuple[DiagnosticInfo, ...] | None


@struct
class NotificationMessage(Struct):
    sequence_number: UInt32
    publish_time: DateTime
    notification_data: tuple[ExtensionObject, ...] | None


@struct
class SubscriptionAcknowledgement(Struct):
    subscription_id: UInt32
    sequence_number: UInt32


@struct
class PublishRequest(Request):
    ID: ClassVar[int] = type_ids.PUBLISH_REQUEST
    subscription_acknowledgements: tuple[SubscriptionAcknowledgement, ...] | None


@struct
class PublishResponse(Response):
    ID: ClassVar[int] = type_ids.PUBLISH_RESPONSE
    subscription_id: UInt32
    available_sequence_numbers: tuple[UInt32, ...] | None
    more_notifications: Boolean
    notification_message: NotificationMessage
    results: tuple[StatusCode, ...] | None
    diagnostic_infos: tuple[DiagnosticInfo, ...] | None


@struct
class RepublishRequest(Request):
    ID: ClassVar[int] = type_ids.REPUBLISH_REQUEST
    subscription_id: UInt32
    retransmit_sequence_number: UInt32


@struct
class RepublishResponse(Response):
    ID: ClassVar[int] = type_ids.REPUBLISH_RESPONSE
    notification_message: NotificationMessage


@struct
class TransferResult(Struct):
    status_code: StatusCode
    available_sequence_numbers: tuple[UInt32, ...] | None


@struct
class TransferSubscriptionsRequest(Request):
    ID: ClassVar[int] = type_ids.TRANSFER_SUBSCRIPTIONS_REQUEST
    subscription_ids: tuple[UInt32, ...] | None
    send_initial_values: Boolean


@struct
class TransferSubscriptionsResponse(Response):
    ID: ClassVar[int] = type_ids.TRANSFER_SUBSCRIPTIONS_RESPONSE
    results: tuple[TransferResult, ...] | None
    diagnostic_infos: tuple[DiagnosticInfo, ...] | None


@struct
class DeleteSubscriptionsRequest(Request):
    ID: ClassVar[int] = type_ids.DELETE_SUBSCRIPTIONS_REQUEST
    subscription_ids: tuple[UInt32, ...] | None


@struct
class DeleteSubscriptionsResponse(Response):
    ID: ClassVar[int] = type_ids.DELETE_SUBSCRIPTIONS_RESPONSE
    results: tuple[StatusCode, ...] | None
    diagnostic_infos: tuple[DiagnosticInfo, ...] | None


@struct
class MonitoredItemNotification(Struct):
    client_handle: UInt32
    value: DataValue

    @staticmethod
    def read(reader: Reader) -> "MonitoredItemNotification":
        return MonitoredItemNotification(reader.u32(), DataValue.read(reader))


@struct
class DataChangeNotification(Struct):
    ID: ClassVar[int] = type_ids.DATA_CHANGE_NOTIFICATION
    STRICT: ClassVar[bool] = False
    monitored_items: tuple[MonitoredItemNotification, ...] | None
    diagnostic_infos: tuple[DiagnosticInfo, ...] | None


@struct
class EventFieldList(Struct):
    client_handle: UInt32
    event_fields: tuple[Variant, ...] | None


@struct
class EventNotificationList(Struct):
    ID: ClassVar[int] = type_ids.EVENT_NOTIFICATION_LIST
    STRICT: ClassVar[bool] = False
    events: tuple[EventFieldList, ...] | None


@struct
class StatusChangeNotification(Struct):
    ID: ClassVar[int] = type_ids.STATUS_CHANGE_NOTIFICATION
    STRICT: ClassVar[bool] = False
    status: StatusCode
    diagnostic_info: DiagnosticInfo
