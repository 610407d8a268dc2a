"""The demo's clients: one real TCP connection each, from an address of their own, sending any bytes they like."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from proxy.demo import frames
from proxy.demo.tls import Memory, Papers, TlsPipe

PATIENCE = 3.0
"""Seconds a client waits for anything. The gateway's own answer for a silent PLC comes after one."""

ANSWERED, CLOSED, SILENT = "answered", "closed", "no answer"


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
    """``kind`` is ``answered``, ``exception NN``, ``closed``, ``alert ...`` or ``no answer``; ``seconds`` it took."""

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


class Client:
    """One connection. Whatever the other side does becomes an `Answer`; only a door that is not there raises OSError.

    ``sent`` holds all application bytes, ``peer`` is how the gateway's records name this connection.
    """

    def __init__(self, speaker: Speaker, memory: Memory | None = None) -> None:
        """With ``memory`` it asks to resume that session."""
        door = speaker.door
        self.sent = b""
        self.ended: Answer | None = None
        self._rest = b""
        self._transaction = 0
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

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        if self.tls is not None and self.ended is None:
            try:
                self.tls.goodbye()
            except OSError:
                pass  # it was ended from the other side meanwhile
        self.sock.close()

    def ask(self, *pdus: bytes, unit: int = 1) -> list[Answer]:
        """Sends all of them at once and waits for the answer to each; the answers are in the order of the questions."""
        first = self._transaction + 1
        self._transaction += len(pdus)
        numbers = range(first, first + len(pdus))
        self.send(b"".join(frames.adu(number, pdu, unit=unit) for number, pdu in zip(numbers, pdus, strict=True)))
        return self.answers(numbers)

    def answers(self, transactions: Sequence[int]) -> list[Answer]:
        """One answer for each of these transaction ids, whatever order they come in."""
        found: dict[int, Answer] = {}
        for _ in transactions:
            answer = self.answer()
            number = int.from_bytes(answer.data[:2], "big") if answer.data else -1
            if number >= 0 and (number not in transactions or number in found):
                answer = Answer("answer to another question", answer.seconds, answer.data)
                number = -1
            found[number if number >= 0 else next(n for n in transactions if n not in found)] = answer
        return [found[number] for number in transactions]

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
            size = frames.HEADER + int.from_bytes(self._rest[4:6], "big")
            if len(self._rest) >= max(size, frames.HEADER + 2):
                frame, self._rest = self._rest[:size], self._rest[size:]
                return Answer(_kind(frame), self._elapsed(), frame)
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

    def _end(self, fault: OSError) -> Answer:
        return Answer(_alert(fault) or CLOSED, self._elapsed())

    def _elapsed(self) -> float:
        return time.perf_counter() - self._started


def _kind(frame: bytes) -> str:
    function = frame[frames.HEADER + 1]
    return f"exception {frame[frames.HEADER + 2]:02X}" if function & frames.EXCEPTION else ANSWERED


def _alert(fault: OSError) -> str | None:
    """``alert unknown ca``: the words of the TLS alert that the gateway sent, without OpenSSL's prefixes."""
    reason = str(getattr(fault, "reason", None) or "")
    _, found, words = reason.partition("ALERT_")
    return f"alert {words.lower().replace('_', ' ')}" if found else None
