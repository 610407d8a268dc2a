"""The robot's address space: a few variables of each type, methods, a history that is the same at each start."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from asyncua import Server, ua
from asyncua.common.methods import uamethod
from asyncua.server.history import HistoryDict

from tests.support.opcua import names

STARTED = datetime(2026, 1, 1, 6, 0, tzinfo=UTC)
"""Of the histories; one value a second."""
_VALUES: dict[str, tuple[Any, ua.VariantType]] = {
    names.SPEED: (12.5, ua.VariantType.Double),
    names.OVERRIDE: (50, ua.VariantType.Int32),
    names.COUNT: (7, ua.VariantType.UInt32),
    names.NAME: ("robot seven", ua.VariantType.String),
    names.RUNNING: (True, ua.VariantType.Boolean),
    names.SAMPLES: ([1.0, 2.0, 3.0], ua.VariantType.Double),
    names.RECIPE: (b"\x00\x01recipe", ua.VariantType.ByteString),
    names.SECRET: (names.SECRET_VALUE, ua.VariantType.Double),
}


async def furnish(server: Server, index: int) -> None:
    objects = server.nodes.objects
    cell = await objects.add_folder(ua.NodeId(names.CELL, index), ua.QualifiedName(names.CELL, index))
    robot = await objects.add_object(ua.NodeId(names.ROBOT, index), ua.QualifiedName(names.ROBOT, index))
    history = HistoryDict()
    server.iserver.history_manager.set_storage(history)
    for name, (value, kind) in _VALUES.items():
        await _variable(cell, index, name, value, kind)
    for number, name in enumerate(names.OPEN + names.CLOSED):
        await _remember(history, await _variable(objects, index, name, float(number), ua.VariantType.Double))
    await _remember(history, server.get_node(ua.NodeId(names.SPEED, index)))
    # A numeric, an opaque and a Guid identifier, as other vendors have.
    await objects.add_variable(ua.NodeId(1001, index), ua.QualifiedName("numbered", index), 3.25)
    await objects.add_variable(ua.NodeId(b"\x01\x02", index), ua.QualifiedName("opaque", index), "bytes")
    await _methods(robot, index)


async def _variable(parent: Any, index: int, name: str, value: Any, kind: ua.VariantType) -> Any:
    node = await parent.add_variable(ua.NodeId(name, index), ua.QualifiedName(name, index), value, kind)
    await node.set_writable()
    return node


async def _remember(history: HistoryDict, node: Any) -> None:
    await history.new_historized_node(node.nodeid, None, 100)
    for second in range(names.HISTORY):
        at = STARTED + timedelta(seconds=second)
        kept = ua.DataValue(ua.Variant(float(second), ua.VariantType.Double), SourceTimestamp=at, ServerTimestamp=at)
        await history.save_node_value(node.nodeid, kept)
    for attribute in (ua.AttributeIds.AccessLevel, ua.AttributeIds.UserAccessLevel):
        await node.set_attr_bit(attribute, ua.AccessLevel.HistoryRead)


async def _methods(robot: Any, index: int) -> None:
    for name in (names.RESET, names.START):
        await robot.add_method(ua.NodeId(name, index), ua.QualifiedName(name, index), uamethod(_nothing), [], [])
    number = [ua.VariantType.Double]
    for name in (names.OK_CALL, names.NO_CALL):
        await robot.add_method(ua.NodeId(name, index), ua.QualifiedName(name, index), uamethod(_twice), number, number)


def _nothing(parent: Any) -> None:
    return None


def _twice(parent: Any, number: float) -> float:
    return 2 * number
