"""What `bulkhead certs` needs of a site: its name, the addresses it listens on, the ids of its devices.

Nothing else is looked at, so that keys can be made, and above all revoked, while a policy file is broken.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Any

from proxy.cli.exits import EnvironmentFailure, Findings
from proxy.cli.site import find_config, text_of
from proxy.site import overrides
from proxy.site.draft import Voice, read_document
from proxy.site.files import Unusable, list_yaml
from proxy.site.problem import Collector

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DEVICES = "fingerprints/devices"

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class SiteNames:
    """``hosts`` are those of the listeners, unspecified ones (0.0.0.0) included."""

    name: str
    config: Path
    hosts: tuple[Address, ...]

    @property
    def certs(self) -> Path:
        return self.config.parent / "certs"

    def devices(self) -> tuple[str, ...]:
        """The ids in fingerprints/devices. Raises Findings for a file that cannot be read."""
        folder = self.config.parent / DEVICES
        try:
            files, _ = list_yaml(folder)
        except Unusable:
            return ()
        ids = (_read(self.config, f"{DEVICES}/{file}", {}).get("device") for file in files)
        return tuple(device for device in ids if isinstance(device, str))


def read_site(given: Path | None, environ: Mapping[str, str] = os.environ) -> SiteNames:
    """From ``given``, else from where `bulkhead check` looks. Raises Findings and EnvironmentFailure."""
    config = find_config(given)
    if not config.exists():
        raise EnvironmentFailure(f"{config} does not exist")
    values = _read(config, config.name, environ)
    name, listeners = values.get("site"), values.get("listeners")
    if not isinstance(name, str):
        raise Findings(f"{config} names no site (site: NAME); bulkhead check says more")
    binds = [_host(listener) for listener in listeners.values()] if isinstance(listeners, dict) else []
    return SiteNames(name, config, tuple(dict.fromkeys(host for host in binds if host is not None)))


def _read(config: Path, file: str, environ: Mapping[str, str]) -> dict[str, Any]:
    collector = Collector()
    document = read_document(config.parent / file, Voice(file, collector))
    if document is not None:
        overrides.apply(environ, document.value, collector)
    if document is None or collector.failed:
        raise Findings("\n".join(text_of(problem, config) for problem in collector.sorted()))
    return document.value


def _host(listener: Any) -> Address | None:
    bind = listener.get("bind") if isinstance(listener, dict) else None
    try:
        return ip_address(str(bind).rpartition(":")[0].strip("[]"))
    except ValueError:
        return None
