"""Servers that lie or say nothing: the client gets one clear answer, and the next session is served."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from proxy.protocols.opcua import status, type_ids
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.services.attribute import ReadResponse, WriteResponse
from proxy.protocols.opcua.services.fault import ServiceFault
from proxy.protocols.opcua.values import DataValue
from tests.support.opcua import requests, site
from tests.support.opcua.quick_answers import ANSWERS, answered, read
from tests.support.opcua.quick_server import URI, Answer, QuickServer, serving, variable
from tests.support.opcua.raw_client import Ended, RawClient
from tests.support.process import GatewayProcess, running

if TYPE_CHECKING:
    from proxy.protocols.opcua.services.messages import Request, Response
    from tests.support.opcua.applications import Applications
    from tests.support.opcua.quick_connection import Connection
    from tests.support.plant import Plant

pytestmark = pytest.mark.system
STANDARD = "http://opcfoundation.org/UA/"
RULES = f"""\
  open:
    from: {site.DESK}
    to: {site.OLD}
    opcua: {{ browse: all, read: all, write: ["nsu={URI};s=*"] }}
"""


@dataclass(frozen=True)
class Where:
    """As much of a robot as the site's builder asks for."""

    host: str
    port: int

    @property
    def setting(self) -> Where:
        return self


@pytest.fixture(scope="module")
def server() -> Iterator[QuickServer]:
    with serving(QuickServer(nodes=1200)) as server:
        yield server


@pytest.fixture
def odd(server: QuickServer) -> Iterator[QuickServer]:
    """As it should be after the test."""
    yield server
    behave(server)


def behave(server: QuickServer) -> None:
    server.answers.update(ANSWERS)
    server.namespaces = (STANDARD, URI)
    server.kept.clear()


@pytest.fixture(scope="module")
def plant(server: QuickServer, applications: Applications, tmp_path_factory: pytest.TempPathFactory) -> Plant:
    listeners = {site.RELAY: site.LISTENERS[site.RELAY]}
    folder = site.twin_of(applications, tmp_path_factory)
    where = Where(server.host, server.port)
    built = site.OpcuaSite(folder, where, applications, listeners=listeners, rules=RULES, service="timeout: 1s")
    return built.build()


@pytest.fixture(scope="module")
def gateway(plant: Plant) -> Iterator[GatewayProcess]:
    with running(plant) as process:
        yield process


@pytest.fixture
def url(plant: Plant, gateway: GatewayProcess, odd: QuickServer) -> Iterator[str]:
    """Where it is dialled; it must serve when all is over."""
    yield site.url_of(plant, site.RELAY)
    behave(odd)
    with RawClient(site.url_of(plant, site.RELAY)) as client:
        assert numbers(client, 3) == [0.0, 1.0, 2.0]


def numbers(client: RawClient, count: int) -> list[float]:
    session = client.session()
    asked = requests.read(client.header(session.token), [variable(at) for at in range(count)])
    results = client.asked(asked, ReadResponse).results or ()
    return [one.value.numbers()[0] for one in results if one.value is not None]  # type: ignore[index]


def test_a_thousand_items_and_one_more(url: str) -> None:
    with RawClient(url) as client:
        assert numbers(client, 1000) == [float(at) for at in range(1000)]
        session = client.session()
        asked = requests.read(client.header(session.token), [variable(at) for at in range(1001)])
        assert client.refused(asked) == status.BAD_TOO_MANY_OPERATIONS


def test_sessions_of_one_channel_are_counted(url: str) -> None:
    with RawClient(url) as client:
        sessions = [client.session() for _ in range(4)]
        with pytest.raises(AssertionError, match="ServiceFault"):
            client.create()
        assert sessions


@pytest.mark.parametrize("namespaces", [(STANDARD, URI, URI), (STANDARD, URI, STANDARD), ("urn:evil", URI), ()])
def test_t42_a_namespace_array_that_cannot_be(url: str, odd: QuickServer, namespaces: tuple[str, ...]) -> None:
    """One URI twice, or index 0 that is not the standard's: nobody can say what an index means there."""
    odd.namespaces = namespaces
    odd.kept.clear()
    with RawClient(url) as client:
        session = client.create()
        assert client.refused(client.activation(session)) & status.BAD


def test_a_server_that_does_not_answer(url: str, odd: QuickServer) -> None:
    """One fault after the service's own time limit; a Write is not sent again."""

    def silent(connection: Connection, asked: Request) -> Response | None:
        return None

    with RawClient(url) as client:
        session = client.session()
        odd.answers[type_ids.WRITE_REQUEST] = silent
        before = odd.asked.get(type_ids.WRITE_REQUEST, 0)
        began = time.monotonic()
        asked = requests.write(replace(client.header(session.token), timeout_hint=0), [(variable(1), 1.0)])
        assert client.refused(asked) == status.BAD_TIMEOUT
        assert 0.5 < time.monotonic() - began < 3.0
        assert odd.asked[type_ids.WRITE_REQUEST] == before + 1


def _too_few(connection: Connection, asked: Request) -> Response | None:
    return WriteResponse(answered(asked), (0,), None)


def _too_many(connection: Connection, asked: Request) -> Response | None:
    return WriteResponse(answered(asked), (0,) * 9, None)


def _none(connection: Connection, asked: Request) -> Response | None:
    return WriteResponse(answered(asked), None, None)


def _another_kind(connection: Connection, asked: Request) -> Response | None:
    return ReadResponse(answered(asked), (DataValue(None, 0, None, None, None, None),) * 2, None)


@pytest.mark.parametrize("lie", [_too_few, _too_many, _none, _another_kind])
def test_t42_an_answer_to_another_question(url: str, odd: QuickServer, lie: Answer) -> None:
    """T42: results that are not one for each item cannot be put together with refusals, so none is told as if it
    were this item's."""
    with RawClient(url) as client:
        session = client.session()
        odd.answers[type_ids.WRITE_REQUEST] = lie
        mixed = [(variable(0), 1.0), (NodeId.numeric(0, 2255), 1.0), (variable(1), 1.0)]
        try:
            answer = client.ask(requests.write(client.header(session.token), mixed))
        except Ended:
            return
        assert isinstance(answer, ServiceFault) and answer.header.service_result & status.BAD, answer


def test_t42_an_answer_that_nobody_asked_for(url: str, odd: QuickServer) -> None:
    """T42: it is nobody's; the session goes on or ends, but no other request gets it."""

    def twice(connection: Connection, asked: Request) -> Response | None:
        answer = read(connection, asked)
        connection.say(4711, answer)
        return answer

    with RawClient(url) as client:
        session = client.session()
        odd.answers[type_ids.READ_REQUEST] = twice
        try:
            for at in range(3):
                asked = requests.read(client.header(session.token), [variable(at)])
                (value,) = client.asked(asked, ReadResponse).results or ()
                assert value.value is not None and value.value.numbers() == (float(at),)
        except Ended:
            pass
