"""Certificates of the demo's OPC UA applications, made anew at each start as `bulkhead certs opcua` makes them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING

from proxy.pki.application import Application, default_uri
from proxy.pki.applications import GATEWAY_APPLICATION, ApplicationFolder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MES, MAINTENANCE, PANEL = "mes-opcua", "maintenance", "panel-7"
"""Names of the certificates; ``certs/mes.crt`` is the MES' own for TLS."""


@dataclass(frozen=True, slots=True)
class UaPapers:
    """What an application shows, and whose certificate it expects: that of the gateway."""

    certificate: Path
    key: Path
    gateway: Path


@dataclass(frozen=True, slots=True)
class UaSpeaker:
    """Who connects to ``url`` from an address, and what it says and shows; without ``papers`` it speaks policy None."""

    url: str
    source: str
    uri: str
    papers: UaPapers | None = None


class UaKeys:
    """``folder`` is the site's certs/. Raises what `ApplicationFolder` raises."""

    def __init__(self, folder: Path, site: str, gateway_ips: Iterable[str]) -> None:
        self._folder = ApplicationFolder(folder, site)
        self._site = site
        now = datetime.now(UTC)
        self._folder.create_authority(now)
        ips = tuple(map(ip_address, sorted(gateway_ips)))
        self._folder.issue(Application(GATEWAY_APPLICATION, self.uri(GATEWAY_APPLICATION), ips=ips), now)
        for name in (MES, MAINTENANCE, PANEL):
            self._folder.issue(Application(name, self.uri(name)), now)

    def uri(self, name: str) -> str:
        return default_uri(self._site, name)

    def of(self, name: str) -> UaPapers:
        path = self._folder.path
        return UaPapers(path / f"{name}.crt", path / f"{name}.key", path / f"{GATEWAY_APPLICATION}.crt")
