"""What `bulkhead certs` needs of a site: its name, the addresses it listens on, the ids of its devices.

Nothing else is read, so that keys can be made, and above all revoked, while a policy file is broken.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

from proxy.cli.exits import EnvironmentFailure, Findings
from proxy.site.files import Unusable, list_yaml, read_text
from proxy.site.yaml import Place, parse

PLACES = ("bulkhead.yaml", "etc/bulkhead/bulkhead.yaml")

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class SiteNames:
    """``hosts`` are those of the listeners, unspecified ones (0.0.0.0) included."""

    name: str
    root: Path
    hosts: tuple[Address, ...]

    def devices(self) -> tuple[str, ...]:
        """The ids in fingerprints/devices. Raises Findings for a file that cannot be read."""
        folder = self.root / "fingerprints" / "devices"
        try:
            files, _ = list_yaml(folder)
        except Unusable:
            return ()
        ids = (_read(folder / file).get("device") for file in files)
        return tuple(device for device in ids if isinstance(device, str))


def read_site(config: Path | None) -> SiteNames:
    """From ``config``, else from the first of `PLACES`. Raises Findings and EnvironmentFailure."""
    path = config or next((Path(place) for place in PLACES if Path(place).is_file()), None)
    if path is None:
        raise EnvironmentFailure(f"no {' or '.join(PLACES)} here; say where: --config FILE")
    values = _read(path)
    name, listeners = values.get("site"), values.get("listeners")
    if not isinstance(name, str):
        raise Findings(f"{path} names no site (site: NAME); bulkhead check says more")
    binds = [_host(listener) for listener in listeners.values()] if isinstance(listeners, dict) else []
    return SiteNames(name, path.parent, tuple(dict.fromkeys(host for host in binds if host is not None)))


def _read(path: Path) -> dict[str, Any]:
    problems: list[str] = []

    def report(place: Place, _: object, wrong: str, mend: str) -> None:
        problems.append(f"{path}:{place[0]}:{place[1]}: {wrong}; {mend}")

    try:
        document = parse(read_text(path), report)
    except Unusable as fault:
        raise EnvironmentFailure(f"{path} {fault.wrong}; {fault.mend}") from fault
    if document is None or problems:
        raise Findings("\n".join(problems))
    return document.value


def _host(listener: Any) -> Address | None:
    bind = listener.get("bind") if isinstance(listener, dict) else None
    try:
        return ip_address(str(bind).rpartition(":")[0].strip("[]"))
    except ValueError:
        return None
