"""TLS as a sans-IO layer: the server's side against OpenSSL's client over memory buffers, no socket in sight."""

from __future__ import annotations

import random
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from proxy.gateway.tls import Contexts, TlsFailure, TlsSession, server_contexts
from proxy.pki.leaf import Leaf
from tests.support.keys import TLS12, TLS13, KeyFiles, Keys, trusting
from tests.support.raw import Tls

if TYPE_CHECKING:
    from pathlib import Path

BOTH = pytest.mark.parametrize("newest", [TLS12, TLS13], ids=["tls12", "tls13"])


def contexts_of(keys: Keys, gateway: KeyFiles | None = None, *versions: str) -> Contexts:
    gateway = gateway or keys.gateway
    return server_contexts(
        versions=versions or ("1.2", "1.3"), certificate=gateway.certificate, key=gateway.key, client_ca=keys.ca
    )


@pytest.fixture(scope="session")
def contexts(keys: Keys) -> Contexts:
    return contexts_of(keys)


@pytest.fixture(scope="session")
def anna(keys: Keys) -> KeyFiles:
    return keys.issue("anna")


def pair(contexts: Contexts, client: ssl.SSLContext, cut: int | None = None) -> tuple[TlsSession, Tls]:
    """Both sides of a finished handshake. ``cut``: the client's bytes arrive in pieces of this size."""
    server, other = contexts.session(), Tls(client)
    out, done = other.shake()
    while out or not done:
        for at in range(0, len(out), cut or len(out) or 1):
            server.handshake(out[at : at + (cut or len(out))])
        out, done = other.shake(server.outgoing())
        if done and out:
            server.handshake(out)
            assert other.open(server.outgoing()) == b""
            break
    assert server.ready
    contexts.agreed(server)
    return server, other


class TestHandshake:
    @BOTH
    @pytest.mark.parametrize("cut", [1, 7, 100, None])
    def test_cut_anywhere(
        self, newest: ssl.TLSVersion, cut: int | None, contexts: Contexts, keys: Keys, anna: KeyFiles
    ) -> None:
        server, client = pair(contexts, anna.trusting(keys.ca, newest=newest), cut)
        assert server.version == {TLS12: "TLSv1.2", TLS13: "TLSv1.3"}[newest]
        assert not server.resumed
        der = server.certificate()
        assert der is not None and x509.load_der_x509_certificate(der).serial_number == anna.serial
        assert server.receive(client.seal(b"hello")) == b"hello"

    @pytest.mark.parametrize(
        "garbage",
        [b"GET / HTTP/1.1\r\n\r\n", b"\0" * 64, b"\x16\x03\x01\xff\xff" + b"x" * 200, b"\x80\x2e\x01\0\2" + b"x" * 60],
    )
    def test_garbage_is_a_failure_and_nothing_else(self, garbage: bytes, contexts: Contexts) -> None:
        with pytest.raises(TlsFailure) as failure:
            contexts.session().handshake(garbage)
        assert 0 < len(str(failure.value)) <= 120

    def test_any_garbage(self, contexts: Contexts, keys: Keys, anna: KeyFiles) -> None:
        """A real hello with bytes changed: done, incomplete or TlsFailure; never another exception."""
        chance = random.Random(1)
        hello, _ = Tls(anna.trusting(keys.ca)).shake()
        outcomes = set()
        for _ in range(400):
            broken = bytearray(hello)
            for _ in range(chance.randint(1, 6)):
                broken[chance.randrange(len(broken))] = chance.randrange(256)
            session = contexts.session()
            try:
                session.handshake(bytes(broken))
                outcomes.add("incomplete")
            except TlsFailure:
                outcomes.add("failure")
            assert not session.ready
        assert outcomes == {"incomplete", "failure"}

    @pytest.mark.parametrize("who", ["nobody", "expired", "foreign"])
    def test_who_is_not_let_in(self, who: str, contexts: Contexts, keys: Keys) -> None:
        clients = {
            "nobody": lambda: trusting(keys.ca),
            "expired": lambda: keys.expired("berta").trusting(keys.ca),
            "foreign": lambda: keys.of_another_authority("berta").trusting(keys.ca),
        }
        with pytest.raises(TlsFailure) as failure:
            pair(contexts, clients[who]())
        assert failure.value.out_of_date == (who == "expired")

    def test_not_yet_valid_is_out_of_date_too(self, contexts: Contexts, keys: Keys) -> None:
        early = keys.issue("berta", since=-timedelta(days=1))
        with pytest.raises(TlsFailure) as failure:
            pair(contexts, early.trusting(keys.ca))
        assert failure.value.out_of_date

    def test_a_server_certificate_alone_is_no_client(self, contexts: Contexts, keys: Keys) -> None:
        """Extended key usage counts: who may be dialled may not therefore dial."""
        issued = keys.authority.issue(Leaf("berta"), datetime.now(UTC))
        certificate = _with_usage(keys, issued.certificate, ExtendedKeyUsageOID.SERVER_AUTH)
        files = _written(keys.folder, "server-only", certificate, issued.key_pem)
        with pytest.raises(TlsFailure):
            pair(contexts, files.trusting(keys.ca))

    def test_r12_r38_the_suite_of_an_rsa_gateway(self, keys: Keys, anna: KeyFiles, tmp_path: Path) -> None:
        contexts = contexts_of(keys, _rsa_gateway(keys, tmp_path))
        client = anna.trusting(keys.ca, newest=TLS12)
        client.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
        server, other = pair(contexts, client)
        assert server.receive(other.seal(b"x")) == b"x"


