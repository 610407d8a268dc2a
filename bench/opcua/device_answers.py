"""What the quick device does for each request that it was not asked before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.opcua import names
from proxy.protocols.opcua import status, type_ids
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.services.attribute import ReadRequest, ReadResponse, WriteRequest, WriteResponse
from proxy.protocols.opcua.services.discovery import (
    ApplicationDescription,
    EndpointDescription,
    GetEndpointsResponse,
    UserTokenPolicy,
)
from proxy.protocols.opcua.services.messages import Request, Response, ResponseHeader
from proxy.protocols.opcua.services.monitor import (
    CreateMonitoredItemsRequest,
    CreateMonitoredItemsResponse,
    MonitoredItemCreateResult,
)
from proxy.protocols.opcua.services.session import (
    ActivateSessionResponse,
    CloseSessionResponse,
    CreateSessionRequest,
    CreateSessionResponse,
    SignatureData,
)
from proxy.protocols.opcua.services.subscription import CreateSubscriptionRequest, CreateSubscriptionResponse
from proxy.protocols.opcua.values import DataValue, ExtensionObject, LocalizedText, Variant

if TYPE_CHECKING:
    from bench.opcua.device import Connection

_BINARY = "http://opcfoundation.org/UA-Profile/Transport/uatcp-uasc-uabinary"
_NONE = "http://opcfoundation.org/UA/SecurityPolicy#None"
_NONCE = bytes(32)


@dataclass(frozen=True, slots=True)
class Item:
    """Of a subscription: what the client calls what it watches."""

    subscription: int
    handle: int
    name: str


def value_of(number: float) -> DataValue:
    return good(Variant.of_double(number))


def good(value: Variant) -> DataValue:
    return DataValue(value, None, None, None, None, None)


def answered(asked: Request) -> ResponseHeader:
    return ResponseHeader.make(asked.header.request_handle)


def looked_up(connection: Connection, node: NodeId, attribute: int) -> DataValue:
    """Values of its own numbers, the NamespaceArray, and ServerStatus_State (0, running)."""
    if attribute == 13:
        if node.key == (0, "i", 2255):
            return good(Variant.of_strings(names.NAMESPACES))
        if node.key == (0, "i", 2259):
            return good(Variant.of_int32(0))
        found = connection.device.read(str(node.identifier)) if node.namespace == names.INDEX else None
        if found is not None:
            return found
    return DataValue(None, status.BAD_NODE_ID_UNKNOWN, None, None, None, None)


def read(connection: Connection, asked: Request) -> Response:
    assert isinstance(asked, ReadRequest)
    found = (looked_up(connection, one.node_id, one.attribute_id) for one in asked.nodes_to_read or ())
    return ReadResponse(answered(asked), tuple(found), None)


def write(connection: Connection, asked: Request) -> Response:
    assert isinstance(asked, WriteRequest)
    done = (connection.device.write(str(one.node_id.identifier), one.value) for one in asked.nodes_to_write or ())
    return WriteResponse(answered(asked), tuple(done), None)


def endpoint(connection: Connection) -> EndpointDescription:
    url = f"opc.tcp://127.0.0.1:{connection.device.port}"
    text = LocalizedText(None, "device")
    application = ApplicationDescription("urn:bench:device", "urn:bench", text, 0, None, None, (url,))
    tokens = (UserTokenPolicy("anonymous", 0, None, None, _NONE),)
    return EndpointDescription(url, application, None, 1, _NONE, tokens, _BINARY, 0)


def get_endpoints(connection: Connection, asked: Request) -> Response:
    return GetEndpointsResponse(answered(asked), (endpoint(connection),))


def create_session(connection: Connection, asked: Request) -> Response:
    assert isinstance(asked, CreateSessionRequest)
    device = connection.device
    session, token = NodeId.numeric(1, device.number()), NodeId.numeric(1, device.number())
    offered, unsigned = (endpoint(connection),), SignatureData(None, None)
    timeout = asked.requested_session_timeout
    return CreateSessionResponse(answered(asked), session, token, timeout, _NONCE, None, offered, None, unsigned, 0)


def activate_session(connection: Connection, asked: Request) -> Response:
    return ActivateSessionResponse(answered(asked), _NONCE, None, None)


def close_session(connection: Connection, asked: Request) -> Response:
    return CloseSessionResponse(answered(asked))


def create_subscription(connection: Connection, asked: Request) -> Response:
    assert isinstance(asked, CreateSubscriptionRequest)
    number = connection.device.number()
    connection.subscribe(number)
    interval, lifetime = asked.requested_publishing_interval, asked.requested_lifetime_count
    return CreateSubscriptionResponse(answered(asked), number, interval, lifetime, asked.requested_max_keep_alive_count)


def create_items(connection: Connection, asked: Request) -> Response:
    """Each is told its value at once, as it must."""
    assert isinstance(asked, CreateMonitoredItemsRequest)
    results = []
    for one in asked.items_to_create or ():
        watched, wanted = one.item_to_monitor, one.requested_parameters
        value = looked_up(connection, watched.node_id, watched.attribute_id)
        number = connection.device.number()
        if value.value is not None:
            item = Item(asked.subscription_id, wanted.client_handle, str(watched.node_id.identifier))
            connection.add(number, item, (value.value.numbers() or (0.0,))[0])
        code = value.status or status.GOOD
        results.append(
            MonitoredItemCreateResult(code, number, wanted.sampling_interval, wanted.queue_size, ExtensionObject.NULL)
        )
    return CreateMonitoredItemsResponse(answered(asked), tuple(results), None)


ANSWERS: dict[int, Callable[[Connection, Request], Response]] = {
    type_ids.GET_ENDPOINTS_REQUEST: get_endpoints,
    type_ids.CREATE_SESSION_REQUEST: create_session,
    type_ids.ACTIVATE_SESSION_REQUEST: activate_session,
    type_ids.CLOSE_SESSION_REQUEST: close_session,
    type_ids.READ_REQUEST: read,
    type_ids.WRITE_REQUEST: write,
    type_ids.CREATE_SUBSCRIPTION_REQUEST: create_subscription,
    type_ids.CREATE_MONITORED_ITEMS_REQUEST: create_items,
}
