"""All publishers of a site on one event loop: started, exchanged at a reload, stopped; and what they show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

from proxy.protocols.opcua.node import parse_node
from proxy.site.publishers import SINK, SOURCE
from proxy.uplink.backlog import Ring
from proxy.uplink.driver import Driver
from proxy.uplink.edge import Edge
from proxy.uplink.form import Address, JsonForm
from proxy.uplink.opcua_session import Plan
from proxy.uplink.publisher import Publisher, Side

if TYPE_CHECKING:
    import asyncio
    import socket

    from proxy.site.publishers import Publisher as Setting
    from proxy.uplink.backlog import Backlog
    from proxy.uplink.figures import Figures
    from proxy.uplink.form import Form


class Attach(Protocol):
    """`Gateway.attach`, with names as `entrances.inside` gives them."""

    def __call__(self, name: str, speaker: str) -> socket.socket: ...


class Around(NamedTuple):
    """What publishers take from their surroundings. ``clock`` is monotonic seconds, ``wall`` time of day; ``backlog``
    makes where one publisher's samples wait: (its name, samples at most). ``entrance`` names an inside entrance:
    (publisher, protocol)."""

    loop: asyncio.AbstractEventLoop
    attach: Attach
    entrance: Callable[[str, str], str]
    clock: Callable[[], float]
    wall: Callable[[], float]
    entropy: Callable[[int], bytes]
    backlog: Callable[[str, int], Backlog] = lambda name, most: Ring(most)


class _Running(NamedTuple):
    essence: object
    setting: Setting
    publisher: Publisher
    driver: Driver


class Publishers:
    """`figures` may be read in another thread."""

    def __init__(self, around: Around) -> None:
        self._around = around
        self._running: dict[str, _Running] = {}

    def exchange(self, settings: Iterable[Setting]) -> None:
        """These are in force from here on. What has not changed goes on; the rest says goodbye, and begins anew."""
        wanted = {setting.name: setting for setting in settings}
        self.retire(wanted.values())
        fresh = [self._make(setting) for name, setting in wanted.items() if name not in self._running]
        self._running = {**self._running, **{one.setting.name: one for one in fresh}}
        for one in fresh:
            one.driver.start()

    def retire(self, settings: Iterable[Setting]) -> bool:
        """Goodbyes of those that will be no more, or others, once these are in force; whether there were any. As long
        as their way through the gateway is still there."""
        staying = {setting.name: essence(setting) for setting in settings}
        leaving = [one for name, one in self._running.items() if staying.get(name) != one.essence]
        self._running = {name: one for name, one in self._running.items() if one not in leaving}
        for one in leaving:
            one.driver.stop()
        return bool(leaving)

    def stop(self) -> bool:
        """Whether there was any."""
        return self.retire(())

    @property
    def figures(self) -> Mapping[str, Figures]:
        return {name: one.publisher.figures for name, one in self._running.items()}

    @property
    def shown(self) -> tuple[tuple[Setting, Figures], ...]:
        return tuple((one.setting, one.publisher.figures) for one in self._running.values())

    def _make(self, setting: Setting) -> _Running:
        around, source = self._around, setting.source
        plan = Plan(
            setting.name,
            f"opc.tcp://{source.id}",
            {name: parse_node(text) for name, text in setting.nodes.items()},
            setting.every,
        )
        publisher = Publisher(
            plan,
            _form(setting),
            around.backlog(setting.name, setting.backlog),
            entropy=around.entropy,
            wall=around.wall,
        )
        protocols = {Side.DEVICE: SOURCE, Side.BROKER: SINK}

        def attach(side: Side) -> socket.socket:
            return around.attach(around.entrance(setting.name, protocols[side]), setting.speaker.id)

        driver = Driver(setting.name, publisher, attach, loop=around.loop, clock=around.clock)
        return _Running(essence(setting), setting, publisher, driver)


def essence(setting: Setting) -> object:
    """Two settings with the same are one publisher. What else changes at a device ends its links, which come back."""
    devices = (setting.source.id, setting.source.place, setting.sink.id, setting.speaker.id)
    return devices, setting.format, setting.every, tuple(setting.nodes.items()), setting.backlog


def _form(setting: Setting) -> Form:
    address = Address(setting.source.place or "", setting.source.id, setting.name)
    return JsonForm(address) if setting.format == "json" else Edge(address)
