"""Subscriptions and monitored items: who may have them, and what a notification may tell (protocols.md 4.7).

A monitored item is asked for once and told for as long as it lives, so its node is judged when it is created and again
with each change of policy; the answer of that is looked at for each notification. What may not be told any more is told
as Bad_UserAccessDenied, and the item is disabled at the server. No NotificationMessage is ever left out: a client that
misses a sequence number asks for it again.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from proxy.core.reason import Reason
from proxy.protocols.opcua import elements, status
from proxy.protocols.opcua.conversation import ACCESS_DENIED, Then
from proxy.protocols.opcua.decode import decode, decode_inner, encode, make_extension
from proxy.protocols.opcua.itemwise import MOST_ITEMS, Found, Service, handle, record
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.north_state import north_of
from proxy.protocols.opcua.notices import handles_of
from proxy.protocols.opcua.services.monitor import (
    CreateMonitoredItemsRequest,
    CreateMonitoredItemsResponse,
    DeleteMonitoredItemsRequest,
    DeleteMonitoredItemsResponse,
    ModifyMonitoredItemsRequest,
    ModifyMonitoredItemsResponse,
    MonitoredItemCreateRequest,
    MonitoredItemModifyRequest,
    SetMonitoringModeRequest,
    SetMonitoringModeResponse,
    SetTriggeringRequest,
    SetTriggeringResponse,
)
from proxy.protocols.opcua.services.subscription import (
    CreateSubscriptionResponse,
    DataChangeNotification,
    DeleteSubscriptionsResponse,
    EventNotificationList,
    ModifySubscriptionRequest,
    ModifySubscriptionResponse,
    NotificationMessage,
    PublishRequest,
    PublishResponse,
    RepublishRequest,
    RepublishResponse,
    StatusChangeNotification,
    TransferSubscriptionsResponse,
)
from proxy.protocols.opcua.subscriptions import MOST_ITEMS as MOST_MONITORED
from proxy.protocols.opcua.subscriptions import MOST_SUBSCRIPTIONS, Item, Subscription, items_of, uri_at
from proxy.protocols.opcua.values import DataValue
from proxy.protocols.opcua.wire import Malformed

if TYPE_CHECKING:
    from proxy.core.action import Action
    from proxy.core.verdict import Verdict
    from proxy.protocols.opcua.conversation import Ask, Conversation
    from proxy.protocols.opcua.memory import Session
    from proxy.protocols.opcua.north_state import NorthState, Waiting
    from proxy.protocols.opcua.values import ExtensionObject

MOST_PUBLISH = 20
"""Publish requests of one session that wait. UaExpert keeps ten."""
DISABLED = 0
NOT_YOURS = "an item or subscription that this session does not have"
DENIED = DataValue(status=ACCESS_DENIED)
_STATUS_CHANGE = NodeId.numeric(0, StatusChangeNotification.ID).key


# Subscriptions.


def create_subscription(talk: Conversation, ask: Ask) -> None:
    session, north = ask.held_by
    waiting = north.waiting
    if len(north.subscriptions) + waiting.subscriptions >= MOST_SUBSCRIPTIONS:
        talk.refused(Reason.OVERLOAD, "CreateSubscription", f"more than {MOST_SUBSCRIPTIONS} in one session")
        talk.fault(ask, status.BAD_TOO_MANY_SUBSCRIPTIONS)
        return

    def failed() -> None:
        waiting.subscriptions -= 1

    def created(body: bytes) -> bytes | None:
        failed()
        response = decode(body)
        if isinstance(response, CreateSubscriptionResponse) and response.header.service_result < status.BAD:
            made = Subscription(response.subscription_id, session.surveyed)
            _is_new(talk, made.id)
            north.subscriptions[made.id] = made
        return body

    waiting.subscriptions += 1
    talk.forward(ask, CreateSubscriptionResponse, Then(created, failed))


def _is_new(talk: Conversation, id: int) -> None:
    """Ids are unique in a server (Part 4, 5.14.2): whoever has this one has it from before the server restarted."""
    for other in talk.memory.sessions.values():
        if (theirs := north_of(other)) is not None:
            theirs.subscriptions.pop(id, None)


def with_one(talk: Conversation, ask: Ask) -> None:
    """ModifySubscription and Republish name one subscription, which must be the session's."""
    request = ask.request
    _, north = ask.held_by
    if not isinstance(request, ModifySubscriptionRequest | RepublishRequest):
        raise TypeError("not a request about one subscription")
    if request.subscription_id not in north.subscriptions:
        talk.fault(ask, status.BAD_SUBSCRIPTION_ID_INVALID)
    elif isinstance(request, ModifySubscriptionRequest):
        talk.forward(ask, ModifySubscriptionResponse)
    else:
        talk.forward(ask, RepublishResponse, Then(partial(_republished, talk, ask, request.subscription_id)))


