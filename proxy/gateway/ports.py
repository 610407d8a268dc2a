"""What the data plane is handed. It asks for nothing else, so tests hand it small fakes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from proxy.core.options import narrows

if TYPE_CHECKING:
    from proxy.core.events import Event
    from proxy.core.facts import CertificateFacts, ConnFacts
    from proxy.core.inventory import Device, Service
    from proxy.core.principal import Principal
    from proxy.core.process import Point
    from proxy.core.reason import Reason
    from proxy.gateway.tls import Contexts, DeviceTls
    from proxy.gateway.watch import Authority, Watch
    from proxy.protocols.base import Inspector, ProtocolSpec, UpstreamState, Watched


class LinkFacts(Protocol):
    """What a record says of a link."""

    @property
    def number(self) -> int: ...
    @property
    def facts(self) -> ConnFacts: ...
    @property
    def entrance(self) -> Entrance: ...
    @property
    def principal(self) -> Principal | None: ...
    @property
    def watch(self) -> Watch | None: ...
    @property
    def inspector(self) -> Inspector | None: ...
    @property
    def opened_at(self) -> float: ...
    @property
    def bytes_in(self) -> int: ...
    @property
    def bytes_out(self) -> int: ...
    @property
    def why(self) -> Reason | None: ...
    @property
    def detail(self) -> str: ...


class ClientLink(LinkFacts, Protocol):
    """A link as the registry and the upstream drivers see it; `proxy.gateway.link.Link` is one."""

    def deliver(self, message: bytes, now: float) -> None: ...
    def upstream_is(self, state: UpstreamState, now: float) -> None: ...
    def flush(self, now: float) -> None: ...
    def failed(self, where: str) -> None: ...
    def end(self, reason: Reason, detail: str = "") -> None: ...
    def evict(self) -> None: ...
    def pause(self) -> None: ...
    def decide_again(self) -> None:
        """Is it still who it was, and may it still be here? Then its inspector forgets its verdicts, else it ends."""
        ...

    def throttle(self, on: bool) -> None:
        """Whether its device takes less than it sends, so that nothing more is to be read from it."""
        ...

    def cut(self) -> None:
        """Ends it here and now, with what it still had under way to its device."""
        ...

    @property
    def delivering(self) -> bool:
        """The client is gone; what it sent is still on its way to the device."""
        ...


class Journal(Protocol):
    """Where it is written down what happened. None of these waits; `before` calls back on the loop."""

    def opened(self, link: LinkFacts) -> None: ...
    def decided_again(self, link: LinkFacts) -> None:
        """It goes on under another policy, or as somebody of whom more or less is known."""
        ...

    def flows(self, link: LinkFacts) -> None:
        """Now and then, and before the end: what was said on it is to be told (`Watch.fresh`)."""
        ...

    def closed(self, link: LinkFacts) -> None: ...
    def event(self, link: LinkFacts | None, device: str, event: Event) -> None: ...
    def before(self, link: LinkFacts, event: Event, done: Callable[[bool], None]) -> None:
        """Calls ``done(True)`` when the record is on disk, ``done(False)`` when it cannot be."""
        ...


@dataclass(slots=True)
class ListenerCounts:
    """Plain integers, read by whoever scrapes. One per listener, so no label is ever made from input."""

    accepted: int = 0
    live: int = 0
    handshakes: int = 0
    handshake_failures: int = 0
    limited: int = 0
    too_slow: int = 0
    refused_links: int = 0
    messages: int = 0
    answers: int = 0
    bytes_in: int = 0
    bytes_out: int = 0


@dataclass(slots=True)
class DeviceCounts:
    dials: int = 0
    dial_failures: int = 0
    lost: int = 0
    open: int = 0
    bytes_in: int = 0
    bytes_out: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """Counts of connections. ``handshakes`` are those that have not proved who they are yet (T45, T48)."""

    links: int = 8192
    handshakes: int = 256
    links_per_source: int = 1024
    links_per_identity: int = 512


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. Each covers its whole phase, not one read (T45). ``hold``: how long an act waits for its record.

    ``write_stall``: how long a client of a shared device has to take its answers. A client that has its connection to
    the device for itself, and that device, may be slow; they are cut when they take nothing at all for so long, and at
    the end, when only bytes are owed, after ``linger``. ``dial`` covers TCP and TLS.
    """

    handshake: float = 5.0
    write_stall: float = 10.0
    goodbye: float = 1.0
    linger: float = 60.0
    hold: float = 5.0
    dial: float = 3.0
    recheck: float = 60.0
    drain: float = 0.5


@dataclass(frozen=True, slots=True)
class Entrance:
    """One listener, ready to be bound. ``contexts`` makes the TLS session of the next connection, None on a plain
    one; ``device_tls`` that of a connection to the device. ``name``, ``device`` and so on are the operator's words,
    safe to print. ``options`` are the listener's own, in the protocol's type. ``secrets``: the content of the files
    that the protocol named."""

    name: str
    host: str
    port: int
    protocol: ProtocolSpec
    device: Device
    service: Service
    deny_style: str
    contexts: Contexts | None
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    device_tls: DeviceTls | None = None
    options: object = None

    @property
    def secured(self) -> bool:
        return self.contexts is not None

    def secret(self, name: str) -> bytes:
        return self.secrets[name]

    def same_device(self, other: Entrance) -> bool:
        """The same device, spoken to in the same way."""
        return (self.device.id, self.device.address, self.protocol.name) == (
            other.device.id,
            other.device.address,
            other.protocol.name,
        ) and self.service.as_if_at(other.service.origin) == other.service

    def leads_as(self, other: Entrance) -> bool:
        """The links of ``other`` would be let in through this one too, and speak to the same. Keys, certificates and
        trust lists may differ: they are for connections to come. Options may let more in, and nothing less."""
        return (
            (self.host, self.port, self.secured, self.deny_style)
            == (other.host, other.port, other.secured, other.deny_style)
            and not narrows(self.options, other.options)
            and self.same_device(other)
            and _passwords(self.secrets) == _passwords(other.secrets)
        )


def _passwords(secrets: Mapping[str, bytes]) -> dict[str, bytes]:
    """Secrets that a connection is held to for as long as it stands."""
    return {name: content for name, content in secrets.items() if not name.endswith((".crt", ".der", ".pem", ".key"))}


@dataclass(frozen=True, slots=True)
class Judges:
    """Who decides what the data plane does not.

    ``identify`` never raises. ``standing`` says why a principal may not even ask. ``open_authority`` is Casbin's
    place. ``read_certificate`` may raise ValueError. ``revoked`` is asked with a serial. ``wall`` is time of day,
    which certificates are dated in. ``watched`` gives the points of (device, protocol) that rules look at; ``observe``
    is told what they were seen to be: (device, point, value, now).
    """

    identify: Callable[[ConnFacts], Principal]
    standing: Callable[[Principal], Reason | None]
    open_authority: Callable[[Principal, str, str], Authority]
    read_certificate: Callable[[bytes], CertificateFacts]
    revoked: Callable[[int], bool]
    wall: Callable[[], float]
    watched: Callable[[str, str], Watched]
    observe: Callable[[str, Point, float, float], None]
