"""What must not wear out: file descriptors, memory, and the patience of those who wait for an orderly end."""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.modbus.frames import frame
from tests.support.master import Master, read, write
from tests.support.mbaps import ask, connect, dial, reset, try_to
from tests.support.net import open_files, resident_kib, until, wait_until
from tests.support.plant import MBAPS, OLD, PLAIN, Builder, Plant
from tests.support.process import GatewayProcess, limited, running
from tests.support.raw import Tls

if TYPE_CHECKING:
    from tests.support.campaign import Campaigns
    from tests.support.plc import RecordingPlc

pytestmark = pytest.mark.system

GROWTH = 8 << 10
"""KiB that a gateway may grow over thousands of connections once it is warm."""


class Coming:
    """Every way in which a connection comes and goes."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        keys = plant.keys.issue("scada")
        self._tls = {
            port: keys.trusting(plant.keys.ca, newest=newest)
            for port, newest in ((MBAPS, None), (OLD, ssl.TLSVersion.TLSv1_2))
        }
        self._hello, _ = Tls(self._tls[OLD]).shake()
        self._stranger = plant.keys.of_another_authority("scada").trusting(plant.keys.ca)

    def cycle(self) -> None:
        """14 connections."""
        ports = self._plant.ports
        for listener in (MBAPS, OLD):
            with connect(ports[listener], self._tls[listener]) as sock:
                assert ask(sock, read(5)) is not None
        try:
            with connect(ports[MBAPS], self._stranger) as sock:
                ask(sock, read(5))
        except OSError:
            pass
        for _ in range(3):
            with dial(ports[PLAIN]) as sock:
                assert ask(sock, read(5)) is not None
                sock.sendall(frame(1, 1, write(900, 1)) + b"half a fra")
            cut = dial(ports[PLAIN])
            cut.sendall(frame(1, 1, read(5)))
            reset(cut)
            dial(ports[MBAPS]).close()
        for listener in (MBAPS, OLD):
            half = dial(ports[listener])
            half.sendall(self._hello)
            reset(half)


@pytest.mark.timeout(120)
@pytest.mark.grows("connections")
def test_t48_no_leak(plant: Plant, gateway: GatewayProcess, plc: RecordingPlc, campaigns: Campaigns) -> None:
    """2,000 connections in seven ways; then everything is as it was."""
    coming = Coming(plant)
    for _ in range(30):
        coming.cycle()
    wait_until(lambda: gateway.links() == 0)
    time.sleep(1.2)  # goodbyes
    files, memory = open_files(gateway.pid), resident_kib(gateway.pid)
    for _ in range(campaigns.count("connections", push=145, full=600)):
        coming.cycle()
    wait_until(lambda: gateway.links() == 0)
    wait_until(lambda: open_files(gateway.pid) <= files, what="no descriptor is left open")
    grown = resident_kib(gateway.pid) - memory
    print(f"grown by {grown} KiB from {memory} KiB, {files} descriptors")
    assert grown < GROWTH
    assert gateway.metric("bulkhead_links") == 0


class TestFileDescriptors:
    def test_t48_out_of_them_and_back(self, plant: Plant, gateway: GatewayProcess, plc: RecordingPlc) -> None:
        """Who is there goes on; who comes waits; nothing is left behind when there are some again."""
        with dial(plant.ports[PLAIN]) as old, ExitStack() as stack:
            assert ask(old, read(5)) is not None
            with limited(gateway, resource.RLIMIT_NOFILE, open_files(gateway.pid) + 8):
                waiting = [stack.enter_context(dial(plant.ports[PLAIN])) for _ in range(40)]
                time.sleep(0.3)
                burnt = _cpu(gateway.pid)
                for tid in range(50):
                    assert ask(old, read(5), tid=tid) is not None
                    time.sleep(0.01)
                assert _cpu(gateway.pid) - burnt < 0.4, "it spins while it cannot accept"
            began = time.monotonic()
            for sock in waiting:
                assert ask(sock, read(5)) is not None
                sock.close()
            assert time.monotonic() - began < 5.0
        assert gateway.metric("bulkhead_connections_limited_total", listener=PLAIN) >= 1
        wait_until(lambda: gateway.links() == 0)

    def test_t48_some_are_kept_for_the_operator(self, recorder: RecordingPlc, plant: Plant) -> None:
        """With few to begin with, connections get fewer, and admin, audit and reload go on."""
        small = Builder(plant.folder / "few", recorder.port).build()
        with running(small, files=200) as gateway, ExitStack() as idle:
            for listener in (MBAPS, PLAIN) * 150:
                idle.enter_context(dial(small.ports[listener]))
            time.sleep(0.5)
            assert open_files(gateway.pid) <= 200 - 32
            assert '"apiVersion"' in gateway.admin("/status")
            keys = small.keys.issue("mes")
            small.keys.revoke(keys)
            gateway.recorded(what="connect", listener=PLAIN, reason="BH-1104")
            idle.close()
            time.sleep(0.3)
            with connect(small.ports[MBAPS], small.keys.issue("scada").trusting(small.keys.ca)) as sock:
                assert ask(sock, read(5)) is not None


def test_limits_of_the_site_are_kept(plant: Plant, recorder: RecordingPlc) -> None:
    """Masters over their limit are closed, with a record; who is there stays; room that is left is given again."""
    narrow = Builder(
        plant.folder / "narrow", recorder.port, limits="links_per_source: 4, links_per_identity: 3"
    ).build()
    context = narrow.keys.issue("scada").trusting(narrow.keys.ca)
    with running(narrow) as gateway, ExitStack() as stack:
        masters = [stack.enter_context(connect(narrow.ports[MBAPS], context)) for _ in range(3)]
        assert all(ask(sock, read(5)) is not None for sock in masters)
        assert try_to(narrow.ports[MBAPS], context, read(5)) == (None, "")
        assert gateway.recorded(what="connect", reason="BH-1104", who="scada")
        station = stack.enter_context(dial(narrow.ports[PLAIN]))
        assert ask(station, read(5)) is not None
        with dial(narrow.ports[PLAIN]) as fifth:
            assert fifth.recv(10) == b""
        elsewhere = narrow.keys.issue("mes").trusting(narrow.keys.ca)
        with connect(narrow.ports[MBAPS], elsewhere, source="127.0.0.50") as other:
            assert ask(other, read(5)) is not None
        masters[0].close()
        wait_until(lambda: try_to(narrow.ports[MBAPS], context, read(5))[0] is not None)
        assert all(ask(sock, read(5)) is not None for sock in masters[1:])


class TestStop:
    @pytest.fixture
    def plant(self, plant: Plant, recorder: RecordingPlc, request: pytest.FixtureRequest) -> Plant:
        """One of its own for each gateway that is stopped."""
        return Builder(plant.folder / request.node.name, recorder.port, service="units: [1], timeout: 3s").build()

    async def test_answers_under_way_are_delivered(self, plant: Plant, plc: RecordingPlc) -> None:
        plc.delay = 0.3
        with running(plant) as gateway:
            async with (
                await Master.open(plant.ports[PLAIN]) as plain,
                await Master.open(plant.ports[MBAPS], tls=plant.keys.issue("scada").trusting(plant.keys.ca)) as secure,
            ):
                plain.send(frame(1, 1, write(50, 7)))
                await until(lambda: plc.received)
                gateway.terminate()
                await asyncio.sleep(0.05)
                assert await plain.frame() == frame(1, 1, write(50, 7))
                assert await plain.closed() == b""
                assert await secure.closed() == b""
            assert await asyncio.to_thread(gateway.wait) == 0
        assert [r["reason"] for r in gateway.audit() if r["what"] == "close"] == ["BH-1608"] * 2
        assert gateway.audit()[-1]["what"] == "stop"

    def test_nobody_new_is_let_in(self, plant: Plant, plc: RecordingPlc) -> None:
        with running(plant) as gateway, dial(plant.ports[PLAIN]) as held:
            assert ask(held, read(5)) is not None
            gateway.terminate()
            time.sleep(0.2)
            with pytest.raises(OSError):
                dial(plant.ports[PLAIN]).close()
            assert gateway.wait() == 0

    def test_quickly_with_many_links_and_some_that_do_not_listen(self, plant: Plant, plc: RecordingPlc) -> None:
        with running(plant) as gateway, ExitStack() as idle:
            for _ in range(200):
                idle.enter_context(dial(plant.ports[PLAIN]))
            for _ in range(50):
                idle.enter_context(dial(plant.ports[MBAPS]))
            deaf = idle.enter_context(dial(plant.ports[PLAIN]))
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.setblocking(False)
            try:
                for _ in range(300):
                    deaf.send(frame(1, 1, write(900, 1)) * 200)
            except BlockingIOError:
                pass
            wait_until(lambda: gateway.links() == 201)
            began = time.monotonic()
            assert gateway.stop() == 0
            assert time.monotonic() - began < 3.0

    def test_when_nobody_is_there(self, plant: Plant) -> None:
        with running(plant) as gateway:
            began = time.monotonic()
            assert gateway.stop() == 0
            assert time.monotonic() - began < 1.0


def _cpu(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100
