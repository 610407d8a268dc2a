"""T20, T21: a right that has ended, ends on live subscriptions: checked when a notification is delivered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from proxy.pki.folder import CertificateFolder
from proxy.protocols.opcua import status
from tests.support.changing import Changing
from tests.support.keys import SITE
from tests.support.net import wait_until
from tests.support.opcua import site
from tests.support.opcua.clients import PLAIN, Nodes, Way, double, opened, prepared, read_many, write_many
from tests.support.opcua.names import OPEN, SPEED, node_id
from tests.support.opcua.robot_process import Robot, Yard, running_robot
from tests.support.opcua.tour import Heard
from tests.support.process import GatewayProcess, running

if TYPE_CHECKING:
    from tests.support.opcua.applications import ApplicationFiles, Applications
    from tests.support.plant import Plant

pytestmark = pytest.mark.system
PROMISE = 1.0
SECURED = Way("Basic256Sha256", "SignAndEncrypt", "operator")
SURFACE = "policies/surfaces/cell.yaml"


@pytest.fixture(scope="module")
def robot(yard: Yard, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Robot]:
    with running_robot(yard, tmp_path_factory.mktemp("live-robot")) as robot:
        yield robot


@pytest.fixture(scope="module")
def plant(
    robot: Robot, applications: Applications, station: ApplicationFiles, tmp_path_factory: pytest.TempPathFactory
) -> Plant:
    """A site of its own, with the same authority: its files change."""
    folder = site.twin_of(applications, tmp_path_factory)
    listeners = {site.FRONT: site.LISTENERS[site.FRONT], site.RELAY: site.LISTENERS[site.RELAY]}
    return site.OpcuaSite(folder, robot, applications, listeners=listeners).build()


@pytest.fixture(scope="module")
def gateway(plant: Plant) -> Iterator[GatewayProcess]:
    with running(plant) as process:
        yield process


@pytest.fixture
def changing(gateway: GatewayProcess) -> Iterator[Changing]:
    """Puts the policy back."""
    changing = Changing(gateway)
    before = (changing.folder / SURFACE).read_text()
    yield changing
    changing.write(SURFACE, before)
    changing.reload()


class Statuses(Heard):
    """Values with their status codes."""

    def datachange_notification(self, node: Any, value: Any, data: Any) -> None:
        found = data.monitored_item.Value
        self.values.put_nowait((node.nodeid.Identifier, value, found.StatusCode.value))

    async def until(self, name: str, value: Any) -> set[Any]:
        """What else came before this value."""
        before = set()
        while (told := await self.next()) != (name, value, 0):
            before.add(told)
        return before


LOST = (SPEED, None, status.BAD_USER_ACCESS_DENIED)
"""Told once, as long as the robot stops when it is told to; asyncua's does not."""


@pytest.mark.parametrize("listener", [site.RELAY, site.FRONT])
async def test_t21_a_right_taken_away_ends_on_a_live_subscription(
    plant: Plant, robot: Robot, changing: Changing, listener: str
) -> None:
    """One notification says so, at once the value is no more; what is still allowed goes on, with no gap."""
    async with opened(site.url_of(plant, listener)) as client:
        nodes, heard = await Nodes.of(client), Statuses()
        await write_many(client, [(nodes.id(name), double(0.0)) for name in OPEN])
        subscription = await client.create_subscription(20, heard)
        await subscription.subscribe_data_change([nodes[SPEED], nodes[OPEN[1]]])
        await heard.next(), await heard.next()
        robot.set(SPEED, 1.0)
        assert (await heard.next())[:2] == (SPEED, 1.0)
        text = (changing.folder / SURFACE).read_text()
        assert [await nodes[SPEED].read_value() for _ in range(3)] == [1.0] * 3, "the verdict is known by now"
        line = node_id("Line1.*")
        changing.write(SURFACE, text.replace(f', "{line}": {{}}', "").replace(f', "{line}"', ""))
        robot.forget()
        outcome = await asyncio.to_thread(changing.reload)
        assert outcome["outcome"] == "taken", outcome
        robot.set(SPEED, 66.0)
        assert await heard.next() == LOST
        robot.set(OPEN[1], 2.0)
        assert await heard.until(OPEN[1], 2.0) <= {LOST}
        robot.set(SPEED, 67.0)
        robot.set(OPEN[1], 3.0)
        assert await heard.until(OPEN[1], 3.0) <= {LOST}
        assert robot.received("SetMonitoringMode") or robot.received("DeleteMonitoredItems"), (
            "the item goes on upstream"
        )
        (value,) = await read_many(client, [nodes.id(SPEED)])
        assert value.StatusCode.value == status.BAD_USER_ACCESS_DENIED
        denied = [status.BAD_USER_ACCESS_DENIED, 0]
        assert await write_many(client, [(nodes.id(SPEED), double(1.0)), (nodes.id(OPEN[1]), double(4.0))]) == denied
        await subscription.delete()
    assert robot.items("Write") == [node_id(OPEN[1])] and node_id(SPEED) not in robot.items("Read")


