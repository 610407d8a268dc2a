"""Accepts connections for one entrance: bounded, never waiting, with the evidence that only the first packet shows."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from proxy.core.facts import ConnFacts
from proxy.gateway.sockets import tune

if TYPE_CHECKING:
    import asyncio

    from proxy.gateway.ports import Entrance, ListenerCounts

BACKLOG = 1024
BURST = 16
"""Accepted per wake-up, so that a flood of connections leaves the loop to those already here."""
PAUSE = 0.2
"""Seconds without accepting when the process is out of file descriptors (T48)."""
TCP_SAVE_SYN = 27
TCP_SAVED_SYN = 28
WITH_ETHERNET = 2
SYN_ROOM = 512

ParseSyn = Callable[[bytes], tuple[str | None, str | None]]
"""The saved SYN in, (MAC, signature) out; never raises."""


class Listener:
    """``arrived`` gets each accepted socket with what is known of it. ``entrance`` may be exchanged for another at the
    same address: who is accepted from then on comes in through that."""

    def __init__(
        self,
        entrance: Entrance,
        *,
        loop: asyncio.AbstractEventLoop,
        parse_syn: ParseSyn,
        arrived: Callable[[socket.socket, ConnFacts, Entrance], None],
        counts: Callable[[Entrance], ListenerCounts],
    ) -> None:
        self.entrance = entrance
        self._loop = loop
        self._parse_syn = parse_syn
        self._arrived = arrived
        self._counts = counts
        self._sock: socket.socket | None = None

    def bind(self) -> None:
        """Raises OSError: address taken, not ours, or not permitted."""
        entrance = self.entrance
        family = socket.AF_INET6 if ":" in entrance.host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                # Otherwise an IPv4 peer would appear as ::ffff:a.b.c.d, a second spelling of the same source (T29).
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            tune(sock)
            _save_syn(sock)
            sock.bind((entrance.host, entrance.port))
            sock.listen(BACKLOG)
        except OSError:
            sock.close()
            raise
        self._sock = sock

    @property
    def address(self) -> tuple[str, int]:
        """The bound address; the port is real even when 0 was asked for."""
        if self._sock is None:
            raise RuntimeError("the listener is not bound")
        host, port, *_ = self._sock.getsockname()
        return host, port

    def accept(self) -> None:
        """Starts to accept."""
        if self._sock is not None:
            self._loop.add_reader(self._sock.fileno(), self._acceptable)

    def close(self) -> None:
        if self._sock is not None:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()
            self._sock = None

    def _acceptable(self) -> None:
        for _ in range(BURST):
            if self._sock is None:
                return
            try:
                sock, peer = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    self._counts(self.entrance).limited += 1
                    self._loop.remove_reader(self._sock.fileno())
                    self._loop.call_later(PAUSE, self.accept)
                return
            sock.setblocking(False)
            self._counts(self.entrance).accepted += 1
            mac, signature = self._parse_syn(_saved_syn(sock))
            self._arrived(sock, ConnFacts(self.entrance.name, peer[0], peer[1], mac, signature), self.entrance)


def _save_syn(sock: socket.socket) -> None:
    """Must stand before `listen`. A kernel without it costs evidence, nothing else."""
    try:
        sock.setsockopt(socket.IPPROTO_TCP, TCP_SAVE_SYN, WITH_ETHERNET)
    except OSError:
        pass


def _saved_syn(sock: socket.socket) -> bytes:
    """Can be read once; empty under SYN cookies."""
    try:
        return sock.getsockopt(socket.IPPROTO_TCP, TCP_SAVED_SYN, SYN_ROOM)
    except OSError:
        return b""
