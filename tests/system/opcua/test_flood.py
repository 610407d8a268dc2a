"""T43: 200 attackers flood a listener with chunks; the gateway stays small, and an honest session goes on.

What the flood costs the honest one is compared with as much CPU burnt beside Bulkhead: as much as the gateway and the
attackers took, by processes that have nothing to do with it.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from proxy.protocols.opcua.framing import Hello, Limits
from proxy.protocols.opcua.security.certificates import OwnCertificate, Peer
from proxy.protocols.opcua.services.attribute import ReadResponse
from tests.opcua.channel_forging import Opn
from tests.support.net import LOCAL, resident_kib
from tests.support.opcua import requests, site
from tests.support.opcua.applications import GATEWAY, Applications
from tests.support.opcua.quick_server import HOST, QuickServer, variable
from tests.support.opcua.raw_client import RawClient
from tests.support.process import GatewayProcess, running

if TYPE_CHECKING:
    from tests.support.campaign import Campaigns

pytestmark = pytest.mark.system

ATTACKERS, AT = 200, "127.0.0.41"
GROWTH = 64 << 10
"""KiB."""
FRONT = "front"
RULES = """\
  open:
    from: [desk, worn]
    to: robot-7
    opcua: { read: ["nsu=urn:quick;s=V*"], browse: ["i=85"] }
"""
BURNER = """
import sys, time
share = float(sys.argv[1])
while True:
    began = time.thread_time()
    while time.thread_time() - began < share / 100: pass
    time.sleep(max(0.0, (1 - share) / 100))
"""


@dataclass
class _Where:
    host: str
    port: int


@dataclass
class Quick:
    """A server that is none of the tests' robots, as `site.OpcuaSite` wants to have one."""

    setting: _Where

    @property
    def port(self) -> int:
        return self.setting.port


@contextmanager
def child(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


@dataclass
class Place:
    url: str
    port: int
    gateway: GatewayProcess
    recorded: Path
    pids: tuple[int, ...]
    """Of the gateway and of the device."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("flood")
    applications = Applications(folder / "certs", folder / "clients")
    server = QuickServer()
    worn = f"kind: workstation\naddress: {AT}\nidentity: {{ unsafe_address_only: true }}"
    made = site.OpcuaSite(
        folder, Quick(_Where(HOST, server.port)), applications, rules=RULES, more_devices={"worn": worn},
        listeners={FRONT: (site.OLD, "mode: terminate, trust: [opcua-ca], unsafe_none: true")},
    )  # fmt: skip
    plant = made.build()
    recorded = folder / "recorded"
    recorded.write_bytes(first_frames(applications))
    with child("-m", "tests.support.opcua.quick_server", HOST, str(server.port)) as process, running(plant) as gateway:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield Place(site.url_of(plant, FRONT), plant.ports[FRONT], gateway, recorded, (gateway.pid, process.pid))


def first_frames(applications: Applications) -> bytes:
    """HEL and OPN of a client that is trusted, as somebody may have recorded them."""
    hmi = applications.issue(site.HMI)
    chain = x509.load_pem_x509_certificates((applications.certs / f"{GATEWAY}.crt").read_bytes())
    server = Peer.read(chain[0].public_bytes(Encoding.DER))
    assert isinstance(server, Peer)
    own = OwnCertificate.load(hmi.der, hmi.key.read_bytes())
    hello = Hello(Limits(0, 65536, 65536, 0, 0), "opc.tcp://x:1")
    return hello.encode() + Opn(own=own, server=server).frame()


def cpu(pid: int) -> float:
    """Seconds of CPU that a process took."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Honest:
    def __init__(self, client: RawClient) -> None:
        self._client = client
        self._session = client.session()

    def reads(self, seconds: float, look: Callable[[], None] = lambda: None) -> list[float]:
        """Seconds of each; sorted. About a hundred a second."""
        times, until = [], time.monotonic() + seconds
        while time.monotonic() < until:
            began = time.monotonic()
            request = requests.read(self._client.header(self._session.token), [variable(1)])
            answer = self._client.asked(request, ReadResponse)
            times.append(time.monotonic() - began)
            assert answer.results is not None
            assert answer.results[0].value is not None, answer
            look()
            time.sleep(0.008)
        return sorted(times)


def p99(times: list[float]) -> float:
    return times[int(len(times) * 0.99)]


@pytest.mark.timeout(300)
@pytest.mark.grows("connections")
def test_t43_ua_chunk_flood(place: Place, campaigns: Campaigns) -> None:
    seconds = campaigns.count("connections", push=5, full=60)
    pid = place.gateway.pid
    strict = "connections" in campaigns.names
    with RawClient(place.url, source=LOCAL) as client:
        honest = Honest(client)
        calm = honest.reads(1.0)
        base, most = resident_kib(pid), 0

        def look() -> None:
            nonlocal most
            most = max(most, resident_kib(pid))

        words = ("-m", "tests.support.opcua.flooder", str(place.port), AT, str(ATTACKERS), str(place.recorded))
        with child(*words) as flooder:
            time.sleep(1.5)
            pids = (*place.pids, flooder.pid)
            before = [cpu(one) for one in pids]
            began = time.monotonic()
            loud = honest.reads(seconds, look)
            took = time.monotonic() - began
            shares = [min(1.0, (cpu(one) - was) / took) for one, was in zip(pids, before, strict=True)]
            assert flooder.poll() is None
        with ExitStack() as stack:
            for share in shares:
                stack.enter_context(child("-c", BURNER, str(share)))
            time.sleep(0.3)
            burnt = honest.reads(seconds)
    for name, times in (("calm", calm), ("beside as much CPU", burnt), ("beside the flood", loud)):
        print(f"{name}: {len(times)} reads, p50 {statistics.median(times) * 1e3:.1f}, p99 {p99(times) * 1e3:.1f} ms")
    told = ", ".join(f"{share:.2f}" for share in shares)
    print(f"CPUs of gateway, device, attackers: {told}; {base >> 10} MiB before, {most >> 10} MiB at most")
    assert most - base <= GROWTH
    assert statistics.median(loud) < max(0.1, 10 * statistics.median(burnt))
    assert not strict or p99(loud) < 2 * p99(burnt)
