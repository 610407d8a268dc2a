"""The recording OPC UA server: asyncua in processes of its own, ``python -m tests.support.opcua.robot SOCKET``.

Making asyncua's address space takes seconds, so it is made once, by a yard; each robot is forked from it. Whoever
connects to the Unix socket says a `RobotSetting` in one line of JSON and gets a robot, which says ``ready``, takes
commands like ``{"set": "Line1.Speed", "to": 5.0}``, one a line, says ``ok`` after each, and is gone when the connection
is, as after a power cut. The yard ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import selectors
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from asyncua import Server, ua
from asyncua.crypto.permission_rules import User, UserRole

from tests.support.opcua.names import APPLICATION, URI, USERS, RobotSetting
from tests.support.opcua.recording import Recorder, install
from tests.support.opcua.space import furnish

_SECURED = [
    getattr(ua.SecurityPolicyType, f"{policy}_{mode}")
    for policy in ("Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss")
    for mode in ("SignAndEncrypt", "Sign")
]


class Users:
    """Those of `USERS`, and if wanted anybody without a name."""

    def __init__(self, anonymous: bool) -> None:
        self._anonymous = anonymous

    def get_user(
        self, iserver: Any, username: str | None = None, password: str | None = None, certificate: Any = None
    ) -> User | None:
        if username is None:
            return User(UserRole.User) if self._anonymous else None
        return User(UserRole.User, username) if password is not None and USERS.get(username) == password else None


async def new_server() -> Server:
    server = Server()
    await server.init()
    await server.set_application_uri(APPLICATION)
    return server


async def equip(server: Server, setting: RobotSetting) -> int:
    """Everything but the start. The index of the vendor's namespace."""
    server.iserver.user_manager = Users(setting.anonymous)
    server.set_endpoint(setting.url or f"opc.tcp://{setting.host}:{setting.port}")
    server.socket_address = (setting.host, setting.port)
    server.set_match_discovery_endpoint_url(not setting.url)
    server.set_match_discovery_client_ip(not setting.url)
    policies = [] if setting.only_secured else [ua.SecurityPolicyType.NoSecurity]
    if setting.certificate:
        await server.load_certificate(setting.certificate)
        await server.load_private_key(setting.key)
        policies += _SECURED
    server.set_security_policy(policies)
    tokens: list[type] = [ua.UserNameIdentityToken]
    server.set_identity_tokens([ua.AnonymousIdentityToken, *tokens] if setting.anonymous else tokens)
    for uri in setting.before:
        await server.register_namespace(uri)
    index: int = await server.register_namespace(URI)
    await furnish(server, index)
    return index


async def serve(server: Server, setting: RobotSetting, control: socket.socket) -> None:
    recorder = Recorder(Path(setting.record))
    install(recorder)
    index = await equip(server, setting)
    recorder.uris = await server.get_namespace_array()
    async with server:
        reader, writer = await asyncio.open_connection(sock=control)
        writer.write(b"ready\n")
        while line := await reader.readline():
            await obey(server, index, json.loads(line))
            writer.write(b"ok\n")
        os._exit(0)


async def obey(server: Server, index: int, command: dict[str, Any]) -> None:
    node = server.get_node(ua.NodeId(command["set"], index))
    kind = await node.read_data_type_as_variant_type()
    await node.write_value(ua.Variant(command["to"], kind))


def robot(server: Server, control: socket.socket) -> None:
    """The forked process."""
    said = json.loads(control.makefile("r").readline())
    control.setblocking(False)
    asyncio.run(serve(server, RobotSetting(**{**said, "before": tuple(said["before"])}), control))


def yard(at: str) -> None:
    server = asyncio.run(new_server())
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as door, selectors.DefaultSelector() as selector:
        door.bind(at)
        door.listen()
        print("ready", flush=True)
        selector.register(door, selectors.EVENT_READ)
        selector.register(sys.stdin, selectors.EVENT_READ)
        while all(key.fileobj is door for key, _ in selector.select()):
            control, _ = door.accept()
            if os.fork() == 0:
                door.close()
                robot(server, control)
                os._exit(1)
            control.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    yard(sys.argv[1])
