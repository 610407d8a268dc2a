"""A `Gateway` in the test's own loop, with fakes around it: no policy files, no audit on disk, no process."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING

from proxy.core.evidence import Evidence, Outcome, Strength
from proxy.core.inventory import Device, Service
from proxy.core.origin import Origin, RuleRef
from proxy.core.principal import Principal
from proxy.core.verdict import Verdict
from proxy.gateway.gateway import Gateway
from proxy.gateway.ports import Entrance, Judges, Limits, ListenerCounts, Timing
from proxy.gateway.tls import Contexts, server_contexts
from proxy.pki.certificate import certificate_facts
from proxy.protocols.base import Watched
from tests.support.net import LOCAL, free_port

if TYPE_CHECKING:
    from proxy.core.events import Event
    from proxy.core.facts import ConnFacts
    from proxy.core.process import Point
    from proxy.core.reason import Reason
    from proxy.gateway.ports import ClientLink, DeviceCounts, LinkFacts
    from proxy.gateway.tls import DeviceTls
    from proxy.protocols.base import Decide, ProtocolSpec
    from tests.support.keys import Keys

RULE = RuleRef("test", "all", Origin("test.yaml", 1))
DEFAULT = RuleRef("test", "default", Origin("test.yaml", 1))


@dataclass(frozen=True)
class End:
    """How a link ended, as its record has it."""

    link: int
    why: Reason | None
    detail: str
    allowed: int


class FakeJournal:
    """``on_disk``: what becomes of records that acts wait for: True, False, or None for "not yet" (see `settle`)."""

    def __init__(self) -> None:
        self.opened_links: list[int] = []
        self.ends: list[End] = []
        self.events: list[tuple[int | None, Event]] = []
        self.acts: list[str] = []
        self.decided: list[int] = []
        self.told: list[int] = []
        self.on_disk: bool | None = True
        self._waiting: list[Callable[[bool], None]] = []

    def opened(self, link: LinkFacts) -> None:
        self.opened_links.append(link.number)

    def decided_again(self, link: LinkFacts) -> None:
        self.decided.append(link.number)

    def flows(self, link: LinkFacts) -> None:
        self.told.append(link.number)

    def closed(self, link: LinkFacts) -> None:
        allowed = sum(link.inspector.tally().values()) if link.inspector is not None else 0
        self.ends.append(End(link.number, link.why, link.detail, allowed))

    def event(self, link: LinkFacts | None, device: str, event: Event) -> None:
        self.events.append((link.number if link is not None else None, event))

    def before(self, link: LinkFacts, event: Event, done: Callable[[bool], None]) -> None:
        self.acts.append(event.action)
        if self.on_disk is None:
            self._waiting.append(done)
        else:
            asyncio.get_running_loop().call_soon(done, self.on_disk)

    def settle(self, on_disk: bool) -> None:
        """The records that were kept waiting are on disk, or cannot be."""
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done(on_disk)

    def reasons(self, what: str) -> list[Reason | None]:
        return [event.reason for _, event in self.events if event.what == what]


@dataclass(frozen=True)
class FakeAuthority:
    connect: Verdict
    decide_all: Decide


def allow_all(actions: object, now: float) -> Verdict:
    return Verdict(RULE, reusable=True)


def known(facts: ConnFacts) -> Principal:
    """The name in the certificate, else ``at`` and the address."""
    if facts.certificate is not None:
        proof = Evidence("x509", Outcome.MATCH, Strength.PROOF)
        return Principal(facts.certificate.common_name, evidence=(proof,))
    return Principal(f"at-{facts.peer_ip}", evidence=(Evidence("address", Outcome.MATCH, Strength.CLAIM),))


QUICK = Timing(handshake=0.6, write_stall=0.6, goodbye=0.4, hold=0.6, dial=0.5, recheck=30.0, drain=0.2, linger=6.0)
"""Every deadline there is, short enough to be waited for."""


@dataclass
class Inside:
    """One listener of ``protocol`` in front of a device. Everything may be changed while it runs, but for the TLS."""

    protocol: ProtocolSpec
    device_port: int
    options: object = None
    device_host: str = "127.0.0.9"
    shared: bool = True
    keys: Keys | None = None
    device_tls: DeviceTls | None = None
    versions: tuple[str, ...] = ("1.3",)
    timing: Timing = QUICK
    limits: Limits = field(default_factory=Limits)
    decide: Decide = allow_all
    identify: Callable[[ConnFacts], Principal] = known
    standing: Reason | None = None
    connect: Verdict = field(default_factory=lambda: Verdict(RULE))
    wall: Callable[[], float] = time.time
    revoked: set[int] = field(default_factory=set)
    watched: Watched = field(default_factory=Watched)
    seen: list[tuple[Point, float]] = field(default_factory=list)
    journal: FakeJournal = field(default_factory=FakeJournal)
    clients: list[asyncio.StreamWriter] = field(default_factory=list)
    """Cut when this ends."""

    async def __aenter__(self) -> Inside:
        self.gateway = Gateway(
            [self._entrance()],
            loop=asyncio.get_running_loop(),
            clock=time.monotonic,
            judges=self._judges(),
            journal=self.journal,
            limits=self.limits,
            timing=self.timing,
            parse_syn=lambda syn: (None, None),
            entropy=os.urandom,
        )
        self.gateway.bind()
        self.gateway.accept()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        await self.gateway.drain()
        self.abandon()
        for client in self.clients:
            with suppress(OSError):
                await asyncio.wait_for(client.wait_closed(), 1)

    def abandon(self) -> None:
        """Cuts the clients: then a drain has nobody to wait for."""
        for client in self.clients:
            client.transport.abort()

    @property
    def port(self) -> int:
        return self.gateway.listeners[0].address[1]

    @property
    def counts(self) -> ListenerCounts:
        return self.gateway.listener_counts["door"]

    @property
    def device_counts(self) -> DeviceCounts:
        return self.gateway.device_counts["device"]

    @property
    def links(self) -> list[ClientLink]:
        return list(self.gateway.links)

    def _entrance(self) -> Entrance:
        origin = Origin("device.yaml", 1)
        service = Service(self.protocol.name, self.device_port, self.shared, self.options, origin)
        device = Device("device", "plc", None, self.device_host, origin, {self.protocol.name: service})
        return Entrance(
            "door",
            LOCAL,
            free_port(),
            self.protocol,
            device,
            service,
            "refuse",
            self._contexts(),
            device_tls=self.device_tls,
        )

    def _contexts(self) -> Contexts | None:
        if self.keys is None:
            return None
        gateway = self.keys.gateway
        return server_contexts(
            versions=self.versions, certificate=gateway.certificate, key=gateway.key, client_ca=self.keys.ca
        )

    def _judges(self) -> Judges:
        return Judges(
            identify=lambda facts: self.identify(facts),
            standing=lambda principal: self.standing,
            open_authority=lambda principal, device, protocol: FakeAuthority(
                self.connect, lambda actions, now, recorded=False: self.decide(actions, now)
            ),
            read_certificate=certificate_facts,
            revoked=lambda serial: serial in self.revoked,
            wall=lambda: self.wall(),
            watched=lambda device, protocol: self.watched,
            observe=lambda device, point, value, now: self.seen.append((point, value)),
        )
