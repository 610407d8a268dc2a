"""Monitored items: who may have them (protocols.md 4.7).

A monitored item is asked for once and told for as long as it lives, so its node is judged when it is created and again
with each change of policy; the answer of that is looked at for each notification (`delivery`).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from proxy.core.reason import Reason
from proxy.protocols.opcua import elements, status
from proxy.protocols.opcua.conversation import ACCESS_DENIED, Then
from proxy.protocols.opcua.decode import decode
from proxy.protocols.opcua.itemwise import MOST_ITEMS, Found, Service, handle, record
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
    SetTriggeringRequest,
    SetTriggeringResponse,
)
from proxy.protocols.opcua.subscriptions import MOST_ITEMS as MOST_MONITORED
from proxy.protocols.opcua.subscriptions import Item, Subscription, items_of, uri_at

if TYPE_CHECKING:
    from proxy.protocols.opcua.conversation import Ask, Conversation
    from proxy.protocols.opcua.memory import Session

DISABLED = 0
NOT_YOURS = "an item or subscription that this session does not have"


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
