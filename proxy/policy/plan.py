"""Everything of a site that decides who may do what: what two versions are compared by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from proxy.core.hours import Hours
    from proxy.core.inventory import Device
    from proxy.core.surface import Role, Surface


class Door(NamedTuple):
    """A listener. ``secured``: its clients can show a certificate. ``options`` are its own, in the protocol's type."""

    name: str
    bind: str
    protocol: str
    device: str
    secured: bool
    options: object = None


class Plan(NamedTuple):
    """Both versions of a comparison have this form. ``site`` is the site's name: the names in certificates have it.
    ``state`` is the folder of what is kept, as the files call it."""

    surfaces: tuple[Surface, ...]
    roles: tuple[Role, ...]
    devices: Mapping[str, Device]
    hours: tuple[Hours, ...] = ()
    doors: tuple[Door, ...] = ()
    site: str = ""
    state: str = ""
