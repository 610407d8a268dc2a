"""What a leaf certificate of the site says: name, kind, role, addresses, and for how long."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address

from proxy.pki.mbaps import encode_role

LEAF_LIFE = timedelta(hours=24)
GATEWAY_LIFE = timedelta(days=30)

KINDS = ("device", "person", "gateway")

# T12: what cannot be written cannot be mistaken. The alphabet of ids in site files: no slash, no percent, one case.
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_DNS_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*")


def check_name(text: str, what: str = "name") -> str:
    """``text`` if it can be the id of a site, device or person in a certificate, else ValueError (T12)."""
    if not _NAME.fullmatch(text):
        raise ValueError(f"a {what} has a-z, 0-9, '-', '.', '_', starts with a letter or digit, at most 64 characters")
    return text


def device_uri(site: str, device: str) -> str:
    """The SPIFFE id of a device of the site; identity compares it whole, character by character."""
    return f"spiffe://{site}/device/{device}"


@dataclass(frozen=True, slots=True)
class Leaf:
    """What to put in a leaf certificate.

    ``kind`` is one of `KINDS`. ``role`` is the mbaps role. ``dns`` and ``ips`` are names under which the holder is
    dialled: they make it a server, too. A device or a person without them is only ever a client.
    """

    name: str
    kind: str = "device"
    role: str | None = None
    life: timedelta = LEAF_LIFE
    dns: tuple[str, ...] = ()
    ips: tuple[IPv4Address | IPv6Address, ...] = ()

    def check(self) -> None:
        """Raises ValueError with what is wrong."""
        check_name(self.name)
        if self.kind not in KINDS:
            raise ValueError(f"the kind is one of {', '.join(KINDS)}")
        if self.life < timedelta(seconds=1):
            raise ValueError("a certificate lives for at least one second")
        for name in self.dns:
            if not _DNS_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is not a DNS name in lower case")
        if self.role is not None:
            encode_role(self.role)

    @property
    def is_server(self) -> bool:
        return self.kind == "gateway" or bool(self.dns or self.ips)

    def uri(self, site: str) -> str:
        """A gateway is a device of the inventory; a person never has a device's URI."""
        return f"spiffe://{site}/person/{self.name}" if self.kind == "person" else device_uri(site, self.name)
