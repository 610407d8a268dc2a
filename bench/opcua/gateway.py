"""What one would build today: asyncua's server in front of asyncua's client, ``python -m bench.opcua.gateway``.

Reads and Writes of the plant's nodes go on as they came, on one session with the device that all clients share, and
the device's results go back: nothing is translated, for the namespaces have the same index on both sides. What is
watched is mirrored: one subscription at the device feeds variables of the server's own address space, and the
server's own subscriptions do the rest. No access is decided and nothing is recorded. On uvloop, without log lines.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any

import uvloop
from asyncua import Client, Server, ua
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_session import InternalSession

from bench.opcua import names
from bench.opcua.certificates import GATEWAY, uri_of

INTERVAL = 1000.0
"""Milliseconds. The device reports at once whatever is asked; asyncua's client makes a subscription anew that was quiet
for ten thousand intervals."""


def of_plant(items: list[Any]) -> bool:
    return all(one.NodeId.NamespaceIndex == names.INDEX for one in items)


class ForwardingSession(InternalSession):  # type: ignore[misc]  # asyncua is Any here
    """A client's session: what is not the plant's is the server's own."""

    async def read(self, params: Any) -> Any:
        if of_plant(params.NodesToRead):
            return await self.iserver.device.uaclient.read(params)
        return await super().read(params)

    async def write(self, params: Any) -> Any:
        if self.external and of_plant(params.NodesToWrite):
            return await self.iserver.device.uaclient.write(params)
        return await super().write(params)


class ForwardingServer(InternalServer):  # type: ignore[misc]
    """``device``: the client that stands behind it."""

    device: Client

    def create_session(self, name: str, user: Any = None, external: bool = False) -> Any:
        kind = ForwardingSession if external else InternalSession
        return kind(self, self.aspace, self.subscription_service, name, user=user, external=external)


class Mirror:
    """Changes at the device, written to the server's own variables."""

    def __init__(self, server: Server, nodes: dict[Any, Any]) -> None:
        self._server = server
        self._nodes = nodes

    async def datachange_notification(self, node: Any, value: Any, data: Any) -> None:
        await self._server.write_attribute_value(self._nodes[node.nodeid].nodeid, data.monitored_item.Value)


async def furnish(server: Server, first: int) -> dict[Any, Any]:
    """Variables for what is watched, from the first of its own clients on, by their ids, which are those at the
    device."""
    index = await server.register_namespace(names.URI)
    if index != names.INDEX:
        raise RuntimeError(f"the plant's namespace is {index}")
    found = {}
    for name in names.WATCH_NAMES[first:]:
        node = ua.NodeId(name, index)
        found[node] = await server.nodes.objects.add_variable(node, ua.QualifiedName(name, index), 0.0)
    return found


async def serve(port: int, device: str, certificates: str, first: int) -> None:
    iserver = ForwardingServer()
    server = Server(iserver=iserver)
    await server.init()
    await server.set_application_uri(uri_of(GATEWAY))
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}")
    policies = ua.SecurityPolicyType
    server.set_security_policy([policies.Basic256Sha256_Sign, policies.Basic256Sha256_SignAndEncrypt])
    await server.load_certificate(f"{certificates}/{GATEWAY}.der")
    await server.load_private_key(f"{certificates}/{GATEWAY}.key", format="pem")
    nodes = await furnish(server, first)
    async with Client(device, timeout=20) as client:
        iserver.device = client
        mirrored = await client.create_subscription(INTERVAL, Mirror(server, nodes))
        await mirrored.subscribe_data_change([client.get_node(node) for node in nodes])
        async with server:
            await asyncio.Event().wait()


if __name__ == "__main__":
    logging.disable(logging.ERROR)
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])))
