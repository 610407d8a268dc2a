"""`signed: cut`: a channel that is signed from end to end can be read and cut, and nothing else (protocols.md 4.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from asyncua import ua

from tests.support.opcua import site
from tests.support.opcua.clients import PLAIN, POLICIES, Nodes, Way, double, opened, prepared, read_many, write_many
from tests.support.opcua.names import CLOSED, OPEN, SECRET, node_id
from tests.support.opcua.tour import STEPS

if TYPE_CHECKING:
    from tests.support.opcua.applications import ApplicationFiles
    from tests.support.opcua.robot_process import Robot
    from tests.support.process import GatewayProcess
    from tests.system.opcua.conftest import Tours

pytestmark = pytest.mark.system
WAYS = [Way(policy, "Sign", user) for policy in POLICIES for user in (None, "operator")]
REGISTER = "register"
"""RegisterNodes gives aliases that the gateway answers for, and here it cannot answer."""
ENDED = (ConnectionError, TimeoutError, ua.UaError)
"""What asyncua makes of ERR and the end of a connection."""


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("step", [step for step in STEPS if step != REGISTER])
def test_what_is_allowed_passes(
    tours: Tours, url: Callable[[str], str], old: Robot, modern: Robot, way: Way, step: str
) -> None:
    found = tours(url(site.SIGNED), way, modern.certificate, REGISTER)
    assert found.get(step, found) == tours(old.url, PLAIN)[step]


@pytest.mark.parametrize("way", WAYS[:2], ids=str)
async def test_t26_what_is_refused_ends_the_connection(
    url: Callable[[str], str], gateway: GatewayProcess, modern: Robot, hmi: ApplicationFiles, way: Way
) -> None:
    """T26: all or nothing, for nothing can be left out of what is signed."""
    async with opened(url(site.SIGNED), way, hmi, modern.certificate) as client:
        nodes = await Nodes.of(client)
        assert await write_many(client, [(nodes.id(OPEN[0]), double(1.0))]) == [0]
        modern.forget()
        with pytest.raises(ENDED):
            await write_many(client, [(nodes.id(OPEN[1]), double(66.0)), (nodes.id(CLOSED[0]), double(66.0))])
    assert modern.received("Write") == []
    gateway.recorded(what="close", who=site.DESK)


async def test_an_alias_is_refused(url: Callable[[str], str], modern: Robot, hmi: ApplicationFiles) -> None:
    async with opened(url(site.SIGNED), WAYS[0], hmi, modern.certificate) as client:
        nodes = await Nodes.of(client)
        modern.forget()
        with pytest.raises(ENDED):
            await client.register_nodes([nodes[OPEN[0]]])
    assert modern.received("RegisterNodes") == []


async def test_t26_a_read_of_the_secret(url: Callable[[str], str], modern: Robot, hmi: ApplicationFiles) -> None:
    async with opened(url(site.SIGNED), WAYS[0], hmi, modern.certificate) as client:
        nodes = await Nodes.of(client)
        modern.forget()
        with pytest.raises(ENDED):
            await read_many(client, [nodes.id(SECRET)])
    assert node_id(SECRET) not in modern.items("Read")


async def test_t51_what_cannot_be_read_is_not_forwarded(
    url: Callable[[str], str], modern: Robot, hmi: ApplicationFiles
) -> None:
    """T51: SignAndEncrypt, and None."""
    modern.forget()
    for way in (Way(POLICIES[0], "SignAndEncrypt"), PLAIN):
        client = await prepared(url(site.SIGNED), way, hmi, modern.certificate)
        with pytest.raises(ENDED):
            await client.connect()
    assert not [line for line in modern.received() if line["service"] != "HEL"]
