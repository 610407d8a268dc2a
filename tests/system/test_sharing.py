"""One PLC, many masters: whose answer is whose, and what becomes of requests when the PLC fails.

The recording PLC is the judge: what arrived, how often, over how many connections.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import statistics
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.modbus.frames import frame
from tests.support.master import NO_ANSWER, NO_PATH, SERVER_BUSY, Master, read, refusal, write
from tests.support.mbaps import ask, connect, dial
from tests.support.net import free_port, until, wait_until
from tests.support.plant import MBAPS, PLAIN, Builder, Plant
from tests.support.plc import HOST, Fault, RecordingPlc, plc_in_thread
from tests.support.process import GatewayProcess, running
from tests.support.raw import Tls

if TYPE_CHECKING:
    from tests.support.campaign import Campaigns

pytestmark = pytest.mark.system

MASTERS = 20
TIMEOUT = 0.6


@pytest.fixture(scope="module")
def plant(recorder: RecordingPlc, tmp_path_factory: pytest.TempPathFactory) -> Plant:
    service = f"units: [1, 2], connections: 1, pipeline: 4, timeout: {int(TIMEOUT * 1000)}ms"
    return Builder(tmp_path_factory.mktemp("plant"), recorder.port, service=service).build()


@pytest.fixture
def plc(recorder: RecordingPlc, gateway: GatewayProcess) -> RecordingPlc:
    """As new, with the gateway connected to it, whatever the test before did."""
    port = gateway.plant.ports[PLAIN]
    recorder.forget()

    def answered() -> bool:
        with dial(port) as sock:
            return ask(sock, read(5)) == b"\x03\x02" + recorder.holding_at(5).to_bytes(2, "big")

    wait_until(answered, 8.0)
    recorder.forget()
    return recorder


@asynccontextmanager
async def masters(plant: Plant, count: int) -> AsyncIterator[list[Master]]:
    """Half of them over TLS."""
    tls = plant.keys.issue("scada").trusting(plant.keys.ca)
    async with AsyncExitStack() as stack:
        opened = []
        for at in range(count):
            listener = MBAPS if at % 2 else PLAIN
            master = await Master.open(plant.ports[listener], tls=tls if at % 2 else None)
            opened.append(await stack.enter_async_context(master))
        yield opened


class TestWhoseAnswer:
    async def test_twenty_masters_with_equal_ids(
        self, plant: Plant, gateway: GatewayProcess, plc: RecordingPlc, campaigns: Campaigns
    ) -> None:
        """10,000 requests over one PLC connection; each master uses the same ids, and reads its own registers."""
        each = campaigns.count("connections", push=500, full=5000)

        async def poll(master: Master, own: int) -> None:
            for tid in range(each):
                count = 1 + tid % 3
                values = b"".join(plc.holding_at(4 * own + at).to_bytes(2, "big") for at in range(count))
                answer = await master.ask(read(4 * own, count), tid=tid, seconds=20)
                assert answer == bytes((3, 2 * count)) + values

        async with masters(plant, MASTERS) as all_of_them:
            await asyncio.gather(*(poll(master, own) for own, master in enumerate(all_of_them)))
        assert len(plc.received) == MASTERS * each
        assert plc.accepted == 0 and plc.open == 1, "the one connection that was there"

    async def test_pipelined_and_mixed(self, plant: Plant, gateway: GatewayProcess, plc: RecordingPlc) -> None:
        """Reads, writes and refusals of all masters at once, each with several requests in flight."""

        async def work(master: Master, own: int) -> None:
            register = 50 + own
            for turn in range(20):
                asked = [write(register, turn), read(register), write(900, 1), read(own)]
                for tid, pdu in enumerate(asked):
                    master.send(frame(tid, 1, pdu))
                answers = [await master.frame() for _ in asked]
                assert sorted(answers) == [
                    frame(0, 1, write(register, turn)),
                    frame(1, 1, b"\x03\x02" + turn.to_bytes(2, "big")),
                    frame(2, 1, refusal(write(900, 1))),
                    frame(3, 1, b"\x03\x02" + plc.holding_at(own).to_bytes(2, "big")),
                ]

        async with masters(plant, 10) as all_of_them:
            await asyncio.gather(*(work(master, own) for own, master in enumerate(all_of_them)))
        assert write(900, 1) not in plc.pdus
        assert len(plc.writes) == 200

    async def test_t47_a_busy_master_does_not_starve_the_others(
        self, plant: Plant, gateway: GatewayProcess, plc: RecordingPlc
    ) -> None:
        plc.delay = 0.01
        async with masters(plant, 5) as (busy, *calm):

            async def flood() -> None:
                while True:
                    for tid in range(16):
                        busy.send(frame(tid, 1, read(tid)))
                    for _ in range(16):
                        await busy.frame()

            flooding = asyncio.create_task(flood())
            await asyncio.sleep(0.3)
            times = []
            for _ in range(10):
                for master in calm:
                    began = time.monotonic()
                    assert (await master.ask(read(5)))[0] == 3
                    times.append(time.monotonic() - began)
            flooding.cancel()
        # At worst four are on the wire and one of the busy master goes first.
        print(f"median {statistics.median(times) * 1000:.0f} ms, worst {max(times) * 1000:.0f} ms")
        assert statistics.median(times) < 12 * plc.delay

    async def test_a_flood_of_refusals_does_not_keep_others_waiting(
        self, plant: Plant, gateway: GatewayProcess, plc: RecordingPlc
    ) -> None:
        """T47: denials cost the gateway work and records; 20 honest masters at some Hz must not feel it."""

        async def measure(honest: list[Master]) -> list[float]:
            times = []
            for _ in range(6):
                for master in honest:
                    began = time.monotonic()
                    assert (await master.ask(read(5)))[0] == 3
                    times.append(time.monotonic() - began)
                    await asyncio.sleep(0.002)
            return sorted(times)

        command = [sys.executable, "-m", "tests.support.flooder", str(plant.ports[PLAIN])]
        async with masters(plant, MASTERS) as honest:
            quiet = await measure(honest)
            before = gateway.metric("bulkhead_messages_refused_total")
            flooder = await asyncio.create_subprocess_exec(*command)
            try:
                await asyncio.sleep(1.0)
                loud = await measure(honest)
                assert flooder.returncode is None
            finally:
                flooder.kill()
                await flooder.wait()
            refused = gateway.metric("bulkhead_messages_refused_total") - before
        print(
            f"median {statistics.median(quiet) * 1000:.1f} ms quiet, {statistics.median(loud) * 1000:.1f} ms loud, "
            f"worst {loud[-1] * 1000:.0f} ms, {refused:.0f} refused"
        )
        assert statistics.median(loud) < max(0.1, 10 * statistics.median(quiet))
        records = [r for r in gateway.audit() if r["what"] == "refuse"]
        assert refused > 5000 and len(records) < 200, "denials are merged"


class TestHalfClosed:
    """A client that sends all it has and then FIN, as `nc` does, gets every answer before ours."""

    @pytest.mark.parametrize("listener", [PLAIN, MBAPS])
    def test_every_answer_comes(self, listener: str, plant: Plant, gateway: GatewayProcess, plc: RecordingPlc) -> None:
        plc.delay = 0.02
        asked = [read(at) for at in range(10)]
        request = b"".join(frame(tid, 1, pdu) for tid, pdu in enumerate(asked))
        expected = b"".join(frame(tid, 1, b"\x03\x02" + plc.holding_at(tid).to_bytes(2, "big")) for tid in range(10))
        if listener == PLAIN:
            with dial(plant.ports[PLAIN]) as sock:
                sock.sendall(request)
                sock.shutdown(socket.SHUT_WR)
                received = b"".join(iter(lambda: sock.recv(4096), b""))
        else:
            client = Tls(plant.keys.issue("scada").trusting(plant.keys.ca))
            with dial(plant.ports[MBAPS]) as sock:
                out, done = client.shake()
                while not done:
                    sock.sendall(out)
                    out, done = client.shake(sock.recv(65536))
                sock.sendall(out + client.seal(request) + client.close_notify())
                sock.shutdown(socket.SHUT_WR)
                received = client.open(b"".join(iter(lambda: sock.recv(4096), b"")))
        assert received == expected
        assert plc.pdus == asked


class TestFailingPlc:
    async def test_it_dies_with_writes_in_flight(
        self, plant: Plant, gateway: GatewayProcess, plc: RecordingPlc
    ) -> None:
        """The outcome is unknown: 0x0B, and nobody replays anything. Then it is back, and all is well."""
        plc.delay = 0.2
        async with masters(plant, 8) as all_of_them:
            for own, master in enumerate(all_of_them):
                master.send(frame(own, 1, write(50 + own, 7)))
            await until(lambda: plc.received)
            plc.hang_up()
            plc.delay = 0.0
            answers = [await master.frame() for master in all_of_them]
            for own, answer in enumerate(answers):
                asked = write(50 + own, 7)
                assert answer in (frame(own, 1, refusal(asked, NO_ANSWER)), frame(own, 1, asked)), answer.hex()
            unknown = sum(answer[7] == 0x86 for answer in answers)
            assert unknown >= 1
            for own, master in enumerate(all_of_them):
                assert (await master.ask(read(own), tid=100))[0] == 3
        assert max(Counter(plc.writes).values()) == 1, "a write was replayed"
        assert gateway.recorded(what="device", reason="BH-1107")

    @pytest.mark.parametrize("fault", [Fault.SILENT, Fault.OTHER_TID])
    async def test_no_answer(self, fault: Fault, plant: Plant, gateway: GatewayProcess, plc: RecordingPlc) -> None:
        plc.faults.append(fault)
        async with masters(plant, 2) as (one, other):
            began = time.monotonic()
            asked = asyncio.create_task(one.ask(write(60, 1)))
            await until(lambda: plc.received)
            assert (await other.ask(read(5)))[0] == 3, "the connection has room for others"
            assert await asked == refusal(write(60, 1), NO_ANSWER)
            assert TIMEOUT - 0.05 < time.monotonic() - began < TIMEOUT + 1.0
            assert (await one.ask(read(6)))[0] == 3
        assert plc.writes == [write(60, 1)]

    @pytest.mark.parametrize("fault", [Fault.TOO_SHORT, Fault.GARBAGE, Fault.OTHER_UNIT])
    async def test_an_answer_that_does_not_fit(
        self, fault: Fault, plant: Plant, gateway: GatewayProcess, plc: RecordingPlc
    ) -> None:
        """Somebody may be injecting: the connection ends, the question is answered 0x0B, nothing is passed on."""
        plc.faults.append(fault)
        async with masters(plant, 1) as (master,):
            assert await master.ask(read(5, 2)) == refusal(read(5, 2), NO_ANSWER)
            assert (await master.ask(read(6)))[0] == 3
        assert plc.accepted == 1
        assert gateway.recorded(what="device", reason="BH-1108")

    async def test_a_late_answer_reaches_nobody(self, plant: Plant, gateway: GatewayProcess, plc: RecordingPlc) -> None:
        """Every answer comes after its deadline. None of them may be given to a later question."""
        async with masters(plant, 4) as all_of_them:
            plc.delay = TIMEOUT * 1.3
            for round_ in range(2):
                for own, master in enumerate(all_of_them):
                    master.send(frame(round_, 1, read(10 * own + round_)))
                for own, master in enumerate(all_of_them):
                    answer = await master.frame()
                    value = plc.holding_at(10 * own + round_).to_bytes(2, "big")
                    late = frame(round_, 1, refusal(read(0), NO_ANSWER))
                    busy = frame(round_, 1, refusal(read(0), SERVER_BUSY))
                    assert answer in (late, busy, frame(round_, 1, b"\x03\x02" + value)), answer.hex()
            plc.delay = 0.0
            await asyncio.sleep(2 * TIMEOUT)
            for own, master in enumerate(all_of_them):
                assert await master.ask(read(own), tid=50) == b"\x03\x02" + plc.holding_at(own).to_bytes(2, "big")

    async def test_a_master_that_leaves_with_requests_in_flight(
        self, plant: Plant, gateway: GatewayProcess, plc: RecordingPlc
    ) -> None:
        """Its queued requests are dropped, its answers swallowed, and the next one's answers are its own."""
        plc.delay = 0.05
        chance = random.Random(7)
        async with masters(plant, 1) as (steady,):
            for turn in range(20):
                leaver = await Master.open(plant.ports[PLAIN])
                for tid in range(8):
                    leaver.send(frame(tid, 1, read(tid)))
                await asyncio.sleep(chance.random() * 0.1)
                leaver.abort()
                value = plc.holding_at(40 + turn).to_bytes(2, "big")
                assert await steady.ask(read(40 + turn), tid=turn % 8) == b"\x03\x02" + value


