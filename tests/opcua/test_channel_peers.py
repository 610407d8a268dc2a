"""The server's end on a socket, with asyncua's client as users run it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

import pytest
from asyncua import Client
from asyncua.crypto.uacrypto import CertProperties

from proxy.protocols.opcua.channel import Closed, Event, Opened, Renewed, Said
from proxy.protocols.opcua.decode import decode, encode
from proxy.protocols.opcua.north_channel import NorthChannel
from proxy.protocols.opcua.security.policies import Mode
from proxy.protocols.opcua.services.discovery import GetEndpointsRequest, GetEndpointsResponse
from proxy.protocols.opcua.services.messages import ResponseHeader
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
    taken,
    wall,
)
from tests.support.net import LOCAL, free_port, until

ALL = [("None", Mode.NONE), *[(policy, mode) for policy in SECURED for mode in MODES]]


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
