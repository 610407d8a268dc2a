"""`OpcUaDevice` against a real server through real sockets: asyncua, in a process of its own."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from proxy.protocols.base import UpstreamState
from proxy.protocols.opcua import status
from proxy.protocols.opcua.memory import Memory
from proxy.protocols.opcua.node import Node
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.service import OpcUaService
from proxy.protocols.opcua.services.attribute import ReadRequest, ReadResponse, ReadValueId
from proxy.protocols.opcua.services.fault import ServiceFault
from proxy.protocols.opcua.services.session import ActivateSessionResponse, CloseSessionResponse
from proxy.protocols.opcua.services.subscription import CreateSubscriptionRequest, CreateSubscriptionResponse
from proxy.protocols.opcua.values import QualifiedName
from tests.opcua.south import South, activate, close, create, header
from tests.support.opcua import names
from tests.support.opcua.applications import Applications
from tests.support.opcua.names import APPLICATION, STANDARD, URI
from tests.support.opcua.robot_process import Robot, Yard, open_yard, running_robot

BEFORE = ("urn:vendor:base",)
PASSWORD = names.USERS["operator"].encode()
CHANNELS = [
    (policy, mode)
    for policy in ("Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss")
    for mode in ("sign", "sign_and_encrypt")
]


class Wire:
    """What `South` takes for its server: a socket."""

    def __init__(self, robot: Robot) -> None:
        self._at = (robot.setting.host, robot.port)
        self._socket: socket.socket | None = None

    def connect(self, now: float) -> None:
        self._socket = socket.create_connection(self._at, timeout=10)

    def receive(self, data: bytes, now: float) -> bytes:
        assert self._socket is not None
        self._socket.sendall(data)
        return b""

    def take(self) -> bytes:
        assert self._socket is not None
        return self._socket.recv(65536)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()


class Link(South):
    """Waits for what the robot says. The clock is that of the machine, and ``ahead`` of it."""

    def __init__(self, robot: Robot, service: OpcUaService, **more: Any) -> None:
        self.wire = Wire(robot)
        self.ahead = 0.0
        super().__init__(self.wire, service, **more)  # type: ignore[arg-type]

    def ask(self, request: Any) -> Any:
        number = self.submit(request)
        while number not in self.answers:
            self.listen()
        return self.answers[number]

    def listen(self) -> None:
        data = self.wire.take()
        self.now = monotonic() + self.ahead
        if data:
            self._feed(data)
            self.pump()
        else:
            self.lose()

    def read(self, token: NodeId, identifier: str) -> Any:
        wanted = ReadValueId(NodeId.string(3, identifier), 13, None, QualifiedName(0, None))
        answer = self.ask(ReadRequest(header(token), 0.0, 3, (wanted,)))
        assert isinstance(answer, ReadResponse), f"{answer}; {self.events}"
        (result,) = answer.results or ()
        return None if result.value is None else result.value.numbers()


@pytest.fixture(scope="module")
def applications(tmp_path_factory: pytest.TempPathFactory) -> Applications:
    folder = tmp_path_factory.mktemp("applications")
    made = Applications(folder / "certs", folder / "peers")
    made.trust(made.self_signed("robot-7", APPLICATION))
    made.trust(made.self_signed("other"))
    return made


@pytest.fixture(scope="module")
def secrets(applications: Applications) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in applications.certs.iterdir()}


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with open_yard(tmp_path_factory.mktemp("yard")) as yard:
        yield yard


@pytest.fixture
def robot(yard: Yard, applications: Applications, tmp_path: Path) -> Iterator[Robot]:
    peers = applications.certs.parent / "peers"
    certificate, key = str(peers / "robot-7.der"), str(peers / "robot-7.pem")
    with running_robot(yard, tmp_path, certificate=certificate, key=key, before=BEFORE) as robot:
        yield robot


@pytest.fixture
def links(secrets: dict[str, bytes]) -> Iterator[Any]:
    made: list[Link] = []
    memory = Memory()

    def link(robot: Robot, policy: str = "None", mode: str = "sign_and_encrypt", **more: Any) -> Link:
        server = None if policy == "None" else more.pop("server", "robot-7.der")
        service = OpcUaService(security=policy, mode=mode, server=server)
        made.append(Link(robot, service, secrets=secrets, memory=memory, **more))
        return made[-1]

    yield link
    for one in made:
        one.wire.close()


def test_without_security(robot: Robot, links: Any) -> None:
    link = links(robot, under=(names.node_id("Cell"),))
    session = link.session()
    assert session.namespaces == (STANDARD, APPLICATION, *BEFORE, URI)
    assert link.read(session.token, "Line1.Speed") == (12.5,)
    cell = Node(URI, "s", "Cell")
    assert session.above[Node(URI, "s", "Line1.Speed")] == {cell} and not session.partial
    assert Node(URI, "s", "Ok.1") not in session.above
    assert isinstance(link.ask(close(session.token)), CloseSessionResponse)
    assert not link.events and link.states == [UpstreamState.OPEN]


@pytest.mark.parametrize(("policy", "mode"), CHANNELS)
def test_every_policy_with_a_user(robot: Robot, links: Any, policy: str, mode: str) -> None:
    link = links(robot, policy, mode)
    session = link.session("operator", PASSWORD)
    assert link.read(session.token, "Override") == (50.0,)
    assert session.namespaces[-1] == URI and not link.events


def test_a_password_on_a_channel_without_security(robot: Robot, links: Any) -> None:
    link = links(robot)
    assert link.read(link.session("operator", PASSWORD).token, "Line1.Count") == (7.0,)


@pytest.mark.parametrize("policy", ["None", "Basic256Sha256"])
def test_a_wrong_password(robot: Robot, links: Any, policy: str) -> None:
    link = links(robot, policy)
    answer = link.ask(activate(link.create().authentication_token, "operator", b"guess"))
    assert isinstance(answer, ServiceFault) and answer.header.service_result == status.BAD_USER_ACCESS_DENIED


def test_another_certificate_is_pinned(robot: Robot, links: Any) -> None:
    """The OPN is made for somebody else's key, so this server cannot read it; it says nothing, and time passes."""
    link = links(robot, "Basic256Sha256", server="other.der")
    link.submit(create())
    link.wire.take()  # ACK
    link.wait(11.0)
    assert link.states == [UpstreamState.REFUSED] and not robot.received("CreateSession")


