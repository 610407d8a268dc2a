"""asyncua's codec as the oracle: what one writes the other reads, in both directions, for every message.

asyncua knows one form of each value (no null arrays, no DataValue without status): `codec_strategies` keeps to it. Its
structures are the standard's field lists, made from the standard's own files, so a field out of order shows here.
"""

from __future__ import annotations

import re
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua import ua_binary
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from proxy.protocols.opcua.decode import decode, decode_inner, encode, make_extension
from proxy.protocols.opcua.node_id import ExpandedNodeId, Guid, NodeId
from proxy.protocols.opcua.services import INNER, SERVICES
from proxy.protocols.opcua.services.filters import (
    ContentFilter,
    ContentFilterElement,
    EventFilter,
    LiteralOperand,
    SimpleAttributeOperand,
)
from proxy.protocols.opcua.services.messages import ResponseHeader
from proxy.protocols.opcua.services.monitor import CreateMonitoredItemsRequest
from proxy.protocols.opcua.services.session import ActivateSessionRequest, UserNameIdentityToken
from proxy.protocols.opcua.services.subscription import (
    DataChangeNotification,
    MonitoredItemNotification,
    NotificationMessage,
    PublishResponse,
)
from proxy.protocols.opcua.structures import Struct
from proxy.protocols.opcua.values import (
    DataValue,
    DiagnosticInfo,
    ExtensionObject,
    LocalizedText,
    QualifiedName,
    Variant,
)
from tests.opcua.codec_strategies import structs

