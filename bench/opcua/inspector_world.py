"""A client and a server of paper on both sides of one relaying inspector: no sockets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.generator import WrongAnswers
from bench.opcua import names
from proxy.core.evidence import Evidence, Outcome, Strength
from proxy.core.inventory import Device
from proxy.core.origin import Origin, RuleRef
from proxy.core.principal import Principal
from proxy.core.surface import Rule, Surface
from proxy.policy.compile import compile_policy
from proxy.protocols.base import Client, Effects, Path
from proxy.protocols.opcua.channel import Said
from proxy.protocols.opcua.conversation import NUMBER
from proxy.protocols.opcua.decode import decode, encode, make_extension
from proxy.protocols.opcua.listener import OpcUaListener
from proxy.protocols.opcua.memory import Memory, Session
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.security.policies import NONE, Mode
from proxy.protocols.opcua.services.discovery import ApplicationDescription
from proxy.protocols.opcua.services.messages import Request, RequestHeader, Response, ResponseHeader
from proxy.protocols.opcua.services.session import (
    ActivateSessionRequest,
    ActivateSessionResponse,
    AnonymousIdentityToken,
    CreateSessionRequest,
    CreateSessionResponse,
    SignatureData,
)
from proxy.protocols.opcua.south_channel import SouthChannel, SouthSetting
from proxy.protocols.opcua.spec import PROTOCOL
from proxy.protocols.opcua.values import LocalizedText

if TYPE_CHECKING:
    from proxy.protocols.base import Decide, Inspector

ROBOT, HMI = "robot-1", "hmi"
KNOWN = 1_000
"""Nodes that may be read. A Read of other ten is another question."""
UNSIGNED = SignatureData(None, None)
RULE = {
    "read": [f"nsu={names.URI};s=Read.*"],
    "write": [f"nsu={names.URI};s=Write.*"],
    "subscribe": [f"nsu={names.URI};s=Watch.*"],
}


@dataclass(frozen=True, slots=True)
class Entrance:
    """What a relaying listener tells its inspectors."""

    name: str = "front"
    options: object = OpcUaListener(mode="relay", unsafe_none=True)
    secured: bool = False
    deny_style: str = PROTOCOL.deny_styles(secured=False)[0]

    def secret(self, name: str) -> bytes:
        raise KeyError(name)


def complain(path: Path, wrong: str, mend: str = "") -> None:
    raise ValueError(f"{path}: {wrong} {mend}")


def decide() -> Decide:
    """The authority of one HMI at the robot, compiled by the policy from a surface with the one rule."""
    origin = Origin("policies/surfaces/hall-1.yaml", 1)
    targets = tuple(PROTOCOL.parse_rule(RULE, complain))
    rule = Rule(RuleRef("hall-1", "operation", origin), (HMI,), (ROBOT,), targets)
    surface, robot = Surface("hall-1", origin, (ROBOT,), (rule,)), Device(ROBOT, "robot", None, None, origin)
    policy = compile_policy([surface], (), {ROBOT: robot})
    proof = Evidence("x509", Outcome.MATCH, Strength.PROOF)
    return policy.open(Principal(HMI, evidence=(proof,), place="bench/hall-1"), ROBOT, "opcua").decide_all


class World:
    """A client whose session is active. What the inspector makes is in ``out`` until `taken`."""

    def __init__(self) -> None:
        self.memory = Memory()
        principal = Principal(HMI, place="bench/hall-1")
        client = Client(principal.names, bytes, 0.0, memory=self.memory, wall=lambda: 1_700_000_000.0)
        options = PROTOCOL.parse_service({}, complain)
        self.inspector: Inspector = PROTOCOL.inspector(decide(), Entrance(), options, client)
        self.channel = SouthChannel(SouthSetting(NONE, Mode.NONE, None, None, "opc.tcp://front", 3_600_000), bytes)
        self.out = Effects()
        self.token = NodeId.NULL
        self.requests = 0
        self.messages = 0
        hello = bytearray()
        self.channel.start(0.0, hello)
        self._feed(bytes(hello))
        self._session()

    def _session(self) -> None:
        text = LocalizedText(None, "bench")
        application = ApplicationDescription("urn:bench", None, text, 1, None, None, None)
        header = self.header()
        self.ask(
            CreateSessionRequest(header, application, None, "opc.tcp://front", "s", bytes(32), None, 6e4, 0),
            self._created(header),
        )
        token = make_extension(AnonymousIdentityToken("anonymous"))
        header = self.header()
        self.ask(
            ActivateSessionRequest(header, UNSIGNED, None, None, token, UNSIGNED),
            ActivateSessionResponse(ResponseHeader.make(header.request_handle), None, None, None),
        )

    def _created(self, header: RequestHeader) -> CreateSessionResponse:
        """The upstream puts sessions into memory; here it knows the namespaces at once."""
        self.token = NodeId.numeric(1, 101)
        session = Session(self.token, NodeId.numeric(1, 7), 60.0, holder=self, namespaces=names.NAMESPACES)
        self.memory.add(session, 0.0)
        made = ResponseHeader.make(header.request_handle)
        return CreateSessionResponse(made, session.id, self.token, 6e4, None, None, None, None, UNSIGNED, 0)

    def _feed(self, data: bytes) -> None:
        """Until neither side of the channel has anything to say."""
        while data:
            self.inspector.from_client(data, 0.0, self.out)
            reply = bytearray()
            for part in self.out.client:
                self.channel.receive(part, 0.0, reply)
            self.out.client.clear()
            data = bytes(reply)

    def header(self) -> RequestHeader:
        return RequestHeader.make(self.token, self.requests + 1)

    # What is timed goes in as bytes.

    def frame(self, request: Request) -> bytes:
        """The next one of the client. Its request id is its handle, if `header` was called just before."""
        self.requests += 1
        data = bytearray()
        self.channel.send(self.requests, encode(request), data)
        return bytes(data)

    def answered(self, body: bytes) -> bytes:
        """The server's, to the next message that the inspector hands on."""
        self.messages += 1
        return NUMBER.pack(self.messages) + body

    def send(self, data: bytes) -> None:
        self.inspector.from_client(data, 0.0, self.out)

    def answer(self, message: bytes) -> None:
        self.inspector.from_upstream(message, 0.0, self.out)

    def taken(self) -> tuple[list[bytes], list[bytes]]:
        """Bodies for the server and for the client. WrongAnswers when something was refused or the link ends."""
        out = self.out
        if out.closing or out.held:
            raise WrongAnswers(f"inspector: held or ended: {out.why} {out.events}")
        upstream = [message[NUMBER.size :] for message in out.upstream]
        client: list[bytes] = []
        for data in out.client:
            client += [event.body for event in self.channel.receive(data, 0.0, bytearray()) if isinstance(event, Said)]
        self.clear()
        return upstream, client

    def clear(self) -> None:
        out = self.out
        out.client.clear()
        out.upstream.clear()
        out.events.clear()
        out.wake = None

    def ask(self, request: Request, response: Response) -> Response:
        """Through and back; the client's answer."""
        self.send(self.frame(request))
        upstream, _ = self.taken()
        self.answer(self.answered(encode(response)))
        _, client = self.taken()
        found = decode(client[0]) if len(upstream) == 1 and len(client) == 1 else None
        if not isinstance(found, type(response)):
            raise WrongAnswers(f"inspector: {type(request).__name__} was answered {found or client}")
        return found
