"""A blocking mbaps client on a bare socket: for handshakes, sessions and half-closed connections."""

from __future__ import annotations

import socket
import ssl
import struct

from tests.modbus.frames import frame
from tests.support.net import LOCAL

TIMEOUT = 5.0


def dial(port: int, *, host: str = LOCAL, source: str | None = None) -> socket.socket:
    """A TCP connection that has said nothing."""
    return socket.create_connection((host, port), TIMEOUT, (source, 0) if source is not None else None)


def connect(
    port: int, tls: ssl.SSLContext, *, session: ssl.SSLSession | None = None, source: str | None = None
) -> ssl.SSLSocket:
    """Handshake included. In TLS 1.3 a refusal shows at the first read only."""
    raw = dial(port, source=source)
    try:
        return tls.wrap_socket(raw, server_hostname="gateway", session=session)
    except BaseException:
        raw.close()
        raise


def receive_frame(sock: socket.socket) -> bytes | None:
    """The next ADU, None when the gateway closed before it was whole. ssl.SSLError for an alert."""
    data = b""
    while len(data) < 6 or len(data) < 6 + int.from_bytes(data[4:6], "big"):
        wanted = 6 if len(data) < 6 else 6 + int.from_bytes(data[4:6], "big")
        more = sock.recv(wanted - len(data))
        if not more:
            return None
        data += more
    return data


def ask(sock: socket.socket, pdu: bytes, *, tid: int = 1, unit: int = 1) -> bytes | None:
    """The PDU of the answer, None when the gateway closed instead."""
    sock.sendall(frame(tid, unit, pdu))
    answer = receive_frame(sock)
    if answer is None:
        return None
    assert answer[:2] == tid.to_bytes(2, "big") and answer[6] == unit, answer.hex()
    return answer[7:]


def try_to(
    port: int, tls: ssl.SSLContext, pdu: bytes, *, session: ssl.SSLSession | None = None
) -> tuple[bytes | None, str]:
    """Connects and asks once: (PDU of the answer or None, the alert's name or an empty text)."""
    try:
        with connect(port, tls, session=session) as sock:
            return ask(sock, pdu), ""
    except ssl.SSLError as error:
        return None, str(error.reason or error)
    except ConnectionError:
        return None, ""


def reset(sock: socket.socket) -> None:
    """Ends the connection with RST, as a crash or a pulled plug with a reboot does."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
