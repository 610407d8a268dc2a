"""Masters as they are, unchanged, through `bulkhead run`. What the recording PLC received is what got through."""

from __future__ import annotations

import asyncio
import re
import ssl
import subprocess
from subprocess import DEVNULL, PIPE
from typing import TYPE_CHECKING, Any

import pytest
from pymodbus.client import AsyncModbusTcpClient, AsyncModbusTlsClient, ModbusTcpClient, ModbusTlsClient
from pymodbus.pdu import ExceptionResponse

from tests.modbus.frames import frame
from tests.support.master import read, refusal, write
from tests.support.net import LOCAL
from tests.support.plant import MBAPS, OLD, PLAIN, Plant
from tests.support.tools import run, tool

if TYPE_CHECKING:
    from tests.support.plc import RecordingPlc

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("gateway")]

ILLEGAL_FUNCTION = 1


@pytest.fixture
def tls(plant: Plant) -> ssl.SSLContext:
    return plant.keys.issue("scada").trusting(plant.keys.ca)


def sync_client(plant: Plant, listener: str, tls: ssl.SSLContext) -> Any:
    port = plant.ports[listener]
    if listener == PLAIN:
        return ModbusTcpClient(LOCAL, port=port, timeout=3, retries=0)
    return ModbusTlsClient(LOCAL, port=port, sslctx=tls, timeout=3, retries=0)


def async_client(plant: Plant, listener: str, tls: ssl.SSLContext) -> Any:
    port = plant.ports[listener]
    if listener == PLAIN:
        return AsyncModbusTcpClient(LOCAL, port=port, timeout=3, retries=0)
    return AsyncModbusTlsClient(LOCAL, port=port, sslctx=tls, timeout=3, retries=0)


@pytest.mark.parametrize("listener", [PLAIN, MBAPS, OLD])
class TestPymodbus:
    def test_sync(self, listener: str, plant: Plant, tls: ssl.SSLContext, plc: RecordingPlc) -> None:
        client = sync_client(plant, listener, tls)
        assert client.connect()
        try:
            registers = client.read_holding_registers(5, count=3, device_id=1)
            assert registers.registers == [plc.holding_at(5), plc.holding_at(6), plc.holding_at(7)]
            coils = client.read_coils(0, count=9, device_id=1)
            assert coils.bits[:9] == [plc.coil_at(at) for at in range(9)]
            assert not client.write_register(40, 700, device_id=1).isError()
            assert not client.write_coils(0, [True, True, False], device_id=1).isError()
            refused = client.write_register(40, 1501, device_id=1)
            assert isinstance(refused, ExceptionResponse) and refused.exception_code == ILLEGAL_FUNCTION
            hidden = client.readwrite_registers(read_address=0, read_count=1, address=900, values=[1], device_id=1)
            assert isinstance(hidden, ExceptionResponse) and hidden.exception_code == ILLEGAL_FUNCTION
            assert client.read_holding_registers(40, count=1, device_id=1).registers == [700]
        finally:
            client.close()
        assert plc.writes == [write(40, 700), b"\x0f\0\0\0\x03\x01\x03"]

    async def test_async(self, listener: str, plant: Plant, tls: ssl.SSLContext, plc: RecordingPlc) -> None:
        client = async_client(plant, listener, tls)
        assert await client.connect()
        try:
            # Several requests of one client in flight.
            answers = await asyncio.gather(
                *(client.read_holding_registers(at, count=1, device_id=1) for at in range(10))
            )
            assert [answer.registers for answer in answers] == [[plc.holding_at(at)] for at in range(10)]
            refused = await client.read_holding_registers(99, count=2, device_id=1)
            assert isinstance(refused, ExceptionResponse) and refused.exception_code == ILLEGAL_FUNCTION
            assert not (await client.write_registers(50, [1, 2, 3], device_id=1)).isError()
        finally:
            client.close()
        assert plc.writes == [b"\x10\0\x32\0\x03\x06\0\x01\0\x02\0\x03"]
        assert read(99, 2) not in plc.pdus


