"""The data plane as one object: listeners, links and upstream drivers on one event loop."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from proxy.core.facts import ConnFacts
from proxy.core.reason import Reason
from proxy.gateway.admission import Admission
from proxy.gateway.link import Link
from proxy.gateway.links import Links
from proxy.gateway.listener import Listener, ParseSyn
from proxy.gateway.poller import Poller, Turns
from proxy.gateway.ports import DeviceCounts, ListenerCounts
from proxy.gateway.upstream import UpstreamDriver
from proxy.protocols.base import Far

if TYPE_CHECKING:
    from proxy.gateway.ports import Entrance, Journal, Judges, Limits, Timing


SLICE = 0.001
"""Seconds of deciding links again, after which everybody else has a turn."""
INSIDE = "inside"
"""Stands in records where a client's address would."""


class Prepared(NamedTuple):
    """Entrances whose sockets are open. ``kept`` are listeners that stay, by the name of their new entrance; ``inside``
    are those without a socket."""

    entrances: tuple[Entrance, ...]
    kept: Mapping[str, Listener]
    fresh: list[Listener]
    inside: tuple[Entrance, ...] = ()

    @property
    def all(self) -> tuple[Entrance, ...]:
        return self.entrances + self.inside

    def drop(self) -> None:
        """They are not taken after all."""
        for listener in self.fresh:
            listener.close()


