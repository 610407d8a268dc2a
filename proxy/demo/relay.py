"""The tap behind the gateway, in front of PLC and broker: writes down every byte that the gateway sends, then passes it
on. It decodes nothing.

What it wrote is the demo's only judge of "did it get through". The line is in the file before the PLC gets the bytes,
so an answer that a client has in its hands is proof that its request is on record.

    {"time": 1795271460.125, "link": 1, "bytes": "0001000000060103000000"}
    {"time": 1795271461.5, "link": 1, "end": true}
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

READ = 65536


class Relay:
    """Each connection gets one of its own to ``target``. ``record`` is written and flushed chunk by chunk."""

    def __init__(self, target: tuple[str, int], record: TextIO) -> None:
        self._target = target
        self._record = record
        self._links = 0

    async def serve(self, host: str, port: int) -> asyncio.Server:
        """Raises OSError if the address is taken."""
        return await asyncio.start_server(self._connected, host, port)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._links += 1
        link = self._links
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass(reader, far_writer, link))
                both.create_task(self._pass(far_reader, writer, None))
        except* (OSError, asyncio.CancelledError):
            pass  # one side is gone, or the process ends: the finally tells the other
        finally:
            writer.close()

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, link: int | None) -> None:
        try:
            while data := await source.read(READ):
                if link is not None:
                    self._write_down(link, bytes=data.hex())
                sink.write(data)
                await sink.drain()
        finally:
            if link is not None:
                self._write_down(link, end=True)
            sink.close()

    def _write_down(self, link: int, **what: object) -> None:
        line = json.dumps({"time": round(time.time(), 3), "link": link, **what})
        self._record.write(line + "\n")
        self._record.flush()
