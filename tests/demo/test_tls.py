"""The demo's TLS client against an ordinary server, which does resume: else "it was refused" would prove nothing."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from proxy.demo.tls import Memory, Papers, TlsPipe, offers
from proxy.pki.folder import CertificateFolder
from proxy.pki.leaf import Leaf

if TYPE_CHECKING:
    from pathlib import Path

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = CertificateFolder(tmp_path_factory.mktemp("keys"), "plant")
    now = datetime.now(UTC)
    folder.create_authority(now)
    folder.issue(Leaf("gateway", "gateway", ips=(ip_address("127.0.0.1"),)), now)
    folder.issue(Leaf("scada"), now)
    return folder.path


@contextmanager
def echo(certs: Path, tickets: int) -> Iterator[tuple[str, int]]:
    """Serves one connection after the other with one context, so that its sessions can be resumed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certs / "gateway.crt", certs / "gateway.key")
    context.load_verify_locations(certs / "site-ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    context.num_tickets = tickets
    if not tickets:
        context.options |= ssl.OP_NO_TICKET
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with context.wrap_socket(sock, server_side=True) as tls:
                tls.sendall(tls.recv(100))
                tls.unwrap()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


def talk(address: tuple[str, int], context: ssl.SSLContext, memory: Memory | None = None) -> tuple[TlsPipe, Memory]:
    with socket.create_connection(address, 5) as sock:
        pipe = TlsPipe(sock, context, address[0], memory.session if memory else None)
        pipe.shake_hands()
        pipe.send(b"hello")
        assert pipe.receive() == b"hello"
        pipe.goodbye()
        return pipe, pipe.memory


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_is_kept_offered_and_resumed(certs: Path, version: ssl.TLSVersion) -> None:
    papers = Papers(certs / "site-ca.crt", certs / "scada.crt", certs / "scada.key")
    with echo(certs, tickets=2) as address:
        first, memory = talk(address, papers.context(version))
        assert not offers(first.hello, memory.session)
        second, _ = talk(address, memory.context, memory)
    assert not first.resumed
    assert second.resumed
    assert offers(second.hello, memory.session)


def test_without_tickets_tls_13_has_nothing_to_offer(certs: Path) -> None:
    papers = Papers(certs / "site-ca.crt", certs / "scada.crt", certs / "scada.key")
    with echo(certs, tickets=0) as address:
        _, memory = talk(address, papers.context())
        second, _ = talk(address, memory.context, memory)
    assert not memory.session.has_ticket
    assert not second.resumed
    assert not offers(second.hello, memory.session)
