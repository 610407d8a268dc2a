"""A Modbus master that speaks frames: for what a well-behaved client library cannot be made to do."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from types import TracebackType

from tests.modbus.frames import frame
from tests.support.net import LOCAL

SERVER_BUSY, NO_PATH, NO_ANSWER = 6, 0x0A, 0x0B


def read(address: int, count: int = 1) -> bytes:
    """The PDU of a read of holding registers."""
    return b"\x03" + address.to_bytes(2, "big") + count.to_bytes(2, "big")


def write(address: int, value: int) -> bytes:
    """The PDU of a write of one holding register."""
    return b"\x06" + address.to_bytes(2, "big") + value.to_bytes(2, "big")


def refusal(pdu: bytes, code: int = 1) -> bytes:
    return bytes((pdu[0] | 0x80, code))


class Master:
    """One connection, plain or TLS. Transaction ids count up unless given."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._tid = 0

    @classmethod
    async def open(
        cls, port: int, *, host: str = LOCAL, source: str | None = None, tls: ssl.SSLContext | None = None
    ) -> Master:
        local = (source, 0) if source is not None else None
        name = "gateway" if tls is not None else None
        opening = asyncio.open_connection(host, port, local_addr=local, ssl=tls, server_hostname=name)
        return cls(*await asyncio.wait_for(opening, 10))

    async def __aenter__(self) -> Master:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.abort()
        with suppress(OSError):
            await asyncio.wait_for(self._writer.wait_closed(), 1)

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    def finish(self) -> None:
        """Sends FIN and goes on listening. Plain connections only: asyncio's TLS cannot."""
        self._writer.write_eof()

    def abort(self) -> None:
        self._writer.transport.abort()

    async def frame(self, seconds: float = 5.0) -> bytes:
        """The next ADU. IncompleteReadError when the gateway has closed."""
        async with asyncio.timeout(seconds):
            head = await self._reader.readexactly(6)
            return head + await self._reader.readexactly(int.from_bytes(head[4:6], "big"))

    async def ask(self, pdu: bytes, *, unit: int = 1, tid: int | None = None, seconds: float = 5.0) -> bytes:
        """Sends one request and returns the PDU of its answer, which must have the same id and unit."""
        if tid is None:
            tid = self._tid = (self._tid + 1) & 0xFFFF
        self.send(frame(tid, unit, pdu))
        answer = await self.frame(seconds)
        assert answer[:4] == tid.to_bytes(2, "big") + b"\0\0" and answer[6] == unit, answer.hex()
        return answer[7:]

    async def closed(self, seconds: float = 5.0) -> bytes:
        """Waits for the gateway to close; what it said until then."""
        async with asyncio.timeout(seconds):
            try:
                return await self._reader.read(-1)
            except ConnectionResetError:
                return b""
