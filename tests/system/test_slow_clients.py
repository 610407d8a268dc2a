"""T45, T46, T48: connections that never say anything, or too slowly, do not keep anybody else out."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.keys import TLS12, TLS13
from tests.support.master import Master, read
from tests.support.mbaps import dial
from tests.support.net import open_files, resident_kib, until
from tests.support.plant import MBAPS, OLD, PLAIN, Builder, Plant
from tests.support.process import GatewayProcess, running
from tests.support.raw import Tls
from tests.support.swarm import Swarm

if TYPE_CHECKING:
    import ssl

    from tests.support.campaign import Campaigns
    from tests.support.plc import RecordingPlc

pytestmark = pytest.mark.system

SOURCES = [f"127.0.0.{at}" for at in range(100, 110)]
LATE = 8.0
"""Seconds after which an honest client counts as not served, on a machine that runs the attack as well."""
PROMISE = 0.25
"""Seconds in which an honest client connects (T45); `SLOWER` times what it takes without an attack, if that is more."""
SLOWER = 10


@pytest.fixture(scope="module")
def plant(recorder: RecordingPlc, tmp_path_factory: pytest.TempPathFactory) -> Plant:
    folder = tmp_path_factory.mktemp("plant")
    return Builder(folder, recorder.port, service="units: [1], pipeline: 16, timeout: 2s").build()


@pytest.fixture(scope="module")
def gateway(plant: Plant) -> Iterator[GatewayProcess]:
    with running(plant) as process:
        yield process


class Honest:
    """Masters that were there before and go on polling, and new ones that come all the time."""

    def __init__(self, plant: Plant, source: str | None) -> None:
        self._port = plant.ports[MBAPS]
        self._plain = plant.ports[PLAIN]
        self._source = source
        self._tls = plant.keys.issue("scada").trusting(plant.keys.ca)
        self.polls: list[float] = []
        self.arrivals: list[float] = []
        self.before = 0.0

    async def poll(self, port: int, tls: ssl.SSLContext | None) -> None:
        """One link that must never break."""
        async with await Master.open(port, tls=tls, source=self._source if tls else None) as master:
            while True:
                began = time.monotonic()
                assert (await master.ask(read(5), seconds=LATE))[0] == 3
                self.polls.append(time.monotonic() - began)
                await asyncio.sleep(0.02)

    async def arrive(self) -> None:
        """Handshake and first answer, as a master does that lost its connection: at once again if it is turned away."""
        while True:
            began = time.monotonic()
            while True:
                try:
                    async with await Master.open(self._port, tls=self._tls, source=self._source) as master:
                        assert (await master.ask(read(5), seconds=LATE))[0] == 3
                    break
                except (ConnectionError, asyncio.IncompleteReadError):
                    assert time.monotonic() - began < LATE
            self.arrivals.append(time.monotonic() - began)
            await asyncio.sleep(0.05)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        steps = [self.poll(self._port, self._tls), self.poll(self._plain, None), self.arrive()]
        tasks = [asyncio.create_task(step) for step in steps]
        try:
            yield
        finally:
            waiting = set(tasks)
            while waiting:  # again and again: `wait_for` of Python 3.11 can lose a cancellation that meets a result
                for task in waiting:
                    task.cancel()
                _, waiting = await asyncio.wait(waiting, timeout=0.2)
            results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results), results

    def attacked(self) -> None:
        """What was measured until now is how it is without an attack."""
        self.before = statistics.median(self.arrivals)
        self.polls.clear()
        self.arrivals.clear()

    def were_served(self, what: str, *, strict: bool) -> None:
        polls, arrivals = sorted(self.polls), sorted(self.arrivals)
        for name, times in (("polls", polls), ("arrivals", arrivals)):
            p50, p99 = statistics.median(times), times[int(len(times) * 0.99)]
            print(f"{what}: {len(times)} {name}, p50 {p50 * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms")
        assert arrivals[-1] < LATE
        assert statistics.median(arrivals) < max(PROMISE, SLOWER * self.before)
        assert not strict or arrivals[int(len(arrivals) * 0.99)] < PROMISE


async def attack(swarm: Swarm, honest: Honest, what: str, gateway: GatewayProcess, *, strict: bool) -> None:
    """6 s: longer than the handshake deadline, so the first wave has been cut and dialled again."""
    async with honest.at_work():
        await asyncio.sleep(1.0)
        honest.attacked()
        async with swarm:
            await asyncio.sleep(6.0)
            resident = resident_kib(gateway.pid)
    print(f"{what}: {swarm.dialled} connections dialled, {swarm.cut} cut, gateway {resident >> 10} MiB")
    honest.were_served(what, strict=strict)
    assert resident < 300 << 10


def is_campaign(campaigns: Campaigns) -> bool:
    return "connections" in campaigns.names


@pytest.mark.timeout(60)
@pytest.mark.grows("connections")
@pytest.mark.parametrize(
    ("listener", "source"),
    [(MBAPS, SOURCES[0]), (OLD, "127.0.0.200")],
    ids=["tls13-from_the_same_address", "tls12-from_another"],
)
async def test_t45_silent_connections(
    listener: str, source: str, plant: Plant, gateway: GatewayProcess, plc: RecordingPlc, campaigns: Campaigns
) -> None:
    size = campaigns.count("connections", push=600, full=2000)
    swarm = Swarm(plant.ports[listener], size, SOURCES[:1])
    await attack(swarm, Honest(plant, source), f"{size} silent", gateway, strict=is_campaign(campaigns))
    assert swarm.cut > 0


@pytest.mark.timeout(60)
@pytest.mark.grows("connections")
@pytest.mark.parametrize(("listener", "newest"), [(MBAPS, TLS13), (OLD, TLS12)], ids=["tls13", "tls12"])
async def test_t45_slow_hellos_from_many_addresses(
    listener: str,
    newest: ssl.TLSVersion,
    plant: Plant,
    gateway: GatewayProcess,
    plc: RecordingPlc,
    campaigns: Campaigns,
) -> None:
    size = campaigns.count("connections", push=600, full=2000)
    hello, _ = Tls(plant.keys.issue("mes").trusting(plant.keys.ca, newest=newest)).shake()
    swarm = Swarm(plant.ports[listener], size, SOURCES, drip=hello)
    await attack(swarm, Honest(plant, SOURCES[3]), f"{size} slow", gateway, strict=is_campaign(campaigns))


@pytest.mark.campaign("connections")
async def test_t48_ten_thousand(plant: Plant, gateway: GatewayProcess, plc: RecordingPlc) -> None:
    swarm = Swarm(plant.ports[MBAPS], 10_000, SOURCES, rate=4000)
    honest = Honest(plant, "127.0.0.200")
    await attack(swarm, honest, "10,000 silent", gateway, strict=False)
    assert open_files(gateway.pid) < 600


@pytest.mark.timeout(60)
async def test_t45_silent_strangers_on_the_plain_port(plant: Plant, gateway: GatewayProcess, plc: RecordingPlc) -> None:
    """No rule lets them in, so they are closed at once."""
    swarm = Swarm(plant.ports[PLAIN], 300, SOURCES)
    await attack(swarm, Honest(plant, "127.0.0.200"), "300 strangers", gateway, strict=False)
    assert swarm.cut > 300
    assert plc.accepted <= 1


def test_t46_one_idle_handshake(plant: Plant, gateway: GatewayProcess, plc: RecordingPlc) -> None:
    """CVE-2023-38200: a handshake that waits must not wait in the accept path."""
    context = plant.keys.issue("scada").trusting(plant.keys.ca)

    async def honest() -> float:
        began = time.monotonic()
        async with await Master.open(plant.ports[MBAPS], tls=context) as master:
            await master.ask(read(5))
        return time.monotonic() - began

    with dial(plant.ports[MBAPS]), dial(plant.ports[MBAPS]) as half:
        half.send(b"\x16\x03\x01")
        assert asyncio.run(honest()) < 1.0


async def test_t48_the_source_that_holds_most_makes_room(recorder: RecordingPlc, plant: Plant) -> None:
    """Sixteen handshakes at once in all: one address takes them all, and nobody is refused for that."""
    small = Builder(plant.folder / "small", recorder.port, limits="handshakes: 16").build()
    with running(small) as gateway:
        context = small.keys.issue("scada").trusting(small.keys.ca)
        async with Swarm(small.ports[MBAPS], 40, SOURCES[:1], rate=500) as swarm:
            await until(lambda: swarm.dialled >= 40)
            for source in (*SOURCES[1:6], SOURCES[0]):
                async with await Master.open(small.ports[MBAPS], tls=context, source=source) as master:
                    assert (await master.ask(read(5)))[0] == 3
        assert gateway.metric("bulkhead_connections_limited_total", listener=MBAPS) >= 24
