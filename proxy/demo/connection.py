"""One real TCP connection of a demo client, from an address of its own. What is spoken on it, a subclass knows."""

from __future__ import annotations

import socket
import ssl
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from proxy.demo.tls import TlsPipe

if TYPE_CHECKING:
    from typing import Self

    from proxy.demo.tls import Memory, Papers

PATIENCE = 3.0
"""Seconds a client waits for anything. The gateway's own answer for a silent PLC comes after one."""

CLOSED, SILENT = "closed", "no answer"


@dataclass(frozen=True, slots=True)
class Door:
    """Where a client knocks. ``version`` None: without TLS."""

    host: str
    port: int
    version: ssl.TLSVersion | None = None


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who knocks: a source address and what it shows."""

    door: Door
    source: str
    papers: Papers | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """``kind`` is the protocol's word for a frame (``answered``, ``exception 01``, ``CONNACK 05``), or ``closed``,
    ``alert ...``, ``no answer``; ``seconds`` it took."""

    kind: str
    seconds: float
    data: bytes = b""


class Pipe(Protocol):
    def send(self, data: bytes) -> None: ...
    def receive(self) -> bytes: ...


class PlainPipe:
    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def send(self, data: bytes) -> None:
        self._sock.sendall(data)

    def receive(self) -> bytes:
        return self._sock.recv(65536)


class Connection(ABC):
    """Whatever the other side does becomes an `Answer`; only a door that is not there raises OSError.

    ``sent`` holds all application bytes, ``peer`` is how the gateway's records name this connection.
    """

    def __init__(self, speaker: Speaker, memory: Memory | None = None) -> None:
        """With ``memory`` it asks to resume that session."""
        door = speaker.door
        self.sent = b""
        self.ended: Answer | None = None
        self._rest = b""
        self._started = time.perf_counter()
        self.sock = socket.create_connection((door.host, door.port), PATIENCE, (speaker.source, 0))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.peer = "{}:{}".format(*self.sock.getsockname())
        self.pipe: Pipe = PlainPipe(self.sock)
        self.tls: TlsPipe | None = None
        if door.version is not None and speaker.papers is not None:
            context = memory.context if memory is not None else speaker.papers.context(door.version)
            session = memory.session if memory is not None else None
            self.pipe = self.tls = TlsPipe(self.sock, context, door.host, session)
            try:
                self.tls.shake_hands()
            except OSError as fault:
                self.ended = self._end(fault)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.tls is not None and self.ended is None:
            try:
                self.tls.goodbye()
            except OSError:
                pass  # it was ended from the other side meanwhile
        self.sock.close()

    def send(self, data: bytes) -> None:
        self._started = time.perf_counter()
        if self.ended is not None:
            return
        self.sent += data
        try:
            self.pipe.send(data)
        except OSError as fault:
            self.ended = self._end(fault)

    def answer(self) -> Answer:
        """The next frame, or how the connection ended."""
        while self.ended is None:
            size = self._size(self._rest)
            if size is not None and len(self._rest) >= size:
                frame, self._rest = self._rest[:size], self._rest[size:]
                return Answer(self._kind(frame), self._elapsed(), frame)
            try:
                data = self.pipe.receive()
            except TimeoutError:
                return Answer(SILENT, self._elapsed())
            except OSError as fault:
                self.ended = self._end(fault)
            else:
                self._rest += data
                if not data:
                    self.ended = Answer(CLOSED, self._elapsed())
        return self.ended

    @abstractmethod
    def _size(self, data: bytes) -> int | None:
        """How long the frame is that begins here, in bytes; None while that is not known."""

    @abstractmethod
    def _kind(self, frame: bytes) -> str: ...

    def _end(self, fault: OSError) -> Answer:
        return Answer(_alert(fault) or CLOSED, self._elapsed())

    def _elapsed(self) -> float:
        return time.perf_counter() - self._started


def _alert(fault: OSError) -> str | None:
    """``alert unknown ca``: the words of the TLS alert that the gateway sent, without OpenSSL's prefixes."""
    reason = str(getattr(fault, "reason", None) or "")
    _, found, words = reason.partition("ALERT_")
    return f"alert {words.lower().replace('_', ' ')}" if found else None
