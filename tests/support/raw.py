"""A client on a bare socket in the test's loop: small buffers, half-closed, reset, one byte at a time, TLS by hand."""

from __future__ import annotations

import asyncio
import socket
import ssl
from types import TracebackType

from tests.support.mbaps import reset
from tests.support.net import LOCAL


class Raw:
    """``received`` is read to the end or to a wanted size; nothing is read that a test did not ask for."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def to(
        cls, port: int, *, source: str | None = None, receive_buffer: int | None = None, segment: int | None = None
    ) -> Raw:
        """``segment``: at most so many bytes in a packet, as on a wire; else it is 64 KiB, and small buffers crawl."""
        sock = socket.socket()
        sock.setblocking(False)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if segment is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment)
        if source is not None:
            sock.bind((source, 0))
        raw = cls(sock)
        await asyncio.wait_for(raw._loop.sock_connect(sock, (LOCAL, port)), 5)
        return raw

    async def __aenter__(self) -> Raw:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.sock.close()

    async def send(self, data: bytes) -> None:
        await asyncio.wait_for(self._loop.sock_sendall(self.sock, data), 5)

    async def recv(self, size: int = 65536, seconds: float = 5.0) -> bytes:
        """b"" when the gateway closed."""
        return await asyncio.wait_for(self._loop.sock_recv(self.sock, size), seconds)

    async def exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size and (more := await self.recv(size - len(data))):
            data += more
        return data

    async def to_the_end(self, seconds: float = 5.0) -> bytes:
        """All that comes until the gateway closes or resets."""
        data = b""
        try:
            while more := await self.recv(seconds=seconds):
                data += more
        except ConnectionResetError:
            pass
        return data

    def finish(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        reset(self.sock)


class Tls:
    """The client side of a session over memory buffers, so that a test decides what goes on the wire, and when."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.object = context.wrap_bio(self.incoming, self.outgoing, server_hostname="gateway")

    def shake(self, data: bytes = b"") -> tuple[bytes, bool]:
        """One step: bytes from the server in, (bytes for the server, done?) out."""
        if data:
            self.incoming.write(data)
        try:
            self.object.do_handshake()
        except ssl.SSLWantReadError:
            return self.outgoing.read(), False
        return self.outgoing.read(), True

    def seal(self, plain: bytes) -> bytes:
        self.object.write(plain)
        return self.outgoing.read()

    def close_notify(self) -> bytes:
        try:
            self.object.unwrap()
        except ssl.SSLWantReadError:
            pass
        return self.outgoing.read()

    def open(self, data: bytes) -> bytes:
        """What ``data`` holds; "b''" too when the peer said close_notify."""
        self.incoming.write(data)
        found = b""
        while True:
            try:
                part = self.object.read(65536)
            except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
                return found
            if not part:
                return found
            found += part


async def shaken(raw: Raw, context: ssl.SSLContext, behind: bytes = b"") -> Tls:
    """A finished handshake; ``behind`` goes in the same segment as its last flight."""
    tls = Tls(context)
    out, done = tls.shake()
    while not done:
        await raw.send(out)
        out, done = tls.shake(await raw.recv())
    await raw.send(out + (tls.seal(behind) if behind else b""))
    return tls
