"""The requests of a client that subscribes, and nothing it does not need (Part 4, chapter 5)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from proxy.protocols.opcua.namespaces import NAMESPACE_ARRAY
from proxy.protocols.opcua.services.attribute import ReadRequest, ReadValueId
from proxy.protocols.opcua.services.discovery import ApplicationDescription
from proxy.protocols.opcua.services.monitor import (
    CreateMonitoredItemsRequest,
    DeleteMonitoredItemsRequest,
    MonitoredItemCreateRequest,
    MonitoringParameters,
)
from proxy.protocols.opcua.services.session import (
    ActivateSessionRequest,
    CloseSessionRequest,
    CreateSessionRequest,
    SignatureData,
)
from proxy.protocols.opcua.services.subscription import (
    CreateSubscriptionRequest,
    PublishRequest,
    RepublishRequest,
    SubscriptionAcknowledgement,
)
from proxy.protocols.opcua.values import ExtensionObject, LocalizedText, QualifiedName

if TYPE_CHECKING:
    from proxy.protocols.opcua.node_id import NodeId
    from proxy.protocols.opcua.services.messages import RequestHeader

VALUE = 13
QUEUE = 100
"""Values of one node that the server keeps between two notifications; the oldest goes first, and says so."""
MOST_AT_ONCE = 1000
"""Values in one notification, so that no device holds up the others."""
ALIVE_EVERY = 5.0
LIVES = 60.0
"""Seconds: a keep-alive at least so often; a subscription that nobody asks of ends after that."""
TIMEOUT = 60_000.0
"""Milliseconds that the server keeps a session that says nothing."""
NAME = "Bulkhead publisher"
_CLIENT = 1
_SOURCE_AND_SERVER, _BOTH = 2, 2
_REPORTING = 2
_NO_SIGNATURE = SignatureData(None, None)


def create_session(header: RequestHeader, url: str, publisher: str, nonce: bytes) -> CreateSessionRequest:
    uri = f"urn:bulkhead:publisher:{publisher}"
    about = ApplicationDescription(uri, "urn:bulkhead", LocalizedText(None, NAME), _CLIENT, None, None, None)
    return CreateSessionRequest(header, about, None, url, f"{NAME} {publisher}", nonce, None, TIMEOUT, 0)


def activate_session(header: RequestHeader) -> ActivateSessionRequest:
    """Anonymous: who speaks is known by where this client runs. A login for the server is the device's own matter."""
    return ActivateSessionRequest(header, _NO_SIGNATURE, None, None, ExtensionObject.NULL, _NO_SIGNATURE)


def close_session(header: RequestHeader) -> CloseSessionRequest:
    return CloseSessionRequest(header, True)


def read_namespaces(header: RequestHeader) -> ReadRequest:
    return ReadRequest(header, 0.0, _BOTH, (_value_of(NAMESPACE_ARRAY),))


def create_subscription(header: RequestHeader, every: float) -> CreateSubscriptionRequest:
    """``every``: seconds between two looks of the server at what is to be told."""
    alive = max(1, round(ALIVE_EVERY / every))
    lives = max(3 * alive, round(LIVES / every))
    return CreateSubscriptionRequest(header, every * 1000, lives, alive, MOST_AT_ONCE, True, 0)


def create_items(
    header: RequestHeader, subscription: int, items: Iterable[tuple[int, NodeId]], every: float
) -> CreateMonitoredItemsRequest:
    """``items``: client handle and node."""
    wanted = tuple(
        MonitoredItemCreateRequest(
            _value_of(node),
            _REPORTING,
            MonitoringParameters(handle, every * 1000, ExtensionObject.NULL, QUEUE, True),
        )
        for handle, node in items
    )
    return CreateMonitoredItemsRequest(header, subscription, _SOURCE_AND_SERVER, wanted)


def delete_items(header: RequestHeader, subscription: int, ids: Iterable[int]) -> DeleteMonitoredItemsRequest:
    return DeleteMonitoredItemsRequest(header, subscription, tuple(ids))


def publish(header: RequestHeader, subscription: int, numbers: Iterable[int]) -> PublishRequest:
    """``numbers`` are acknowledged."""
    acks = tuple(SubscriptionAcknowledgement(subscription, number) for number in numbers)
    return PublishRequest(header, acks)


def republish(header: RequestHeader, subscription: int, number: int) -> RepublishRequest:
    return RepublishRequest(header, subscription, number)


def _value_of(node: NodeId) -> ReadValueId:
    return ReadValueId(node, VALUE, None, QualifiedName.NULL)
