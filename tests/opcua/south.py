"""`OpcUaDevice` with a scripted server behind it, and the requests that an inspector would hand it."""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING, Any

from proxy.core.process import Point
from proxy.protocols.base import Far, UpstreamEffects, UpstreamState, Watched
from proxy.protocols.opcua.decode import decode, encode, make_extension
from proxy.protocols.opcua.device import OpcUaDevice
from proxy.protocols.opcua.memory import Memory, Session
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.service import OpcUaService
from proxy.protocols.opcua.services.attribute import ReadRequest, ReadValueId
from proxy.protocols.opcua.services.discovery import ApplicationDescription
from proxy.protocols.opcua.services.messages import RequestHeader
from proxy.protocols.opcua.services.session import (
    ActivateSessionRequest,
    ActivateSessionResponse,
    AnonymousIdentityToken,
    CloseSessionRequest,
    CreateSessionRequest,
    CreateSessionResponse,
    SignatureData,
    UserNameIdentityToken,
)
from proxy.protocols.opcua.values import ExtensionObject, LocalizedText, QualifiedName
from tests.support.setting import FakeSetting

if TYPE_CHECKING:
    from tests.opcua.south_server import Server

CLIENT = 5
ADDRESS = "10.3.0.7:4840"
URL = f"opc.tcp://{ADDRESS}"


class South:
    """One link. Time stands still unless `wait` moves it; ``cut``: bytes the server's answers come in at once."""

    def __init__(
        self,
        server: Server,
        service: OpcUaService | None = None,
        memory: Memory | None = None,
        secrets: dict[str, bytes] | None = None,
        under: tuple[str, ...] = (),
        cut: int = 1 << 20,
    ) -> None:
        self.server = server
        self.memory = Memory() if memory is None else memory
        points = frozenset(Point("opcua", f"under {node}") for node in under)
        self.watched = Watched(points)
        entropy = random.Random(1).randbytes
        setting = FakeSetting(secrets=secrets or {})
        self.far = Far(setting, entropy, self.memory, lambda: 1.8e9, self.watched, ADDRESS)
        self.device = OpcUaDevice(service or OpcUaService(), self.far)
        self.now = 100.0
        self.cut = cut
        self.up = False
        self.dials = True
        self.dropped = False
        self.out = UpstreamEffects()
        self.answers: dict[int, Any] = {}
        self.states: list[UpstreamState] = []
        self.events: list[str] = []
        self.alarm: float | None = None
        self._number = 0

    def submit(self, request: Any) -> int:
        """The id of the message."""
        self._number += 1
        body = request if isinstance(request, bytes) else encode(request)
        self.device.submit(CLIENT, struct.pack("<I", self._number) + body, self.now, self.out)
        self.pump()
        return self._number

    def ask(self, request: Any) -> Any:
        """What is answered at once."""
        number = self.submit(request)
        assert number in self.answers, f"no answer to {type(request).__name__}; events {self.events}"
        return self.answers[number]

    def read_again(self) -> None:
        """The message for the upstream itself."""
        self.device.submit(CLIENT, bytes(4), self.now, self.out)
        self.pump()

    def pump(self) -> None:
        """Carries out what the device wants, as the driver does, until it wants no more."""
        out = self.out
        while out.dial or out.device or out.hang_up or out.clients or out.states or out.events or out.wake is not None:
            sent = b"".join(out.device.pop(0, []))
            self._collect()
            hung, out.hang_up = out.hang_up, []
            dials, out.dial = out.dial, []
            if dials and self.dials:
                self.server.connect(self.now)
                self.up = True
                self.device.opened(0, self.now, out)
            if sent and self.up:
                self._feed(self.server.receive(sent, self.now))
            if hung:
                self.up, self.dropped = False, True

    def wait(self, seconds: float) -> None:
        """Lets time pass as the driver does: it wakes the device when that said so, and only then."""
        until = self.now + seconds
        while self.alarm is not None and self.alarm <= until:
            self.now = max(self.now, self.alarm)
            self.alarm = None
            wanted = self.device.deadline()
            if wanted is not None and self.now >= wanted:
                self.device.tick(self.now, self.out)
                wanted = self.device.deadline()
                assert wanted is None or wanted > self.now, "time stands still"
            if wanted is not None:
                self._wake(wanted)
            self.pump()
        wanted = self.device.deadline()
        assert wanted is None or wanted > until, "the device did not say that it wants to be woken"
        self.now = until

    def lose(self) -> None:
        self.up = False
        self.device.lost(0, self.now, self.out)
        self.pump()

    def leave(self) -> None:
        self.device.leave(CLIENT, self.now, self.out)
        self.pump()

    def session(self, user: str | None = None, password: bytes = b"") -> Session:
        """Created and activated."""
        token = self.create().authentication_token
        answer = self.ask(activate(token, user, password))
        assert isinstance(answer, ActivateSessionResponse), f"{answer}; events {self.events}"
        session = self.memory.find(token)
        assert session is not None
        return session

    def create(self) -> CreateSessionResponse:
        answer = self.ask(create())
        assert isinstance(answer, CreateSessionResponse), f"{answer}; events {self.events}"
        return answer

    def _feed(self, data: bytes) -> None:
        for at in range(0, len(data), self.cut):
            self.device.from_device(0, data[at : at + self.cut], self.now, self.out)

    def _collect(self) -> None:
        out = self.out
        for client, message in out.clients:
            assert client == CLIENT
            number = struct.unpack_from("<I", message)[0]
            assert number not in self.answers, "answered twice"
            self.answers[number] = decode(message[4:])
        self.states += [state for _, state in out.states]
        self.events += [f"{event.reason.name if event.reason else ''}: {event.detail}" for _, event in out.events]
        out.clients, out.states, out.events = [], [], []
        if out.wake is not None:
            self._wake(out.wake)
            out.wake = None

    def _wake(self, at: float) -> None:
        self.alarm = at if self.alarm is None else min(self.alarm, at)


def header(token: NodeId = NodeId.NULL, handle: int = 77, hint: int = 0) -> RequestHeader:
    return RequestHeader.make(token=token, handle=handle, timeout_hint=hint)


def create(handle: int = 11) -> CreateSessionRequest:
    """As the inspector hands it on: security None, no certificate, no nonce."""
    who = ApplicationDescription("urn:client", "urn:product", LocalizedText(None, "a client"), 1, None, None, None)
    return CreateSessionRequest(header(handle=handle), who, None, "opc.tcp://front", "s", None, None, 60_000.0, 0)


def activate(
    token: NodeId, user: str | None = None, password: bytes = b"", inner: Any = None, handle: int = 12
) -> ActivateSessionRequest:
    said = AnonymousIdentityToken("") if user is None else UserNameIdentityToken("", user, password, None)
    nothing = SignatureData(None, None)
    told = inner if isinstance(inner, ExtensionObject) else make_extension(inner or said)
    return ActivateSessionRequest(header(token, handle), nothing, None, None, told, nothing)


def close(token: NodeId) -> CloseSessionRequest:
    return CloseSessionRequest(header(token), True)


def read(token: NodeId, name: str = "Speed", handle: int = 77, hint: int = 0) -> ReadRequest:
    wanted = ReadValueId(NodeId.string(2, name), 13, None, QualifiedName(0, None))
    return ReadRequest(header(token, handle, hint), 0.0, 3, (wanted,))