class TestMbpoll:
    def poll(self, plant: Plant, *words: str) -> tuple[int, str]:
        """mbpoll -0: addresses count from 0 as in the rules."""
        command = [tool("mbpoll"), "-m", "tcp", "-0", "-1", "-q", "-p", str(plant.ports[PLAIN]), *words]
        done = run(command)
        return done.returncode, done.stdout.decode()

    def test_reads_holding_registers(self, plant: Plant, plc: RecordingPlc) -> None:
        code, said = self.poll(plant, "-t", "4", "-r", "5", "-c", "3", LOCAL)
        assert code == 0, said
        assert re.findall(r"\[(\d+)\]:\s+(\d+)", said) == [(str(at), str(plc.holding_at(at))) for at in (5, 6, 7)]

    def test_reads_coils(self, plant: Plant, plc: RecordingPlc) -> None:
        code, said = self.poll(plant, "-t", "0", "-r", "0", "-c", "7", LOCAL)
        assert code == 0, said
        assert re.findall(r"\[(\d+)\]:\s+(\d+)", said) == [(str(at), str(int(plc.coil_at(at)))) for at in range(7)]

    def test_writes_what_is_allowed(self, plant: Plant, plc: RecordingPlc) -> None:
        code, said = self.poll(plant, "-t", "4", "-r", "40", LOCAL, "1500")
        assert code == 0, said
        assert plc.writes == [write(40, 1500)]
        assert plc.holding == {40: 1500}

    @pytest.mark.parametrize(("register", "value"), [(40, 1501), (41, 1), (900, 1)])
    def test_is_refused_the_rest(self, register: int, value: int, plant: Plant, plc: RecordingPlc) -> None:
        code, said = self.poll(plant, "-t", "4", "-r", str(register), LOCAL, str(value))
        assert code != 0
        assert "Illegal function" in said
        assert plc.received == []

    def test_is_refused_another_unit(self, plant: Plant, plc: RecordingPlc) -> None:
        """Unit 2 answers behind this address, but the rule names unit 1."""
        code, said = self.poll(plant, "-t", "4", "-a", "2", "-r", "5", LOCAL)
        assert code != 0 and "Illegal function" in said
        assert plc.received == []


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
class TestOpenssl:
    """MB-TCP-Security is Modbus/TCP inside TLS: bytes in hand are enough to be a client."""

    def ask(self, plant: Plant, version: str, *pdus: bytes) -> list[bytes]:
        """The answers' PDUs."""
        keys = plant.keys.issue("scada")
        port = plant.ports[OLD if version == "-tls1_2" else MBAPS]
        command = [tool("openssl"), "s_client", "-quiet", "-verify_quiet", version, "-CAfile", str(plant.keys.ca)]
        command += ["-cert", str(keys.certificate), "-key", str(keys.key), "-connect", f"{LOCAL}:{port}"]
        with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL) as client:
            assert client.stdin is not None and client.stdout is not None
            try:
                answers = []
                for tid, pdu in enumerate(pdus):
                    client.stdin.write(frame(tid, 1, pdu))
                    client.stdin.flush()
                    head = client.stdout.read(6)
                    answers.append(head + client.stdout.read(int.from_bytes(head[4:6], "big")))
            finally:
                client.kill()
        assert [answer[:2] for answer in answers] == [tid.to_bytes(2, "big") for tid in range(len(pdus))]
        return [answer[7:] for answer in answers]

    def test_reads_and_writes(self, version: str, plant: Plant, plc: RecordingPlc) -> None:
        value = plc.holding_at(5).to_bytes(2, "big")
        assert self.ask(plant, version, read(5), write(40, 77)) == [b"\x03\x02" + value, write(40, 77)]
        assert plc.pdus == [read(5), write(40, 77)]

    def test_is_refused(self, version: str, plant: Plant, plc: RecordingPlc) -> None:
        assert self.ask(plant, version, write(900, 1)) == [refusal(write(900, 1))]
        assert plc.received == []
