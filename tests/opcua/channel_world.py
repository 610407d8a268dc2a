"""Certificates and pairs of channels for tests. RSA keys are made once for all tests of a process."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from proxy.protocols.opcua.channel import Broke, Event
from proxy.protocols.opcua.north_channel import NorthChannel, NorthSetting
from proxy.protocols.opcua.security.certificates import OwnCertificate, Peer, Trust
from proxy.protocols.opcua.security.policies import BY_NAME, Mode
from proxy.protocols.opcua.south_channel import SouthChannel, SouthSetting

WALL = datetime(2026, 6, 1, tzinfo=UTC).timestamp()
DAY = timedelta(days=1)
SECURED = ("Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss")
MODES = (Mode.SIGN, Mode.SIGN_AND_ENCRYPT)
SERVER, CLIENT, OTHER = "server", "client", "other"


def wall() -> float:
    return WALL


@cache
def _made_key(owner: str, bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def rsa_key(owner: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """Large ones take a second to make, so all owners share them."""
    return _made_key(owner if bits == 2048 else "all", bits)


@dataclass(frozen=True)
class Wanted:
    """What a certificate is to say; the defaults make an ordinary self-signed application certificate."""

    owner: str
    bits: int = 2048
    uri: str | None = "urn:plant:hmi"
    ca: bool | None = None
    begins: datetime = field(default_factory=lambda: datetime.fromtimestamp(WALL, UTC) - DAY)
    ends: datetime = field(default_factory=lambda: datetime.fromtimestamp(WALL, UTC) + DAY)
    issuer: str | None = None
    hash: hashes.HashAlgorithm = field(default_factory=hashes.SHA256)
    key_cert_sign: bool | None = None
    name: str | None = None


def certificate(wanted: Wanted) -> x509.Certificate:
    key = rsa_key(wanted.owner, wanted.bits)
    issuer = wanted.issuer or wanted.owner
    builder = x509.CertificateBuilder(
        _name(wanted.name or issuer), _name(wanted.name or wanted.owner), key.public_key(), 77
    )
    builder = builder.not_valid_before(wanted.begins).not_valid_after(wanted.ends)
    if wanted.uri is not None:
        uris = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(wanted.uri)])
        builder = builder.add_extension(uris, critical=False)
    if wanted.ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(wanted.ca, None), critical=True)
    if wanted.key_cert_sign is not None:
        sign = wanted.key_cert_sign
        usage = x509.KeyUsage(not sign, False, False, False, False, sign, False, False, False)
        builder = builder.add_extension(usage, critical=True)
    signer = key if wanted.issuer is None else rsa_key(issuer)
    return builder.sign(signer, wanted.hash)  # type: ignore[arg-type]


def _name(owner: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, owner)])


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def pem_of(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@cache
def _made_own(owner: str, bits: int) -> OwnCertificate:
    return OwnCertificate.load(der(certificate(Wanted(owner, bits))), pem_of(rsa_key(owner, bits)))


def own(owner: str, bits: int = 2048) -> OwnCertificate:
    return _made_own(owner, bits)


def peer(owner: str, bits: int = 2048) -> Peer:
    read = Peer.read(own(owner, bits).chain)
    assert isinstance(read, Peer)
    return read


def north_setting(*policies: str, bits: int = 2048, client: OwnCertificate | None = None) -> NorthSetting:
    """Offers ``policies`` (default the three) to the client alone."""
    trust = Trust([(client or own(CLIENT)).der])
    return NorthSetting(own(SERVER, bits), frozenset(policies or SECURED), frozenset(MODES), trust)


def south_setting(policy: str = "Basic256Sha256", mode: Mode = Mode.SIGN_AND_ENCRYPT, *, bits: int = 2048) -> Setting:
    if policy == "None":
        return SouthSetting(BY_NAME[policy], Mode.NONE, None, None, "opc.tcp://plc:4840")
    return SouthSetting(BY_NAME[policy], mode, own(CLIENT), peer(SERVER, bits), "opc.tcp://plc:4840")


Setting = SouthSetting


class Pair:
    """Our server's end and our client's end, and all that passes between them."""

    def __init__(self, north: NorthSetting | None = None, south: SouthSetting | None = None) -> None:
        self.north = NorthChannel(north or north_setting(), os.urandom, 0.0, wall)
        self.south = SouthChannel(south or south_setting(), os.urandom, wall)
        self.up, self.down = bytearray(), bytearray()
        self.heard_north: list[Event] = []
        self.heard_south: list[Event] = []

    def open(self, now: float = 0.0) -> Pair:
        self.south.start(now, self.up)
        return self.pump(now)

    def pump(self, now: float = 0.0) -> Pair:
        """Until nothing is on the way."""
        while self.up or self.down:
            self.heard_north += self.north.receive(taken(self.up), now, self.down)
            self.heard_south += self.south.receive(taken(self.down), now, self.up)
        return self

    def says(self, body: bytes, request: int = 1) -> bytes:
        """The client's bytes for a message; they stay with the caller."""
        out = bytearray()
        assert self.south.send(request, body, out)
        return bytes(out)

    def gives(self, data: bytes, now: float = 0.0) -> Event | None:
        """What the server's end makes of ``data``: the last event."""
        events = self.north.receive(data, now, self.down)
        return events[-1] if events else None


def none_pair(*, in_session: bool = True) -> Pair:
    pair = Pair(replace(north_setting(), policies=frozenset({"None"})), south_setting("None")).open()
    pair.north.in_session = in_session
    return pair


def secured_pair(policy: str = "Basic256Sha256", mode: Mode = Mode.SIGN_AND_ENCRYPT) -> Pair:
    pair = Pair(south=south_setting(policy, mode)).open()
    pair.north.in_session = True
    return pair


def taken(data: bytearray) -> bytes:
    made = bytes(data)
    data.clear()
    return made


def status_of(event: Event | None) -> int | None:
    return event.status if isinstance(event, Broke) else None