async def test_t21_whose_rules_are_all_gone_is_cut(
    plant: Plant, gateway: GatewayProcess, robot: Robot, changing: Changing
) -> None:
    client = await connected(site.url_of(plant, site.FRONT))
    nodes, heard = await Nodes.of(client), Statuses()
    subscription = await client.create_subscription(20, heard)
    await subscription.subscribe_data_change(nodes[OPEN[1]])
    await heard.next()
    roles = "policies/roles/masters.yaml"
    before = (changing.folder / roles).read_text()
    changing.write(roles, f"role: masters\nmembers: [{site.HMI}]\n")
    assert (await asyncio.to_thread(changing.reload))["outcome"] == "taken"
    await asyncio.to_thread(wait_until, lambda: gateway.links() == 0, 5.0, "the link is cut")
    robot.set(OPEN[1], 66.0)
    await asyncio.sleep(0.2)
    said = [heard.values.get_nowait() for _ in range(heard.values.qsize())]
    assert all(value is None and code & status.BAD for _, value, code in said), said
    changing.write(roles, before)
    client.uaclient.disconnect_socket()


async def connected(url: str, way: Way = PLAIN, application: ApplicationFiles | None = None) -> Any:
    """Not closed in order: the gateway does that."""
    client = await prepared(url, way, application)
    await client.connect()
    return client


async def test_t21_a_revoked_certificate_is_cut_within_a_second(
    plant: Plant, gateway: GatewayProcess, robot: Robot, applications: Applications, hmi: ApplicationFiles
) -> None:
    mine = applications.issue(site.HMI)
    client = await connected(site.url_of(plant, site.FRONT), SECURED, mine)
    nodes, heard = await Nodes.of(client), Statuses()
    subscription = await client.create_subscription(20, heard)
    await subscription.subscribe_data_change(nodes[OPEN[2]])
    await heard.next()
    assert gateway.links() == 1
    began = time.monotonic()
    folder = CertificateFolder(plant.folder / "certs", SITE)
    folder.revoke([(mine.serial, mine.name)], "a test", datetime.now(UTC))
    await asyncio.to_thread(wait_until, lambda: gateway.links() == 0, 5.0, "the link is cut")
    assert time.monotonic() - began < PROMISE
    robot.set(OPEN[2], 66.0)
    await asyncio.sleep(0.2)
    assert all(value != 66.0 for _, value, _ in (heard.values.get_nowait() for _ in range(heard.values.qsize())))
    client.uaclient.disconnect_socket()
    with pytest.raises(Exception):  # noqa: B017 - asyncua raises what the closed connection happens to look like
        await connected(site.url_of(plant, site.FRONT), SECURED, mine)
    gateway.recorded(what="close", reason="BH-1004", who=site.HMI)
    again = applications.issue(site.HMI)
    async with opened(site.url_of(plant, site.FRONT), SECURED, again) as client:
        assert await (await Nodes.of(client))[OPEN[2]].read_value() == 66.0
