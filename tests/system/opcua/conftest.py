"""Two robots, a site in front of them and its gateway, once for all files that change nothing of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from tests.support.opcua import site, tour
from tests.support.opcua.applications import ApplicationFiles, Applications
from tests.support.opcua.clients import Way, opened
from tests.support.opcua.names import APPLICATION
from tests.support.opcua.robot_process import Robot, Yard, open_yard, running_robot
from tests.support.process import GatewayProcess, running

if TYPE_CHECKING:
    from tests.support.plant import Plant

Folders = pytest.TempPathFactory


class Tours(Protocol):
    """What a tour gave, made over ``url`` in that way; ``server``: the certificate of whom the client expects;
    ``without``: a step that is left out."""

    def __call__(self, url: str, way: Way, server: bytes | None = None, without: str = "") -> tour.Result: ...


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test of a worker waits for the yard, two robots and the gateway: seconds of work, on a machine that
    other workers keep busy."""
    for item in items:
        if item.path.parent == Path(__file__).parent and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(60))


@pytest.fixture(scope="session")
def yard(tmp_path_factory: Folders) -> Iterator[Yard]:
    with open_yard(tmp_path_factory.mktemp("yard")) as yard:
        yield yard


@pytest.fixture(scope="session")
def old(yard: Yard, tmp_path_factory: Folders) -> Iterator[Robot]:
    """Policy None alone, and endpoints that lead elsewhere."""
    with running_robot(yard, tmp_path_factory.mktemp("old")) as robot:
        yield robot


@pytest.fixture(scope="session")
def applications(tmp_path_factory: Folders) -> Applications:
    """Their folder of certificates is the site's."""
    folder = tmp_path_factory.mktemp("site")
    return Applications(folder / "certs", folder / "clients")


@pytest.fixture(scope="session")
def station(applications: Applications) -> ApplicationFiles:
    """Signed by itself, and pinned by the site."""
    own = applications.self_signed(site.STATION)
    applications.trust(own)
    return own


@pytest.fixture(scope="session")
def modern(yard: Yard, applications: Applications, tmp_path_factory: Folders) -> Iterator[Robot]:
    """Secured channels alone, and its certificate pinned by the site."""
    own = applications.self_signed(site.MODERN, APPLICATION)
    applications.trust(own)
    more = {"certificate": str(own.certificate), "key": str(own.key), "only_secured": True}
    with running_robot(yard, tmp_path_factory.mktemp("modern"), **more) as robot:
        yield robot


@pytest.fixture(scope="session")
def hmi(applications: Applications) -> ApplicationFiles:
    return applications.issue(site.HMI)


@pytest.fixture(scope="session")
def plant(old: Robot, modern: Robot, applications: Applications, station: ApplicationFiles) -> Plant:
    return site.OpcuaSite(applications.certs.parent, old, applications, modern).build()


@pytest.fixture(scope="session")
def gateway(plant: Plant) -> Iterator[GatewayProcess]:
    with running(plant) as process:
        yield process


@pytest.fixture
def robot(old: Robot) -> Robot:
    """The old one; what it received before is forgotten."""
    old.forget()
    return old


@pytest.fixture(scope="session")
def url(plant: Plant, gateway: GatewayProcess) -> Callable[[str], str]:
    """Where a listener is dialled."""
    return lambda listener: site.url_of(plant, listener)


@pytest.fixture(scope="session")
def tours(hmi: ApplicationFiles) -> Tours:
    """Each tour is made once, and its steps are looked at by one test each."""
    made: dict[tuple[str, Way], dict[str, Any]] = {}

    async def go(url: str, way: Way, server: bytes | None, without: str) -> dict[str, Any]:
        async with opened(url, way, hmi if way.secured else None, server) as client:
            return await tour.tour(client, without)

    def toured(url: str, way: Way, server: bytes | None = None, without: str = "") -> dict[str, Any]:
        if (url, way) not in made:
            try:
                made[url, way] = asyncio.run(go(url, way, server, without))
            except Exception as error:  # each step of it fails, and says why
                made[url, way] = {"open": f"{type(error).__name__}: {error}"}
        return made[url, way]

    return toured
