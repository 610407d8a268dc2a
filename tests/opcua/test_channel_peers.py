"""Our channels on a socket, with asyncua's client and server as users run them."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from asyncua import Client, Server, ua
from asyncua.crypto.uacrypto import CertProperties

from proxy.protocols.opcua.channel import Closed, Event, Opened, Renewed, Said
from proxy.protocols.opcua.decode import decode, encode
from proxy.protocols.opcua.north_channel import NorthChannel
from proxy.protocols.opcua.security.policies import Mode
from proxy.protocols.opcua.services.discovery import GetEndpointsRequest, GetEndpointsResponse
from proxy.protocols.opcua.services.messages import RequestHeader, ResponseHeader
from proxy.protocols.opcua.south_channel import SouthChannel
from tests.opcua.channel_oracle import POLICIES, mode_of
from tests.opcua.channel_world import (
    CLIENT,
    MODES,
    SECURED,
    SERVER,
    north_setting,
    own,
    pem_of,
    rsa_key,
    south_setting,
    taken,
    wall,
)
from tests.support.net import LOCAL, free_port, until

ALL = [("None", Mode.NONE), *[(policy, mode) for policy in SECURED for mode in MODES]]
KINDS = [ua.SecurityPolicyType.NoSecurity] + [
    ua.SecurityPolicyType[f"{name}_{mode}"]
    for name in ("Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss")
    for mode in ("Sign", "SignAndEncrypt")
]


class Front:
    """A server that opens a channel, answers GetEndpoints, and writes down what happened on it."""

    def __init__(self, policy: str) -> None:
        self._policy = policy
        self.heard: list[Event] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        channel = NorthChannel(north_setting(self._policy), os.urandom, loop.time(), wall)
        out = bytearray()
        while not channel.over and (data := await reader.read(65_536)):
            for event in channel.receive(data, loop.time(), out):
                self.heard.append(event)
                if isinstance(event, Said):
                    asked = decode(event.body)
                    assert isinstance(asked, GetEndpointsRequest)
                    answer = GetEndpointsResponse(ResponseHeader.make(asked.header.request_handle), ())
                    assert channel.send(event.request_id, encode(answer), out)
            writer.write(taken(out))
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@pytest.mark.parametrize(("policy", "mode"), ALL)
async def test_an_asyncua_client_is_served(policy: str, mode: Mode, tmp_path: Path) -> None:
    front = Front(policy)
    server = await asyncio.start_server(front.serve, LOCAL, free_port())
    port = server.sockets[0].getsockname()[1]
    client = Client(f"opc.tcp://{LOCAL}:{port}/")
    if mode is not Mode.NONE:
        (tmp_path / "key.pem").write_bytes(pem_of(rsa_key(CLIENT)))
        shown = CertProperties(own(SERVER).der)
        await client.set_security(POLICIES[policy], own(CLIENT).der, tmp_path / "key.pem", None, shown, mode_of(mode))
    async with server:
        await client.connect_sessionless()
        assert await client.get_endpoints() == []
        await client.open_secure_channel(renew=True)
        assert await client.get_endpoints() == []
        await client.close_secure_channel()
        client.disconnect_socket()
        await until(lambda: isinstance(front.heard[-1], Closed))
    assert [type(event) for event in front.heard] == [Opened, Said, Renewed, Said, Closed]


@asynccontextmanager
async def _asyncua_server(folder: Path) -> AsyncIterator[int]:
    server = Server()
    await server.init()
    port = free_port()
    server.set_endpoint(f"opc.tcp://{LOCAL}:{port}/")
    server.set_security_policy(KINDS)
    (folder / "server.der").write_bytes(own(SERVER).der)
    (folder / "server.pem").write_bytes(pem_of(rsa_key(SERVER)))
    await server.load_certificate(folder / "server.der")
    await server.load_private_key(folder / "server.pem")
    async with server:
        yield port


async def _asks(port: int, policy: str, mode: Mode) -> list[Event]:
    """Opens, asks, renews, asks, closes: what the channel said of it."""
    reader, writer = await asyncio.open_connection(LOCAL, port)
    channel, out = SouthChannel(south_setting(policy, mode), os.urandom, wall), bytearray()
    heard: list[Event] = []
    request = encode(GetEndpointsRequest(RequestHeader.make(), f"opc.tcp://{LOCAL}:{port}/", None, None))

    async def wait(kind: type[Event]) -> None:
        writer.write(taken(out))
        while not (heard and isinstance(heard[-1], kind)):
            data = await reader.read(65_536)
            assert data, heard
            heard.extend(channel.receive(data, 0.0, out))
            writer.write(taken(out))

    channel.start(0.0, out)
    await wait(Opened)
    for again in (True, False):
        assert channel.send(1, request, out)
        await wait(Said)
        if again:
            channel.tick(3_000.0, out)
            await wait(Renewed)
    channel.close(out)
    writer.write(taken(out))
    writer.close()
    return heard


async def test_an_asyncua_server_is_asked(tmp_path: Path) -> None:
    async with _asyncua_server(tmp_path) as port, asyncio.timeout(15):
        for policy, mode in ALL:
            heard = await _asks(port, policy, mode)
            assert [type(event) for event in heard] == [Opened, Said, Renewed, Said], (policy, mode)
            for said in heard[1::2]:
                assert isinstance(said, Said)
                answer = decode(said.body)
                assert isinstance(answer, GetEndpointsResponse)
                assert answer.endpoints is not None
                assert len(answer.endpoints) == len(KINDS)