_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
FORMS = {
    ua.NodeIdType.TwoByte: 0, ua.NodeIdType.FourByte: 1, ua.NodeIdType.Numeric: 2, ua.NodeIdType.String: 3,
    ua.NodeIdType.Guid: 4, ua.NodeIdType.ByteString: 5,
}  # fmt: skip
KINDS = [pytest.param(kind, id=kind.__name__) for kind in (*SERVICES.values(), *INNER.values())]
SOME = settings(max_examples=6, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("kind", KINDS)
@SOME
@given(data=st.data())
def test_asyncua_reads_what_we_write_and_writes_the_same(kind: type[Struct], data: st.DataObject) -> None:
    ours = data.draw(structs(kind, plain=True))
    body = encode(ours) if kind.ID in SERVICES else make_extension(ours).body or b""
    buffer = Buffer(body)
    theirs = ua_binary.from_binary(getattr(ua, kind.__name__), buffer)
    assert len(buffer) == 0
    compare(ours, theirs)
    again = ua_binary.struct_to_binary(theirs)
    assert again == body
    back = decode(again) if kind.ID in SERVICES else decode_inner(ExtensionObject(NodeId(0, kind.ID, 1), 1, again))
    assert back == ours


def test_what_asyncua_makes_of_its_own_values() -> None:
    """Values as an application gives them to asyncua, with structures in ExtensionObjects."""
    token = ua.UserNameIdentityToken(PolicyId="user", UserName="ada", Password=b"secret")
    request = ua.ActivateSessionRequest()
    request.RequestHeader.RequestHandle = 9
    request.Parameters.UserIdentityToken = token
    found = decode(ua_binary.struct_to_binary(request))
    assert isinstance(found, ActivateSessionRequest)
    assert found.header.request_handle == 9
    assert decode_inner(found.user_identity_token) == UserNameIdentityToken("user", "ada", b"secret", None)

    item = ua.MonitoredItemCreateRequest()
    item.RequestedParameters.Filter = ua.EventFilter(
        [ua.SimpleAttributeOperand(BrowsePath=[ua.QualifiedName("Time", 0)], AttributeId=ua.AttributeIds.Value)],
        ua.ContentFilter([ua.ContentFilterElement(FilterOperands=[ua.LiteralOperand(ua.Variant(5.0))])]),
    )
    create = ua.CreateMonitoredItemsRequest()
    create.Parameters.ItemsToCreate = [item]
    made = decode(ua_binary.struct_to_binary(create))
    assert isinstance(made, CreateMonitoredItemsRequest)
    assert made.items_to_create is not None
    event_filter = decode_inner(made.items_to_create[0].requested_parameters.filter)
    assert isinstance(event_filter, EventFilter)
    clause = ContentFilterElement(0, (make_extension(LiteralOperand(Variant.of_double(5.0))),))
    operand = SimpleAttributeOperand(NodeId.numeric(0, 2041), (QualifiedName(0, "Time"),), 13, None)
    assert event_filter.where_clause == ContentFilter((clause,))
    assert [
        replace(one, type_definition_id=operand.type_definition_id) for one in event_filter.select_clauses or ()
    ] == [operand]


def test_asyncua_opens_the_notifications_we_make() -> None:
    value = DataValue(Variant.of_double(1.5), 0, 132000000000000000, None, 132000000000000010, None)
    holder = make_extension(DataChangeNotification((MonitoredItemNotification(4, value),), ()))
    message = NotificationMessage(3, 132000000000000000, (holder,))
    body = encode(PublishResponse(ResponseHeader.make(1), 5, (3,), False, message, (), ()))
    theirs = ua_binary.from_binary(ua.PublishResponse, Buffer(body))
    (opened,) = theirs.Parameters.NotificationMessage.NotificationData
    assert opened.MonitoredItems[0].Value.Value.Value == 1.5
    assert opened.MonitoredItems[0].ClientHandle == 4


def compare(ours: Any, theirs: Any) -> None:
    """Every field of asyncua's value has the name and the meaning of ours."""
    match ours:
        case NodeId():
            assert FORMS[theirs.NodeIdType] == ours.form
            assert theirs.NamespaceIndex == ours.namespace
            compare(ours.identifier, theirs.Identifier)
        case ExpandedNodeId():
            compare(ours.node, theirs)
            assert getattr(theirs, "NamespaceUri", None) == ours.namespace_uri
            assert getattr(theirs, "ServerIndex", None) == ours.server_index
        case Guid():
            assert UUID(str(ours)) == theirs
        case QualifiedName():
            assert (theirs.NamespaceIndex, theirs.Name) == (ours.namespace, ours.name)
        case Variant():
            compare_variant(ours, theirs)
        case ExtensionObject():
            assert (ours, theirs) == (ExtensionObject.NULL, ua.ExtensionObject())
        case DiagnosticInfo():
            assert (ours, theirs) == (DiagnosticInfo.NULL, ua.DiagnosticInfo())
        case DataValue():
            compare_data_value(ours, theirs)
        case Struct() | LocalizedText():
            compare_fields(ours, theirs)
        case tuple():
            assert len(ours) == len(theirs)
            for one, other in zip(ours, theirs, strict=True):
                compare(one, other)
        case _:
            compare_number(ours, theirs)


def compare_fields(ours: Any, theirs: Any) -> None:
    for field in fields(theirs):
        value = getattr(theirs, field.name)
        if field.name == "Parameters":
            compare_fields(ours, value)
        elif field.name in ("RequestHeader", "ResponseHeader"):
            compare(ours.header, value)
        elif field.name not in ("TypeId", "Encoding"):
            compare(getattr(ours, _ours(field.name)), value)


def _ours(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().rstrip("_")


def compare_data_value(ours: DataValue, theirs: Any) -> None:
    compare(ours.value, theirs.Value)
    compare(ours.status, theirs.StatusCode)
    compare(ours.source_timestamp, theirs.SourceTimestamp)
    compare(ours.server_timestamp, theirs.ServerTimestamp)


def compare_variant(ours: Variant, theirs: Any) -> None:
    assert theirs.VariantType.value == ours.kind
    assert theirs.is_array == ours.is_array
    values = theirs.Value if ours.is_array else [theirs.Value]
    if ours.strings() is not None:
        assert list(ours.strings() or ()) == values
    if ours.numbers() is not None:
        assert list(ours.numbers() or ()) == values


def compare_number(ours: Any, theirs: Any) -> None:
    match theirs:
        case datetime():
            assert theirs.replace(tzinfo=UTC) == _EPOCH + timedelta(microseconds=ours // 10)
        case ua.StatusCode():
            assert theirs.value == ours
        case Enum():
            assert theirs.value == ours
        case _:
            assert theirs == ours
