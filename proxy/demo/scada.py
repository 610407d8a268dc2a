"""The SCADA: a real Modbus master (pymodbus over TLS) that polls all the time, whatever the others are up to."""

from __future__ import annotations

import logging
import socket
import statistics
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pymodbus.client import ModbusTlsClient
from pymodbus.exceptions import ModbusException

from proxy.demo import frames

if TYPE_CHECKING:
    from proxy.demo.connection import Speaker

FIRST, COUNT = 0, 8
POLL = frames.content(frames.read_holding(FIRST, COUNT))
"""What its question looks like behind the gateway. No other client of the demo asks the same."""
PATIENCE = 3.0
KEPT = 1000


@dataclass(frozen=True, slots=True)
class Health:
    """Since the start. ``seconds`` are the latest answer times; ``bottles`` is the counter as last read."""

    polls: int
    failures: int
    connections: int
    seconds: tuple[float, ...]
    bottles: int

    @property
    def last(self) -> float:
        return self.seconds[-1] if self.seconds else 0.0

    @property
    def p99(self) -> float:
        return statistics.quantiles(self.seconds, n=100)[98] if len(self.seconds) > 1 else self.last


class Scada:
    """Polls every ``interval`` seconds in a thread of its own; at once when somebody waits for a poll."""

    def __init__(self, speaker: Speaker, interval: float) -> None:
        logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # failures are counted and shown in the table
        self._speaker = speaker
        self._interval = interval
        self._client: ModbusTlsClient | None = None
        self._changed = threading.Condition()
        self._wanted = threading.Event()
        self._stop = False
        self._good_since = 0.0  # when the last answered poll began
        self._polls = self._failures = self._connections = self._bottles = 0
        self._seconds: deque[float] = deque(maxlen=KEPT)
        self._thread = threading.Thread(target=self._run, name="demo-scada", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop = True
        self._wanted.set()
        if self._thread.ident is not None:
            self._thread.join()

    def health(self) -> Health:
        with self._changed:
            return Health(self._polls, self._failures, self._connections, tuple(self._seconds), self._bottles)

    def polls_from_now(self) -> bool:
        """Waits for a poll that began after this call and was answered. Then everything that the gateway sent to the
        PLC before is on record there, too: there is one connection to the PLC, and it keeps the order."""
        began = time.monotonic()
        self._wanted.set()
        with self._changed:
            return self._changed.wait_for(lambda: self._good_since >= began, PATIENCE)

    def _run(self) -> None:
        while not self._stop:
            self._wanted.clear()
            began = time.monotonic()
            values, seconds = self._poll()
            with self._changed:
                self._polls += 1
                if values is None:
                    self._failures += 1
                else:
                    self._good_since = began
                    self._bottles = values[0]
                    self._seconds.append(seconds)
                self._changed.notify_all()
            self._wanted.wait(self._interval)
        self._close()

    def _poll(self) -> tuple[list[int] | None, float]:
        """The registers, or None; and the time between question and answer."""
        began = time.monotonic()
        try:
            client = self._connected()
            began = time.monotonic()
            answer = client.read_holding_registers(FIRST, count=COUNT, device_id=1)
        except (ModbusException, OSError):
            self._close()
            return None, 0.0
        return None if answer.isError() else list(answer.registers), time.monotonic() - began

    def _connected(self) -> ModbusTlsClient:
        if self._client is None:
            door, papers = self._speaker.door, self._speaker.papers
            assert papers is not None and door.version is not None  # noqa: S101 - the plant gives it both
            context = papers.context(door.version)
            context.check_hostname = False  # pymodbus gives OpenSSL no name to check; the chain is still verified
            client = ModbusTlsClient(
                door.host, port=door.port, sslctx=context, source_address=(self._speaker.source, 0), retries=0
            )
            if not client.connect():  # type: ignore[no-untyped-call]
                raise ConnectionError("no connection")
            if client.socket is not None:
                # Else its first question waits 40 ms for the acknowledgement of its handshake (Nagle).
                client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._client = client
            self._connections += 1
        return self._client

    def _close(self) -> None:
        if self._client is not None:
            self._client.close()  # type: ignore[no-untyped-call]
            self._client = None