class TestRecords:
    @BOTH
    def test_cut_at_every_byte(self, newest: ssl.TLSVersion, contexts: Contexts, keys: Keys, anna: KeyFiles) -> None:
        server, client = pair(contexts, anna.trusting(keys.ca, newest=newest))
        sealed = client.seal(b"first") + client.seal(b"second")
        for at in range(len(sealed) + 1):
            parts = server.receive(sealed[:at]) + server.receive(sealed[at:])
            assert parts == b"firstsecond", at
            assert not server.ended
            sealed = client.seal(b"first") + client.seal(b"second")

    @BOTH
    def test_many_records_in_one_feed(
        self, newest: ssl.TLSVersion, contexts: Contexts, keys: Keys, anna: KeyFiles
    ) -> None:
        server, client = pair(contexts, anna.trusting(keys.ca, newest=newest))
        messages = [b"%d" % number for number in range(300)]
        assert server.receive(b"".join(client.seal(m) for m in messages)) == b"".join(messages)

    @BOTH
    def test_more_than_a_record(self, newest: ssl.TLSVersion, contexts: Contexts, keys: Keys, anna: KeyFiles) -> None:
        server, client = pair(contexts, anna.trusting(keys.ca, newest=newest))
        big = random.Random(2).randbytes(100_000)
        sealed, received = client.seal(big), b""
        for at in range(0, len(sealed), 16384):
            received += server.receive(sealed[at : at + 16384])
        assert received == big
        assert client.open(server.seal(big)) == big

    @BOTH
    def test_close_notify(self, newest: ssl.TLSVersion, contexts: Contexts, keys: Keys, anna: KeyFiles) -> None:
        server, client = pair(contexts, anna.trusting(keys.ca, newest=newest))
        assert server.receive(client.seal(b"last") + client.close_notify()) == b"last"
        assert server.ended
        # Our half is still open: what is owed can be said.
        assert client.open(server.seal(b"answer")) == b"answer"
        server.goodbye()
        assert client.open(server.outgoing()) == b""

    @BOTH
    def test_close_notify_alone_and_cut(
        self, newest: ssl.TLSVersion, contexts: Contexts, keys: Keys, anna: KeyFiles
    ) -> None:
        server, client = pair(contexts, anna.trusting(keys.ca, newest=newest))
        goodbye = client.close_notify()
        for byte in goodbye[:-1]:
            assert server.receive(bytes((byte,))) == b"" and not server.ended
        assert server.receive(goodbye[-1:]) == b"" and server.ended

    @BOTH
    @pytest.mark.parametrize("what", ["flipped", "repeated", "left_out", "plain", "other_way"])
    def test_a_record_that_was_touched(
        self, what: str, newest: ssl.TLSVersion, contexts: Contexts, keys: Keys, anna: KeyFiles
    ) -> None:
        server, client = pair(contexts, anna.trusting(keys.ca, newest=newest))
        record = client.seal(b"get 1\n")
        broken = {
            "flipped": record[:-1] + bytes((record[-1] ^ 1,)),
            "repeated": record + record,
            "left_out": client.seal(b"get 2\n"),
            "plain": b"\x17\x03\x03\x00\x06get 1\n",
            "other_way": server.seal(b"get 1\n"),
        }[what]
        with pytest.raises(TlsFailure):
            server.receive(broken)
        with pytest.raises(TlsFailure):
            server.receive(record)

    @BOTH
    def test_nothing_to_say_is_no_bytes(
        self, newest: ssl.TLSVersion, contexts: Contexts, keys: Keys, anna: KeyFiles
    ) -> None:
        server, _ = pair(contexts, anna.trusting(keys.ca, newest=newest))
        assert server.outgoing() == b"" and server.receive(b"") == b""


