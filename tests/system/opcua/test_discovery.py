"""FindServers, GetEndpoints and CreateSession say the same, and nothing of it leads past the gateway (T51).

The robot behind says a foreign address in all its endpoints, whatever it is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from asyncua import ua
from cryptography import x509

from tests.support.opcua.applications import uri_of
from tests.support.opcua.clients import WAYS, Way, opened, prepared
from tests.support.opcua.names import FOREIGN
from tests.support.opcua.site import FRONT, RELAY, STRICT

if TYPE_CHECKING:
    from tests.support.opcua.applications import ApplicationFiles, Applications
    from tests.support.opcua.robot_process import Robot

pytestmark = pytest.mark.system
Url = Callable[[str], str]
PREFIX = "http://opcfoundation.org/UA/SecurityPolicy#"
SECURED = {"Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"}
MODES = {ua.MessageSecurityMode.Sign, ua.MessageSecurityMode.SignAndEncrypt}


async def discover(url: str) -> tuple[list[Any], list[Any]]:
    """Endpoints and servers."""
    client = await prepared(url)
    return await client.connect_and_get_server_endpoints(), await client.connect_and_find_servers()


def offered(endpoints: list[Any]) -> set[tuple[str, Any]]:
    return {(one.SecurityPolicyUri.removeprefix(PREFIX), one.SecurityMode) for one in endpoints}


async def test_a_front_offers_what_its_listener_says(url: Url) -> None:
    endpoints, _ = await discover(url(FRONT))
    wanted = {(policy, mode) for policy in SECURED for mode in MODES}
    assert offered(endpoints) == wanted | {("None", ua.MessageSecurityMode.None_)}


async def test_without_unsafe_none_there_is_no_endpoint_with_it(url: Url) -> None:
    """Discovery itself still works over None: a client has to ask somehow."""
    endpoints, servers = await discover(url(STRICT))
    assert offered(endpoints) == {(policy, ua.MessageSecurityMode.SignAndEncrypt) for policy in SECURED}
    assert servers


async def test_a_relay_offers_none_alone(url: Url) -> None:
    endpoints, _ = await discover(url(RELAY))
    assert offered(endpoints) == {("None", ua.MessageSecurityMode.None_)}


@pytest.mark.parametrize("listener", [RELAY, FRONT, STRICT])
async def test_no_address_but_the_one_that_was_dialled(url: Url, listener: str) -> None:
    endpoints, servers = await discover(url(listener))
    said = {one.EndpointUrl for one in endpoints}
    said |= {one for endpoint in endpoints for one in endpoint.Server.DiscoveryUrls}
    said |= {one for server in servers for one in server.DiscoveryUrls}
    assert said == {url(listener)}
    assert FOREIGN not in repr((endpoints, servers))


@pytest.mark.parametrize("name", ["localhost", "gateway.plant.example"])
async def test_the_address_is_as_the_client_said_it(url: Url, name: str) -> None:
    """By whatever name it came: it may come through a DNS name or a translated address."""
    dialled = url(FRONT)
    client = await prepared(dialled)
    client._server_url = client._server_url._replace(netloc=f"{name}:{client._server_url.port}")
    await client.uaclient.connect_socket("127.0.0.1", int(dialled.rpartition(":")[2]))
    try:
        await client.send_hello()
        await client.open_secure_channel()
        endpoints = await client.get_endpoints()
        await client.close_secure_channel()
    finally:
        client.disconnect_socket()
    assert {one.EndpointUrl for one in endpoints} == {client._server_url.geturl()}


@pytest.mark.parametrize("way", [WAYS[0], WAYS[2], WAYS[5], WAYS[12]], ids=str)
async def test_create_session_says_what_discovery_said(url: Url, hmi: ApplicationFiles, way: Way) -> None:
    """Clients compare both, and give up if they differ (Part 4, 5.7.2)."""
    before, servers = await discover(url(FRONT))
    client = await prepared(url(FRONT), way, hmi if way.secured else None)
    async with sessionless(client):
        created = await client.create_session()
        await client.activate_session()
        during = await client.get_endpoints()
        await client.close_session()
    assert sorted(map(repr, created.ServerEndpoints)) == sorted(map(repr, before)) == sorted(map(repr, during))
    assert {one.Server.ApplicationUri for one in before} == {one.ApplicationUri for one in servers}


class sessionless:
    """A channel without a session."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def __aenter__(self) -> None:
        await self._client.connect_sessionless()

    async def __aexit__(self, *error: object) -> None:
        await self._client.disconnect_sessionless()


async def test_the_certificate_is_the_gateways(url: Url, applications: Applications) -> None:
    endpoints, _ = await discover(url(FRONT))
    own = x509.load_pem_x509_certificates((applications.certs / "opcua.crt").read_bytes())[0]
    for endpoint in endpoints:
        if endpoint.SecurityPolicyUri == PREFIX + "None":
            continue
        shown = x509.load_der_x509_certificate(_leaf(endpoint.ServerCertificate))
        assert shown == own
        names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.UniformResourceIdentifier) == [endpoint.Server.ApplicationUri]
    assert {one.Server.ApplicationUri for one in endpoints} == {uri_of("gateway")}


def _leaf(chain: bytes) -> bytes:
    return chain[: int.from_bytes(chain[2:4], "big") + 4]


async def test_user_tokens_are_those_of_the_listener(url: Url) -> None:
    """And never in the clear over a channel that encrypts nothing, if it could be otherwise."""
    endpoints, _ = await discover(url(FRONT))
    for endpoint in endpoints:
        kinds = {one.TokenType for one in endpoint.UserIdentityTokens}
        assert kinds == {ua.UserTokenType.Anonymous, ua.UserTokenType.UserName}, endpoint


async def test_discovery_does_not_reach_the_robot(url: Url, robot: Robot) -> None:
    """Whoever may only ask for endpoints must not cause a connection to a device."""
    await discover(url(FRONT))
    assert robot.received() == []


async def test_the_robot_is_called_by_its_own_address(url: Url, robot: Robot) -> None:
    """The other half of the rewriting: the robot sees one consistent client (protocols.md 4.3)."""
    async with opened(url(FRONT)) as client:
        await client.get_namespace_array()
    said = {line["url"] for line in robot.received() if "url" in line}
    assert said and url(FRONT) not in said and all(str(robot.port) in one for one in said), said
    (created,) = robot.received("CreateSession")
    assert created["certificate"] is None
