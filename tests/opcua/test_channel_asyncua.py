"""Our secure channels against asyncua's, without sockets: every policy, mode and pair of key sizes."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from proxy.protocols.opcua.channel import Opened, Renewed, Said
from proxy.protocols.opcua.north_channel import NorthChannel
from proxy.protocols.opcua.security.certificates import Trust
from proxy.protocols.opcua.security.policies import Mode
from proxy.protocols.opcua.south_channel import SouthChannel, SouthSetting
from tests.opcua.channel_oracle import AsyncuaClient, AsyncuaServer
from tests.opcua.channel_world import (
    CLIENT,
    MODES,
    SECURED,
    SERVER,
    north_setting,
    own,
    peer,
    south_setting,
    taken,
    wall,
)

ALL = [("None", Mode.NONE), *[(policy, mode) for policy in SECURED for mode in MODES]]
SIZES = [(2048, 2048), (2048, 4096), (4096, 2048), (4096, 4096)]
BODIES = [b"", b"x", bytes(range(100)), os.urandom(200_000)]
UNEQUAL = [("Basic256Sha256", 3072, 2048), ("Aes256_Sha256_RsaPss", 2048, 3072)]


def _north(policy: str, server_bits: int, client_bits: int) -> NorthChannel:
    trust = Trust([own(CLIENT, client_bits).der])
    setting = replace(north_setting(policy, bits=server_bits), trust=trust)
    channel = NorthChannel(setting, os.urandom, 0.0, wall)
    channel.in_session = True
    return channel


def _client(policy: str, mode: Mode, server_bits: int = 2048, client_bits: int = 2048) -> AsyncuaClient:
    return AsyncuaClient(policy, mode, own(CLIENT, client_bits), peer(SERVER, server_bits))


def _opens(client: AsyncuaClient, north: NorthChannel, out: bytearray) -> None:
    north.receive(client.hello(), 0.0, out)
    client.hears(taken(out))
    opened = north.receive(client.open(), 0.0, out)
    client.hears(taken(out))
    opened += north.receive(client.says(b"first"), 0.0, out)
    assert opened[1:] == [Said(2, b"first")]
    assert isinstance(opened[0], Opened)


@pytest.mark.parametrize(("policy", "mode"), ALL)
def test_an_asyncua_client_opens_speaks_and_renews(policy: str, mode: Mode) -> None:
    client, north, out = _client(policy, mode), _north(policy, 2048, 2048), bytearray()
    _opens(client, north, out)
    assert (north.policy.name, north.mode) == (policy, mode)
    for request, body in enumerate(BODIES[1:], 2):
        assert north.receive(client.says(body, request), 0.1, out) == [Said(request, body)]
        assert north.send(request, body, out)
        assert client.hears(taken(out)) == [(request, body)]
    assert isinstance(north.receive(client.open(renew=True, request=9), 45.0, out)[0], Renewed)
    assert north.send(10, b"still with the old token", out)
    assert client.hears(taken(out))[-1] == (10, b"still with the old token")
    assert north.receive(client.says(b"with the new one", 11), 46.0, out) == [Said(11, b"with the new one")]
    assert north.send(11, b"so do we", out)
    assert client.hears(taken(out)) == [(11, b"so do we")]


@pytest.mark.parametrize(("server_bits", "client_bits"), SIZES[1:])
@pytest.mark.parametrize("policy", SECURED)
def test_keys_of_both_sides_may_differ(policy: str, server_bits: int, client_bits: int) -> None:
    """Above 2048 bits of the receiver's key the padding takes two bytes to count."""
    client = _client(policy, Mode.SIGN_AND_ENCRYPT, server_bits, client_bits)
    north, out = _north(policy, server_bits, client_bits), bytearray()
    _opens(client, north, out)
    assert north.receive(client.says(b"here", 5), 0.1, out) == [Said(5, b"here")]


@pytest.mark.parametrize(("policy", "mode"), ALL)
def test_an_asyncua_server_is_opened_spoken_to_and_renewed(policy: str, mode: Mode) -> None:
    server, south, out = AsyncuaServer(policy, mode, own(SERVER)), _south(policy, mode), bytearray()
    south.start(0.0, out)
    _, answer = server.hears(taken(out))
    assert south.receive(answer, 0.0, out) == []
    _, answer = server.hears(taken(out))
    assert south.receive(answer, 0.0, out) == [Opened(policy, mode, peer(SERVER) if policy != "None" else None)]
    for request, body in enumerate(BODIES[1:], 2):
        assert south.send(request, body, out)
        assert server.hears(taken(out))[0] == [(request, body)]
        assert south.receive(server.says(body, request), 0.1, out) == [Said(request, body)]
    assert south.tick(2_700.0, out) == []
    _, answer = server.hears(taken(out))
    late = server.says(b"sent before the renewal arrived", 8)
    assert south.receive(answer + late, 2_700.1, out) == [Renewed(), Said(8, b"sent before the renewal arrived")]
    assert south.send(9, b"new token", out)
    assert server.hears(taken(out))[0] == [(9, b"new token")]
    assert south.receive(server.says(b"new token too", 9), 2_701.0, out) == [Said(9, b"new token too")]


def _south(policy: str, mode: Mode, bits: int = 2048) -> SouthChannel:
    return SouthChannel(south_setting(policy, mode, bits=bits), os.urandom, wall)


@pytest.mark.parametrize(("policy", "server_bits", "client_bits"), UNEQUAL)
def test_a_server_with_another_key_size_is_opened(policy: str, server_bits: int, client_bits: int) -> None:
    server, out = AsyncuaServer(policy, Mode.SIGN, own(SERVER, server_bits)), bytearray()
    setting: SouthSetting = replace(south_setting(policy, Mode.SIGN, bits=server_bits), own=own(CLIENT, client_bits))
    south = SouthChannel(setting, os.urandom, wall)
    south.start(0.0, out)
    south.receive(server.hears(taken(out))[1], 0.0, out)
    (event,) = south.receive(server.hears(taken(out))[1], 0.0, out)
    assert isinstance(event, Opened)


@pytest.mark.parametrize("cut", [1, 7, 100])
def test_bytes_arrive_in_any_cut(cut: int) -> None:
    client, out = _client("Aes256_Sha256_RsaPss", Mode.SIGN_AND_ENCRYPT), bytearray()
    north = _north("Aes256_Sha256_RsaPss", 2048, 2048)
    _opens(client, north, out)
    data = client.says(BODIES[2], 2) + client.says(b"second", 3)
    events = []
    for at in range(0, len(data), cut):
        events += north.receive(data[at : at + cut], 0.2, out)
    assert events == [Said(2, BODIES[2]), Said(3, b"second")]