@pytest.mark.parametrize(("policy", "mode"), [("None", "sign"), CHANNELS[0], CHANNELS[5]])
def test_renewal_in_the_middle_of_a_session(robot: Robot, links: Any, policy: str, mode: str) -> None:
    link = links(robot, policy, mode)
    session = link.session()
    token = link.device._channel._token.id
    link.ahead = link.device.deadline() - monotonic()
    link.now = monotonic() + link.ahead
    link.device.tick(link.now, link.out)
    link.pump()
    assert link.read(session.token, "Line1.Speed") == (12.5,)
    assert link.device._channel._token.id != token and link.states == [UpstreamState.OPEN]


@pytest.mark.parametrize(("policy", "mode"), [("None", "sign"), CHANNELS[1], CHANNELS[4]])
def test_activated_again_on_a_new_channel(robot: Robot, links: Any, policy: str, mode: str) -> None:
    first = links(robot, policy, mode)
    session = first.session("operator", PASSWORD)
    made = first.ask(CreateSubscriptionRequest(header(session.token), 100.0, 600, 200, 0, True, 0))
    assert isinstance(made, CreateSubscriptionResponse)  # without one asyncua drops a session with its connection
    first.wire.close()
    first.lose()
    second = links(robot, policy, mode)
    answer = second.ask(activate(session.token, "operator", PASSWORD))
    assert isinstance(answer, ActivateSessionResponse), second.events
    assert second.read(session.token, "Line1.Speed") == (12.5,)


def test_the_server_dies_and_comes_back(robot: Robot, links: Any) -> None:
    first = links(robot)
    token = first.session().token
    robot.restart()
    first.listen()
    assert first.states == [UpstreamState.OPEN, UpstreamState.LOST]
    second = links(robot)
    answer = second.ask(activate(token))
    assert isinstance(answer, ServiceFault) and answer.header.service_result == status.BAD_SESSION_ID_INVALID
    assert second.read(second.session().token, "Line1.Speed") == (12.5,)


def test_indexes_are_each_servers_own(robot: Robot, links: Any) -> None:
    first = links(robot).session()
    robot.restart(before=("urn:one", "urn:two", "urn:three"))
    second = links(robot).session()
    assert (first.namespaces.index(URI), second.namespaces.index(URI)) == (3, 5)
