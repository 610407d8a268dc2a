"""An inspector between a client and a server that are both of paper: no sockets, no clock, no gateway.

The client is our own channel with policy None; the server keeps what reached it and answers each item with where it
stood in what it was asked, so that a merge that puts an answer in the wrong place shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from proxy.core.names import Names
from proxy.core.origin import Origin, RuleRef
from proxy.core.reason import Reason
from proxy.core.verdict import Verdict
from proxy.protocols.base import Client, Effects
from proxy.protocols.opcua.channel import Said
from proxy.protocols.opcua.conversation import NUMBER
from proxy.protocols.opcua.decode import decode, encode, make_extension
from proxy.protocols.opcua.inspector import OpcUaInspector
from proxy.protocols.opcua.listener import OpcUaListener
from proxy.protocols.opcua.memory import Memory, Session
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.rules import parse_never, parse_rule
from proxy.protocols.opcua.security.policies import NONE, Mode
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
from proxy.protocols.opcua.south_channel import SouthChannel, SouthSetting
from proxy.protocols.opcua.values import ExtensionObject, LocalizedText

if TYPE_CHECKING:
    from proxy.core.action import Action, Target
    from proxy.protocols.opcua.structures import Struct

ROBOT = "urn:robot:7"
UA = "http://opcfoundation.org/UA/"
NAMESPACES = (UA, "urn:server", ROBOT)
RULE = RuleRef("cell", "rule", Origin("policies/surfaces/cell.yaml", 3))
UNSIGNED = SignatureData(None, None)
R = TypeVar("R", bound="Struct")
Server = Callable[["World", Request], "Struct | None"]


def robot(name: str) -> NodeId:
    return NodeId.string(2, name)


def complain(path: tuple[str | int, ...], wrong: str, mend: str = "") -> None:
    raise ValueError(f"{path}: {wrong}; {mend}")


@dataclass
class Policy:
    """The plainest judge: some target admits, and none forbids. ``held``: verbs whose record comes first."""

    targets: tuple[Target, ...]
    nevers: tuple[Target, ...] = ()
    held: frozenset[str] = frozenset()
    asked: list[Action] = field(default_factory=list)

    @classmethod
    def of(cls, rule: Mapping[str, object], never: Mapping[str, object] | None = None, *, held: str = "") -> Policy:
        nevers = parse_never(never, complain) if never else ()
        return cls(tuple(parse_rule(rule, complain)), tuple(nevers), frozenset(held.split()))

    def decide(self, actions: tuple[Action, ...], now: float, recorded: bool = False) -> Verdict:
        self.asked += actions
        for action in actions:
            if any(one.covers(action) for one in self.nevers):
                return Verdict(RULE, Reason.NEVER_RULE, reusable=True)
            admitting = [one for one in self.targets if one.admits(action)]
            if not admitting:
                return Verdict(RULE, Reason.DEFAULT_DENY, reusable=True)
        reusable = not any(one.values_matter for one in self.targets)
        first = any(action.verb in self.held for action in actions)
        return Verdict(RULE, reusable=reusable, record_first=first and not recorded)


class World:
    """``server`` answers what is not about sessions; None: it says nothing."""

    def __init__(
        self, policy: Policy, server: Server, *, memory: Memory | None = None, names: Names | None = None
    ) -> None:
        self.policy = policy
        self.server = server
        self.memory = Memory() if memory is None else memory
        self.reached: list[Request] = []
        self.now = 0.0
        self.wall = 1_700_000_000.0
        self.out = Effects()
        self.events: list[Any] = []
        self.heard: list[tuple[int, Struct]] = []
        self.broke: list[object] = []
        self._tokens = 100
        listener = OpcUaListener(mode="relay", unsafe_none=True)
        client = Client(names or Names("hmi"), bytes, 0.0, memory=self.memory, wall=lambda: self.wall)
        setting = _Setting(listener)
        self.inspector = OpcUaInspector(policy.decide, setting, client)
        self.channel = SouthChannel(SouthSetting(NONE, Mode.NONE, None, None, "opc.tcp://front:4840", 3_600_000), bytes)
        self._requests = 0
        data = bytearray()
        self.channel.start(self.now, data)
        self.feed(bytes(data))

    # The wire.

    def feed(self, data: bytes) -> None:
        """Bytes to the inspector, and back and forth until nobody has anything to say."""
        self.inspector.from_client(data, self.now, self.out)
        self.settle()

    def settle(self) -> None:
        while self.out.upstream or self.out.client:
            upstream, self.out.upstream = self.out.upstream, []
            client, self.out.client = self.out.client, []
            reply = bytearray()
            for data in client:
                for event in self.channel.receive(data, self.now, reply):
                    self._heard(event)
            for message in upstream:
                self._serve(message)
            if reply:
                self.inspector.from_client(bytes(reply), self.now, self.out)
        self.events += self.out.events
        self.out.events.clear()

    def _heard(self, event: object) -> None:
        if isinstance(event, Said):
            found = decode(event.body)
            assert hasattr(found, "header"), found
            self.heard.append((event.request_id, found))  # type: ignore[arg-type]
        else:
            self.broke.append(event)

    def _serve(self, message: bytes) -> None:
        (number,) = NUMBER.unpack_from(message)
        if not number:
            return
        request = decode(message[NUMBER.size :])
        assert isinstance(request, Request), request
        self.reached.append(request)
        answer = self._session_service(request) or self.server(self, request)
        if answer is not None:
            self.inspector.from_upstream(NUMBER.pack(number) + encode(answer), self.now, self.out)

    def _session_service(self, request: Request) -> Struct | None:
        """As the upstream would: sessions go to memory, the namespaces are known once one is active."""
        header = ResponseHeader.make(request.header.request_handle)
        if isinstance(request, CreateSessionRequest):
            self._tokens += 1
            token = NodeId.numeric(1, self._tokens)
            self.memory.add(Session(token, NodeId.numeric(1, 7), 60.0, holder=self), self.now)
            return CreateSessionResponse(
                header, NodeId.numeric(1, 7), token, 60_000.0, None, None, None, None, UNSIGNED, 0
            )
        if isinstance(request, ActivateSessionRequest):
            session = self.memory.find(request.header.authentication_token)
            assert session is not None
            session.namespaces = NAMESPACES
            return ActivateSessionResponse(header, None, None, None)
        return None

    # The client.

    def say(self, request: Request) -> int:
        """Sends; the answer is in `heard` when there is one. Gives the request's id."""
        self._requests += 1
        data = bytearray()
        assert self.channel.send(self._requests, encode(request), data)
        self.feed(bytes(data))
        return self._requests

    def ask(self, request: Request, answer: type[R]) -> R:
        """Sends, and gives the one answer to it."""
        id = self.say(request)
        found = [one for number, one in self.heard if number == id]
        assert len(found) == 1, (request, found, self.broke, self.events)
        assert isinstance(found[0], answer), found[0]
        return found[0]

    def header(self, token: NodeId = NodeId.NULL, handle: int = 77) -> RequestHeader:
        return RequestHeader.make(token, handle)

    def session(self, user: ExtensionObject | None = None) -> NodeId:
        """A session that is active; its token."""
        token = self.created().authentication_token
        self.ask(self.activation(token, user), ActivateSessionResponse)
        return token

    def created(self) -> CreateSessionResponse:
        application = ApplicationDescription("urn:client", None, LocalizedText("en", "c"), 1, None, None, None)
        request = CreateSessionRequest(
            self.header(), application, None, "opc.tcp://front:4840", "s", bytes(32), None, 60_000.0, 0
        )
        return self.ask(request, CreateSessionResponse)

    def activation(self, token: NodeId, user: ExtensionObject | None = None) -> ActivateSessionRequest:
        told = user or make_extension(AnonymousIdentityToken("anonymous"))
        return ActivateSessionRequest(self.header(token), UNSIGNED, None, None, told, UNSIGNED)


@dataclass(frozen=True)
class _Setting:
    options: OpcUaListener
    name: str = "front"
    secured: bool = False
    deny_style: str = "refuse"

    def secret(self, name: str) -> bytes:
        raise KeyError(name)
