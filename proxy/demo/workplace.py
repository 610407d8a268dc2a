"""The folder that the demo works in: a copy of the demo site, on ports that are free."""

from __future__ import annotations

import re
import shutil
import socket
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from secrets import SystemRandom
from typing import TYPE_CHECKING

from proxy.demo.errors import DemoError, SiteError
from proxy.site import Site, load_site

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.protocols.base import ProtocolSpec
    from proxy.site.model import Listener

MARK = ".bulkhead-demo"
MBAPS, OLD, PLAIN = "cell-3-modbus", "cell-3-tls12", "cell-3-plain"
SENSORS, UNS_DOOR, ROBOT_DOOR = "cell-3-sensors", "uns", "robot-7"
LISTENERS = (MBAPS, OLD, PLAIN, SENSORS, UNS_DOOR, ROBOT_DOOR)
PLC, UNS, ROBOT = "plc-3a", "uns", "robot-7"
CLIENTS = ("scada", "mes", "engineer", "sensor-3-1", "sensor-3-2", "sensor-3-3", "maintenance", "panel-7")
DEVICES = (PLC, UNS, ROBOT, *CLIENTS)
SERVED = {PLC: "modbus", UNS: "mqtt", ROBOT: "opcua"}
"""The devices behind the gateway, and what each speaks."""
SIDES = (("PLC", PLC), ("UNS", UNS), ("robot", ROBOT))
BELOW_EPHEMERAL = range(20_000, 32_000)
"""The kernel gives none of these to an outgoing connection, so a free one stays free."""
COPIED = ("policies", "fingerprints")


@dataclass(frozen=True, slots=True)
class Workplace:
    """A valid site of the demo's own. ``plc``, ``uns`` and ``robot`` are where the gateway looks for these three."""

    folder: Path
    site: Site

    @property
    def config(self) -> Path:
        return self.folder / "bulkhead.yaml"

    @property
    def record(self) -> Path:
        return self.folder / "plc-received.jsonl"

    @property
    def uns_record(self) -> Path:
        return self.folder / "uns-received.jsonl"

    @property
    def robot_record(self) -> Path:
        return self.folder / "robot-received.jsonl"

    @property
    def records(self) -> tuple[Path, ...]:
        return self.record, self.uns_record, self.robot_record

    @property
    def plc(self) -> tuple[str, int]:
        return _served(self.site, PLC)

    @property
    def uns(self) -> tuple[str, int]:
        return _served(self.site, UNS)

    @property
    def robot(self) -> tuple[str, int]:
        return _served(self.site, ROBOT)

    def listener(self, name: str) -> Listener:
        return next(listener for listener in self.site.listeners if listener.name == name)


def make_folder(folder: Path) -> None:
    """An empty folder. One that an earlier demo left is emptied, any other is left alone. Raises DemoError."""
    if folder.exists() and not (folder / MARK).exists():
        raise DemoError(f"{folder} exists and is not of a demo: move it away, or start in another folder")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True)
    except OSError as fault:
        raise DemoError(f"{folder}: {fault.strerror}") from fault
    (folder / MARK).write_text("Made by `bulkhead demo`, which empties this folder when it starts.\n")
    (folder / ".gitignore").write_text("*\n")


def prepare(
    config: Path, folder: Path, protocols: Mapping[str, ProtocolSpec], *, move_ports: bool = False
) -> Workplace:
    """Copies the site of ``config`` into ``folder`` and reads it back. ``move_ports`` makes each port a free one.

    Raises SiteError, DemoError.
    """
    try:
        shutil.copyfile(config, folder / "bulkhead.yaml")
        for name in COPIED:
            shutil.copytree(config.parent / name, folder / name)
    except OSError as fault:
        raise DemoError(f"{fault.filename}: {fault.strerror}") from fault
    (folder / "certs").mkdir()
    place = Workplace(folder, open_site(folder / "bulkhead.yaml", protocols))
    if move_ports:
        _move(place)
        place = Workplace(folder, open_site(place.config, protocols))
    return place


def check_ports(site: Site) -> None:
    """Raises DemoError naming the first address that is taken."""
    binds = {listener.name: (listener.bind.host, listener.bind.port) for listener in site.listeners}
    served = {f"the {name}": _served(site, device) for name, device in SIDES}
    for what, address in {**binds, "admin": (site.admin.host, site.admin.port), **served}.items():
        if (fault := _fault(address)) is not None:
            where = f"{address[0]}:{address[1]} ({what})"
            raise DemoError(f"{where}: {fault.strerror}; is another demo running?") from fault


def open_site(config: Path, protocols: Mapping[str, ProtocolSpec]) -> Site:
    """Raises SiteError: with every fault of the site, or with what the demo's steps miss in it."""
    loaded = load_site(config, protocols)
    if loaded.site is None:
        raise SiteError("\n".join([f"the site of {config} is not valid:", *map(str, loaded.problems)]))
    have = {listener.name for listener in loaded.site.listeners}
    missing = [f"the listener {name}" for name in LISTENERS if name not in have]
    missing += [f"the device {name}" for name in DEVICES if name not in loaded.site.devices]
    if missing:
        raise SiteError(f"{config} is not the demo site, or too far from it: it lacks {', '.join(missing)}")
    return loaded.site


def _served(site: Site, name: str) -> tuple[str, int]:
    device = site.devices[name]
    return device.address or "", device.services[SERVED[name]].port


def _move(place: Workplace) -> None:
    """Rewrites the ports in the copied files; all else in them stays as it is written."""
    site = place.site
    old = [str(bind) for bind in (site.admin, *(listener.bind for listener in site.listeners))]
    new = _free_ports(len(old) + len(SERVED))
    text = place.config.read_text()
    for bind, port in zip(old, new, strict=False):
        text = _replace(text, rf"{re.escape(bind)}(?!\d)", f"{bind.rpartition(':')[0]}:{port}", place.config)
    place.config.write_text(text)
    for (name, service), moved in zip(SERVED.items(), new[len(old) :], strict=True):
        file = place.folder / site.devices[name].origin.file
        port = site.devices[name].services[service].port
        file.write_text(_replace(file.read_text(), rf"\bport: *{port}\b", f"port: {moved}", file))


def _replace(text: str, pattern: str, new: str, file: Path) -> str:
    text, count = re.subn(pattern, new, text)
    if count != 1:
        raise SiteError(f"{file.name}: {pattern} stands there {count} times, so its port cannot be moved")
    return text


def free_port() -> int:
    return _free_ports(1)[0]


def _free_ports(count: int) -> list[int]:
    """Different ones. Another demo that starts in this moment may still take one."""
    candidates = SystemRandom().sample(BELOW_EPHEMERAL, len(BELOW_EPHEMERAL))
    return list(islice((port for port in candidates if _fault(("127.0.0.1", port)) is None), count))


def _fault(address: tuple[str, int]) -> OSError | None:
    """Why nobody can listen there, or None."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(address)
        except OSError as fault:
            return fault
    return None
