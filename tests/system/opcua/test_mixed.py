"""T26: a request of ten with two that are forbidden. Eight arrive, two are refused where they stand, whatever the
places; the judge is what the robot wrote down.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from asyncua import ua

from tests.support.opcua.clients import (
    Nodes,
    Way,
    call_many,
    double,
    history_many,
    monitor_many,
    opened,
    read_many,
    write_many,
)
from tests.support.opcua.names import CLOSED, NO_CALL, OK_CALL, OPEN, ROBOT, node_id
from tests.support.opcua.site import FRONT, RELAY

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from tests.support.opcua.applications import ApplicationFiles
    from tests.support.opcua.robot_process import Robot

pytestmark = pytest.mark.system
TEN = 10
DENIED = 0x801F0000
PAIRS = list(itertools.combinations(range(TEN), 2))
DOORS = {RELAY: Way(), FRONT: Way("Basic256Sha256", "SignAndEncrypt", "operator")}


Entrance = Callable[[], "AbstractAsyncContextManager[Nodes]"]


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest, url: Callable[[str], str], hmi: ApplicationFiles) -> Entrance:
    """A session for all requests of a test: what was refused before must change nothing of what comes after."""
    way = DOORS[request.param]
    return lambda: session(url(request.param), way, hmi if way.secured else None)


@asynccontextmanager
async def session(url: str, way: Way, application: ApplicationFiles | None) -> AsyncIterator[Nodes]:
    async with opened(url, way, application) as client:
        nodes = await Nodes.of(client)
        assert await write_many(client, [(nodes.id(name), double(float(at))) for at, name in enumerate(OPEN)])
        yield nodes


def mixed(forbidden: Sequence[int]) -> list[str]:
    """Ten identifiers; those at ``forbidden`` are closed ones."""
    return [CLOSED[at] if at in forbidden else OPEN[at] for at in range(TEN)]


def allowed(forbidden: Sequence[int]) -> list[int]:
    return [at for at in range(TEN) if at not in forbidden]


class Service:
    """``ask`` sends the ten and gives, for each, its status and the value it came with."""

    name = ""

    async def ask(self, nodes: Nodes, forbidden: Sequence[int]) -> list[tuple[int, Any]]:
        raise NotImplementedError

    def expected(self, at: int) -> Any:
        """The value that comes with an allowed one."""
        return None

    def arrived(self, robot: Robot) -> list[Any]:
        """What the robot wrote down of the items of this service."""
        return robot.items(self.name)

    def wanted(self, forbidden: Sequence[int]) -> list[Any]:
        return [node_id(OPEN[at]) for at in allowed(forbidden)]


class Write(Service):
    name = "Write"

    async def ask(self, nodes: Nodes, forbidden: Sequence[int]) -> list[tuple[int, Any]]:
        said = [(nodes.id(name), double(float(at))) for at, name in enumerate(mixed(forbidden))]
        return [(status, None) for status in await write_many(nodes.client, said)]

    def arrived(self, robot: Robot) -> list[Any]:
        return list(zip(robot.items("Write"), robot.items("Write", "value"), strict=True))

    def wanted(self, forbidden: Sequence[int]) -> list[Any]:
        return [(node_id(OPEN[at]), float(at)) for at in allowed(forbidden)]


class Read(Service):
    name = "Read"

    def arrived(self, robot: Robot) -> list[Any]:
        """But for ServerState, which asyncua's client reads by itself once a second."""
        return [one for one in robot.items("Read") if one != "i=2259"]

    async def ask(self, nodes: Nodes, forbidden: Sequence[int]) -> list[tuple[int, Any]]:
        values = await read_many(nodes.client, [nodes.id(name) for name in mixed(forbidden)])
        return [(one.StatusCode.value, one.Value.Value if one.Value is not None else None) for one in values]

    def expected(self, at: int) -> Any:
        return float(at)


class Call(Service):
    name = "Call"

    async def ask(self, nodes: Nodes, forbidden: Sequence[int]) -> list[tuple[int, Any]]:
        methods = [NO_CALL if at in forbidden else OK_CALL for at in range(TEN)]
        said = [(nodes.id(ROBOT), nodes.id(method), float(at)) for at, method in enumerate(methods)]
        results = await call_many(nodes.client, said)
        return [
            (one.StatusCode.value, one.OutputArguments[0].Value if one.OutputArguments else None) for one in results
        ]

    def expected(self, at: int) -> Any:
        return 2.0 * at

    def arrived(self, robot: Robot) -> list[Any]:
        return list(zip(robot.items("Call", "method"), robot.items("Call", "args"), strict=True))

    def wanted(self, forbidden: Sequence[int]) -> list[Any]:
        return [(node_id(OK_CALL), [float(at)]) for at in allowed(forbidden)]


class HistoryRead(Service):
    name = "HistoryRead"

    async def ask(self, nodes: Nodes, forbidden: Sequence[int]) -> list[tuple[int, Any]]:
        results = await history_many(nodes.client, [nodes.id(name) for name in mixed(forbidden)], 1)
        return [(one.StatusCode.value, _history(one)) for one in results]

    def expected(self, at: int) -> Any:
        return [4.0]


class CreateMonitoredItems(Service):
    name = "CreateMonitoredItems"

    async def ask(self, nodes: Nodes, forbidden: Sequence[int]) -> list[tuple[int, Any]]:
        subscription = await nodes.client.create_subscription(5000, None)
        try:
            ids = [nodes.id(name) for name in mixed(forbidden)]
            results = await monitor_many(nodes.client, subscription.subscription_id, ids)
        finally:
            await subscription.delete()
        made = [one.MonitoredItemId for one in results if one.StatusCode.is_good()]
        assert len(set(made)) == len(made) and 0 not in made
        return [(one.StatusCode.value, None) for one in results]


def _history(result: Any) -> Any:
    data = result.HistoryData
    return [one.Value.Value for one in data.DataValues] if isinstance(data, ua.HistoryData) else None


SERVICES = (Write(), Read(), Call(), CreateMonitoredItems(), HistoryRead())
EACH = pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)


async def judge(service: Service, nodes: Nodes, robot: Robot, forbidden: Sequence[int]) -> None:
    robot.forget()
    answers = await service.ask(nodes, forbidden)
    for at, (status, value) in enumerate(answers):
        wanted = (DENIED, None) if at in forbidden else (0, service.expected(at))
        assert (status, value) == wanted, f"item {at} of {service.name}, forbidden {forbidden}: {answers}"
    assert len(answers) == TEN
    assert service.arrived(robot) == service.wanted(forbidden), f"forbidden {forbidden}"


@EACH
async def test_every_two_of_ten(door: Entrance, robot: Robot, service: Service) -> None:
    async with door() as nodes:
        for forbidden in PAIRS:
            await judge(service, nodes, robot, forbidden)


@EACH
async def test_none_one_nine_and_all(door: Entrance, robot: Robot, service: Service) -> None:
    """Of all refused nothing reaches the robot, not even an empty request."""
    single = [(at,) for at in range(TEN)]
    async with door() as nodes:
        for forbidden in [(), *single, *(tuple(set(range(TEN)) - set(one)) for one in single), tuple(range(TEN))]:
            await judge(service, nodes, robot, forbidden)
        assert not [line for line in robot.received(service.name) if line["items"][0]["node"] != "i=2259"]


@EACH
async def test_without_the_gateway_all_ten_arrive(robot: Robot, service: Service) -> None:
    async with session(robot.url, Way(), None) as nodes:
        await judge(service, nodes, robot, ())
