"""The robot process: an asyncua server without security, behind the recording tap.

    python -m proxy.demo.robot 127.0.0.1:14840 RECORD-FILE

It asks nobody who they are: whoever reaches it may write any variable and call any method.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import Any

from asyncua import Server, ua
from asyncua.common.methods import uamethod

from proxy.demo.broker import parse
from proxy.demo.relay import Relay
from proxy.demo.robot_words import METHODS, ROBOT, URI, VALUES


async def furnished() -> Server:
    """A server that listens nowhere yet."""
    server = Server()
    await server.init()
    server.set_endpoint("opc.tcp://127.0.0.1:0/robot")
    server.socket_address = ("127.0.0.1", 0)
    server.set_server_name("robot-7")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    server.set_identity_tokens([ua.AnonymousIdentityToken])
    index = await server.register_namespace(URI)
    objects = server.nodes.objects
    for name, value in VALUES.items():
        node = await objects.add_variable(ua.NodeId(name, index), ua.QualifiedName(name, index), value)
        await node.set_writable()
    robot = await objects.add_object(ua.NodeId(ROBOT, index), ua.QualifiedName(ROBOT, index))
    for name in METHODS:
        await robot.add_method(ua.NodeId(name, index), ua.QualifiedName(name, index), uamethod(_done), [], [])
    return server


def _done(_parent: Any) -> None:
    """A method that does whatever a robot does."""


async def serve(host: str, port: int, record: Path) -> None:
    """Until SIGTERM. Raises OSError if the address is taken."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = await furnished()
    async with server:
        behind = ("127.0.0.1", server.bserver.port)
        with record.open("w", encoding="ascii") as file:
            tap = await Relay(behind, file).serve(host, port)
            print(f"robot on {host}:{port}", flush=True)
            await stop.wait()
            tap.close()


def main(words: list[str]) -> None:
    logging.basicConfig(level=logging.ERROR)
    host, port = parse(words[0])
    asyncio.run(serve(host, port, Path(words[1])))


if __name__ == "__main__":
    main(sys.argv[1:])
