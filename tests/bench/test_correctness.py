"""The checks inside the benchmark bite: a proxy that only ends TLS fails each inspecting one, and no other."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from typing import TYPE_CHECKING

import pytest

from bench import native_tools
from bench.certificates import Certificates, make_certificates
from bench.correctness import Suite
from bench.environment import Unmeasurable
from bench.processes import Plc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


@pytest.fixture
def plc(tmp_path: Path) -> Iterator[Plc]:
    try:
        program = native_tools.build(tmp_path).plc
    except Unmeasurable as error:
        give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        give_up(str(error))
    running = Plc.start(program, min(os.sched_getaffinity(0)))
    yield running
    running.stop()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(4096):
            writer.write(data)
    writer.close()


@contextlib.asynccontextmanager
async def terminator(certificates: Certificates, plc: Plc, *, clients: ssl.VerifyMode) -> AsyncIterator[int]:
    """A TLS terminator in ten lines, which inspects nothing; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.gateway, certificates.gateway_key)
    context.load_verify_locations(certificates.ca)
    context.verify_mode = clients

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_plc, to_plc = await asyncio.open_connection("127.0.0.1", plc.port)
        await asyncio.gather(pump(reader, to_plc), pump(from_plc, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def failed(plc: Plc, folder: Path, *, inspects: bool, clients: ssl.VerifyMode) -> set[str]:
    certificates = make_certificates(folder / "certs")
    async with terminator(certificates, plc, clients=clients) as port:
        suite = Suite("terminator", port, inspects, certificates, plc)
        checks = await asyncio.to_thread(lambda: list(suite.run()))
    return {check.name for check in checks if not check.ok}


async def test_a_terminator_passes_as_a_terminator(plc: Plc, tmp_path: Path) -> None:
    assert await failed(plc, tmp_path, inspects=False, clients=ssl.CERT_REQUIRED) == set()


async def test_a_terminator_fails_as_an_inspector(plc: Plc, tmp_path: Path) -> None:
    assert await failed(plc, tmp_path, inspects=True, clients=ssl.CERT_REQUIRED) == {
        "refused read", "range half allowed", "refused write", "FC 23 hiding a write", "refused between allowed",
        "protocol id 1", "length 0", "length 255",
    }  # fmt: skip


async def test_a_target_that_wants_no_certificate_fails(plc: Plc, tmp_path: Path) -> None:
    assert await failed(plc, tmp_path, inspects=False, clients=ssl.CERT_NONE) == {"no certificate"}
