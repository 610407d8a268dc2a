"""What a notification may tell, asked of each when it is delivered (protocols.md 4.7).

What may not be told any more is told as Bad_UserAccessDenied, and the item is disabled at the server. No
NotificationMessage is ever left out: a client that misses a sequence number asks for it again.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from proxy.protocols.opcua import monitoring, status
from proxy.protocols.opcua.conversation import ACCESS_DENIED, Then
from proxy.protocols.opcua.decode import decode, decode_inner, encode, make_extension
from proxy.protocols.opcua.itemwise import MOST_ITEMS, record
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.notices import handles_of
from proxy.protocols.opcua.services.monitor import (
    SetMonitoringModeRequest,
    SetMonitoringModeResponse,
)
from proxy.protocols.opcua.services.subscription import (
    DataChangeNotification,
    EventNotificationList,
    NotificationMessage,
    PublishRequest,
    PublishResponse,
    RepublishResponse,
    StatusChangeNotification,
)
from proxy.protocols.opcua.values import DataValue
from proxy.protocols.opcua.wire import Malformed

if TYPE_CHECKING:
    from proxy.protocols.opcua.conversation import Ask, Conversation
    from proxy.protocols.opcua.north_state import Waiting
    from proxy.protocols.opcua.subscriptions import Subscription
    from proxy.protocols.opcua.values import ExtensionObject

MOST_PUBLISH = 20
"""Publish requests of one session that wait. UaExpert keeps ten."""
DENIED = DataValue(status=ACCESS_DENIED)
_STATUS_CHANGE = NodeId.numeric(0, StatusChangeNotification.ID).key


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


def republished(talk: Conversation, ask: Ask, subscription: int, body: bytes) -> bytes | None:
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
        again(talk, ask, subscription)
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
        request = SetMonitoringModeRequest(talk.own_header(session), subscription.id, monitoring.DISABLED, ids)
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


def decide_again(talk: Conversation, ask: Ask) -> None:
    """After a change of policy, or of the user: every item of one session, for which ``ask`` stands. The next
    notification tells of what was lost."""
    _, north = ask.held_by
    for subscription in north.subscriptions.values():
        again(talk, ask, subscription)


def again(talk: Conversation, ask: Ask, subscription: Subscription) -> None:
    """Every item of one subscription, those that are past included: their last values may still come."""
    subscription.surveyed = ask.held_by[0].surveyed
    for item in subscription:
        refusal = monitoring.standing(talk, ask, item).refused_by
        if item.allowed and refusal is not None:
            record(talk, "subscribe", refusal)
        item.allowed = refusal is None
    for item in subscription.past():
        item.allowed = monitoring.standing(talk, ask, item).refused_by is None
