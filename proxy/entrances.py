"""From the listeners of a site to what the gateway binds: devices, services, keys, limits."""

from __future__ import annotations

import logging
import resource
from typing import TYPE_CHECKING

from proxy import keys
from proxy.gateway.ports import Entrance, Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.protocols.base import ProtocolSpec
    from proxy.site import Site
    from proxy.site.model import Listener

RESERVED_FDS = 64
"""File descriptors that no client may use up: audit, admin, reloads (T48)."""

_log = logging.getLogger(__name__)


def entrances(site: Site, protocols: Mapping[str, ProtocolSpec]) -> list[Entrance]:
    """Reads keys and certificates: blocks. Raises `keys.UnusableError`."""
    return [_entrance(site, listener, protocols) for listener in site.listeners]


def _entrance(site: Site, listener: Listener, protocols: Mapping[str, ProtocolSpec]) -> Entrance:
    device = site.devices[listener.to]
    service = device.services[listener.protocol]
    spec = protocols[listener.protocol]
    names = spec.secrets(service.options)
    if listener.options is not None:
        names += spec.secrets(listener.options)
    return Entrance(
        name=listener.name,
        host=listener.bind.host,
        port=listener.bind.port,
        protocol=spec,
        device=device,
        service=service,
        deny_style=listener.deny_style,
        contexts=keys.contexts(site, listener),
        secrets={name: keys.secret(site, device, name) for name in names},
        device_tls=keys.towards_device(site, device, service),
        options=listener.options,
    )


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
