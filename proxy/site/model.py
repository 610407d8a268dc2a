"""What a site folder says, validated, frozen and free of file formats. All that is downstream takes it from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from proxy.core.hours import Hours
    from proxy.core.inventory import Device
    from proxy.core.origin import Origin
    from proxy.core.surface import Role, RuleTest, Surface
    from proxy.site.publishers import Publisher


@dataclass(frozen=True, slots=True)
class Bind:
    """A local address to listen on. ``host`` is a canonical IPv4 or IPv6 literal, never a name."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class TlsSetting:
    """TLS towards the clients of one listener.

    ``clients`` is ``required``: a client shows a certificate of the site or gets no further. ``versions`` is a subset
    of ``("1.2", "1.3")``, rising. ``certificate`` names ``certs/NAME.crt`` and ``certs/NAME.key``.
    """

    clients: str
    versions: tuple[str, ...]
    certificate: str


@dataclass(frozen=True, slots=True)
class Listener:
    """One listening socket in front of one device. ``tls`` None: the clients speak in the clear. ``options`` is the
    protocol folder's own validated type, None if the protocol has no settings of a listener."""

    name: str
    bind: Bind
    protocol: str
    to: str
    tls: TlsSetting | None
    deny_style: str
    origin: Origin
    options: object = None

    @property
    def secures(self) -> bool:
        """Its clients can show a certificate: in TLS, or in a secure channel of the protocol's own, whose options then
        have this property too."""
        return self.tls is not None or bool(getattr(self.options, "secures", False))

    @property
    def unsafe(self) -> tuple[str, ...]:
        """The keys by which it takes less than its protocol could give (T51)."""
        return tuple(getattr(self.options, "unsafe", ()))


@dataclass(frozen=True, slots=True)
class Limits:
    """How many clients at once: in all, still shaking hands, from one address, of one identity."""

    links: int = 8192
    handshakes: int = 256
    links_per_source: int = 1024
    links_per_identity: int = 512


@dataclass(frozen=True, slots=True)
class Change:
    """How a change of the files comes into force. ``watch``: they are looked at all the time. ``require_ack``: what
    widens access waits until somebody acknowledges it."""

    watch: bool = True
    require_ack: bool = True


@dataclass(frozen=True, slots=True)
class Site:
    """A whole site. Names are unique, every reference holds, patterns are expanded to ids.

    ``folder`` and ``state`` are absolute. ``digest`` is the hex SHA-256 of everything a verdict depends on; comments,
    the order of files and keys, limits, tests and the state folder do not change it. ``cases`` are the tests of
    `policies/tests/`, beside those of each surface. ``admin_reload``: operators may ask for a reload over ``admin``.
    """

    name: str
    folder: Path
    state: Path
    admin: Bind
    limits: Limits
    listeners: tuple[Listener, ...]
    devices: Mapping[str, Device]
    surfaces: tuple[Surface, ...]
    roles: tuple[Role, ...]
    digest: str
    hours: tuple[Hours, ...] = ()
    cases: tuple[RuleTest, ...] = ()
    change: Change = Change()
    admin_reload: bool = False
    publishers: tuple[Publisher, ...] = ()

    @property
    def certs(self) -> Path:
        """Where keys and certificates live: generated, never committed."""
        return self.folder / "certs"