class Gateway:
    """Everything it needs is handed in; it builds links and drivers and nothing else."""

    def __init__(
        self,
        entrances: Sequence[Entrance],
        *,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float],
        judges: Judges,
        journal: Journal,
        limits: Limits,
        timing: Timing,
        parse_syn: ParseSyn,
        entropy: Callable[[int], bytes],
        inside: Sequence[Entrance] = (),
    ) -> None:
        self._loop = loop
        self._poller = Poller(loop, clock)
        self._clock = clock
        self._judges = judges
        self._journal = journal
        self._timing = timing
        self._parse_syn = parse_syn
        self._entropy = entropy
        self._numbers = itertools.count(1)
        self.links = Links(limits)
        everywhere = (*entrances, *inside)
        self._inside = {entrance.name: entrance for entrance in inside}
        self.listener_counts: Mapping[str, ListenerCounts] = {e.name: ListenerCounts() for e in everywhere}
        self.device_counts: Mapping[str, DeviceCounts] = {e.device.id: DeviceCounts() for e in everywhere}
        self._shared: dict[tuple[str, str], UpstreamDriver] = {}
        self._memories: dict[tuple[str, str], tuple[Entrance, object]] = {}
        self._admissions = {entrance.name: Admission(entrance, judges) for entrance in everywhere}
        self.listeners = [self._listener(entrance) for entrance in entrances]

    def bind(self) -> None:
        """Binds all or none. Raises OSError with the listener's name in `filename`."""
        _bind_all(self.listeners)

    def accept(self) -> None:
        for listener in self.listeners:
            listener.accept()

    async def decide_again(self, devices: Collection[str] | None = None) -> None:
        """A new epoch for these devices (None: for all): each of their links is judged as if it came now, and goes on
        or ends. In slices, so that those who see nothing of it are served meanwhile."""
        began = self._clock()
        for link in self.links:
            if devices is None or link.entrance.device.id in devices:
                try:
                    link.decide_again()
                except Exception:  # all others must be asked, or they keep what they lost
                    link.failed("deciding again")
            if self._clock() - began > SLICE:
                await asyncio.sleep(0)
                began = self._clock()

    def attach(self, name: str, speaker: str) -> socket.socket:
        """A connection that never leaves this process: the client's end, non-blocking, of a link through the inside
        entrance ``name``. The client is the gateway itself, as the device ``speaker``; for policy, audit and whatever
        ends links it is a client as all others. Raises KeyError without such an entrance, and OSError."""
        entrance = self._inside[name]
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        self.listener_counts[name].accepted += 1
        self._arrived(ours, ConnFacts(name, INSIDE, 0, inside=speaker), entrance)
        return theirs

    def prepare(self, entrances: Sequence[Entrance], inside: Sequence[Entrance] = ()) -> Prepared:
        """Opens the sockets that these entrances need besides those that are there; nothing changes by that. Raises
        OSError, and then nothing is left open."""
        there = {(one.entrance.host, one.entrance.port): one for one in self.listeners}
        kept = {e.name: there[e.host, e.port] for e in entrances if (e.host, e.port) in there}
        fresh = [self._listener(entrance) for entrance in entrances if entrance.name not in kept]
        _bind_all(fresh)
        return Prepared(tuple(entrances), kept, fresh, tuple(inside))

    def exchange(self, prepared: Prepared, limits: Limits) -> None:
        """The prepared entrances are in force from here on. Links through one that is no more, or that leads elsewhere
        or speaks otherwise now, end; all others stay as they are."""
        kept, listeners = prepared.kept, self.listeners
        self.links.limit(limits)
        counted = {name: self.listener_counts[listener.entrance.name] for name, listener in kept.items()}
        counted |= {name: self.listener_counts[name] for name in self._inside}
        self.listener_counts = {e.name: counted.get(e.name, ListenerCounts()) for e in prepared.all}
        self.device_counts = {e.device.id: self.device_counts.get(e.device.id, DeviceCounts()) for e in prepared.all}
        self._admissions = {e.name: Admission(e, self._judges) for e in prepared.all}
        self._inside = {entrance.name: entrance for entrance in prepared.inside}
        for entrance in prepared.entrances:
            if entrance.name in kept:
                kept[entrance.name].entrance = entrance
        self.listeners = [*kept.values(), *prepared.fresh]
        for listener in prepared.fresh:
            listener.accept()
        staying = {id(listener) for listener in self.listeners}
        for listener in listeners:
            if id(listener) not in staying:
                listener.close()
        self._let_go({(entrance.host, entrance.port): entrance for entrance in prepared.all})

    def _let_go(self, now: Mapping[tuple[str, int], Entrance]) -> None:
        """By place: what a listener is called is nothing to its links."""
        for link in self.links.everyone():
            new = now.get((link.entrance.host, link.entrance.port))
            if new is None or not new.leads_as(link.entrance):
                link.end(Reason.POLICY_CHANGED if new is not None else Reason.DEVICE_GONE, "its listener has changed")
        leading = {(e.device.id, e.protocol.name): e for e in now.values()}
        for key, driver in list(self._shared.items()):
            if key in leading and driver.serves(leading[key]):
                driver.renew(leading[key].device_tls)
            else:
                del self._shared[key]
                driver.close()
        for key, (entrance, _) in list(self._memories.items()):
            if key not in leading or not leading[key].same_device(entrance):
                del self._memories[key]

    async def drain(self) -> None:
        """No new connections; answers under way are delivered; then every link ends with a goodbye."""
        for listener in self.listeners:
            listener.close()
        for link in self.links.everyone():
            link.pause()
        if len(self.links):
            await asyncio.sleep(self._timing.drain)
        for link in self.links.everyone():
            link.end(Reason.DRAINING)
        began = self._clock()
        while (seconds := self._clock() - began) < self._timing.write_stall and (left := self.links.everyone()):
            if seconds > self._timing.goodbye + 0.1 and not any(link.delivering for link in left):
                break
            await asyncio.sleep(0.05)
        for link in self.links.everyone():
            link.cut()
        for driver in self._shared.values():
            driver.close()
        self._poller.close()

    def _listener(self, entrance: Entrance) -> Listener:
        return Listener(
            entrance,
            loop=self._loop,
            parse_syn=self._parse_syn,
            arrived=self._arrived,
            counts=lambda entrance: self.listener_counts[entrance.name],
        )

    def _arrived(self, sock: socket.socket, facts: ConnFacts, entrance: Entrance) -> None:
        turns = self._poller.of(facts.peer_ip)
        link = Link(
            next(self._numbers),
            sock,
            facts,
            entrance,
            loop=self._loop,
            readiness=turns,
            clock=self._clock,
            admission=self._admissions[entrance.name],
            timing=self._timing,
            links=self.links,
            upstream=self._driver(entrance, turns),
            journal=self._journal,
            counts=self.listener_counts[entrance.name],
            entropy=self._entropy,
            memory=self._memory(entrance),
        )
        self.links.arrive(link)
        try:
            link.start()
        except Exception:
            link.failed("the start")

    def _memory(self, entrance: Entrance) -> object:
        """What the links to its device share."""
        key = (entrance.device.id, entrance.protocol.name)
        if key not in self._memories:
            self._memories[key] = (entrance, entrance.protocol.memory(entrance.service.options))
        return self._memories[key][1]

    def _driver(self, entrance: Entrance, turns: Turns) -> UpstreamDriver:
        """The device's shared driver, or a new one for this link alone."""
        key = (entrance.device.id, entrance.protocol.name)
        if entrance.service.shared and key in self._shared:
            return self._shared[key]
        watched = self._judges.watched(*key)
        host, port = entrance.device.address or "", entrance.service.port
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        far = Far(entrance, self._entropy, self._memory(entrance), self._judges.wall, watched, address)
        driver = UpstreamDriver(
            partial(entrance.protocol.upstream, entrance.service.options, far),
            entrance.device,
            entrance.service,
            loop=self._loop,
            poller=self._poller if entrance.service.shared else turns,
            clock=self._clock,
            timing=self._timing,
            journal=self._journal,
            counts=self.device_counts[entrance.device.id],
            single=not entrance.service.shared,
            tls=entrance.device_tls,
        )
        if entrance.service.shared:
            self._shared[key] = driver
        return driver


def _bind_all(listeners: Sequence[Listener]) -> None:
    """All or none. Raises OSError with the listener's name in `filename`."""
    for listener in listeners:
        try:
            listener.bind()
        except OSError as error:
            for bound in listeners:
                bound.close()
            entrance = listener.entrance
            place = f"listener {entrance.name} ({entrance.host}:{entrance.port})"
            raise OSError(error.errno, error.strerror, place) from None