def mine(talk: Conversation, ask: Ask, id: int) -> Found:
    """The judge of SetPublishingMode and DeleteSubscriptions."""
    _, north = ask.held_by
    return Found() if id in north.subscriptions else Found(wrong=NOT_YOURS)


def delete_subscriptions(talk: Conversation, ask: Ask, service: Service) -> None:
    _, north = ask.held_by

    def going(allowed: list[int]) -> Then:
        def deleted(body: bytes) -> bytes | None:
            response = decode(body)
            results = (response.results or ()) if isinstance(response, DeleteSubscriptionsResponse) else ()
            for id, code in zip(allowed, results, strict=False):
                if code < status.BAD or code == status.BAD_SUBSCRIPTION_ID_INVALID:
                    north.subscriptions.pop(id, None)
            return body

        return Then(deleted)

    handle(talk, ask, service, going)


def transfer(talk: Conversation, ask: Ask, service: Service) -> None:
    _, north = ask.held_by

    def going(allowed: list[int]) -> Then:
        def transferred(body: bytes) -> bytes | None:
            response = decode(body)
            results = (response.results or ()) if isinstance(response, TransferSubscriptionsResponse) else ()
            for id, result in zip(allowed, results, strict=False):
                if result.status_code < status.BAD and (moved := _move(talk, north, id)) is not None:
                    _again(talk, ask, moved)  # it may have stood with a session that nobody decides for
            return body

        return Then(transferred)

    handle(talk, ask, service, going)


def movable(talk: Conversation, ask: Ask, id: int) -> Found:
    """The judge of TransferSubscriptions: the same client and user, and every item of it judged for this session."""
    found = _movable(talk, ask, id)
    if found is None:
        return Found(wrong="a subscription of somebody else")
    asked: list[tuple[Action, Verdict]] = []
    for item in found:
        one = standing(talk, ask, item)
        if one.wrong:
            return one
        asked += one.asked
    return Found(asked)


def _movable(talk: Conversation, ask: Ask, id: int) -> Subscription | None:
    session, north = ask.held_by
    for other in talk.memory.sessions.values():
        theirs = north_of(other)
        if theirs is None or id not in theirs.subscriptions:
            continue
        same = theirs.owner == north.owner and theirs.user == north.user and other.namespaces == session.namespaces
        return theirs.subscriptions[id] if same else None
    return None


def _move(talk: Conversation, north: NorthState, id: int) -> Subscription | None:
    for other in talk.memory.sessions.values():
        theirs = north_of(other)
        if theirs is not None and (moved := theirs.subscriptions.pop(id, None)) is not None:
            north.subscriptions[id] = moved
            return moved
    return None


# Monitored items.


