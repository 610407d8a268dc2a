"""A very quick OPC UA server for benches, and one that can be told to lie: policy None, everything in memory.

It knows numbers ``V0`` and on by string identifiers in the namespace `URI`, Read, Write, Call (gives its arguments
back), flat Browse, and subscriptions that report at once. A Read of what was read before is answered from bytes kept.
``python -m tests.support.opcua.quick_server HOST PORT [NODES]`` serves until it is killed.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from proxy.protocols.opcua import status, type_ids
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.services.messages import Request, Response
from proxy.protocols.opcua.values import DataValue, Variant
from tests.support.net import free_port, wait_until
from tests.support.opcua.quick_answers import ANSWERS
from tests.support.opcua.quick_connection import Connection

URI = "urn:quick"
INDEX = 1
HOST = "127.0.0.9"
Answer = Callable[[Connection, Request], Response | None]


def variable(number: int) -> NodeId:
    return NodeId.string(INDEX, f"V{number}")


def good(value: Variant) -> DataValue:
    return DataValue(value, None, None, None, None, None)


@dataclass
class QuickServer:
    """``values`` by identifier. ``answers``: what it does for a type of request; None for no answer at all.
    ``namespaces`` is its NamespaceArray. ``asked`` counts requests by type id. ``quick``: answers from bytes kept."""

    host: str = HOST
    port: int = 0
    nodes: int = 100
    namespaces: tuple[str, ...] = ("http://opcfoundation.org/UA/", URI)
    answers: dict[int, Answer] = field(default_factory=lambda: dict(ANSWERS))
    values: dict[str, DataValue] = field(default_factory=dict)
    asked: dict[int, int] = field(default_factory=dict)
    kept: dict[bytes, bytes] = field(default_factory=dict)
    connections: set[Connection] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.port = self.port or free_port(self.host)
        for number in range(self.nodes):
            self.values[f"V{number}"] = good(Variant.of_double(float(number)))
        self._next = int.from_bytes(os.urandom(3), "little") + 1

    @property
    def url(self) -> str:
        return f"opc.tcp://{self.host}:{self.port}"

    @property
    def quick(self) -> bool:
        return self.answers.get(type_ids.READ_REQUEST) is ANSWERS[type_ids.READ_REQUEST]

    async def start(self) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        return await loop.create_server(partial(Connection, self), self.host, self.port, backlog=512)

    def number(self) -> int:
        """Never given before."""
        self._next += 1
        return self._next

    def read(self, node: NodeId, attribute: int) -> DataValue:
        if attribute == 13:
            if node.key == (0, "i", 2255):
                return good(Variant.of_strings(self.namespaces))
            if node.key == (0, "i", 2259):
                return good(Variant.of_int32(0))
            if node.namespace == INDEX and str(node.identifier) in self.values:
                return self.values[str(node.identifier)]
        return DataValue(None, status.BAD_NODE_ID_UNKNOWN, None, None, None, None)

    def write(self, node: NodeId, value: DataValue) -> int:
        name = str(node.identifier)
        if node.namespace != INDEX or name not in self.values:
            return status.BAD_NODE_ID_UNKNOWN
        self.values[name] = value
        self.kept.clear()
        for connection in self.connections:
            connection.changed(name, value)
        return status.GOOD


@contextmanager
def serving(server: QuickServer) -> Iterator[QuickServer]:
    """On a loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="quick", daemon=True)
    thread.start()
    listener = asyncio.run_coroutine_threadsafe(server.start(), loop).result(5)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(_stop, server, listener)
        wait_until(lambda: not server.connections, what="the quick server's connections are gone")
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


def _stop(server: QuickServer, listener: asyncio.Server) -> None:
    listener.close()
    for connection in server.connections:
        connection.cut()


async def main(host: str, port: int, nodes: int) -> None:
    async with await QuickServer(host, port, nodes).start() as listener:
        print("ready", flush=True)
        await listener.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 100))