class TestContexts:
    """T09, T45: a context that has seen a TLS 1.2 session is given to nobody any more, and to nobody else's cost."""

    def test_shared_until_a_session_is_agreed(self, keys: Keys, anna: KeyFiles) -> None:
        contexts = contexts_of(keys)
        first = contexts.session()
        assert all(contexts.session().context is first.context for _ in range(50))
        agreed, _ = pair(contexts, anna.trusting(keys.ca, newest=TLS12))
        assert agreed.context is first.context
        assert contexts.session().context is not first.context

    def test_tls13_costs_none(self, keys: Keys, anna: KeyFiles) -> None:
        contexts = contexts_of(keys)
        first = contexts.session().context
        for _ in range(3):
            pair(contexts, anna.trusting(keys.ca, newest=TLS13))
        assert contexts.session().context is first

    def test_late_news_of_an_older_one_costs_none(self, keys: Keys, anna: KeyFiles) -> None:
        contexts = contexts_of(keys)
        client = anna.trusting(keys.ca, newest=TLS12)
        old, _ = pair(contexts, client)
        fresh = contexts.session().context
        contexts.agreed(old)
        assert contexts.session().context is fresh

    @BOTH
    def test_a_session_cannot_be_resumed(self, newest: ssl.TLSVersion, keys: Keys, anna: KeyFiles) -> None:
        contexts = contexts_of(keys)
        context = anna.trusting(keys.ca, newest=newest)
        _, client = pair(contexts, context)
        again = Tls(context)
        again.object.session = client.object.session
        server = contexts.session()
        out, done = again.shake()
        while not server.ready:
            server.handshake(out)
            out, done = again.shake(server.outgoing())
        assert done and not server.resumed and not again.object.session_reused

    def test_files_that_cannot_be_used(self, keys: Keys, anna: KeyFiles, tmp_path: Path) -> None:
        with pytest.raises(ssl.SSLError):
            contexts_of(keys, KeyFiles(anna.certificate, keys.gateway.key, 0, "mixed"))
        with pytest.raises(OSError):
            contexts_of(keys, KeyFiles(tmp_path / "none.crt", keys.gateway.key, 0, "none"))


def _with_usage(keys: Keys, certificate: x509.Certificate, usage: x509.ObjectIdentifier) -> x509.Certificate:
    builder = x509.CertificateBuilder().subject_name(certificate.subject).issuer_name(certificate.issuer)
    builder = builder.public_key(certificate.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(certificate.not_valid_before_utc)
    builder = builder.not_valid_after(certificate.not_valid_after_utc)
    for extension in certificate.extensions:
        value = extension.value
        if isinstance(value, x509.ExtendedKeyUsage):
            value = x509.ExtendedKeyUsage([usage])
        builder = builder.add_extension(value, extension.critical)
    return builder.sign(keys.authority.key, hashes.SHA256())


def _rsa_gateway(keys: Keys, folder: Path) -> KeyFiles:
    key = rsa.generate_private_key(65537, 2048)
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway")]))
    builder = builder.issuer_name(keys.authority.certificate.subject).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(minutes=1)).not_valid_after(now + timedelta(days=1))
    certificate = builder.sign(keys.authority.key, hashes.SHA256())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return _written(folder, "rsa", certificate, pem)


def _written(folder: Path, name: str, certificate: x509.Certificate, key_pem: bytes) -> KeyFiles:
    files = KeyFiles(folder / f"{name}.crt", folder / f"{name}.key", certificate.serial_number, name)
    files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files.key.touch(mode=0o600)
    files.key.write_bytes(key_pem)
    return files