def create_items(talk: Conversation, ask: Ask, service: Service) -> None:
    request = ask.request
    session, north = ask.held_by
    if not isinstance(request, CreateMonitoredItemsRequest):
        raise TypeError("not a CreateMonitoredItems")
    subscription = north.subscriptions.get(request.subscription_id)
    if subscription is None:
        talk.fault(ask, status.BAD_SUBSCRIPTION_ID_INVALID)
        return
    if items_of(north.subscriptions.values()) + len(request.items_to_create or ()) > MOST_MONITORED:
        talk.refused(Reason.OVERLOAD, "CreateMonitoredItems", f"more than {MOST_MONITORED} items in one session")
        talk.fault(ask, status.BAD_TOO_MANY_MONITORED_ITEMS)
        return
    handle(talk, ask, service, partial(_creating, subscription, session))


def _creating(subscription: Subscription, session: Session, allowed: list[MonitoredItemCreateRequest]) -> Then:
    """The items are known before the server has them: their first value may come before the answer."""
    items = [
        Item(
            one.item_to_monitor.node_id,
            one.item_to_monitor.attribute_id,
            one.requested_parameters.client_handle,
            uri=uri_at(session.namespaces, one.item_to_monitor.node_id),
        )
        for one in allowed
    ]
    for item in items:
        subscription.expect(item)

    def created(body: bytes) -> bytes | None:
        response = decode(body)
        results = (response.results or ()) if isinstance(response, CreateMonitoredItemsResponse) else ()
        for place, item in enumerate(items):
            if place >= len(results):
                subscription.forget(item)
            elif results[place].status_code < status.BAD:
                subscription.made(item, results[place].monitored_item_id)
            else:
                subscription.never_was(item)
        return body

    def failed() -> None:
        for item in items:
            subscription.forget(item)

    return Then(created, failed)


def modify_items(talk: Conversation, ask: Ask, service: Service) -> None:
    request = ask.request
    _, north = ask.held_by
    if not isinstance(request, ModifyMonitoredItemsRequest):
        raise TypeError("not a ModifyMonitoredItems")
    subscription = north.subscriptions.get(request.subscription_id)
    if subscription is None:
        talk.fault(ask, status.BAD_SUBSCRIPTION_ID_INVALID)
        return
    handle(talk, ask, service, partial(_modifying, subscription))


def _modifying(subscription: Subscription, allowed: list[MonitoredItemModifyRequest]) -> Then:
    def modified(body: bytes) -> bytes | None:
        response = decode(body)
        results = (response.results or ()) if isinstance(response, ModifyMonitoredItemsResponse) else ()
        for one, result in zip(allowed, results, strict=False):
            item = subscription.items.get(one.monitored_item_id)
            if item is not None and result.status_code < status.BAD:
                subscription.rename(item, one.requested_parameters.client_handle)
        return body

    return Then(modified)


def modify(talk: Conversation, ask: Ask, item: MonitoredItemModifyRequest) -> Found:
    if wrong := elements.filter_fault(item.requested_parameters.filter):
        return Found(wrong=wrong)
    return live(talk, ask, item.monitored_item_id)


def live(talk: Conversation, ask: Ask, id: int) -> Found:
    """An item of this subscription that may be told now."""
    subscription = _subscription(ask)
    item = None if subscription is None else subscription.items.get(id)
    if item is None:
        return Found(wrong=NOT_YOURS)
    return standing(talk, ask, item)


def standing(talk: Conversation, ask: Ask, item: Item) -> Found:
    """The item is the node that its index meant when the server made it."""
    session, _ = ask.held_by
    if item.uri != uri_at(session.namespaces, item.node_id):
        return Found(wrong="its namespace index has another meaning now")
    return elements.access(talk, ask, "subscribe", item.node_id, item.attribute)


def there(talk: Conversation, ask: Ask, id: int) -> Found:
    """An item of this subscription, to be deleted or silenced."""
    subscription = _subscription(ask)
    return Found() if subscription is not None and id in subscription.items else Found(wrong=NOT_YOURS)


def mode(talk: Conversation, ask: Ask, id: int) -> Found:
    request = ask.request
    off = isinstance(request, SetMonitoringModeRequest) and request.monitoring_mode == DISABLED
    return there(talk, ask, id) if off else live(talk, ask, id)


