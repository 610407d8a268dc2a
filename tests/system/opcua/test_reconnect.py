"""A robot that restarts, and a gateway that does: the client comes back by itself, and indices are read again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.opcua import site
from tests.support.opcua.clients import Nodes, Way, double, opened, prepared, write_many
from tests.support.opcua.names import CLOSED, OPEN, node_id
from tests.support.opcua.robot_process import Robot, Yard, running_robot
from tests.support.opcua.tour import Heard
from tests.support.process import GatewayProcess, running

if TYPE_CHECKING:
    from tests.support.opcua.applications import ApplicationFiles, Applications
    from tests.support.plant import Plant

pytestmark = pytest.mark.system
WAYS = {site.RELAY: Way(), site.FRONT: Way("Aes256Sha256RsaPss", "SignAndEncrypt", "operator")}
DENIED = 0x801F0000


@pytest.fixture(scope="module")
def robot(yard: Yard, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Robot]:
    with running_robot(yard, tmp_path_factory.mktemp("restarting")) as robot:
        yield robot


@pytest.fixture(scope="module")
def plant(
    robot: Robot, applications: Applications, station: ApplicationFiles, tmp_path_factory: pytest.TempPathFactory
) -> Plant:
    listeners = {site.FRONT: site.LISTENERS[site.FRONT], site.RELAY: site.LISTENERS[site.RELAY]}
    return site.OpcuaSite(
        site.twin_of(applications, tmp_path_factory), robot, applications, listeners=listeners
    ).build()


@pytest.fixture(scope="module")
def gateway(plant: Plant) -> Iterator[GatewayProcess]:
    with running(plant) as process:
        yield process


async def value_within(heard: Heard, value: Any, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while await heard.next(seconds) != value:
            pass


@pytest.mark.parametrize("listener", WAYS)
async def test_a_robot_that_restarts(
    plant: Plant, gateway: GatewayProcess, robot: Robot, hmi: ApplicationFiles, listener: str
) -> None:
    """With its subscription, and without anybody's help (asyncua's own reconnection)."""
    way = WAYS[listener]
    client = await prepared(site.url_of(plant, listener), way, hmi if way.secured else None)
    await client.connect(auto_reconnect=True, reconnect_max_delay=0.5)
    try:
        nodes, heard = await Nodes.of(client), Heard()
        subscription = await client.create_subscription(20, heard)
        await subscription.subscribe_data_change(nodes[OPEN[4]])
        await heard.next()
        began = time.monotonic()
        await asyncio.to_thread(robot.restart)
        robot.set(OPEN[4], 44.0)
        await value_within(heard, 44.0)
        print(f"back after {time.monotonic() - began:.1f} s")
        assert await write_many(client, [(nodes.id(OPEN[0]), double(1.0)), (nodes.id(CLOSED[0]), double(1.0))]) == [
            0,
            DENIED,
        ]
    finally:
        await client.disconnect()


@pytest.mark.parametrize("listener", WAYS)
async def test_t42_another_index_after_a_restart(
    plant: Plant, gateway: GatewayProcess, robot: Robot, hmi: ApplicationFiles, listener: str
) -> None:
    """Policy names URIs: what the index meant yesterday is not written to today."""
    way = WAYS[listener]
    own = hmi if way.secured else None
    for before, index in (((), 2), (("urn:other", "urn:third"), 4), (("urn:other",), 3)):
        await asyncio.to_thread(robot.restart, before=before)
        robot.forget()
        async with opened(site.url_of(plant, listener), way, own) as client:
            nodes = await Nodes.of(client)
            assert nodes.index == index
            for at in range(1, 6):
                wanted = 0 if at == index else DENIED
                assert await write_many(client, [(Nodes(client, at).id(OPEN[0]), double(1.0))]) == [wanted], at
        assert robot.items("Write") == [node_id(OPEN[0])]


async def test_while_the_robot_is_away(
    plant: Plant, gateway: GatewayProcess, robot: Robot, hmi: ApplicationFiles
) -> None:
    """Discovery answers; a session does not come about, and no client waits for ever."""
    robot.kill()
    try:
        client = await prepared(site.url_of(plant, site.FRONT), WAYS[site.FRONT], hmi)
        began = time.monotonic()
        with pytest.raises(Exception):  # noqa: B017 - asyncua raises what the answer or the closed connection is
            await client.connect()
        assert time.monotonic() - began < 6.0
    finally:
        robot.start()
    async with opened(site.url_of(plant, site.FRONT), WAYS[site.FRONT], hmi) as client:
        assert await client.get_namespace_array()


async def test_a_gateway_that_restarts(
    plant: Plant, gateway: GatewayProcess, robot: Robot, hmi: ApplicationFiles
) -> None:
    client = await prepared(site.url_of(plant, site.FRONT), WAYS[site.FRONT], hmi)
    await client.connect(auto_reconnect=True, reconnect_max_delay=0.5)
    try:
        nodes, heard = await Nodes.of(client), Heard()
        subscription = await client.create_subscription(20, heard)
        await subscription.subscribe_data_change(nodes[OPEN[4]])
        await heard.next()
        assert await asyncio.to_thread(gateway.stop) == 0, gateway.said()
        await asyncio.to_thread(gateway.start)
        robot.set(OPEN[4], 55.0)
        await value_within(heard, 55.0)
    finally:
        await client.disconnect()
