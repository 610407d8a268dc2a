"""TLS as a sans-IO layer: bytes from the wire in, plain bytes out, and the other way round.

Our own use of `SSLObject` over memory BIOs instead of an event loop's TLS transport, because we need what those hide:
one read and one write per wake-up without an exception per read, 28 KiB per idle link instead of up to 280
(threats.md 7.3), and the moment between handshake and first byte, when certificate and session are looked at again.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CHUNK = 65536
_OUT_OF_DATE = (9, 10)
"""X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED."""
_TLS12_SUITES = ":".join(
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
    )
)
"""MB-TCP-Security R-12, R-14, R-50..R-55: ephemeral keys and AEAD only; nothing without encryption (R-48 refused)."""


class TlsFailure(Exception):
    """The handshake or a record is not acceptable. The text is OpenSSL's, for the record. ``out_of_date``: the chain
    is good but for its dates."""

    def __init__(self, text: str, *, out_of_date: bool = False) -> None:
        super().__init__(text)
        self.out_of_date = out_of_date


class TlsSession:
    """One side of one connection: the server's, or with the name of a ``server`` its client's."""

    __slots__ = ("_incoming", "_object", "_outgoing", "ended", "ready")

    def __init__(self, context: ssl.SSLContext, server: str | None = None) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server is None, server)
        self.ready = False
        self.ended = False

    def handshake(self, data: bytes) -> None:
        """Takes bytes of the handshake; ``ready`` turns True when it is done. Raises TlsFailure."""
        self._incoming.write(data)
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLCertVerificationError as error:
            raise TlsFailure(error.verify_message[:120], out_of_date=error.verify_code in _OUT_OF_DATE) from None
        except (ssl.SSLError, ValueError) as error:
            raise TlsFailure(_text(error)) from None
        self.ready = True

    def receive(self, data: bytes) -> bytes:
        """Takes bytes from the wire, gives all plain bytes they complete. ``ended`` after the peer's close_notify.

        A read gives one whole record, since `CHUNK` is larger than any, and one request per record is the rule: to
        ask again only when bytes are left saves an exception per read.
        """
        incoming, read = self._incoming, self._object.read
        incoming.write(data)
        try:
            plain = read(CHUNK)
            if not plain:
                self.ended = True
            elif incoming.pending:
                return self._rest(plain)
            return plain
        except ssl.SSLWantReadError:
            return b""
        except ssl.SSLZeroReturnError:
            self.ended = True
            return b""
        except (ssl.SSLError, ValueError) as error:
            raise TlsFailure(_text(error)) from None

    def _rest(self, first: bytes) -> bytes:
        """The other records that came with the first. Raises what `receive` handles, except at the end of input."""
        parts = [first]
        while self._incoming.pending:
            try:
                part = self._object.read(CHUNK)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                part = b""
            if not part:
                self.ended = True
                break
            parts.append(part)
        return b"".join(parts)

    def seal(self, plain: bytes) -> bytes:
        """Encrypts; what comes back goes on the wire."""
        done = self._object.write(plain)
        while done < len(plain):
            done += self._object.write(memoryview(plain)[done:])
        return self._outgoing.read()

    def outgoing(self) -> bytes:
        return self._outgoing.read()

    def goodbye(self) -> None:
        """Queues our close_notify."""
        try:
            self._object.unwrap()
        except (ssl.SSLError, ValueError):
            pass  # wants the peer's close_notify, which we do not wait for here; or the session is broken already

    def certificate(self) -> bytes | None:
        return self._object.getpeercert(True)

    @property
    def context(self) -> ssl.SSLContext:
        return self._object.context

    @property
    def resumed(self) -> bool:
        return bool(self._object.session_reused)

    @property
    def version(self) -> str | None:
        return self._object.version()


class Contexts:
    """The sessions of one listener, none of which can be resumed (T09, threats.md 7.2).

    In TLS 1.3 no ticket is sent, so all share one context. In TLS 1.2 a context remembers each session that was
    agreed on it, whatever `OP_NO_TICKET` says, and would resume it when the certificate has expired or been revoked
    since. So a context that has seen one is given to nobody any more. Those who never get that far share one: making
    a context takes 2 ms, which a stranger must not be able to spend for us a thousand times a second (T45).
    """

    def __init__(self, build: Callable[[], ssl.SSLContext]) -> None:
        self._build = build
        self._next: ssl.SSLContext | None = build()

    def session(self) -> TlsSession:
        if self._next is None:
            self._next = self._build()
        return TlsSession(self._next)

    def agreed(self, session: TlsSession) -> None:
        """To be told of every handshake that is done."""
        if session.version != "TLSv1.3" and session.context is self._next:
            self._next = None


def server_contexts(*, versions: Sequence[str], certificate: Path, key: Path, client_ca: Path) -> Contexts:
    """For a listener that demands client certificates. Raises OSError or ssl.SSLError at once when the files are not
    usable.
    """

    def build() -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2 if "1.2" in versions else ssl.TLSVersion.TLSv1_3
        context.maximum_version = ssl.TLSVersion.TLSv1_3 if "1.3" in versions else ssl.TLSVersion.TLSv1_2
        context.set_ciphers(_TLS12_SUITES)
        context.num_tickets = 0
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_SINGLE_ECDH_USE
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.load_verify_locations(cafile=client_ca)
        context.load_cert_chain(certificate, key, _no_passphrase)
        return context

    return Contexts(build)


class DeviceTls:
    """TLS towards one device. ``name`` is what its certificate must say: a host name, or an address."""

    def __init__(self, context: ssl.SSLContext, name: str) -> None:
        self._context = context
        self._name = name

    def session(self) -> TlsSession:
        """A handshake of its own each time: a client resumes nothing that it was not told to."""
        return TlsSession(self._context, self._name)


def device_tls(*, ca: Path, name: str, certificate: Path | None = None, key: Path | None = None) -> DeviceTls:
    """Raises OSError or ssl.SSLError when the files are not usable. ``certificate`` and ``key`` are our own.

    Chain, dates, name and purpose are always checked. RFC 5280 to the letter is not asked for, as it is of the site's
    own certificates: the authority of a broker is somebody else's, and one that leaves out a key identifier is common.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_TLS12_SUITES)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    context.verify_mode = ssl.CERT_REQUIRED
    context.check_hostname = True
    context.hostname_checks_common_name = False
    context.load_verify_locations(cafile=ca)
    if certificate is not None:
        context.load_cert_chain(certificate, key, _no_passphrase)
    return DeviceTls(context, name)


def _no_passphrase() -> str:
    """For a key that wants one: OpenSSL would ask at the terminal, and a gateway that starts by itself would hang."""
    return ""


def _text(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return str(reason or error)[:120].replace("_", " ").lower()
