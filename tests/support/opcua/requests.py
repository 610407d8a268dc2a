"""Requests on our own codec: the usual ones in a line, and each of those that asyncua's client cannot make."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.services.attribute import ReadRequest, ReadValueId, WriteRequest, WriteValue
from proxy.protocols.opcua.services.messages import Request, RequestHeader
from proxy.protocols.opcua.services.method import CallMethodRequest, CallRequest
from proxy.protocols.opcua.services.monitor import (
    CreateMonitoredItemsRequest,
    MonitoredItemCreateRequest,
    MonitoringParameters,
    SetTriggeringRequest,
)
from proxy.protocols.opcua.services.query import QueryNextRequest
from proxy.protocols.opcua.services.session import CancelRequest
from proxy.protocols.opcua.services.subscription import CreateSubscriptionRequest, PublishRequest
from proxy.protocols.opcua.services.view import (
    BrowseDescription,
    BrowseNextRequest,
    BrowsePath,
    BrowseRequest,
    RelativePath,
    RelativePathElement,
    TranslateBrowsePathsToNodeIdsRequest,
    ViewDescription,
)
from proxy.protocols.opcua.values import DataValue, ExtensionObject, QualifiedName, Variant

Make = Callable[[RequestHeader], Request]
BOTH, VALUE = 2, 13
PLAIN = QualifiedName(0, None)


def value_of(node: NodeId, attribute: int = VALUE, index_range: str | None = None) -> ReadValueId:
    return ReadValueId(node, attribute, index_range, PLAIN)


def read(header: RequestHeader, nodes: Sequence[NodeId], attribute: int = VALUE) -> ReadRequest:
    return ReadRequest(header, 0.0, BOTH, tuple(value_of(node, attribute) for node in nodes))


def double(value: float) -> DataValue:
    return DataValue(Variant.of_double(value), None, None, None, None, None)


def write(header: RequestHeader, values: Sequence[tuple[NodeId, float]]) -> WriteRequest:
    return WriteRequest(header, tuple(WriteValue(node, VALUE, None, double(value)) for node, value in values))


def call(header: RequestHeader, calls: Sequence[tuple[NodeId, NodeId, float]]) -> CallRequest:
    asked = (CallMethodRequest(one, method, (Variant.of_double(number),)) for one, method, number in calls)
    return CallRequest(header, tuple(asked))


def subscription(header: RequestHeader, interval: float = 20.0) -> CreateSubscriptionRequest:
    return CreateSubscriptionRequest(header, interval, 300, 10, 0, True, 0)


def monitored(
    header: RequestHeader, subscription_id: int, nodes: Sequence[NodeId], attribute: int = VALUE
) -> CreateMonitoredItemsRequest:
    """Reporting; client handles are positions."""
    items = (
        MonitoredItemCreateRequest(
            value_of(node, attribute), 2, MonitoringParameters(at, 20.0, ExtensionObject.NULL, 5, True)
        )
        for at, node in enumerate(nodes)
    )
    return CreateMonitoredItemsRequest(header, subscription_id, BOTH, tuple(items))


def publish(header: RequestHeader) -> PublishRequest:
    return PublishRequest(header, None)


def browse(header: RequestHeader, nodes: Sequence[NodeId]) -> BrowseRequest:
    """Forward, all references, everything told about them."""
    asked = (BrowseDescription(node, 0, NodeId.numeric(0, 33), True, 0, 63) for node in nodes)
    return BrowseRequest(header, ViewDescription(NodeId.NULL, 0, 0), 0, tuple(asked))


def translate(header: RequestHeader, start: NodeId, *path: tuple[int, str]) -> TranslateBrowsePathsToNodeIdsRequest:
    steps = tuple(RelativePathElement(NodeId.numeric(0, 33), False, True, QualifiedName(*name)) for name in path)
    return TranslateBrowsePathsToNodeIdsRequest(header, (BrowsePath(start, RelativePath(steps)),))


def status_of(value: DataValue) -> int:
    return value.status or 0


RARE: dict[str, Make] = {
    "SetTriggering": lambda header: SetTriggeringRequest(header, 1, 1, (2,), None),
    "BrowseNext": lambda header: BrowseNextRequest(header, False, (b"point",)),
    "QueryNext": lambda header: QueryNextRequest(header, False, b"point"),
    "Cancel": lambda header: CancelRequest(header, 1),
}
"""asyncua's server has none of these."""
