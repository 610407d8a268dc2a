"""From the listeners of a site to what the gateway binds: devices, services, keys, limits."""

from __future__ import annotations

import logging
import resource
from typing import TYPE_CHECKING

from proxy import keys
from proxy.gateway.ports import Entrance, Limits
from proxy.site.model import Bind, Listener
from proxy.site.publishers import SINK, SOURCE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.core.inventory import Device
    from proxy.protocols.base import Path, ProtocolSpec
    from proxy.site import Site
    from proxy.site.publishers import Publisher

RESERVED_FDS = 64
"""File descriptors that no client may use up: audit, admin, reloads (T48)."""

INSIDE_OPTIONS: Mapping[str, object] = {SOURCE: {"mode": "relay", "unsafe_none": True}}
"""Without a channel of its own: nobody else is there to read it or to change it."""

_log = logging.getLogger(__name__)


def entrances(site: Site, protocols: Mapping[str, ProtocolSpec]) -> list[Entrance]:
    """Reads keys and certificates: blocks. Raises `keys.UnusableError`."""
    return [_entrance(site, listener, protocols) for listener in site.listeners]


def _entrance(site: Site, listener: Listener, protocols: Mapping[str, ProtocolSpec]) -> Entrance:
    device = site.devices[listener.to]
    service = device.services[listener.protocol]
    spec = protocols[listener.protocol]
    return Entrance(
        name=listener.name,
        host=listener.bind.host,
        port=listener.bind.port,
        protocol=spec,
        device=device,
        service=service,
        deny_style=listener.deny_style,
        contexts=keys.contexts(site, listener),
        secrets=keys.secrets(site, listener, spec),
        device_tls=keys.towards_device(site, device, service),
        options=listener.options,
    )


def inside(site: Site, protocols: Mapping[str, ProtocolSpec]) -> list[Entrance]:
    """Where the site's publishers come in, without a socket: one in front of the device, one in front of the broker.
    Blocks and raises as `entrances`."""
    return [
        _entrance(site, _inner_listener(publisher, device, protocols[protocol]), protocols)
        for publisher in site.publishers
        for device, protocol in ((publisher.source, SOURCE), (publisher.sink, SINK))
    ]


def inside_name(publisher: str, protocol: str) -> str:
    """What records and metrics call it; no listener can be called so."""
    return f"{publisher}/{protocol}"


def _inner_listener(publisher: Publisher, device: Device, spec: ProtocolSpec) -> Listener:
    """As if the site had listed it; its name stands where an address would."""
    name = inside_name(publisher.name, spec.name)
    options = spec.parse_listener(INSIDE_OPTIONS.get(spec.name), _unfit)
    style = spec.deny_styles(secured=False)[0]
    return Listener(name, Bind(name, 0), spec.name, device.id, None, style, publisher.origin, options)


def _unfit(path: Path, wrong: str, mend: str = "") -> None:
    raise ValueError(f"the settings of an inside entrance: {path} {wrong}")


def limits(site: Site) -> Limits:
    """The site's limits, within what the kernel gives this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    wanted = site.limits
    room = hard - RESERVED_FDS
    handshakes = max(1, min(wanted.handshakes, room // 4))
    # A link that shares no connection has two sockets.
    links = max(1, min(wanted.links, (room - handshakes) // 2))
    if links < wanted.links:
        _log.warning("fewer links than configured: the limit of open files is too low", extra={"links": links})
    return Limits(
        links=links,
        handshakes=handshakes,
        links_per_source=wanted.links_per_source,
        links_per_identity=wanted.links_per_identity,
    )
