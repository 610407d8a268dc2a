"""Subscriptions: who may have them, and who may take them over (protocols.md 4.7)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from proxy.core.reason import Reason
from proxy.protocols.opcua import delivery, monitoring, status
from proxy.protocols.opcua.conversation import Then
from proxy.protocols.opcua.decode import decode
from proxy.protocols.opcua.itemwise import Found, Service, handle
from proxy.protocols.opcua.north_state import north_of
from proxy.protocols.opcua.services.subscription import (
    CreateSubscriptionResponse,
    DeleteSubscriptionsResponse,
    ModifySubscriptionRequest,
    ModifySubscriptionResponse,
    RepublishRequest,
    RepublishResponse,
    TransferSubscriptionsResponse,
)
from proxy.protocols.opcua.subscriptions import MOST_SUBSCRIPTIONS, Subscription

if TYPE_CHECKING:
    from proxy.core.action import Action
    from proxy.core.verdict import Verdict
    from proxy.protocols.opcua.conversation import Ask, Conversation
    from proxy.protocols.opcua.north_state import NorthState


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
        talk.forward(ask, RepublishResponse, Then(partial(delivery.republished, talk, ask, request.subscription_id)))


def mine(talk: Conversation, ask: Ask, id: int) -> Found:
    """The judge of SetPublishingMode and DeleteSubscriptions."""
    _, north = ask.held_by
    return Found() if id in north.subscriptions else Found(wrong=monitoring.NOT_YOURS)


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
                    delivery.again(talk, ask, moved)  # it may have stood with a session that nobody decides for
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
        one = monitoring.standing(talk, ask, item)
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
