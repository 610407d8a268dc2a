"""T43: messages that are never whole hold little of the gateway's memory, however many clients begin them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.reason import Reason
from proxy.protocols.opcua import status
from proxy.protocols.opcua.channel import Broke
from proxy.protocols.opcua.entry import POOL, UNFINISHED, Pool
from proxy.protocols.opcua.memory import Memory
from proxy.protocols.opcua.services.attribute import ReadRequest, ReadResponse
from proxy.protocols.opcua.services.messages import Request, ResponseHeader
from proxy.protocols.opcua.tokens import FRAME
from proxy.protocols.opcua.values import DataValue
from tests.opcua.inspector_world import Policy, World

if TYPE_CHECKING:
    from proxy.protocols.opcua.structures import Struct

CHUNK = 16_000
CHUNKS = 60


def server(world: World, request: Request) -> Struct | None:
    header = ResponseHeader.make(request.header.request_handle)
    return ReadResponse(header, (DataValue(status=0),), None) if isinstance(request, ReadRequest) else None


def one(memory: Memory) -> World:
    world = World(Policy.of({"read": ["nsu=urn:robot:7;s=ok*"]}), server, memory=memory)
    world.session()
    return world


def begins(world: World, chunks: int = CHUNKS) -> None:
    """A message of so many chunks, without its end."""
    channel = world.channel
    token = channel._token
    assert token is not None
    for _ in range(chunks):
        channel._sent += 1
        size = FRAME.size + CHUNK
        world.feed(FRAME.pack(b"MSG", b"C", size, channel.channel_id, token.id, channel._sent, 9) + bytes(CHUNK))


def test_clients_that_finish_nothing_share_what_there_is() -> None:
    memory = Memory()
    greedy = [one(memory) for _ in range(2 * POOL // (CHUNK * CHUNKS))]
    for world in greedy:
        begins(world)
    turned_away = [world for world in greedy if world.out.closing]
    held = sum(world.inspector._channel.unfinished for world in greedy)
    assert 0 < len(turned_away) < len(greedy)
    assert held <= POOL + len(greedy) * UNFINISHED
    for world in turned_away:
        assert world.out.why is Reason.OVERLOAD
        assert [broke.status for broke in world.broke if isinstance(broke, Broke)] == [
            status.BAD_TCP_NOT_ENOUGH_RESOURCES
        ]


def test_who_finishes_small_messages_notices_nothing() -> None:
    memory = Memory()
    greedy = [one(memory) for _ in range(2 * POOL // (CHUNK * CHUNKS))]
    for world in greedy:
        begins(world)
    honest = one(memory)
    begins(honest, 3)
    assert not honest.out.closing


def test_what_is_over_makes_room() -> None:
    """By eof, by the end of a message, by its abort."""
    memory = Memory()
    for _ in range(3 * POOL // (CHUNK * CHUNKS)):
        world = one(memory)
        begins(world)
        assert not world.out.closing, (world.out.why, world.events, world.broke)
        world.inspector.eof(0.0, world.out)


def test_the_pool_counts_what_is_beyond_everybodys_share() -> None:
    pool = Pool()
    assert pool.holds(0, UNFINISHED)
    assert pool.holds(UNFINISHED, UNFINISHED + POOL)
    assert not pool.holds(0, UNFINISHED + 1)
    assert pool.holds(0, UNFINISHED)
    assert pool.holds(UNFINISHED + POOL, 0)
    assert pool.holds(0, UNFINISHED + 1)
