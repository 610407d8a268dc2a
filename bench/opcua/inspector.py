"""The inspector alone: microseconds of its CPU for one request, with no socket around it.

Frames of one client with a session on a relayed channel go through `from_client`, the server's answers through
`from_upstream`, and the CPU time of this thread is counted (CLOCK_THREAD_CPUTIME_ID). Before and after each sample one
exchange is compared: what the server gets is byte by byte what it must be, and so is what the client gets.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.generator import WrongAnswers
from bench.opcua import names
from bench.opcua.channel_costs import measure_chunk, measure_open, security
from bench.opcua.inspector_cases import (
    CASES,
    CHUNK_CASES,
    INSPECTOR_CASES,
    NOTIFICATION,
    OPEN_CASES,
    READ_BOTH,
    READ_MISS,
    READ_REQUEST,
    WRITE_ALLOWED,
    WRITE_MIXED,
)
from bench.opcua.inspector_world import World
from bench.opcua.operations import value_of, written
from bench.opcua.plan import NODES
from proxy.protocols.opcua import status
from proxy.protocols.opcua.decode import encode, make_extension
from proxy.protocols.opcua.services.attribute import ReadRequest, ReadResponse, WriteRequest, WriteResponse
from proxy.protocols.opcua.services.messages import RequestHeader, ResponseHeader
from proxy.protocols.opcua.services.monitor import (
    CreateMonitoredItemsRequest,
    CreateMonitoredItemsResponse,
    MonitoredItemCreateRequest,
    MonitoredItemCreateResult,
    MonitoringParameters,
)
from proxy.protocols.opcua.services.subscription import (
    CreateSubscriptionRequest,
    CreateSubscriptionResponse,
    DataChangeNotification,
    MonitoredItemNotification,
    NotificationMessage,
    PublishRequest,
    PublishResponse,
)
from proxy.protocols.opcua.values import DataValue, ExtensionObject, Variant

if TYPE_CHECKING:
    from collections.abc import Sequence

EXCHANGES = 100
"""In one sample. The 256 Reads that a link remembers are more."""
SUBSCRIPTION = 5
REFUSED_AT = (3, 7)
READS = tuple(f"Read.V{number}" for number in range(NODES))


@dataclass(frozen=True, slots=True)
class Exchange:
    """A frame of the client, what the server must get of it, its answer, and what the client must get."""

    frame: bytes
    upstream: bytes
    answer: bytes
    client: bytes
    refused: int = 0


def double(value: float) -> DataValue:
    return DataValue(Variant.of_double(value), None, None, None, None, None)


def made_header(header: RequestHeader) -> ResponseHeader:
    return ResponseHeader.make(header.request_handle)


def read_exchange(world: World, wanted: Sequence[str] = READS) -> Exchange:
    header = world.header()
    request = ReadRequest(header, 0.0, 3, tuple(value_of(name) for name in wanted))
    body = encode(ReadResponse(made_header(header), tuple(double(float(at)) for at in range(NODES)), None))
    return Exchange(world.frame(request), encode(request), world.answered(body), body)


def miss_exchange(world: World) -> Exchange:
    """Ten nodes that nobody asked for before."""
    return read_exchange(world, [f"Read.{world.requests}.V{number}" for number in range(NODES)])


def write_exchange(world: World, refused: tuple[int, ...] = ()) -> Exchange:
    header = world.header()
    items = tuple(
        written("Secret.F0" if at in refused else names.WRITE_NAMES[at], float(world.requests)) for at in range(NODES)
    )
    request = WriteRequest(header, items)
    allowed = WriteRequest(header, tuple(item for at, item in enumerate(items) if at not in refused))
    good = WriteResponse(made_header(header), (0,) * (NODES - len(refused)), None)
    told = tuple(status.BAD_USER_ACCESS_DENIED if at in refused else 0 for at in range(NODES))
    whole = WriteResponse(made_header(header), told, None)
    answer = world.answered(encode(good))
    return Exchange(world.frame(request), encode(allowed), answer, encode(whole), len(refused))


def mixed_exchange(world: World) -> Exchange:
    return write_exchange(world, REFUSED_AT)


def publish_exchange(world: World) -> Exchange:
    header = world.header()
    request = PublishRequest(header, None)
    values = tuple(MonitoredItemNotification(at, double(float(world.requests + at))) for at in range(NODES))
    data = (make_extension(DataChangeNotification(values, None)),)
    message = NotificationMessage(world.requests + 1, 0, data)
    body = encode(PublishResponse(made_header(header), SUBSCRIPTION, None, False, message, None, None))
    return Exchange(world.frame(request), encode(request), world.answered(body), body)


def subscribe(world: World) -> None:
    """Ten items, whose notifications are then judged as they come."""
    header = world.header()
    world.ask(
        CreateSubscriptionRequest(header, 100.0, 300, 10, 0, True, 0),
        CreateSubscriptionResponse(made_header(header), SUBSCRIPTION, 100.0, 300, 10),
    )
    items = tuple(
        MonitoredItemCreateRequest(
            value_of(names.WATCH_NAMES[at]), 2, MonitoringParameters(at, 100.0, ExtensionObject.NULL, 1, True)
        )
        for at in range(NODES)
    )
    header = world.header()
    made = tuple(MonitoredItemCreateResult(0, 50 + at, 100.0, 1, ExtensionObject.NULL) for at in range(NODES))
    world.ask(
        CreateMonitoredItemsRequest(header, SUBSCRIPTION, 3, items),
        CreateMonitoredItemsResponse(made_header(header), made, None),
    )


Make = Callable[[World], Exchange]
MAKES: dict[str, Make] = {
    READ_REQUEST: read_exchange, READ_BOTH: read_exchange, READ_MISS: miss_exchange, WRITE_ALLOWED: write_exchange,
    WRITE_MIXED: mixed_exchange, NOTIFICATION: publish_exchange,
}  # fmt: skip


def check(world: World, exchange: Exchange, what: str) -> None:
    """WrongAnswers unless both sides get exactly what they must, and as many elements are refused."""
    world.send(exchange.frame)
    refused = sum(event.what == "refuse" for event in world.out.events)
    upstream, early = world.taken()
    world.answer(exchange.answer)
    _, client = world.taken()
    got = (upstream, client, refused)
    due = ([exchange.upstream], [exchange.client], exchange.refused)
    if got != due or early:
        raise WrongAnswers(f"inspector, {what}: {got} in place of {due}")


def sample(world: World, exchanges: Sequence[Exchange], *, both: bool) -> float:
    """Microseconds of this thread for one. Without ``both`` the answers are not timed."""
    send, answer, clear, clock = world.send, world.answer, world.clear, time.thread_time_ns
    spent = 0
    if both:
        begin = clock()
        for exchange in exchanges:
            send(exchange.frame)
            answer(exchange.answer)
        spent = clock() - begin
    else:
        begin = clock()
        for exchange in exchanges:
            send(exchange.frame)
        spent = clock() - begin
        for exchange in exchanges:
            answer(exchange.answer)
    made = len(world.out.upstream), len(world.out.client)
    if made != (len(exchanges), len(exchanges)):
        raise WrongAnswers(f"inspector: {made} messages of {len(exchanges)}")
    for data in world.out.client:
        world.channel.receive(data, 0.0, bytearray())
    clear()
    return spent / len(exchanges) / 1e3


def measure_case(name: str, samples: int) -> list[float]:
    world, make, found = World(), MAKES[name], []
    if name == NOTIFICATION:
        subscribe(world)
    for _ in range(samples + 1):
        check(world, make(world), name)
        found.append(sample(world, [make(world) for _ in range(EXCHANGES)], both=name != READ_REQUEST))
        check(world, make(world), name)
    return found[1:]


def measure(samples: int) -> dict[str, list[float]]:
    """Microseconds by the name of the case."""
    costs = {case.name: measure_case(case.name, samples) for case in INSPECTOR_CASES}
    known = security()
    costs |= {case.name: measure_chunk(known, case.name, samples) for case in CHUNK_CASES}
    costs |= {case.name: measure_open(known, case.name, samples) for case in OPEN_CASES}
    return {case.name: costs[case.name] for case in CASES}
