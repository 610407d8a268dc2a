"""A TLS client that shows what it puts on the wire, so that "it offered the old session" is seen and not believed."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

CHUNK = 65536
PRE_SHARED_KEY = 41
"""The extension by which TLS 1.3 resumes (RFC 8446 4.2.11)."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Papers:
    """What a client shows: certificate and key, or nothing. ``authority`` is whom it trusts itself."""

    authority: Path
    certificate: Path | None = None
    key: Path | None = None

    def context(self, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
        """A client of exactly this version. Raises OSError and ssl.SSLError for files that are not usable."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = context.maximum_version = version
        context.load_verify_locations(self.authority)
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)
        return context


@dataclass(frozen=True, slots=True)
class Memory:
    """What a client keeps of a connection to resume it: OpenSSL takes the session back in the same context alone."""

    context: ssl.SSLContext
    session: ssl.SSLSession


class TlsPipe:
    """TLS over a connected blocking socket. OSErrors, timeouts and ssl.SSLErrors come as they are.

    ``hello`` is the first flight, byte for byte.
    """

    def __init__(
        self, sock: socket.socket, context: ssl.SSLContext, host: str, session: ssl.SSLSession | None = None
    ) -> None:
        self._sock = sock
        self._context = context
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host, session=session)
        self.hello = b""

    def shake_hands(self) -> None:
        self._do(self._object.do_handshake)

    @property
    def memory(self) -> Memory:
        """Raises ValueError before the handshake."""
        if self._object.session is None:
            raise ValueError("there is no session yet")
        return Memory(self._context, self._object.session)

    @property
    def resumed(self) -> bool:
        return bool(self._object.session_reused)

    def send(self, data: bytes) -> None:
        self._do(lambda: self._object.write(data))

    def receive(self) -> bytes:
        """Empty at the end."""
        try:
            return self._do(lambda: self._object.read(CHUNK))
        except ssl.SSLZeroReturnError:
            return b""

    def goodbye(self) -> None:
        """close_notify both ways: what a session must have behind it to be resumed later."""
        self._do(self._object.unwrap)

    def _do(self, step: Callable[[], Result]) -> Result:
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self._flush()
                self._incoming_from_wire()
            except ssl.SSLError:
                self._flush()  # our own alert
                raise
            else:
                self._flush()
                return result

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data:
            self.hello = self.hello or data
            self._sock.sendall(data)

    def _incoming_from_wire(self) -> None:
        data = self._sock.recv(CHUNK)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()


def offers(hello: bytes, session: ssl.SSLSession) -> bool:
    """Whether a ClientHello, as it was on the wire, asks to go on with ``session``: by its id (TLS 1.2), or by a
    pre-shared key (TLS 1.3)."""
    body = hello[5 + 4 + 2 + 32 :]  # record, handshake and version heads, random
    size = body[0]
    if session.id and body[1 : 1 + size] == session.id:
        return True
    at = 1 + size
    at += 2 + int.from_bytes(body[at : at + 2], "big")  # suites
    at += 1 + body[at]  # compression
    end = at + 2 + int.from_bytes(body[at : at + 2], "big")
    at += 2
    while at < end:
        if int.from_bytes(body[at : at + 2], "big") == PRE_SHARED_KEY:
            return True
        at += 4 + int.from_bytes(body[at + 2 : at + 4], "big")
    return False
