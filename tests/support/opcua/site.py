"""A site with robots behind it: an old one that speaks None, a modern one that is secured, and every kind of door.

`tests.support.plant` with robots in the place of the PLC. Identifiers say what policy thinks of them, see `names`:
``Ok.`` everything, ``No.`` nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tests.support.keys import SITE, Keys
from tests.support.net import LOCAL, free_port
from tests.support.opcua import names
from tests.support.opcua.applications import Applications, uri_of
from tests.support.opcua.names import node_id
from tests.support.plant import Plant

if TYPE_CHECKING:
    import pytest


OLD, MODERN = "robot-7", "robot-8"
"""Devices: policy None; secured policies alone."""
RELAY, FRONT, STRICT, TWIN, SIGNED = "relay", "front", "strict", "twin", "signed"
"""Listeners: None end to end; everything, None too, in front of `OLD`; no None; secured, in front of `MODERN`; a relay
of signed channels to `MODERN`, which can be read and cut."""
DESK, HMI, STATION = "desk", "hmi-1", "hmi-2"
"""Known by address alone (who speaks None); by a certificate of the site's authority; by a pinned, self-signed one."""
NARROW, NARROW_AT = "narrow", "127.0.0.31"
"""Known by its address: sees a few nodes, and writes below one."""

_TERMINATE = "mode: terminate, modes: [sign, sign_and_encrypt], trust: [opcua-ca, hmi-2.der]"
LISTENERS = {
    RELAY: (OLD, "mode: relay, unsafe_none: true"),
    FRONT: (OLD, f"{_TERMINATE}, unsafe_none: true"),
    STRICT: (OLD, "trust: [opcua-ca, hmi-2.der]"),
    TWIN: (MODERN, f"{_TERMINATE}, unsafe_none: true"),
    SIGNED: (MODERN, "mode: relay, signed: cut"),
}
_ALL = [f"nsu={names.URI};s=Ok.*", f"nsu={names.URI};s=Line1.*", f"nsu={names.URI};i=1001"]
_STANDARD = ["i=2254", "i=2255", "i=2256", "i=2258", "i=2259"]
"""ServerArray, NamespaceArray, ServerStatus, CurrentTime, State: what clients read by themselves."""


def _listed(words: list[str]) -> str:
    return "[" + ", ".join(f'"{word}"' for word in words) + "]"


_WRITE = ", ".join(f'"{pattern}": {{}}' for pattern in _ALL[:2])
_CALL = '"' + node_id(names.ROBOT) + ' -> {}"'

RULES = f"""\
  open:
    from: ["role:masters"]
    to: [{OLD}, {MODERN}]
    opcua:
      browse: all
      read: {_listed([*_STANDARD, *_ALL, node_id(names.OVERRIDE)])}
      write: {{ {_WRITE}, "{node_id(names.OVERRIDE)}": {{ min: 0, max: 100 }} }}
      call: [{_CALL.format(node_id(names.OK_CALL))}, {_CALL.format(node_id(names.RESET))}]
      subscribe: {_listed([*_STANDARD, *_ALL])}
      history_read: {_listed([node_id("Ok.*"), node_id(names.SPEED)])}
  maintenance:
    from: ["role:masters"]
    to: [{OLD}, {MODERN}]
    opcua:
      read: ["{node_id(names.SECRET)}"]
      subscribe: ["{node_id(names.SECRET)}"]
      call: [{_CALL.format(node_id(names.START))}]
      users: [maintainer]
  narrow:
    from: {NARROW}
    to: {OLD}
    opcua:
      browse: ["i=85", "nsu={names.URI};s=Ok.*", "{node_id(names.CELL)}"]
      read: ["i=2255", "{node_id(names.OPEN[1])}"]
      write: ["under {node_id(names.CELL)}"]
"""


class Place(Protocol):
    @property
    def host(self) -> str: ...

    @property
    def port(self) -> int: ...


class Server(Protocol):
    """A device's server, a `Robot` for example."""

    @property
    def setting(self) -> Place: ...


