"""What we are to a server: how the channel to it is secured, with which certificate of ours, to which of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from proxy.protocols.opcua.security.certificates import OwnCertificate, Peer
from proxy.protocols.opcua.security.policies import BY_NAME, Mode, Policy
from proxy.protocols.opcua.service import Login, read_login
from proxy.protocols.opcua.wire import Malformed

if TYPE_CHECKING:
    from proxy.protocols.base import Far
    from proxy.protocols.opcua.service import OpcUaService

_MODES = {"sign": Mode.SIGN, "sign_and_encrypt": Mode.SIGN_AND_ENCRYPT}


@dataclass(frozen=True, slots=True)
class Identity:
    """What the channel to the server is: how secured, with which certificate of ours, to which certificate and URL.
    ``login`` replaces what the client says of its user."""

    policy: Policy
    mode: Mode
    own: OwnCertificate | None
    server: Peer | None
    url: str
    login: Login | None

    @property
    def secured(self) -> bool:
        return self.own is not None


class Identities:
    """The identity of one device, kept while its files are the same, because a key takes 50 ms to load."""

    __slots__ = ("_identity", "_made_of")

    def __init__(self) -> None:
        self._made_of: object = None
        self._identity: Identity | None = None

    def of(self, service: OpcUaService, far: Far) -> Identity:
        """Raises ValueError for a file that is no certificate, key or login."""
        made_of = (service, far.address, [far.setting.secret(name) for name in service.secrets])
        if self._identity is None or self._made_of != made_of:
            self._identity = _made(service, far)
            self._made_of = made_of
        return self._identity


def _made(service: OpcUaService, far: Far) -> Identity:
    secret = far.setting.secret
    own = server = login = None
    if service.secured:
        own = OwnCertificate.load(secret(service.certificate_file), secret(service.key_file))
    if service.server_file is not None:
        server = _pinned(secret(service.server_file))
    if service.login is not None:
        login = read_login(secret(service.login))
    mode = _MODES[service.mode] if service.secured else Mode.NONE
    url = f"opc.tcp://{far.address}{service.path}"
    return Identity(BY_NAME[service.security], mode, own, server, url, login)


def _pinned(content: bytes) -> Peer:
    """Of a file in PEM or DER. Raises ValueError."""
    if content.lstrip().startswith(b"-----"):
        content = x509.load_pem_x509_certificate(content).public_bytes(Encoding.DER)
    peer = Peer.read(content)
    if isinstance(peer, Malformed):
        raise ValueError(f"the server's certificate cannot be used: {peer.why}")
    return peer
