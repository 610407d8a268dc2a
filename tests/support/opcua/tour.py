"""One client's day, step by step: what must be the same whether it speaks to the robot or to the gateway.

Each step gives something that compares equal, with nothing in it that differs from run to run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from asyncua import ua

from tests.support.opcua import names
from tests.support.opcua.clients import Nodes, double, history_many, read_many, write_many
from tests.support.opcua.names import USERS

Result = dict[str, Any]
"""What each step gave, or the error that it ended with."""


class Heard:
    """A subscription's handler."""

    def __init__(self) -> None:
        self.values: asyncio.Queue[Any] = asyncio.Queue()

    def datachange_notification(self, node: Any, value: Any, data: Any) -> None:
        self.values.put_nowait(value)

    async def next(self, seconds: float = 3.0) -> Any:
        return await asyncio.wait_for(self.values.get(), seconds)


async def tour(client: Any, without: str = "") -> Result:
    """All `STEPS` but ``without`` in one session of a connected client, whatever was written before."""
    results: Result = {}
    nodes = await Nodes.of(client)
    await write_many(client, [(nodes.id(name), double(float(at))) for at, name in enumerate(names.OPEN)])
    for name, step in STEPS.items():
        if name == without:
            continue
        try:
            results[name] = await step(nodes)
        except (ua.UaError, OSError, TimeoutError) as error:
            results[name] = f"{type(error).__name__}: {error}"
            if not isinstance(error, ua.UaError):
                break
    return results


async def namespaces(nodes: Nodes) -> Any:
    return await nodes.client.get_namespace_array()


async def browse(nodes: Nodes) -> Any:
    found = [nodes.client.nodes.objects, nodes[names.ROBOT], nodes[names.CELL]]
    answers = [await one.get_children_descriptions() for one in found]
    return [sorted((one.NodeId.to_string(), one.BrowseName.to_string()) for one in children) for children in answers]


async def translate(nodes: Nodes) -> Any:
    child = await nodes.client.nodes.objects.get_child([f"{nodes.index}:{names.CELL}"])
    return child.nodeid.to_string()


async def attributes(nodes: Nodes) -> Any:
    node = nodes[names.SPEED]
    name, kind = await node.read_display_name(), await node.read_data_type()
    return name.Text, kind.to_string(), sorted(one.name for one in await node.get_access_level())


async def read(nodes: Nodes) -> Any:
    values = await read_many(nodes.client, [nodes.id(name) for name in names.OPEN] + [nodes.id(1001)])
    return [(one.Value.Value, one.Value.VariantType.name, one.StatusCode.value) for one in values]


async def write(nodes: Nodes) -> Any:
    """Of every type, and back; then a whole request."""
    said = {
        names.SPEED: (1.5, ua.VariantType.Double),
        names.COUNT: (2**32 - 1, ua.VariantType.UInt32),
        names.NAME: ("über", ua.VariantType.String),
        names.RUNNING: (False, ua.VariantType.Boolean),
        names.SAMPLES: ([9.0, 8.0], ua.VariantType.Double),
        names.RECIPE: (b"", ua.VariantType.ByteString),
    }
    for name, (value, kind) in said.items():
        await nodes[name].write_value(ua.DataValue(ua.Variant(value, kind)))
    values = [(nodes.id(name), double(float(at))) for at, name in enumerate(names.OPEN)]
    return [await nodes[name].read_value() for name in said], await write_many(nodes.client, values)


async def call(nodes: Nodes) -> Any:
    robot = nodes[names.ROBOT]
    return await robot.call_method(nodes.id(names.OK_CALL), 21.0), await robot.call_method(nodes.id(names.RESET))


async def subscribe(nodes: Nodes) -> Any:
    heard, node = Heard(), nodes[names.OPEN[3]]
    await node.write_value(double(0.0))
    subscription = await nodes.client.create_subscription(20, heard)
    try:
        item = await subscription.subscribe_data_change(node)
        values = [await heard.next()]
        for value in (1.0, 3.0):
            await node.write_value(double(value))
            values.append(await heard.next())
        await subscription.unsubscribe(item)
    finally:
        await subscription.delete()
    return values


async def history(nodes: Nodes) -> Any:
    raw = await nodes[names.SPEED].read_raw_history(numvalues=3)
    many = await history_many(nodes.client, [nodes.id(name) for name in names.OPEN])
    kept = [[one.Value.Value for one in result.HistoryData.DataValues] for result in many]
    return [(one.Value.Value, one.SourceTimestamp) for one in raw], kept


async def large(nodes: Nodes) -> Any:
    """A value of several chunks, there and back."""
    value = bytes(range(256)) * 800
    await nodes[names.RECIPE].write_value(ua.DataValue(ua.Variant(value, ua.VariantType.ByteString)))
    return await nodes[names.RECIPE].read_value() == value


async def at_once(nodes: Nodes) -> Any:
    """Requests that do not wait for each other's answers."""
    robot, many = nodes[names.ROBOT], range(20)
    reads = [nodes[names.OPEN[at % 10]].read_value() for at in many]
    calls = [robot.call_method(nodes.id(names.OK_CALL), float(at)) for at in many]
    return await asyncio.gather(*reads, *calls)


async def register(nodes: Nodes) -> Any:
    (alias,) = await nodes.client.register_nodes([nodes[names.OPEN[0]]])
    value = await alias.read_value()
    await nodes.client.unregister_nodes([alias])
    return value


async def renew(nodes: Nodes) -> Any:
    """The channel, twice; a message on each token."""
    values = []
    for _ in range(2):
        await nodes.client.open_secure_channel(renew=True)
        values.append(await nodes[names.OPEN[5]].read_value())
    return values


async def reactivate(nodes: Nodes) -> Any:
    """The same session, with another user."""
    user = "maintainer"
    await nodes.client.activate_session(username=user, password=USERS[user])
    secret = await nodes[names.SECRET].read_value()
    return secret, await nodes[names.ROBOT].call_method(nodes.id(names.START))


STEPS: dict[str, Callable[[Nodes], Awaitable[Any]]] = {
    step.__name__: step
    for step in (
        namespaces,
        browse,
        translate,
        attributes,
        read,
        write,
        call,
        subscribe,
        history,
        large,
        at_once,
        register,
        renew,
        reactivate,
    )
}