@dataclass
class OpcuaSite:
    """``robot`` and ``modern`` are the devices' servers; ``listeners`` those of `LISTENERS` that are open; ``service``
    is YAML in one line."""

    folder: Path
    robot: Server
    applications: Applications
    modern: Server | None = None
    listeners: Mapping[str, tuple[str, str]] = field(default_factory=lambda: LISTENERS)
    rules: str = RULES
    more_devices: Mapping[str, str] = field(default_factory=dict)
    limits: str = ""
    service: str = ""

    def build(self) -> Plant:
        ports = {name: free_port() for name, (to, _) in self.listeners.items() if to == OLD or self.modern is not None}
        admin = free_port()
        self._write("bulkhead.yaml", self._config(ports, admin))
        self._write("policies/surfaces/cell.yaml", self._surface())
        self._write("policies/roles/masters.yaml", f"role: masters\nmembers: [{DESK}, {HMI}, {STATION}]\n")
        for name, body in self._devices().items():
            self._write(f"fingerprints/devices/{name}.yaml", f"device: {name}\n{body}\n")
        return Plant(self.folder, Keys(self.folder / "certs"), ports, admin)

    def _surface(self) -> str:
        members = OLD if self.modern is None else f"{OLD}, {MODERN}"
        rules = self.rules if self.modern is not None else self.rules.replace(f", {MODERN}]", "]")
        # Writes without proof are for clients that speak None.
        return f"surface: cell\nmembers: [{members}]\nunsafe_writes_without_proof: true\nrules:\n{rules}"

    def _config(self, ports: Mapping[str, int], admin: int) -> str:
        # A test that changes policy puts it back, and nobody is there to acknowledge that.
        lines = [f"site: {SITE}", f'admin: {{ bind: "{LOCAL}:{admin}" }}', "policy: { require_ack: false }"]
        if self.limits:
            lines.append(f"limits: {{ {self.limits} }}")
        lines.append("listeners:")
        for name, port in ports.items():
            to, options = self.listeners[name]
            lines.append(f'  {name}: {{ bind: "{LOCAL}:{port}", protocol: opcua, to: {to}, opcua: {{ {options} }} }}')
        return "\n".join(lines) + "\n"

    def _devices(self) -> dict[str, str]:
        more = self.service and f", {self.service}"
        old = f"services:\n  opcua: {{ port: {self.robot.setting.port}{more} }}"
        devices = {
            OLD: f"kind: robot\naddress: {self.robot.setting.host}\n{old}",
            DESK: f"kind: workstation\naddress: {LOCAL}\nidentity: {{ unsafe_address_only: true }}",
            NARROW: f"kind: workstation\naddress: {NARROW_AT}\nidentity: {{ unsafe_address_only: true }}",
            HMI: f'kind: hmi\nidentity: {{ opcua_uri: "{uri_of(HMI)}", require: [opcua_uri] }}',
            STATION: f'kind: hmi\nidentity: {{ opcua_uri: "{uri_of(STATION)}", require: [opcua_uri] }}',
            **self.more_devices,
        }
        if self.modern is not None:
            service = f"port: {self.modern.setting.port}, security: Basic256Sha256, server: {MODERN}.der"
            devices[MODERN] = f"kind: robot\naddress: {self.modern.setting.host}\nservices:\n  opcua: {{ {service} }}"
        return devices

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def url_of(plant: Plant, listener: str) -> str:
    return f"opc.tcp://{LOCAL}:{plant.ports[listener]}"


def twin_of(applications: Applications, folders: pytest.TempPathFactory) -> Path:
    """A folder for another site with the same certificates, for tests that change its files."""
    folder = folders.mktemp("site")
    (folder / "certs").mkdir()
    for file in applications.certs.iterdir():
        if not file.name.startswith(("site-ca", "gateway", "revoked")):
            copy = folder / "certs" / file.name
            copy.touch(mode=0o600)
            copy.write_bytes(file.read_bytes())
    return folder
