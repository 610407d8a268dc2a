"""What is on record of a request with many acts in it, before any of them is carried out (threats.md 5.3, T26)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.protocols.opcua.services.attribute import WriteRequest, WriteResponse, WriteValue
from proxy.protocols.opcua.services.fault import ServiceFault
from proxy.protocols.opcua.services.messages import Request, ResponseHeader
from proxy.protocols.opcua.values import DataValue, Variant
from tests.opcua.inspector_world import Policy, World, robot
from tests.opcua.test_signed import RULE, Through

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.protocols.base import Effects
    from proxy.protocols.opcua.structures import Struct


def server(world: World, request: Request) -> Struct | None:
    if isinstance(request, WriteRequest):
        count = len(request.nodes_to_write or ())
        return WriteResponse(ResponseHeader.make(request.header.request_handle), (0,) * count, None)
    return None


def values(*names: str) -> tuple[WriteValue, ...]:
    return tuple(WriteValue(robot(name), 13, None, DataValue(Variant.of_double(5.0))) for name in names)


def told(out: Effects) -> Sequence[str]:
    return [event.action for _, event in out.held]


def resume(world: World, recorded: Sequence[bool]) -> None:
    held, world.out.held = world.out.held, []
    for (number, _), good in zip(held, recorded, strict=True):
        world.inspector.resume(number, good, world.now, world.out)
        world.settle()


def writing() -> World:
    world = World(Policy.of({"write": ["nsu=urn:robot:7;s=*"]}, held="write"), server)
    token = world.session()
    world.say(WriteRequest(world.header(token), values("Lamp", "Brake", "Speed")))
    return world


def written(world: World) -> int:
    return sum(isinstance(one, WriteRequest) for one in world.reached)


def test_every_act_is_told() -> None:
    """Else the one that matters stands behind one that does not."""
    world = writing()
    assert ["Lamp" in told(world.out)[0], "Brake" in told(world.out)[1], "Speed" in told(world.out)[2]] == [True] * 3
    assert not written(world)


def test_it_goes_on_when_all_are_on_record() -> None:
    world = writing()
    held, world.out.held = world.out.held, []
    for at, (number, _) in enumerate(held):
        assert written(world) == 0, at
        world.inspector.resume(number, True, world.now, world.out)
        world.settle()
    assert written(world) == 1 and isinstance(world.heard[-1][1], WriteResponse)


def test_one_that_is_not_stops_it() -> None:
    world = writing()
    resume(world, [True, False, True])
    assert not written(world)
    assert [type(one) for _, one in world.heard[-1:]] == [ServiceFault] and not world.inspector._talk.held


def test_on_a_signed_channel() -> None:
    rule = {**RULE, "write": ["nsu=urn:robot:7;s=*"]}
    through = Through(rule, held="write").session()
    through.say(WriteRequest(through.header(), values("Lamp", "Brake")))
    assert len(told(through.out)) == 2 and not through.reached
    held, through.out.held = through.out.held, []
    for number, _ in held:
        assert not through.reached
        through.inspector.resume(number, True, through.now, through.out)
        through.pump()
    assert len(through.reached) == 1