def _subscription(ask: Ask) -> Subscription | None:
    request = ask.request
    if not isinstance(
        request,
        ModifyMonitoredItemsRequest | SetMonitoringModeRequest | DeleteMonitoredItemsRequest | SetTriggeringRequest,
    ):
        raise TypeError("not a request about monitored items")
    return ask.held_by[1].subscriptions.get(request.subscription_id)


def of_subscription(talk: Conversation, ask: Ask, service: Service) -> None:
    """SetMonitoringMode and DeleteMonitoredItems."""
    subscription = _subscription(ask)
    if subscription is None:
        talk.fault(ask, status.BAD_SUBSCRIPTION_ID_INVALID)
        return
    deletes = isinstance(ask.request, DeleteMonitoredItemsRequest)
    handle(talk, ask, service, partial(_deleting, subscription) if deletes else None)


def _deleting(subscription: Subscription, allowed: list[int]) -> Then:
    def deleted(body: bytes) -> bytes | None:
        response = decode(body)
        results = (response.results or ()) if isinstance(response, DeleteMonitoredItemsResponse) else ()
        for id, code in zip(allowed, results, strict=False):
            gone = code < status.BAD or code == status.BAD_MONITORED_ITEM_ID_INVALID
            if gone and id in subscription.items:
                subscription.forget(subscription.items[id])
        return body

    return Then(deleted)


def set_triggering(talk: Conversation, ask: Ask) -> None:
    """One item makes others report: all of them must be told now. What is not refuses the whole, in which no element
    stands for itself."""
    request = ask.request
    if not isinstance(request, SetTriggeringRequest):
        raise TypeError("not a SetTriggering")
    added, removed = request.links_to_add or (), request.links_to_remove or ()
    if _subscription(ask) is None:
        talk.fault(ask, status.BAD_SUBSCRIPTION_ID_INVALID)
        return
    if len(added) + len(removed) > MOST_ITEMS:
        talk.fault(ask, status.BAD_TOO_MANY_OPERATIONS)
        return
    for id in (request.triggering_item_id, *added):
        if (refusal := live(talk, ask, id).refused_by) is not None:
            record(talk, "SetTriggering", refusal)
            talk.fault(ask, ACCESS_DENIED)
            return
    talk.forward(ask, SetTriggeringResponse)


# Delivery.


def publish(talk: Conversation, ask: Ask) -> None:
    request, waiting = ask.request, ask.held_by[1].waiting
    if not isinstance(request, PublishRequest):
        raise TypeError("not a Publish")
    if len(request.subscription_acknowledgements or ()) > MOST_ITEMS:
        talk.fault(ask, status.BAD_TOO_MANY_OPERATIONS)
        return
    if waiting.publish >= MOST_PUBLISH:
        talk.fault(ask, status.BAD_TOO_MANY_PUBLISH_REQUESTS)
        return
    waiting.publish += 1
    talk.forward(ask, PublishResponse, Then(partial(_published, talk, ask, waiting), partial(_not_published, waiting)))


def _not_published(waiting: Waiting) -> None:
    waiting.publish -= 1


def _published(talk: Conversation, ask: Ask, waiting: Waiting, body: bytes) -> bytes | None:
    waiting.publish -= 1
    if _all_may_be_told(ask, body):
        return body
    response = decode(body)
    if not isinstance(response, PublishResponse):
        talk.fault(ask, status.BAD_UNKNOWN_RESPONSE)
        return None
    message = _told(talk, ask, response.subscription_id, response.notification_message)
    return body if message is response.notification_message else encode(replace(response, notification_message=message))


def _all_may_be_told(ask: Ask, body: bytes) -> bool:
    """Values alone, each of an item that may be told: most notifications are so, and need not be decoded."""
    session, north = ask.held_by
    found = handles_of(body)
    subscription = None if found is None else north.subscriptions.get(found[0])
    if found is None or subscription is None or subscription.surveyed != session.surveyed:
        return False
    return all(map(subscription.may_tell, found[1]))