class TestNoPlc:
    def test_one_that_does_not_accept(self, plant: Plant) -> None:
        """Neither yes nor no from its side: 0x0A all the same, before a master's patience of some seconds ends."""
        with socket.socket() as full, ExitStack() as stack:
            full.bind((HOST, 0))
            full.listen(0)
            for _ in range(4):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(full.getsockname())
            deaf = Builder(plant.folder / "deaf", full.getsockname()[1], service="units: [1], timeout: 500ms").build()
            with running(deaf) as gateway, dial(deaf.ports[PLAIN]) as sock:
                began = time.monotonic()
                assert ask(sock, read(5)) == refusal(read(5), NO_PATH)
                assert time.monotonic() - began < 4.0
                assert gateway.recorded(what="device", reason="BH-1106")

    def test_unreachable_and_back(self, plant: Plant) -> None:
        """0x0A while there is no path; the first request after it is back finds the way by itself."""
        port = free_port(HOST)
        lonely = Builder(plant.folder / "lonely", port, service="units: [1], timeout: 300ms").build()
        with running(lonely) as gateway, dial(lonely.ports[PLAIN]) as sock:
            for tid in range(5):
                began = time.monotonic()
                assert ask(sock, read(5), tid=tid) == refusal(read(5), NO_PATH)
                assert time.monotonic() - began < 1.0
            assert gateway.recorded(what="device", reason="BH-1106", to="plc")
            with plc_in_thread(HOST, port) as late:
                value = b"\x03\x02" + late.holding_at(5).to_bytes(2, "big")
                wait_until(lambda: ask(sock, read(5)) == value, 8.0)


