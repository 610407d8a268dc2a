"""A client inside the process: judged, recorded and ended as every other, and nobody else can be one."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from proxy.core.evidence import Evidence, Outcome, Strength
from proxy.core.principal import Principal
from proxy.core.reason import Reason
from proxy.core.verdict import Verdict
from proxy.gateway.gateway import Gateway
from proxy.gateway.ports import Entrance, Limits
from tests.support.inside import DEFAULT, QUICK, Inside
from tests.support.toy import ToyProtocol

if TYPE_CHECKING:
    from proxy.core.facts import ConnFacts

NAME = "line/toy"


def by_inside(facts: ConnFacts) -> Principal:
    if facts.inside is None:
        return Principal(None)
    return Principal(facts.inside, evidence=(Evidence("inside", Outcome.MATCH, Strength.PROOF),))


@asynccontextmanager
async def a_gateway(world: Inside) -> AsyncIterator[tuple[Gateway, Entrance]]:
    door = world._entrance()
    inner = replace(door, name=NAME, host=NAME, port=0)
    gateway = Gateway(
        [door],
        loop=asyncio.get_running_loop(),
        clock=time.monotonic,
        judges=world._judges(),
        journal=world.journal,
        limits=Limits(),
        timing=QUICK,
        parse_syn=lambda syn: (None, None),
        entropy=os.urandom,
        inside=[inner],
    )
    gateway.bind()
    gateway.accept()
    try:
        yield gateway, inner
    finally:
        await gateway.drain()


async def ended(sock: socket.socket) -> bool:
    """Whether the other end says goodbye within two seconds."""
    async with asyncio.timeout(2):
        while await asyncio.get_running_loop().sock_recv(sock, 4096):
            pass
    return True


async def test_it_is_who_the_gateway_says_it_is() -> None:
    world = Inside(ToyProtocol(), 1, identify=by_inside)
    async with a_gateway(world) as (gateway, _):
        with gateway.attach(NAME, "gateway-1"):
            (link,) = gateway.links
            assert (link.principal and link.principal.id, link.facts.inside) == ("gateway-1", "gateway-1")
            assert (link.facts.listener, link.facts.peer_ip) == (NAME, "inside")
            assert world.journal.opened_links == [link.number]
            assert gateway.listener_counts[NAME].live == 1


async def test_whom_no_rule_lets_in_is_told_goodbye() -> None:
    world = Inside(ToyProtocol(), 1, identify=by_inside, connect=Verdict(DEFAULT, Reason.NO_CONNECT_RULE))
    async with a_gateway(world) as (gateway, _):
        with gateway.attach(NAME, "gateway-1") as sock:
            assert await ended(sock)
    assert world.journal.reasons("connect") == [Reason.NO_CONNECT_RULE]


async def test_an_entrance_that_nobody_listens_at_is_no_listener() -> None:
    world = Inside(ToyProtocol(), 1, identify=by_inside)
    async with a_gateway(world) as (gateway, _):
        assert [one.entrance.name for one in gateway.listeners] == ["door"]
        with pytest.raises(KeyError):
            gateway.attach("door", "gateway-1")


async def test_a_reload_keeps_it_as_long_as_its_entrance_leads_there() -> None:
    world = Inside(ToyProtocol(), 1, identify=by_inside)
    async with a_gateway(world) as (gateway, inner):
        doors = [one.entrance for one in gateway.listeners]
        with gateway.attach(NAME, "gateway-1") as sock:
            gateway.exchange(gateway.prepare(doors, [replace(inner)]), Limits())
            await gateway.decide_again()
            assert len(gateway.links) == 1
            gateway.exchange(gateway.prepare(doors), Limits())
            assert await ended(sock)
            assert NAME not in gateway.listener_counts
            with pytest.raises(KeyError):
                gateway.attach(NAME, "gateway-1")


async def test_who_comes_by_the_door_is_never_inside() -> None:
    world = Inside(ToyProtocol(), 1, identify=by_inside)
    seen: asyncio.Queue[ConnFacts] = asyncio.Queue()

    def identify(facts: ConnFacts) -> Principal:
        seen.put_nowait(facts)
        return by_inside(facts)

    world.identify = identify
    async with a_gateway(world) as (gateway, _):
        _, writer = await asyncio.open_connection(*gateway.listeners[0].address[:2])
        async with asyncio.timeout(2):
            assert (await seen.get()).inside is None
        writer.close()
