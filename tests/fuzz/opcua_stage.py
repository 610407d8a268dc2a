"""An inspector whose server forgets nothing and sometimes lies, and whose every message is looked at.

`tests.opcua.inspector_world` with an oracle on both sides: what reaches the server must be admitted by the policy of
that moment, element by element; what the client is told must be too, as long as the server did not lie.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from proxy.core.reason import Reason
from proxy.protocols.opcua.channel import Broke, Said
from proxy.protocols.opcua.conversation import NUMBER
from proxy.protocols.opcua.decode import decode, decode_inner, encode
from proxy.protocols.opcua.node import Node
from proxy.protocols.opcua.services import monitor as mon
from proxy.protocols.opcua.services import session as ses
from proxy.protocols.opcua.services import subscription as s
from proxy.protocols.opcua.services import view as v
from proxy.protocols.opcua.services.attribute import ReadValueId
from proxy.protocols.opcua.services.messages import Request, Response, ResponseHeader
from proxy.protocols.opcua.status import BAD_USER_ACCESS_DENIED
from proxy.protocols.opcua.values import ExtensionObject, QualifiedName
from tests.fuzz.opcua_mutate import mutated, pieces
from tests.fuzz.opcua_oracle import Asked, allowed, user_of
from tests.fuzz.opcua_server import Key, Paper
from tests.opcua.inspector_world import ROBOT, Policy, World, robot

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from proxy.core.action import Action
    from proxy.core.verdict import Verdict
    from proxy.protocols.opcua.node_id import NodeId
    from proxy.protocols.opcua.structures import Struct

CELL = Node(ROBOT, "s", "Cell")
ABOVE = {Node(ROBOT, "s", name): frozenset({CELL}) for name in ("ok.a", "no.b", "Cell")}
REFUSED = {"refuse", "malformed", "device", "act"}
CLOSES = {
    Reason.MALFORMED, Reason.OVERLOAD, Reason.TOO_SLOW, Reason.IDLE, Reason.CHANNEL_REFUSED,
    Reason.UPSTREAM_UNREACHABLE, Reason.POLICY_CHANGED, Reason.DRAINING,
}  # fmt: skip


@dataclass
class Judge(Policy):
    """A policy that is exchanged in place; what was asked is not kept."""

    def decide(self, actions: tuple[Action, ...], now: float, recorded: bool = False) -> Verdict:
        try:
            return super().decide(actions, now, recorded)
        finally:
            self.asked.clear()

    def becomes(self, other: Policy) -> None:
        self.targets, self.nevers, self.held = other.targets, other.nevers, other.held


class Stage(World):
    """``random`` decides what the server does; ``pool``: bodies that it takes pieces of when it lies."""

    def __init__(self, policies: Sequence[Policy], random: Random, pool: Sequence[bytes]) -> None:
        self.policies = policies
        policy = random.choice(policies)
        self.paper = Paper()
        self.users: dict[Key, str | None] = {}
        self.owed: list[bytes] = []
        self.lied = False
        self.honest = True
        self.answers = 0
        self.said = 0
        self.last = b""
        self._random = random
        self._pool = pool
        judge = Judge(policy.targets, policy.nevers, policy.held)
        super().__init__(judge, lambda world, request: None)
        self.tokens = (self.session(), self.session()) if random.random() < 0.3 else (self.session(),)
        self.prepare(self.tokens[0])
        self.honest = False

    def prepare(self, token: NodeId) -> None:
        """A subscription with some items, if policy lets them be."""
        self.ask(s.CreateSubscriptionRequest(self.header(token), 1.0, 1, 1, 0, True, 0), s.CreateSubscriptionResponse)
        some = [mon.MonitoringParameters(at, 1.0, ExtensionObject.NULL, 1, True) for at in range(3)]
        items = [
            mon.MonitoredItemCreateRequest(ReadValueId(robot(name), 13, None, QualifiedName.NULL), 2, one)
            for name, one in zip(("ok.a", "ok.b", "ok.w"), some, strict=True)
        ]
        (number,) = self.paper.subscriptions
        request = mon.CreateMonitoredItemsRequest(self.header(token), number, 2, tuple(items))
        self.ask(request, mon.CreateMonitoredItemsResponse)

    @property
    def over(self) -> bool:
        return self.out.closing

    def shown(self) -> str:
        return self.last.hex()

    # The server's side.

    def _serve(self, message: bytes) -> None:
        (number,) = NUMBER.unpack_from(message)
        if not number:
            return
        request = decode(message[NUMBER.size :])
        assert isinstance(request, Request), request
        assert encode(request) == message[NUMBER.size :]
        self.check(request)
        answer = self._session_service(request) or self.paper.answer(request)
        if isinstance(answer, ses.ActivateSessionResponse):
            self.users[request.header.authentication_token.key] = user_of(request)  # type: ignore[arg-type]
        if answer is not None:
            self._give(number, answer)

    def _give(self, number: int, answer: Struct) -> None:
        """At once mostly; or later, in another order; or something else instead."""
        body, random = encode(answer), self._random
        chance = 1.0 if self.honest or isinstance(answer, ses.ActivateSessionResponse) else random.random()
        if chance < 0.04:
            body = mutated(body, self._pool, random)
            self.lied = True
        elif chance < 0.06:
            assert isinstance(answer, Response)
            body = body[:4] + encode_header(answer, random.choice((0x80010000, 0x801F0000, 0x40000000))) + body[28:]
            self.lied = True
        message = NUMBER.pack(number) + body
        if 0.06 <= chance < 0.12 and not isinstance(answer, _CHANGES):
            self.owed.append(message)
        else:
            self.inspector.from_upstream(message, self.now, self.out)

    def late(self) -> None:
        """One answer that was owed."""
        if self.owed:
            self.inspector.from_upstream(self.owed.pop(self._random.randrange(len(self.owed))), self.now, self.out)
            self.settle()

    def check(self, request: Request) -> None:
        """Everything that reaches the server is admitted by the policy of this moment."""
        key = request.header.authentication_token.key
        if isinstance(request, ses.CreateSessionRequest | ses.ActivateSessionRequest | ses.CloseSessionRequest):
            asked = Asked(self.paper, None, ABOVE)
        else:
            assert key in self.users, "not a session"
            asked = Asked(self.paper, self.users[key], ABOVE)
        asked.numbers = not self.lied
        if self.lied and isinstance(request, _BY_NUMBER):
            return  # the server does not know itself what its numbers mean
        for action in asked.of(request):
            assert allowed(self.policy, action), action.describe()

    def _session_service(self, request: Request) -> Struct | None:
        answer = super()._session_service(request)
        if isinstance(request, ses.ActivateSessionRequest):
            session = self.memory.find(request.header.authentication_token)
            assert session is not None
            session.above = ABOVE
        return answer

    # The client's side.

    def _heard(self, event: object) -> None:
        if isinstance(event, Said):
            self.answers += 1
            found = decode(event.body)
            if not self.lied:
                assert isinstance(found, Response), found
                self.look(found)
            if self.honest and isinstance(found, Response):
                self.heard.append((event.request_id, found))
        elif isinstance(event, Broke):
            assert self.out.closing
            self.broke.append(event)

    def look(self, told: Response) -> None:
        """What an honest server's answer may still say."""
        if isinstance(told, s.PublishResponse):
            self._notified(told.subscription_id, told.notification_message)
        elif isinstance(told, v.BrowseResponse | v.BrowseNextResponse):
            for result in told.results or ():
                for one in result.references or ():
                    self._seen(one.node_id.node)
        elif isinstance(told, v.TranslateBrowsePathsToNodeIdsResponse):
            for path in told.results or ():
                for target in path.targets or ():
                    self._seen(target.target_id.node)

    def _seen(self, node: Any) -> None:
        """By any of the users who are here: who asked is not told in an answer."""
        each = [Asked(self.paper, user, ABOVE).access("browse", node) for user in set(self.users.values())]
        assert any(allowed(self.policy, action) for action in each), f"{node} was seen"

    def _notified(self, id: int, message: s.NotificationMessage) -> None:
        asked = Asked(self.paper, self.users[self.paper.subscriptions[id]], ABOVE)
        fine: dict[int, bool] = {}
        for item in self.paper.of(id):
            action = asked.access("subscribe", item.node, item.attribute)
            fine[item.handle] = fine.get(item.handle, True) and allowed(self.policy, action)
        for part in message.notification_data or ():
            inner = decode_inner(part)
            if isinstance(inner, s.DataChangeNotification):
                for change in inner.monitored_items or ():
                    assert fine.get(change.client_handle) or change.value.status == BAD_USER_ACCESS_DENIED, "told"
            elif isinstance(inner, s.EventNotificationList):
                assert all(fine.get(event.client_handle) for event in inner.events or ()), "told"

    # What happens.

    def throw(self, body: bytes, request: int | None = None) -> None:
        """A message of any content, chunked and cut anyhow."""
        self._requests += 1
        self.said += 1
        data = bytearray()
        assert self.channel.send(request or self._requests, body, data)
        for piece in pieces(bytes(data), self._random):
            self.inspector.from_client(piece, self.now, self.out)
        self.settle()
        self.resumed()

    def resumed(self) -> None:
        """Records are written, or not, and policy may change before they are."""
        while self.out.held:
            if self._random.random() < 0.2:
                self.exchange(self._random.choice(self.policies))
            token, _ = self.out.held.pop(0)
            self.inspector.resume(token, self._random.random() < 0.8, self.now, self.out)
            self.settle()

    def exchange(self, policy: Policy) -> None:
        assert isinstance(self.policy, Judge)
        self.policy.becomes(policy)
        self.inspector.decide_again(self.now, self.out)
        self.settle()

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        due = self.inspector.deadline()
        if due is not None and due <= self.now:
            self.inspector.tick(self.now, self.out)
            self.settle()

    def finish(self) -> None:
        """Nothing undocumented was said on the way."""
        assert self.answers <= self.said + 8, "answers that nobody asked for"
        assert not self.over or self.out.why is None or self.out.why in CLOSES, self.out.why
        assert not self.over or self.inspector.deadline() is None
        for event in self.events:
            assert event.what in REFUSED, event.what
            assert len(event.action) < 300
            assert len(event.detail) <= 160
            assert (event.action + event.detail).isprintable()
        self.events.clear()
        assert all(count > 0 for count in self.inspector.tally().values())


_BY_NUMBER = (
    s.ModifySubscriptionRequest, s.SetPublishingModeRequest, s.DeleteSubscriptionsRequest,
    s.TransferSubscriptionsRequest, s.RepublishRequest, v.BrowseNextRequest, mon.ModifyMonitoredItemsRequest,
    mon.SetMonitoringModeRequest, mon.SetTriggeringRequest, mon.DeleteMonitoredItemsRequest,
)  # fmt: skip


_CHANGES = (
    s.DeleteSubscriptionsResponse, s.TransferSubscriptionsResponse, mon.DeleteMonitoredItemsResponse,
    mon.ModifyMonitoredItemsResponse, ses.CloseSessionResponse,
)  # fmt: skip
"""Told at once: until they are, server and inspector do not mean the same by a number."""


def encode_header(answer: Response, code: int) -> bytes:
    """Of the same response, with another result."""
    header = ResponseHeader.make(answer.header.request_handle, code)
    return encode(ses.CloseSessionResponse(header))[4:]
