"""What the quick server does for each type of request."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from proxy.protocols.opcua import status, type_ids
from proxy.protocols.opcua.node_id import ExpandedNodeId, NodeId
from proxy.protocols.opcua.services.attribute import ReadRequest, ReadResponse, WriteRequest, WriteResponse
from proxy.protocols.opcua.services.discovery import (
    ApplicationDescription,
    EndpointDescription,
    FindServersResponse,
    GetEndpointsResponse,
    UserTokenPolicy,
)
from proxy.protocols.opcua.services.messages import Request, Response, ResponseHeader
from proxy.protocols.opcua.services.method import CallMethodResult, CallRequest, CallResponse
from proxy.protocols.opcua.services.monitor import (
    CreateMonitoredItemsRequest,
    CreateMonitoredItemsResponse,
    DeleteMonitoredItemsRequest,
    DeleteMonitoredItemsResponse,
    MonitoredItemCreateResult,
)
from proxy.protocols.opcua.services.session import (
    ActivateSessionResponse,
    CloseSessionResponse,
    CreateSessionRequest,
    CreateSessionResponse,
    SignatureData,
)
from proxy.protocols.opcua.services.subscription import (
    CreateSubscriptionRequest,
    CreateSubscriptionResponse,
    DeleteSubscriptionsRequest,
    DeleteSubscriptionsResponse,
)
from proxy.protocols.opcua.services.view import BrowseRequest, BrowseResponse, BrowseResult, ReferenceDescription
from proxy.protocols.opcua.values import ExtensionObject, LocalizedText, QualifiedName
from tests.support.opcua.quick_connection import Item

if TYPE_CHECKING:
    from tests.support.opcua.quick_connection import Connection

_BINARY = "http://opcfoundation.org/UA-Profile/Transport/uatcp-uasc-uabinary"
_NONE = "http://opcfoundation.org/UA/SecurityPolicy#None"
_NONCE = b"\x5a" * 32
HAS_COMPONENT, VARIABLE_TYPE = 47, 63


def answered(asked: Request) -> ResponseHeader:
    return ResponseHeader.make(asked.header.request_handle)


def read(connection: Connection, asked: Request) -> Response:
    assert isinstance(asked, ReadRequest)
    found = (connection.server.read(one.node_id, one.attribute_id) for one in asked.nodes_to_read or ())
    return ReadResponse(answered(asked), tuple(found), None)


def write(connection: Connection, asked: Request) -> Response:
    assert isinstance(asked, WriteRequest)
    found = (connection.server.write(one.node_id, one.value) for one in asked.nodes_to_write or ())
    return WriteResponse(answered(asked), tuple(found), None)


def call(connection: Connection, asked: Request) -> Response:
    assert isinstance(asked, CallRequest)
    results = (CallMethodResult(0, None, None, one.input_arguments) for one in asked.methods_to_call or ())
    return CallResponse(answered(asked), tuple(results), None)


def browse(connection: Connection, asked: Request) -> Response:
    """Whatever is browsed has all variables below it, and variables have nothing."""
    assert isinstance(asked, BrowseRequest)
    below = tuple(_reference(name) for name in connection.server.values)
    results = (
        BrowseResult(status.GOOD, None, () if one.node_id.namespace else below) for one in asked.nodes_to_browse or ()
    )
    return BrowseResponse(answered(asked), tuple(results), None)


def _reference(name: str) -> ReferenceDescription:
    node, kind = NodeId.string(1, name), NodeId.numeric(0, VARIABLE_TYPE)
    return ReferenceDescription(
        NodeId.numeric(0, HAS_COMPONENT),
        True,
        ExpandedNodeId(node, None, None),
        QualifiedName(1, name),
        LocalizedText(None, name),
        2,
        ExpandedNodeId(kind, None, None),
    )


def application(url: str) -> ApplicationDescription:
    return ApplicationDescription("urn:quick:server", "urn:quick", LocalizedText(None, "quick"), 0, None, None, (url,))


def endpoint(url: str) -> EndpointDescription:
    tokens = (UserTokenPolicy("anonymous", 0, None, None, _NONE), UserTokenPolicy("username", 1, None, None, _NONE))
    return EndpointDescription(url, application(url), None, 1, _NONE, tokens, _BINARY, 0)


def get_endpoints(connection: Connection, asked: Request) -> Response:
    return GetEndpointsResponse(answered(asked), (endpoint(connection.server.url),))


def find_servers(connection: Connection, asked: Request) -> Response:
    return FindServersResponse(answered(asked), (application(connection.server.url),))


def create_session(connection: Connection, asked: Request) -> Response:
    assert isinstance(asked, CreateSessionRequest)
    server = connection.server
    session, token = NodeId.numeric(1, server.number()), NodeId.numeric(1, server.number())
    offered, unsigned = (endpoint(server.url),), SignatureData(None, None)
    return CreateSessionResponse(
        answered(asked), session, token, asked.requested_session_timeout, _NONCE, None, offered, None, unsigned, 0
    )


def activate_session(connection: Connection, asked: Request) -> Response:
    return ActivateSessionResponse(answered(asked), _NONCE, None, None)


def close_session(connection: Connection, asked: Request) -> Response:
    connection.items.clear()
    return CloseSessionResponse(answered(asked))


def create_subscription(connection: Connection, asked: Request) -> Response:
    assert isinstance(asked, CreateSubscriptionRequest)
    interval, lifetime = asked.requested_publishing_interval, asked.requested_lifetime_count
    number, alive = connection.server.number(), asked.requested_max_keep_alive_count
    return CreateSubscriptionResponse(answered(asked), number, interval, lifetime, alive)


def delete_subscriptions(connection: Connection, asked: Request) -> Response:
    assert isinstance(asked, DeleteSubscriptionsRequest)
    gone = asked.subscription_ids or ()
    connection.items = {number: item for number, item in connection.items.items() if item.subscription not in gone}
    return DeleteSubscriptionsResponse(answered(asked), (status.GOOD,) * len(gone), None)


def create_items(connection: Connection, asked: Request) -> Response:
    """Each reports its value at once, as it must."""
    assert isinstance(asked, CreateMonitoredItemsRequest)
    server, results, first = connection.server, [], []
    for one in asked.items_to_create or ():
        watched, wanted = one.item_to_monitor, one.requested_parameters
        value = server.read(watched.node_id, watched.attribute_id)
        code, number = value.status or status.GOOD, 0
        if code == status.GOOD:
            number = server.number()
            item = Item(asked.subscription_id, wanted.client_handle, str(watched.node_id.identifier))
            connection.items[number] = item
            first.append((item, value))
        results.append(
            MonitoredItemCreateResult(code, number, wanted.sampling_interval, wanted.queue_size, ExtensionObject.NULL)
        )
    connection.waiting.extend(first)
    connection.later(connection.report)
    return CreateMonitoredItemsResponse(answered(asked), tuple(results), None)


def delete_items(connection: Connection, asked: Request) -> Response:
    assert isinstance(asked, DeleteMonitoredItemsRequest)
    gone = asked.monitored_item_ids or ()
    results = (
        status.GOOD if connection.items.pop(number, None) else status.BAD_MONITORED_ITEM_ID_INVALID for number in gone
    )
    return DeleteMonitoredItemsResponse(answered(asked), tuple(results), None)


def publish(connection: Connection, asked: Request) -> None:
    """Answered when something changes."""
    connection.publish(asked)


ANSWERS: dict[int, Callable[[Connection, Request], Response | None]] = {
    type_ids.GET_ENDPOINTS_REQUEST: get_endpoints,
    type_ids.FIND_SERVERS_REQUEST: find_servers,
    type_ids.CREATE_SESSION_REQUEST: create_session,
    type_ids.ACTIVATE_SESSION_REQUEST: activate_session,
    type_ids.CLOSE_SESSION_REQUEST: close_session,
    type_ids.READ_REQUEST: read,
    type_ids.WRITE_REQUEST: write,
    type_ids.CALL_REQUEST: call,
    type_ids.BROWSE_REQUEST: browse,
    type_ids.CREATE_SUBSCRIPTION_REQUEST: create_subscription,
    type_ids.DELETE_SUBSCRIPTIONS_REQUEST: delete_subscriptions,
    type_ids.CREATE_MONITORED_ITEMS_REQUEST: create_items,
    type_ids.DELETE_MONITORED_ITEMS_REQUEST: delete_items,
    type_ids.PUBLISH_REQUEST: publish,
}
