"""The folder that the demo works in: a copy of the demo site, on ports that are free."""

from __future__ import annotations

import re
import shutil
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.demo.errors import DemoError, SiteError
from proxy.site import Site, load_site

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.protocols.base import ProtocolSpec
    from proxy.site.model import Listener

MARK = ".bulkhead-demo"
MBAPS, OLD, PLAIN = "cell-3-modbus", "cell-3-tls12", "cell-3-plain"
LISTENERS = (MBAPS, OLD, PLAIN)
DEVICES = ("plc-3a", "scada", "mes", "engineer")
PLC = "plc-3a"
COPIED = ("policies", "fingerprints")


@dataclass(frozen=True, slots=True)
class Workplace:
    """A valid site of the demo's own. ``plc`` is where the gateway looks for the PLC."""

    folder: Path
    site: Site

    @property
    def config(self) -> Path:
        return self.folder / "bulkhead.yaml"

    @property
    def record(self) -> Path:
        return self.folder / "plc-received.jsonl"

    @property
    def plc(self) -> tuple[str, int]:
        device = self.site.devices[PLC]
        return device.address or "", device.services["modbus"].port

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
    _open(config, protocols)  # its faults are told with the names of the person's own files
    try:
        shutil.copyfile(config, folder / "bulkhead.yaml")
        for name in COPIED:
            shutil.copytree(config.parent / name, folder / name)
    except OSError as fault:
        raise DemoError(f"{fault.filename}: {fault.strerror}") from fault
    (folder / "certs").mkdir()
    place = Workplace(folder, _open(folder / "bulkhead.yaml", protocols))
    if move_ports:
        _move(place)
        place = Workplace(folder, _open(place.config, protocols))
    return place


def check_ports(place: Workplace) -> None:
    """Raises DemoError naming the first address that is taken."""
    binds = {listener.name: (listener.bind.host, listener.bind.port) for listener in place.site.listeners}
    admin = place.site.admin
    for what, address in {**binds, "admin": (admin.host, admin.port), "the PLC": place.plc}.items():
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(address)
            except OSError as fault:
                raise DemoError(
                    f"{address[0]}:{address[1]} ({what}): {fault.strerror}; another demo may be running"
                ) from fault


def _open(config: Path, protocols: Mapping[str, ProtocolSpec]) -> Site:
    loaded = load_site(config, protocols)
    if loaded.site is None:
        raise SiteError("\n".join([f"the site of {config} is not valid:", *map(str, loaded.problems)]))
    have = {listener.name for listener in loaded.site.listeners}
    missing = [f"the listener {name}" for name in LISTENERS if name not in have]
    missing += [f"the device {name}" for name in DEVICES if name not in loaded.site.devices]
    if missing:
        raise SiteError(f"{config} is not the demo site, or too far from it: it lacks {', '.join(missing)}")
    return loaded.site


def _move(place: Workplace) -> None:
    """Rewrites the ports in the copied files; all else in them stays as it is written."""
    site = place.site
    old = [str(bind) for bind in (site.admin, *(listener.bind for listener in site.listeners))]
    *new, plc = _free_ports(len(old) + 1)
    text = place.config.read_text()
    for bind, port in zip(old, new, strict=True):
        text = _replace(text, rf"{re.escape(bind)}(?!\d)", f"{bind.rpartition(':')[0]}:{port}", place.config)
    place.config.write_text(text)
    file = place.folder / site.devices[PLC].origin.file
    port = site.devices[PLC].services["modbus"].port
    file.write_text(_replace(file.read_text(), rf"\bport: *{port}\b", f"port: {plc}", file))


def _replace(text: str, pattern: str, new: str, file: Path) -> str:
    text, count = re.subn(pattern, new, text)
    if count != 1:
        raise SiteError(f"{file.name}: {pattern} stands there {count} times, so its port cannot be moved")
    return text


def _free_ports(count: int) -> list[int]:
    """Held all at once, so that they differ. Somebody else may still take one before the gateway does."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]
