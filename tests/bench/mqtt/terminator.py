"""A TLS terminator in front of the broker's plain listener, which inspects nothing; it may spoil what it carries."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.certificates import Certificates


class Terminator:
    """Runs on a thread of its own. ``spoil`` sees each chunk on its way to the broker. See `bench.mqtt.flow.Target`."""

    name = "terminator"

    def __init__(
        self,
        certificates: Certificates,
        to: int,
        clients: ssl.VerifyMode = ssl.CERT_REQUIRED,
        spoil: Callable[[bytes], bytes] = bytes,
    ) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificates.gateway, certificates.gateway_key)
        self._context.load_verify_locations(certificates.ca)
        self._context.verify_mode = clients
        self._to = to
        self._spoil = spoil
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.port = 0

    @property
    def pids(self) -> list[int]:
        """Nobody's CPU is counted."""
        return []

    def __enter__(self) -> Terminator:
        self._thread.start()
        self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(5)

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._main())

    async def _main(self) -> None:
        self._end = asyncio.Event()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._end.wait()
        server.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await asyncio.sleep(0)  # transports are closed in a turn of their own

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_broker, to_broker = await asyncio.open_connection("127.0.0.1", self._to)
        try:
            await asyncio.gather(pump(reader, to_broker, self._spoil), pump(from_broker, writer, bytes))
        finally:
            for one in (writer, to_broker):
                one.transport.abort()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, spoil: Callable[[bytes], bytes]) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(spoil(data))
        writer.close()
