"""`signed: cut`: a channel that is the client's and the server's own is read, and cut (protocols.md 4.2)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from proxy.core.names import Names
from proxy.core.reason import Reason
from proxy.protocols.base import Client, Effects, Watched
from proxy.protocols.opcua import status
from proxy.protocols.opcua.channel import Broke, Said
from proxy.protocols.opcua.decode import decode, encode, make_extension
from proxy.protocols.opcua.listener import OpcUaListener
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.security.policies import Mode
from proxy.protocols.opcua.services import monitor as mon
from proxy.protocols.opcua.services import subscription as s
from proxy.protocols.opcua.services.attribute import (
    ReadRequest,
    ReadResponse,
    ReadValueId,
    WriteRequest,
    WriteResponse,
    WriteValue,
)
from proxy.protocols.opcua.services.discovery import ApplicationDescription
from proxy.protocols.opcua.services.messages import Request, RequestHeader, ResponseHeader
from proxy.protocols.opcua.services.session import (
    ActivateSessionRequest,
    ActivateSessionResponse,
    AnonymousIdentityToken,
    CreateSessionRequest,
    CreateSessionResponse,
    SignatureData,
)
from proxy.protocols.opcua.services.view import RegisterNodesRequest
from proxy.protocols.opcua.signed import SignedInspector
from proxy.protocols.opcua.values import DataValue, ExtensionObject, LocalizedText, QualifiedName, Variant
from tests.opcua.channel_world import WALL, Pair, north_setting, south_setting, taken, wall
from tests.opcua.inspector_world import NAMESPACES, Policy, complain, robot
from tests.support.setting import FakeSetting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.protocols.opcua.structures import Struct

RULE = {
    "read": ["nsu=urn:robot:7;s=ok*", "i=2255"],
    "write": {"nsu=urn:robot:7;s=Override": {"min": 0, "max": 10}},
    "subscribe": ["nsu=urn:robot:7;s=ok*"],
}
TOKEN = NodeId.numeric(1, 5)
UNSIGNED = SignatureData(None, None)
ARRAY = NodeId.numeric(0, 2255)


class Through:
    """A client and a server with a signed channel, the inspector between. The server keeps what reached it."""

    def __init__(
        self,
        rule: Mapping[str, object] = RULE,
        *,
        mode: Mode = Mode.SIGN,
        held: str = "",
        watched: Watched | None = None,
    ) -> None:
        self.policy = Policy.of(rule, held=held)
        listener = OpcUaListener(mode="relay", signed=True)
        client = Client(Names("hmi"), os.urandom, 0.0, watched or Watched(), wall=wall)
        self.inspector = SignedInspector(self.policy.decide, FakeSetting(options=listener), client)
        self.pair = Pair(north_setting(), south_setting(mode=mode))
        self.out = Effects()
        self.reached: list[Request] = []
        self.heard: list[Struct] = []
        self.broke: list[Broke] = []
        self.events: list[object] = []
        self.now = 0.0
        self._requests = 0
        self.pair.south.start(0.0, self.pair.up)
        self.pump()

    def pump(self, cut: int = 0) -> None:
        """Until nothing is on the way. ``cut``: bytes at a time, 0: all."""
        pair, out = self.pair, self.out
        while pair.up or pair.down or out.upstream or out.client:
            for piece in _pieces(taken(pair.up), cut):
                self.inspector.from_client(piece, self.now, out)
            upstream, out.upstream = out.upstream, []
            for event in pair.north.receive(b"".join(upstream), self.now, pair.down):
                if isinstance(event, Said):
                    self._serve(event)
            for piece in _pieces(taken(pair.down), cut):
                self.inspector.from_upstream(piece, self.now, out)
            client, out.client = out.client, []
            for event in pair.south.receive(b"".join(client), self.now, pair.up):
                if isinstance(event, Said):
                    found = decode(event.body)
                    self.heard.append(found)  # type: ignore[arg-type]
                elif isinstance(event, Broke):
                    self.broke.append(event)
        self.events += out.events
        out.events.clear()

    def _serve(self, said: Said) -> None:
        request = decode(said.body)
        assert isinstance(request, Request)
        self.reached.append(request)
        self.pair.north.in_session = True
        answer = self.answer(request)
        if answer is not None:
            self.pair.north.send(said.request_id, encode(answer), self.pair.down)

    def answer(self, request: Request) -> Struct | None:
        header = ResponseHeader.make(request.header.request_handle)
        if isinstance(request, CreateSessionRequest):
            return CreateSessionResponse(header, TOKEN, TOKEN, 1.0, None, None, None, None, UNSIGNED, 0)
        if isinstance(request, ActivateSessionRequest):
            return ActivateSessionResponse(header, None, None, None)
        if isinstance(request, ReadRequest):
            return ReadResponse(header, tuple(map(_value, request.nodes_to_read or ())), None)
        if isinstance(request, WriteRequest):
            return WriteResponse(header, (0,) * len(request.nodes_to_write or ()), None)
        if isinstance(request, s.CreateSubscriptionRequest):
            return s.CreateSubscriptionResponse(header, 9, 1.0, 1, 1)
        if isinstance(request, mon.CreateMonitoredItemsRequest):
            made = mon.MonitoredItemCreateResult(0, 500, 1.0, 1, ExtensionObject.NULL)
            return mon.CreateMonitoredItemsResponse(header, (made,), None)
        return None

    def say(self, request: Request, cut: int = 0) -> None:
        self._requests += 1
        assert self.pair.south.send(self._requests, encode(request), self.pair.up)
        self.pump(cut)

    def header(self) -> RequestHeader:
        return RequestHeader.make(TOKEN, 77)

    def session(self) -> Through:
        application = ApplicationDescription("urn:client", None, LocalizedText("en", "c"), 1, None, None, None)
        self.say(CreateSessionRequest(RequestHeader.make(), application, None, None, "s", bytes(32), b"c", 1.0, 0))
        user = make_extension(AnonymousIdentityToken("anonymous"))
        self.say(ActivateSessionRequest(self.header(), UNSIGNED, None, None, user, UNSIGNED))
        self.read(ARRAY)
        self.reached.clear()
        return self

    def read(self, *nodes: NodeId, cut: int = 0) -> None:
        items = tuple(ReadValueId(node, 13, None, QualifiedName.NULL) for node in nodes)
        self.say(ReadRequest(self.header(), 0.0, 2, items), cut)

    def write(self, value: float) -> None:
        item = WriteValue(robot("Override"), 13, None, DataValue(Variant.of_double(value)))
        self.say(WriteRequest(self.header(), (item,)))

    def ended_with(self) -> list[int]:
        assert self.out.closing
        return [broke.status for broke in self.broke]


def _value(item: ReadValueId) -> DataValue:
    array = item.node_id.key == ARRAY.key
    return DataValue(Variant.of_strings(NAMESPACES) if array else Variant.of_int32(7))


def _pieces(data: bytes, cut: int) -> list[bytes]:
    return [data[at : at + cut] for at in range(0, len(data), cut)] if cut and data else [data] if data else []


@pytest.mark.parametrize("cut", [0, 1, 7])
def test_what_is_allowed_goes_through_unchanged(cut: int) -> None:
    """The signatures of both ends verify, so no byte was changed; in any cut."""
    through = Through().session()
    through.read(robot("ok1"), robot("ok2"), cut=cut)
    through.write(5)
    assert [type(request) for request in through.reached] == [ReadRequest, WriteRequest]
    assert isinstance(through.heard[-1], WriteResponse)
    assert not through.broke
    assert sum(through.inspector.tally().values()) > 3


def test_what_is_refused_ends_both_connections() -> None:
    """T26: one refused element is enough, since nothing can be taken out."""
    through = Through().session()
    through.read(robot("ok1"), robot("Secret"))
    assert through.reached == []
    assert through.ended_with() == [status.BAD_USER_ACCESS_DENIED]
    assert "Secret" in str(through.events[0])


def test_a_value_outside_its_window_ends_it() -> None:
    through = Through().session()
    through.write(11)
    assert through.reached == []
    assert through.ended_with()


def test_what_cannot_be_read_is_not_forwarded() -> None:
    """T51: SignAndEncrypt has the same frames, and its content is not seen."""
    through = Through(mode=Mode.SIGN_AND_ENCRYPT)
    application = ApplicationDescription("urn:client", None, LocalizedText("en", "c"), 1, None, None, None)
    through.say(CreateSessionRequest(RequestHeader.make(), application, None, None, "s", bytes(32), b"c", 1.0, 0))
    assert through.reached == []
    assert through.ended_with() == [status.BAD_SECURITY_CHECKS_FAILED]


def test_policy_none_is_refused_here() -> None:
    """T51."""
    through = Through.__new__(Through)
    through.__init__()  # type: ignore[misc]
    pair = Pair(north_setting("None"), south_setting("None", Mode.NONE))
    through.inspector = SignedInspector(
        through.policy.decide, FakeSetting(options=OpcUaListener(mode="relay", signed=True)),
        Client(Names("hmi"), os.urandom, 0.0, wall=lambda: WALL),
    )  # fmt: skip
    pair.south.start(0.0, pair.up)
    out = Effects()
    through.inspector.from_client(taken(pair.up), 0.0, out)
    out.upstream.clear()
    pair.south.receive(b"ACKF\x1c\0\0\0" + b"\0\0\0\0\xff\xff\0\0\xff\xff\0\0" + bytes(8), 0.0, pair.up)
    through.inspector.from_client(taken(pair.up), 0.0, out)
    assert out.upstream == []
    assert out.closing
    assert out.why is Reason.CHANNEL_REFUSED


def test_aliases_would_hide_nodes() -> None:
    through = Through().session()
    through.say(RegisterNodesRequest(through.header(), (robot("ok1"),)))
    assert through.reached == []
    assert through.ended_with()


def test_before_the_namespaces_are_known_only_namespace_0_is() -> None:
    through = Through()
    application = ApplicationDescription("urn:client", None, LocalizedText("en", "c"), 1, None, None, None)
    through.say(CreateSessionRequest(RequestHeader.make(), application, None, None, "s", bytes(32), b"c", 1.0, 0))
    user = make_extension(AnonymousIdentityToken("anonymous"))
    through.say(ActivateSessionRequest(through.header(), UNSIGNED, None, None, user, UNSIGNED))
    through.read(robot("ok1"))
    assert through.ended_with() == [status.BAD_USER_ACCESS_DENIED]


def test_a_session_of_somewhere_else_ends_it() -> None:
    """T11."""
    through = Through()
    through.read(ARRAY)
    assert through.ended_with() == [status.BAD_SESSION_ID_INVALID]


def test_an_act_waits_for_its_record() -> None:
    through = Through(held="write").session()
    through.write(5)
    ((token, event),) = through.out.held
    assert "Override" in event.action
    assert through.reached == []
    through.out.held.clear()
    through.inspector.resume(token, True, 0.0, through.out)
    through.pump()
    assert [type(request) for request in through.reached] == [WriteRequest]


def test_a_notification_that_may_not_be_told_ends_it() -> None:
    """T21: it cannot be told less."""
    through = Through().session()
    through.say(s.CreateSubscriptionRequest(through.header(), 1.0, 1, 1, 0, True, 0))
    item = mon.MonitoredItemCreateRequest(
        ReadValueId(robot("ok1"), 13, None, QualifiedName.NULL),
        2,
        mon.MonitoringParameters(1, 1.0, ExtensionObject.NULL, 1, True),
    )
    through.say(mon.CreateMonitoredItemsRequest(through.header(), 9, 2, (item,)))
    through.say(s.PublishRequest(through.header(), None))
    tell(through)
    assert isinstance(through.heard[-1], s.PublishResponse)
    through.say(s.PublishRequest(through.header(), None))
    from proxy.protocols.opcua.rules import parse_rule

    through.policy.targets = tuple(parse_rule({"read": ["i=1"]}, complain))
    through.inspector.decide_again(0.0, through.out)
    told = len(through.heard)
    tell(through)
    assert len(through.heard) == told
    assert through.ended_with() == [status.BAD_USER_ACCESS_DENIED]


def tell(through: Through) -> None:
    """The server answers the last Publish."""
    data = make_extension(
        s.DataChangeNotification((s.MonitoredItemNotification(1, DataValue(Variant.of_int32(1))),), None)
    )
    message = s.NotificationMessage(1, 1, (data,))
    answer = s.PublishResponse(ResponseHeader.make(77), 9, None, False, message, None, None)
    through.pair.north.send(through._requests, encode(answer), through.pair.down)
    through.pump()