def _republished(talk: Conversation, ask: Ask, subscription: int, body: bytes) -> bytes | None:
    response = decode(body)
    if not isinstance(response, RepublishResponse):
        talk.fault(ask, status.BAD_UNKNOWN_RESPONSE)
        return None
    message = _told(talk, ask, subscription, response.notification_message)
    return body if message is response.notification_message else encode(replace(response, notification_message=message))


def _told(talk: Conversation, ask: Ask, id: int, message: NotificationMessage) -> NotificationMessage:
    """The same message with what this session may be told. What cannot be read is left out of it."""
    session, north = ask.held_by
    subscription = north.subscriptions.get(id)
    if subscription is not None and subscription.surveyed != session.surveyed:
        _again(talk, ask, subscription)
    withheld: set[int] = set()
    data = message.notification_data or ()
    told = [_part(subscription, part, withheld) for part in data]
    if any(map(_ends, data)):
        north.subscriptions.pop(id, None)
    if subscription is not None and withheld:
        _disable(talk, ask, subscription, withheld)
    if all(one is other for one, other in zip(told, data, strict=True)):
        return message
    return replace(message, notification_data=tuple([one for one in told if one is not None]))


def _disable(talk: Conversation, ask: Ask, subscription: Subscription, handles: set[int]) -> None:
    """The client has been told once that it may not know; the server need not go on."""
    session, _ = ask.held_by
    items = [one for handle in handles for one in subscription.named(handle) if not one.allowed and not one.disabled]
    for item in items:
        item.disabled = True
    ids = tuple([item.id for item in items if item.id])
    if ids:
        request = SetMonitoringModeRequest(talk.own_header(session), subscription.id, DISABLED, ids)
        talk.submit(request, SetMonitoringModeResponse)


def _part(subscription: Subscription | None, part: ExtensionObject, withheld: set[int]) -> ExtensionObject | None:
    inner = decode_inner(part)
    if inner is None or isinstance(inner, Malformed):
        return None
    if isinstance(inner, StatusChangeNotification):
        return part
    if isinstance(inner, DataChangeNotification):
        changes = inner.monitored_items or ()
        bad = {one.client_handle for one in changes if not _may_tell(subscription, one.client_handle)}
        withheld |= bad
        if not bad:
            return part
        told = tuple([replace(one, value=DENIED) if one.client_handle in bad else one for one in changes])
        return make_extension(replace(inner, monitored_items=told))
    if isinstance(inner, EventNotificationList):
        events = inner.events or ()
        lost = {one.client_handle for one in events if not _may_tell(subscription, one.client_handle)}
        withheld |= lost
        seen = tuple([one for one in events if one.client_handle not in lost])
        return make_extension(replace(inner, events=seen)) if lost else part
    return None


def _ends(part: ExtensionObject) -> bool:
    """The subscription is over: its client was silent for too long (Part 4, 5.14.1.4)."""
    if part.type_id.key != _STATUS_CHANGE:
        return False
    inner = decode_inner(part)
    return isinstance(inner, StatusChangeNotification) and inner.status >= status.BAD


def _may_tell(subscription: Subscription | None, handle: int) -> bool:
    return subscription is not None and subscription.may_tell(handle)


# A change of policy, or of the user.


def decide_again(talk: Conversation, ask: Ask) -> None:
    """Every item of one session, for which ``ask`` stands. The next notification tells of what was lost."""
    _, north = ask.held_by
    for subscription in north.subscriptions.values():
        _again(talk, ask, subscription)


def _again(talk: Conversation, ask: Ask, subscription: Subscription) -> None:
    subscription.surveyed = ask.held_by[0].surveyed
    for item in subscription:
        refusal = standing(talk, ask, item).refused_by
        if item.allowed and refusal is not None:
            record(talk, "subscribe", refusal)
        item.allowed = refusal is None
    for item in subscription.past():
        item.allowed = standing(talk, ask, item).refused_by is None