@pytest.fixture(scope="module")
def single(recorder: RecordingPlc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    service = "units: [1], connections: 1, pipeline: 4, timeout: 1s, shared: false"
    single = Builder(tmp_path_factory.mktemp("single"), recorder.port, service=service).build()
    with running(single) as gateway:
        yield single
        assert sum(device["connections"] for device in json.loads(gateway.admin("/status"))["devices"]) == 0


class TestOneToOne:
    """``shared: false``: a connection for each master, there when something is allowed, gone with it."""

    def test_each_has_its_own(self, single: Plant, recorder: RecordingPlc) -> None:
        recorder.forget()
        before = recorder.open
        socks = [dial(single.ports[PLAIN]) for _ in range(5)]
        for sock in socks:
            assert ask(sock, write(900, 1)) == refusal(write(900, 1))
        assert recorder.accepted == 0
        for at, sock in enumerate(socks):
            assert ask(sock, read(5), tid=1) is not None
            assert recorder.accepted == at + 1
        for at, sock in enumerate(socks):
            sock.close()
            left = before + 4 - at
            wait_until(lambda left=left: recorder.open == left)  # type: ignore[misc]

    def test_what_is_queued_does_not_come_later(self, single: Plant, recorder: RecordingPlc) -> None:
        """The master leaves while its requests wait: they leave with it."""
        recorder.forget()
        before = recorder.open
        recorder.delay = 0.1
        with dial(single.ports[PLAIN]) as sock:
            sock.sendall(b"".join(frame(tid, 1, write(50, tid)) for tid in range(12)))
            wait_until(lambda: recorder.received)
        wait_until(lambda: recorder.open == before)
        assert len(recorder.writes) <= 6


class TestDecideFirstDialLater:
    def test_who_is_refused_never_causes_a_connection(self, recorder: RecordingPlc, plant: Plant) -> None:
        fresh = Builder(plant.folder / "fresh", recorder.port).build()
        recorder.forget()
        with running(fresh):
            with dial(fresh.ports[PLAIN]) as sock:
                for pdu in (write(900, 1), read(99, 2), b"\x5a\x00", b"\x17\0\0\0\1\3\x84\0\1\2\0\1"):
                    assert ask(sock, pdu) == refusal(pdu)
            with dial(fresh.ports[PLAIN], source="127.0.0.77") as sock:
                sock.sendall(frame(1, 1, read(5)))
                assert sock.recv(10) == b""
            vendor = fresh.keys.issue("vendor").trusting(fresh.keys.ca)
            with connect(fresh.ports[MBAPS], vendor) as sock:
                assert ask(sock, read(5)) == refusal(read(5))
            with connect(fresh.ports[MBAPS], fresh.keys.issue("scada").trusting(fresh.keys.ca)) as sock:
                assert recorder.accepted == 0, "an open link is no reason to dial either"
                assert ask(sock, read(5)) is not None
            assert recorder.accepted == 1
