"""What is on record of OPC UA: who, what, why; and never a password."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from asyncua import ua

from tests.support.net import wait_until
from tests.support.opcua import site
from tests.support.opcua.clients import PLAIN, Nodes, Way, call_many, double, opened, write_many
from tests.support.opcua.names import CLOSED, NO_CALL, OPEN, OVERRIDE, ROBOT, USERS

if TYPE_CHECKING:
    from tests.support.opcua.applications import ApplicationFiles
    from tests.support.opcua.robot_process import Robot
    from tests.support.plant import Plant
    from tests.support.process import Audit, GatewayProcess

pytestmark = pytest.mark.system
SECURED = Way("Aes128Sha256RsaOaep", "SignAndEncrypt", "operator")
MARK = 777.125
"""A value that only the tests of this file write."""


def records(gateway: GatewayProcess, *words: str) -> list[Audit]:
    """With all words somewhere in them."""
    return [one for one in gateway.audit() if all(word in json.dumps(one) for word in words)]


@pytest.mark.parametrize(
    ("listener", "way", "who"),
    [(site.RELAY, PLAIN, site.DESK), (site.FRONT, PLAIN, site.DESK), (site.FRONT, SECURED, site.HMI)],
    ids=["relay", "front-none", "front-secured"],
)
async def test_a_refused_write_is_on_record(
    url: Callable[[str], str],
    gateway: GatewayProcess,
    hmi: ApplicationFiles,
    robot: Robot,
    listener: str,
    way: Way,
    who: str,
) -> None:
    """Who is the device, proved by its certificate or told by its address; the user is part of what was asked."""
    async with opened(url(listener), way, hmi if way.secured else None) as client:
        nodes = await Nodes.of(client)
        values = [(nodes.id(OPEN[0]), double(MARK)), (nodes.id(CLOSED[7]), double(MARK))]
        assert (await write_many(client, values))[1] != 0
        (refused,) = await call_many(client, [(nodes.id(ROBOT), nodes.id(NO_CALL), MARK)])
        assert not refused.StatusCode.is_good()
    for text in (CLOSED[7], NO_CALL):
        found = _waited(gateway, text, who)
        assert found and all(one["who"] == who for one in found), found
        if way.user is not None:
            assert any(way.user in json.dumps(one) for one in found), "the user is not told"


def _waited(gateway: GatewayProcess, *words: str) -> list[Audit]:
    found: list[Audit] = []

    def look() -> bool:
        found[:] = records(gateway, *words)
        return bool(found)

    wait_until(look, 3.0, f"a record with {words}")
    return found


async def test_a_value_outside_its_window_says_so(
    url: Callable[[str], str], gateway: GatewayProcess, robot: Robot
) -> None:
    async with opened(url(site.FRONT)) as client:
        nodes = await Nodes.of(client)
        value = ua.DataValue(ua.Variant(4711, ua.VariantType.Int32))
        assert await write_many(client, [(nodes.id(OVERRIDE), value)]) == [0x801F0000]
    (*_, found) = _waited(gateway, OVERRIDE, "4711")
    assert found["reason"] == "BH-1205", found


async def test_no_password_anywhere(
    url: Callable[[str], str], plant: Plant, gateway: GatewayProcess, hmi: ApplicationFiles
) -> None:
    """In the clear over None, and encrypted; accepted and refused."""
    for listener, way in ((site.RELAY, Way(user="operator")), (site.FRONT, SECURED), (site.TWIN, SECURED)):
        async with opened(url(listener), way, hmi if way.secured else None) as client:
            await client.get_namespace_array()
    gateway.recorded(what="close")
    for secret in USERS.values():
        assert secret not in gateway.said()
        assert not records(gateway, secret)


def test_status_names_what_is_unsafe(gateway: GatewayProcess) -> None:
    listeners = {one["name"]: one for one in json.loads(gateway.admin("/status"))["listeners"]}
    assert listeners[site.RELAY]["unsafe"] == ["unsafe_none"]
    assert listeners[site.FRONT]["unsafe"] == ["unsafe_none"]
    assert not listeners[site.STRICT].get("unsafe")
