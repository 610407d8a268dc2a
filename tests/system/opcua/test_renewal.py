"""A running gateway takes renewed certificates at the next reload, and drops nobody by that; what is revoked is out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest
from asyncua import ua
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from proxy.pki.application import APPLICATION_LIFE, Application
from proxy.pki.authority import certificate_pem, key_pem
from proxy.pki.folder import CertificateFolder
from tests.support.changing import Changing
from tests.support.keys import SITE
from tests.support.net import LOCAL
from tests.support.opcua.applications import GATEWAY, Applications, uri_of
from tests.support.opcua.clients import Way, opened
from tests.support.opcua.site import FRONT, HMI, LISTENERS, STRICT, OpcuaSite, url_of
from tests.support.process import running

if TYPE_CHECKING:
    from tests.support.opcua.robot_process import Robot
    from tests.support.plant import Plant

pytestmark = pytest.mark.system
SECURED = Way("Basic256Sha256", "SignAndEncrypt")
CLOCK = "i=2258"
GONE = (ConnectionError, ua.UaError)
"""How asyncua tells of a channel that is no more, or that never came to be."""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Applications:
    folder = tmp_path_factory.mktemp("renewing")
    return Applications(folder / "certs", folder / "clients")


@pytest.fixture(scope="module")
def plant(own: Applications, old: Robot) -> Plant:
    listeners = {STRICT: (LISTENERS[STRICT][0], ""), FRONT: (LISTENERS[FRONT][0], "unsafe_none: true")}
    return OpcuaSite(own.certs.parent, old, own, listeners=listeners).build()


@pytest.fixture(scope="module")
def changing(plant: Plant) -> Iterator[Changing]:
    """One gateway for all of these: each test leaves it with files that it can use."""
    with running(plant) as gateway:
        yield Changing(gateway)


def renewed(own: Applications, life: timedelta = APPLICATION_LIFE) -> bytes:
    """As `bulkhead certs opcua rotate --new-key`; the DER of the new certificate."""
    application = Application(GATEWAY, uri_of("gateway"), life=life, ips=(ip_address(LOCAL),))
    issued = own.authority.issue(application, datetime.now(UTC))
    (own.certs / f"{GATEWAY}.crt").write_bytes(certificate_pem(issued.certificate))
    (own.certs / f"{GATEWAY}.key").write_bytes(key_pem(issued.key))
    return issued.certificate.public_bytes(Encoding.DER)


def shown(client: Any) -> bytes:
    """The server's certificate on this client's channel."""
    return bytes(client.security_policy.peer_certificate)


async def reads(client: Any) -> bool:
    return (await client.get_node(CLOCK).read_value()) is not None


def test_a_renewed_certificate_is_for_connections_to_come(changing: Changing, plant: Plant, own: Applications) -> None:
    hmi = own.issue(HMI)
    url = url_of(plant, STRICT)

    async def go() -> None:
        before = x509.load_pem_x509_certificate((own.certs / f"{GATEWAY}.crt").read_bytes())
        async with opened(url, SECURED, hmi) as staying:
            fresh = renewed(own)
            told = await asyncio.to_thread(changing.reload)
            assert told["outcome"] == "unchanged"  # of the policy
            assert await reads(staying)
            assert shown(staying) == before.public_bytes(Encoding.DER)
            async with opened(url, SECURED, hmi) as coming:
                assert await reads(coming)
                assert shown(coming) == fresh
            assert await reads(staying)

    asyncio.run(go())


def test_a_pair_that_does_not_fit_changes_nothing(changing: Changing, plant: Plant, own: Applications) -> None:
    """As a power cut between the two files leaves it."""
    hmi = own.issue(HMI)
    files = [own.certs / f"{GATEWAY}.{suffix}" for suffix in ("crt", "key")]
    before = [path.read_bytes() for path in files]
    renewed(own)
    files[0].write_bytes(before[0])
    told = changing.reload()
    files[1].write_bytes(before[1])
    assert told["outcome"] == "failed"
    assert f"certs/{GATEWAY}.key is not the key of certs/{GATEWAY}.crt" in told["told"][0]

    async def go() -> None:
        async with opened(url_of(plant, STRICT), SECURED, hmi) as client:
            assert await reads(client)

    asyncio.run(go())


def test_who_is_revoked_is_cut_and_does_not_come_back(changing: Changing, plant: Plant, own: Applications) -> None:
    hmi = own.issue(HMI)
    url = url_of(plant, STRICT)
    folder = CertificateFolder(own.certs, SITE)

    async def until_lost(client: Any) -> None:
        while await reads(client):
            pass

    async def go() -> None:
        async with opened(url, SECURED, hmi) as client:
            assert await reads(client)
            folder.revoke([(hmi.serial, HMI)], "stolen", datetime.now(UTC))
            with pytest.raises(GONE):
                await asyncio.wait_for(until_lost(client), 20)
        with pytest.raises(GONE):
            async with opened(url, SECURED, hmi):
                pass

    asyncio.run(go())
    changing.gateway.recorded(what="connect", reason="BH-1004", verdict="refuse")


def test_t51_status_says_where_none_is_taken(changing: Changing) -> None:
    status = json.loads(changing.gateway.admin("/status"))
    found = {one["name"]: (one["channel"], one["tls"], one["unsafe"]) for one in status["listeners"]}
    assert found == {STRICT: (True, False, []), FRONT: (True, False, ["unsafe_none"])}


def test_the_end_of_the_certificate_is_a_metric(changing: Changing, own: Applications) -> None:
    def end() -> float:
        lines = changing.gateway.admin("/metrics").splitlines()
        (line,) = [one for one in lines if "certificate" in one and f'"{GATEWAY}"' in one]
        return float(line.split()[-1])

    before = end()
    fresh = x509.load_der_x509_certificate(renewed(own, timedelta(days=500))).not_valid_after_utc.timestamp()
    assert changing.reload()["outcome"] == "unchanged"
    assert end() == fresh > before
