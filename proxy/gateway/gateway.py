"""The data plane as one object: listeners, links and upstream drivers on one event loop."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from proxy.core.reason import Reason
from proxy.gateway.admission import Admission
from proxy.gateway.link import Link
from proxy.gateway.links import Links
from proxy.gateway.listener import Listener, ParseSyn
from proxy.gateway.poller import Poller
from proxy.gateway.ports import DeviceCounts, ListenerCounts
from proxy.gateway.upstream import UpstreamDriver

if TYPE_CHECKING:
    from proxy.core.facts import ConnFacts
    from proxy.gateway.ports import Entrance, Journal, Judges, Limits, Timing


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
        self.listener_counts: Mapping[str, ListenerCounts] = {e.name: ListenerCounts() for e in entrances}
        self.device_counts: Mapping[str, DeviceCounts] = {e.device.id: DeviceCounts() for e in entrances}
        self._shared: dict[tuple[str, str], UpstreamDriver] = {}
        self.listeners = [self._listener(entrance) for entrance in entrances]

    def bind(self) -> None:
        """Binds all or none. Raises OSError with the listener's name in `filename`."""
        for listener in self.listeners:
            try:
                listener.bind()
            except OSError as error:
                for bound in self.listeners:
                    bound.close()
                entrance = listener.entrance
                place = f"listener {entrance.name} ({entrance.host}:{entrance.port})"
                raise OSError(error.errno, error.strerror, place) from None

    def accept(self) -> None:
        for listener in self.listeners:
            listener.accept()

    def certificates_changed(self) -> None:
        """A new deny list: every link looks at its certificate again."""
        for link in self.links:
            link.decide_again()

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
        counts = self.listener_counts[entrance.name]
        admission = Admission(entrance, self._judges)

        def arrived(sock: socket.socket, facts: ConnFacts) -> None:
            link = Link(
                next(self._numbers),
                sock,
                facts,
                entrance,
                loop=self._loop,
                readiness=self._poller,
                clock=self._clock,
                admission=admission,
                timing=self._timing,
                links=self.links,
                upstream=self._driver(entrance),
                journal=self._journal,
                counts=counts,
                entropy=self._entropy,
            )
            self.links.arrive(link)
            try:
                link.start()
            except Exception:
                link.failed("the start")

        return Listener(entrance, loop=self._loop, parse_syn=self._parse_syn, arrived=arrived, counts=counts)

    def _driver(self, entrance: Entrance) -> UpstreamDriver:
        """The device's shared driver, or a new one for this link alone."""
        key = (entrance.device.id, entrance.protocol.name)
        if entrance.service.shared and key in self._shared:
            return self._shared[key]
        driver = UpstreamDriver(
            partial(entrance.protocol.upstream, entrance.service.options),
            entrance.device,
            entrance.service,
            loop=self._loop,
            poller=self._poller,
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
