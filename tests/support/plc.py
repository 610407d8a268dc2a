"""A plain Modbus/TCP device that writes down every ADU it received: the only judge of what got through.

It has nothing of ours in it but the notation of `tests.modbus.frames`. Memory answers correctly; faults are asked for.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from types import TracebackType

from tests.modbus.frames import cut, frame
from tests.support.net import free_port, until

HOST = "127.0.0.9"


class Fault(Enum):
    """What the device does instead of answering one request."""

    SILENT = "no answer at all"
    OTHER_TID = "the right answer under a transaction id that was not asked"
    OTHER_UNIT = "the right answer of another unit"
    TOO_SHORT = "an answer with one register less"
    GARBAGE = "bytes that are no frame"
    CLOSE = "it closes the connection"
    RESET = "it resets the connection"


class RecordingPlc:
    """``received`` in order of arrival, over all connections. ``writes`` are those that change something.

    ``delay`` seconds before each answer, one after another as an old PLC works. ``faults`` are used up one per
    request, ``fault`` holds for all that follow.
    """

    def __init__(self, host: str = HOST, port: int = 0) -> None:
        self.host = host
        self.port = port or free_port(host)
        self.received: list[bytes] = []
        self.accepted = 0
        self.open = 0
        self.delay = 0.0
        self.fault: Fault | None = None
        self.faults: deque[Fault] = deque()
        self.holding: dict[int, int] = {}
        self.coils: dict[int, bool] = {}
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    def forget(self) -> None:
        """As new, but for the connections that are open."""
        self.received.clear()
        self.accepted = 0
        self.delay = 0.0
        self.fault = None
        self.faults.clear()
        self.holding.clear()
        self.coils.clear()

    async def __aenter__(self) -> RecordingPlc:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        await self.stop()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, self.host, self.port, backlog=512)

    async def stop(self) -> None:
        """Listens no more and cuts every connection."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.hang_up()
        await until(lambda: not self._writers, what="the device's connections are gone")

    def hang_up(self) -> None:
        """Cuts every connection, as a device that restarts does."""
        for writer in self._writers:
            writer.transport.abort()

    @property
    def pdus(self) -> list[bytes]:
        return [adu[7:] for adu in self.received]

    @property
    def writes(self) -> list[bytes]:
        return [pdu for pdu in self.pdus if pdu[0] in (5, 6, 15, 16, 22, 23)]

    def holding_at(self, address: int) -> int:
        """What was written there, else a value of its own for each address."""
        return self.holding.get(address, (address * 7 + 1) & 0xFFFF)

    def coil_at(self, address: int) -> bool:
        return self.coils.get(address, address % 3 == 0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self.open += 1
        self._writers.add(writer)
        try:
            while True:
                head = await reader.readexactly(6)
                adu = head + await reader.readexactly(int.from_bytes(head[4:6], "big"))
                cut(adu)  # raises for what is not well framed: the gateway must never send such a thing
                self.received.append(adu)
                if self.delay:
                    await asyncio.sleep(self.delay)
                await self._react(adu, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            self._writers.discard(writer)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _react(self, adu: bytes, writer: asyncio.StreamWriter) -> None:
        tid, unit = int.from_bytes(adu[:2], "big"), adu[6]
        fault = self.faults.popleft() if self.faults else self.fault
        if fault is Fault.SILENT:
            return
        if fault is Fault.CLOSE:
            writer.close()
            raise ConnectionResetError
        if fault is Fault.RESET:
            writer.transport.abort()
            raise ConnectionResetError
        answer = self._answer(adu[7:])
        if unit == 0:
            return
        if fault is Fault.OTHER_TID:
            tid ^= 0x5A5A
        elif fault is Fault.OTHER_UNIT:
            unit ^= 1
        elif fault is Fault.TOO_SHORT:
            answer = bytes((answer[0], answer[1] - 2)) + answer[2:-2]
        writer.write(b"\xff" * 32 if fault is Fault.GARBAGE else frame(tid, unit, answer))
        await writer.drain()

    def _answer(self, pdu: bytes) -> bytes:
        function, body = pdu[0], pdu[1:]
        words = [int.from_bytes(body[at : at + 2], "big") for at in range(0, len(body) - 1, 2)]
        if function in (1, 2):
            bits = sum(1 << at for at in range(words[1]) if self.coil_at(words[0] + at))
            packed = bits.to_bytes((words[1] + 7) // 8, "little")
            return bytes((function, len(packed))) + packed
        if function in (3, 4):
            return bytes((function, 2 * words[1])) + self._words(words[0], words[1])
        if function == 5:
            self.coils[words[0]] = words[1] == 0xFF00
            return pdu
        if function == 6:
            self.holding[words[0]] = words[1]
            return pdu
        if function == 15:
            bits = int.from_bytes(body[5:], "little")
            self.coils |= {words[0] + at: bool(bits >> at & 1) for at in range(words[1])}
            return pdu[:5]
        if function == 16:
            self._write(words[0], body[5:])
            return pdu[:5]
        if function == 22:
            address, keep, set_ = words
            self.holding[address] = (self.holding_at(address) & keep) | (set_ & ~keep)
            return pdu
        if function == 23:
            self._write(words[2], body[9:])
            return bytes((function, 2 * words[1])) + self._words(words[0], words[1])
        if function == 8 and words[0] == 0:
            return pdu
        if pdu[:3] == b"\x2b\x0e\x01":
            name = b"Recorder"
            return b"\x2b\x0e\x01\x01\x00\x00\x01\x00" + bytes((len(name),)) + name
        return bytes((function | 0x80, 1))

    def _words(self, address: int, count: int) -> bytes:
        return b"".join(self.holding_at(address + at).to_bytes(2, "big") for at in range(count))

    def _write(self, address: int, data: bytes) -> None:
        for at in range(len(data) // 2):
            self.holding[address + at] = int.from_bytes(data[2 * at : 2 * at + 2], "big")


@contextmanager
def plc_in_thread(host: str = HOST, port: int = 0) -> Iterator[RecordingPlc]:
    """A device on a loop of its own, for tests that block: real clients, processes. Reading it needs no lock."""
    plc = RecordingPlc(host, port)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="plc", daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(plc.start(), loop).result(5)
    try:
        yield plc
    finally:
        asyncio.run_coroutine_threadsafe(plc.stop(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()
