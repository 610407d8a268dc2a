"""The peers alone: what other files expect through the gateway works without it, and the robot's record is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from asyncua import Client, ua

from tests.support.opcua import names
from tests.support.opcua.clients import WAYS, Nodes, Way, double, opened, write_many
from tests.support.opcua.names import FOREIGN, node_id
from tests.support.opcua.robot_process import Robot, Yard, running_robot
from tests.support.opcua.tour import STEPS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.opcua.conftest import Tours

pytestmark = pytest.mark.system
SECURED = [way for way in WAYS if way.secured]


def test_a_tour_of_the_old_robot_has_no_error(tours: Tours, old: Robot) -> None:
    found = tours(old.url, Way())
    assert list(found) == list(STEPS)
    assert not [step for step, result in found.items() if isinstance(result, str) and "Error" in result], found
    assert found["call"] == (42.0, None) and found["subscribe"] == [0.0, 1.0, 3.0] and found["renew"] == [5.0, 5.0]


@pytest.mark.parametrize("way", SECURED, ids=str)
def test_every_way_gives_the_same(tours: Tours, old: Robot, modern: Robot, way: Way) -> None:
    assert tours(modern.url, way) == tours(old.url, Way())


async def test_what_arrives_is_written_down(robot: Robot) -> None:
    async with opened(robot.url, Way(user="operator")) as client:
        nodes = await Nodes.of(client)
        assert await write_many(client, [(nodes.id("Ok.1"), double(2.5)), (nodes.id("No.1"), double(3.5))]) == [0, 0]
        await nodes[names.ROBOT].call_method(nodes.id(names.NO_CALL), 4.0)
    (line,) = robot.received("Write")
    assert [(item["node"], item["attribute"], item["value"]) for item in line["items"]] == [
        (node_id("Ok.1"), 13, 2.5),
        (node_id("No.1"), 13, 3.5),
    ]
    assert (line["user"], line["policy"], line["mode"]) == ("operator", "None", "None")
    (line,) = robot.received("Call")
    assert line["items"] == [{"node": node_id("Robot"), "method": node_id("No.Call"), "args": [4.0]}]
    assert [line["url"] for line in robot.received("HEL")] == [robot.url]


async def test_its_endpoints_lead_elsewhere(old: Robot) -> None:
    """Else a missing rewrite would not show: asyncua's server says what the client said."""
    async with opened(old.url) as client:
        assert {one.EndpointUrl for one in await client.get_endpoints()} == {FOREIGN}


async def test_after_a_restart_the_index_may_differ(yard: Yard, tmp_path: Path) -> None:
    found = []
    with running_robot(yard, tmp_path) as robot:
        for before in ((), ("urn:another:vendor", "urn:third")):
            robot.restart(before=before)
            async with opened(robot.url) as client:
                found.append((await Nodes.of(client)).index)
    assert found == [2, 4]


async def test_a_wrong_password_is_refused(old: Robot) -> None:
    client = Client(old.url)
    client.set_user("operator")
    client.set_password("wrong")
    with pytest.raises(ua.UaError):
        await client.connect()
